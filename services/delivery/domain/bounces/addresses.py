"""Addresses in the fields and sentences of bounces."""

from __future__ import annotations

import re

# As RFC 5321 bounds them; what is quoted is rare enough to be left out.
ADDRESS = re.compile(
    r"[^\s<>()\[\]\"',;:@\\/=|]{1,64}@[A-Za-z0-9\u0080-\U0010ffff][A-Za-z0-9\u0080-\U0010ffff._-]{0,250}"
)
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_UNITEXT = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")


def in_text(text: str) -> list[str]:
    """All addresses, in their order."""
    return [found.rstrip(".-_") for found in ADDRESS.findall(text)]


def of_field(value: str) -> str:
    """The address of a Final-Recipient, Original-Recipient or like field, "" for none. The type
    before the semicolon may be missing; RFC 3461's xtext and RFC 6533's unitext are undone."""
    kind, semicolon, rest = value.partition(";")
    if not semicolon:
        kind, rest = "", value
    kind, rest = kind.strip().lower(), rest.strip()
    if kind == "utf-8":
        rest = _UNITEXT.sub(_unitext, rest)
    found = in_text(rest)
    if found:
        return _XTEXT.sub(_xtext, found[0]) if kind in ("rfc822", "utf-8") else found[0]
    found = in_text(_XTEXT.sub(_xtext, rest))
    return found[0] if found else ""


def _xtext(found: re.Match[str]) -> str:
    """A hexadecimal pair as its sign; a plus that is part of the address stays."""
    sign = chr(int(found[1], 16))
    return sign if sign in "+=@" else found[0]


def _unitext(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    return chr(number) if number <= 0x10FFFF and not 0xD800 <= number < 0xE000 else ""
