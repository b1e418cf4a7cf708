"""What a bounce says in words: which recipients, and what is said of each."""

from __future__ import annotations

import re

from services.delivery.domain.bounces import addresses
from services.delivery.domain.bounces.rows import Draft

_MAX_LINES = 2000
_MAX_RECIPIENTS = 50
_MAX_SAID = 4000

# Where the report ends and the mail that came back begins.
_RETURNED = re.compile(
    r"""(?ix)^[\s>*=_-]{0,60}
    (?: (?:below|above)?\s?(?:this\s|here\s)?(?:line\s)?is\sa\scopy\sof
      | (?:included|this)\sis\sa\scopy\sof | enclosed\sis\sa\scopy
      | (?:your\s|the\s)?original\smessage(?:\sheaders?)?
        (?:\s(?:follows|is\sas|as\sfollows).{0,40})?[\s.:>=*_-]{0,60}$
      | unsent\smessage\sfollows
      | (?:undelivered|returned|unsent|rejected)\smessage[\s:>=*_-]{0,60}$
      | message\sheaders?(?:\sfollow.{0,20})?[\s.:>=*_-]{0,60}$
      | header\sof\sthe\soriginal | original\smail | body\sof\smessage\sfollows
      | (?:the\s)?header\s(?:of\s)?(?:the\s)?(?:returned|bounced)
      | message\stext\sfollows | forwarded\smessage
      | the\sfollowing\sis\s(?:a\scopy|the\sheader)
    )"""
)
_HEADER_LINE = re.compile(
    r"(?i)(?:received|return-path|message-id|dkim-signature|x-[a-z-]{2,30}): ?\S"
)
# A session of old sendmail, whose recipient is named at its end.
_IS_SESSION = re.compile(r"(?i)^\W{0,8}(?:\.\.\. )?while talking to ")
_IS_DIALOGUE = re.compile(r"^\W{0,8}(?:>>>|<<<)")
_ABOUT_SENDER = re.compile(
    r"(?i)mail from|envelope[- ]?(?:from|sender)|^\W*from\b|sender"
    r"|^\W*(?:to|cc|subject|sent|date|message-id|reply-to"
    r"|return-path|received|x-[a-z-]+|list-[a-z]+|content-[a-z]+):|<mailto:|generated from"
    r"|expanded from|postmaster for|contact|please (?:send|mail|reply)|help@|abuse@|for assistance"
)
_LEADING = re.compile(
    r"(?i)^[\s>*#.!\"'-]{0,40}(?:\[?<?(?:mailto:|smtp:|rfc822;)?)?("
    + addresses.ADDRESS.pattern
    + r")"
)
_NAMED = re.compile(
    r"(?i)(?:rcpt to: ?|recipient(?: address)?[:s]? |recipient:"
    r"|deliver(?:y|ed|ing)? (?:of )?(?:your |the )?(?:mail |message )?(?:to|for):?"
    r"|message to|undeliverable to|following address(?:es)?:|userid:|mail to|unknown user:|user:"
    r"|address:|to the following (?:recipient|address)[^:]{0,20}:|could not be delivered to:?"
    r"|not delivered to:?|wasn't delivered to|contact \("
    r"|(?:收件人|收信人|宛先|受信者|empfänger|destinataire|destinatario|destinatário)\s?[:\uff1a]"
    r"|(?<![\w.])\d{3}(?:[ -]\d\.\d\.\d{1,3})?[ -])[\s<]{0,4}(" + addresses.ADDRESS.pattern + r")"
)


def cut(text: str) -> tuple[str, str]:
    """The report, and what came back after it, "" where nothing did."""
    lines = text.split("\n")[:_MAX_LINES]
    blank = True
    for at, line in enumerate(lines):
        plain = line.lstrip("> ")[:200]
        if at and _RETURNED.match(plain):
            return "\n".join(lines[:at]), "\n".join(lines[at + 1 :])
        if at > 2 and blank and _HEADER_LINE.match(plain) and not line.startswith(" "):
            return "\n".join(lines[:at]), "\n".join(lines[at:])
        blank = not plain.strip()
    return "\n".join(lines), ""


def unquoted(text: str) -> str:
    """A forwarded report without its "> ", where most lines have one."""
    lines = text.split("\n")
    quoted = sum(line.startswith(">") and not _IS_DIALOGUE.match(line[1:3]) for line in lines)
    if quoted * 2 < len(lines):
        return text
    return "\n".join(
        line[2:] if line.startswith("> ") else line.removeprefix(">") for line in lines
    )


def recipients(text: str, own: set[str]) -> list[Draft]:
    """Each address that the report says something of, with what it says until the next one.
    Addresses in `own` are ours: the sender's."""
    drafts: dict[str, Draft] = {}
    current: Draft | None = None
    before: list[str] = []
    session: list[str] = []
    for line in text.split("\n")[:_MAX_LINES]:
        line = line[:500]
        found = _address_of(line, own)
        if found:
            if found.lower() not in drafts and len(drafts) < _MAX_RECIPIENTS:
                drafts[found.lower()] = Draft(found)
            current = drafts.get(found.lower(), current)
        elif _IS_SESSION.match(line):
            session, current = [], None
        if current is None:
            (session if session or _IS_SESSION.match(line) else before).append(line)
        elif len(current.said) < _MAX_SAID:
            current.said += "\n".join((*session, line, ""))
            session = []
    for draft in drafts.values():
        draft.before = "\n".join(before)[:_MAX_SAID]
    return list(drafts.values())


def tell(drafts: list[Draft], text: str, own: set[str]) -> None:
    """Adds to each recipient what the report says of it in words."""
    named = {draft.recipient.lower() for draft in drafts}
    told = {each.recipient.lower(): each for each in recipients(text, own - named)}
    for draft in drafts:
        found = told.get(draft.recipient.lower())
        if found is not None:
            draft.said = f"{found.said}\n{draft.said}"
            draft.before = found.before


def _address_of(line: str, own: set[str]) -> str:
    """The recipient that a line begins to speak of, "" for none."""
    if "@" not in line:
        return ""
    named = _NAMED.search(line)
    if named is not None and named[1].lower() not in own:
        return named[1].rstrip(".-_")
    if _ABOUT_SENDER.search(line.partition("(expanded from")[0]):
        return ""
    leading = _LEADING.match(line)
    if leading is None or leading[1].lower().rstrip(".") in own:
        return ""
    return leading[1].rstrip(".-_")
