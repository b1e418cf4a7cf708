"""Reply codes, statuses and SMTP commands in what servers say."""

from __future__ import annotations

import re
from typing import NamedTuple

_STATUS = re.compile(r"(?<![0-9A-Za-z.\[])#?([245])\.([0-7])\.([0-9]{1,3})(?![0-9.]*[0-9\]])")
_REPLY = re.compile(
    r"(?<![0-9./_-])(?<![0-9]:)"
    r"(42[12]|43[02]|45[0-9]|50[0-4]|52[13-6]|53[0-58]|541|55[0-8])(?=[ \-:;,)>\n]|$)"
)
_VERBS = "rcpt|mail|data|ehlo|helo"
_COMMANDS = (
    (re.compile(r"in reply to (?:the )?([a-z]{4})"), None),
    (
        re.compile(
            r"after (?:sending )?(rcpt|mail|data|ehlo|helo|auth|starttls|pipelined (?:mail|data))"
        ),
        None,
    ),
    (re.compile(r"did not like our (?:final )?([a-z]{4})"), None),
    (re.compile(r"\[(rcpt|mail|data|ehlo|helo)_?(?:to|from)?\]"), None),
    (
        re.compile(
            r"(?:\)|error|failed|rejected|refused) (?:in|on|at|to) (rcpt|mail|data|ehlo|helo)\b"
        ),
        None,
    ),
    (re.compile(r"\bin (rcpt to|mail from)\b"), None),
    (re.compile(r"smtp command\s{1,4}(rcpt|mail|data|ehlo|helo)"), None),
    (
        re.compile(
            r"end of data|after i sent the message|message content|in reply to end|final dot"
        ),
        "DATA",
    ),
    (re.compile(r"does not like recipient|recipient was rejected"), "RCPT"),
    (re.compile(rf"following ({_VERBS}) command"), None),
    (re.compile(rf"({_VERBS})(?: to| from)? command (?:failed|was|rejected)"), None),
    # Google's numbers for where its dialogue was.
    (re.compile(r"\(state 13\)|but sender was rejected"), "MAIL"),
    (re.compile(r"\(state 14\)"), "RCPT"),
    (re.compile(r"\(state 1[78]\)"), "DATA"),
    (re.compile(r"but my name was rejected|\behlo\b.{0,40}rejected"), "EHLO"),
    (
        re.compile(
            r"after initial connection|refused to talk to me|greeting failed|initial greeting"
        ),
        "CONN",
    ),
)
# Old sendmail's "554 <somebody@shop.test>... 550 Host unknown": the latter is the receiver's.
_INNER = re.compile(r"\.\.\. ([45][0-5][0-9])[ -]")
_DIALOGUE = re.compile(
    r"(?mi)^\W{0,8}(?:>>>|sent <<<) ?([a-z]{4})|^\W{0,8}(?:<<<|received >>>) ?([2-5][0-9]{2})"
)


class Codes(NamedTuple):
    """What was found; "" for nothing."""

    status: str
    reply: str


def statuses(text: str) -> list[str]:
    """All RFC 3463 statuses of refusals, in their order."""
    return [f"{a}.{b}.{int(c)}" for a, b, c in _STATUS.findall(text) if a != "2"]


def _weight(status: str) -> int:
    """How much a status says: nothing, little, or something."""
    _, subject, detail = status.split(".")
    if detail == "0":
        return 0 if subject == "0" else 1
    return 1 if status in ("4.4.7", "5.4.7") else 2


def find(field: str, text: str) -> Codes:
    """The status and the reply that tell most: of the text, or of the report's own field. A
    status of the text weighs more where the field's is vague."""
    reply = replies(text)
    said = statuses(text)
    best = max(said, key=_weight) if said else ""
    if field and (not best or _weight(field) > _weight(best)):
        best = field
    elif field and best and _weight(field) == _weight(best) and field[0] != best[0]:
        best = field if not reply or reply[0][0] == field[0] else best
    fitting = [code for code in reply if best and code[0] == best[0]]
    return Codes(best, (fitting or reply or [""])[0])


def replies(text: str) -> list[str]:
    """All SMTP replies of refusals, in their order."""
    found = _REPLY.findall(text)
    inner = _INNER.search(text)
    return [inner[1], *found] if inner is not None else found


def command(text: str) -> str:
    """The SMTP command that was refused, in capitals, where the words say it."""
    lower = text.lower()
    for pattern, name in _COMMANDS:
        found = pattern.search(lower)
        if found is not None:
            if name is not None:
                return name
            word = found[1][:4].upper()
            if word in ("RCPT", "MAIL", "DATA", "EHLO", "HELO", "AUTH", "STAR"):
                return word
    return _dialogue(text)


def _dialogue(text: str) -> str:
    """Of ">>> DATA" and "<<< 550" lines: the command before the first refusal."""
    last = ""
    for sent, answered in _DIALOGUE.findall(text):
        if sent:
            last = sent.upper()
        elif answered[0] in "45" and last:
            return last if last in ("RCPT", "MAIL", "DATA", "EHLO", "HELO") else ""
    return ""
