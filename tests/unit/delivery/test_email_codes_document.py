"""docs/email-codes.md is printed from the tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from services.delivery.domain import email_answers as answers
from services.delivery.domain.bounces.reasons import STATUSES, Reason, is_hard
from services.delivery.domain.email_codes import CODES, code_of_reason
from services.delivery.domain.email_provider_answers import PROVIDERS

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "email-codes.md"


def test_the_document_shows_the_tables() -> None:
    wanted = document()
    shown = DOCUMENT.read_text() if DOCUMENT.exists() else ""
    assert shown == wanted, f"docs/email-codes.md must be:\n{wanted}"


def document() -> str:
    return "\n".join(
        [
            HEAD,
            _table(("code", "kind", "hard", "another provider may", "meaning"), _codes()),
            PROVIDER_HEAD,
            *(_provider(name) for name in PROVIDERS),
            "### Any other answer, by HTTP status\n",
            _table(("HTTP status", "code"), ((f"{n}", f"`{c}`") for n, c in answers.HTTP.items())),
            SMTP_HEAD,
            _table(("reply", "code"), _replies()),
            STATUS_HEAD,
            _table(("status", "meaning", "5: reason", "5: code", "4: code"), _statuses()),
            REASON_HEAD,
            _table(("reason", "hard", "code for good", "code for now"), _reasons()),
        ]
    )


HEAD = """# What became of an e-mail: codes

Every answer of a provider and every SMTP reply has one code here, counted as
`pq_email_error_codes{provider,code}`. Codes never change their meaning. This page is printed from
`services/delivery/domain/email_answers.py` and `email_provider_answers.py` by a test.

| kind | what follows |
|---|---|
| retry | the same message may go through later; it is tried again |
| rate | we were too fast, or a quota is used up; it is tried again later, and more slowly |
| permanent | this message never goes to this recipient |
| configuration | an operator must mend something; nothing is wrong with message or recipient |
| suppressed | the recipient wants, or can have, nothing more |

A *hard* code says that the address is no good: it goes on the suppression list.

## All codes
"""
PROVIDER_HEAD = """
## What providers answer

The first row that fits decides: the word for the error, and, where there are some, one of the words
in its sentence. `·` is anything.
"""
SMTP_HEAD = """
## SMTP replies

What the text says decides; a reply decides where the text says nothing that is known. Replies to
what comes before any message are about our account at the server.
"""
STATUS_HEAD = """
## RFC 3463 statuses

As with replies, words weigh more: servers put 5.1.1 before anything. `·` leaves it to the reply.
"""
REASON_HEAD = """
## Reasons of bounces

The vocabulary is [Sisimai's](https://libsisimai.org/en/reason/). A status of the form 5.0.9xx or
4.0.9xx stands for the reason where the bounce named none.
"""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows), ""])


def _codes() -> Iterable[Sequence[str]]:
    for code in CODES.values():
        yield (
            f"`{code.name}`",
            code.kind.value,
            "hard" if code.hard else "",
            "yes" if code.elsewhere else "",
            code.meaning,
        )


def _provider(name: str) -> str:
    rows = (
        (
            str(answer.http or "·"),
            f"`{answer.name}`" if answer.name else "·",
            ", ".join(f'"{words}"' for words in answer.words) or "·",
            f"`{answer.code}`",
        )
        for answer in PROVIDERS[name]
    )
    return f"### {name}\n\n" + _table(("HTTP", "error", "one of the words", "code"), rows)


def _replies() -> Iterable[Sequence[str]]:
    found = {**answers.REPLIES, **answers.SUBMISSION_REPLIES}
    for reply in sorted(found):
        yield str(reply), f"`{found[reply]}`"


def _statuses() -> Iterable[Sequence[str]]:
    for status, (meaning, good, passing) in STATUSES.items():
        submission = answers.SUBMISSION_STATUSES.get(status)
        for_good = submission or (code_of_reason(good, temporary=False) if good else "")
        for_now = submission or (code_of_reason(passing, temporary=True) if passing else "")
        yield (
            f"X.{status}",
            meaning,
            good.value if good else "·",
            f"`{for_good}`" if for_good else "·",
            f"`{for_now}`" if for_now else "·",
        )


def _reasons() -> Iterable[Sequence[str]]:
    for reason in Reason:
        good, now = answers.REASONS[reason]
        yield reason.value, "hard" if is_hard(reason, "5.0.0") else "", f"`{good}`", f"`{now}`"
