"""Reads a mail as far as bounces need it: whatever it is given, in linear time, and never raising.

The standard library's parser is made for mails that can be written back byte for byte. This one
keeps only headers and decoded leaves, and bounds how much of each it looks at.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.errors import MessageError
from email.header import decode_header

MAX_MAIL = 2 * 1024 * 1024
MAX_TEXT = 64 * 1024
_MAX_PARTS = 64
_MAX_DEPTH = 6
_MAX_HEADERS = 400
_MAX_HEADER = 8 * 1024

_HEADER = re.compile(rb"([!-9;-~]{1,76})[ \t]*:(.*)", re.DOTALL)
_PARAMETER = re.compile(
    r';\s*(boundary|charset|report-type)\s*=\s*(?:"([^"]{1,200})"|([^\s;"]{1,200}))'
)
# What mail is written in. Python knows more, some of which take long, or make what is no text.
_CHARSET = re.compile(
    r"(?i)(?:us-?ascii|ascii|utf-?8|latin-?1|iso-?8859-?[0-9]{1,2}(?:-[ei])?|(?:windows-|cp)[0-9]{3,5}"
    r"|koi8-?[rut]|iso-2022-(?:jp(?:-[0-9])?|kr)|euc-?(?:jp|kr|cn)|s(?:hift)?[_-]?jis|gb(?:2312|k|18030)"
    r"|big5(?:hkscs)?|hz|tis-?620|mac(?:roman|intosh))"
)
_GUESSED = re.compile(rb"(?m)^--([^\s\n][^\n]{0,100}?)[ \t]*\ncontent-", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf. `kind` is its media type in lower case; `text` what it says, decoded and cut."""

    kind: str
    headers: dict[str, str]
    text: str


@dataclass(slots=True)
class Mail:
    """The outer headers, by lower-case name, the first of each; the leaves in their order."""

    headers: dict[str, str]
    kind: str = "text/plain"
    report: str = ""
    parts: list[Part] = field(default_factory=list)


def read(raw: bytes) -> Mail:
    """The mail in `raw`, of which at most 2 MiB are looked at."""
    data = raw[:MAX_MAIL].replace(b"\r\n", b"\n").replace(b"\x00", b"")
    data = data.lstrip(b"\n")
    if data.startswith(b"From "):
        data = data.partition(b"\n")[2]
    headers, body = split(data)
    kind, parameters = content_type(headers)
    mail = Mail(headers, kind, parameters.get("report-type", ""))
    mail.parts.extend(_leaves(headers, body, 0, [_MAX_PARTS]))
    return mail


def split(data: bytes) -> tuple[dict[str, str], bytes]:
    """Headers by lower-case name, the first of each name, and the body."""
    headers: dict[str, str] = {}
    at, name, lines = 0, "", []
    for _ in range(_MAX_HEADERS):
        end = data.find(b"\n", at)
        line = data[at : end if end >= 0 else len(data)]
        if not line.strip():
            at = len(data) if end < 0 else end + 1
            break
        if line[:1] in (b" ", b"\t") and name:
            lines.append(line[:_MAX_HEADER])
        else:
            found = _HEADER.match(line[:_MAX_HEADER])
            if found is None:
                break
            _keep(headers, name, lines)
            name, lines = found[1].decode("ascii").lower(), [found[2]]
        at = len(data) if end < 0 else end + 1
    _keep(headers, name, lines)
    return headers, data[at:]


def _keep(headers: dict[str, str], name: str, lines: list[bytes]) -> None:
    if name and name not in headers:
        value = b" ".join(line.strip() for line in lines[:100])[:_MAX_HEADER]
        headers[name] = decoded(value, "").strip()


def content_type(headers: dict[str, str]) -> tuple[str, dict[str, str]]:
    """The media type in lower case, and those of its parameters that matter here."""
    value = headers.get("content-type", "")
    kind = value.partition(";")[0].strip().lower()
    found = {
        name.lower(): quoted or plain
        for name, quoted, plain in _PARAMETER.findall(
            re.sub(r"(?i);\s*(boundary|charset|report-type)\s*=", lambda m: m[0].lower(), value)
        )
    }
    return kind or "text/plain", found


def _leaves(headers: dict[str, str], body: bytes, depth: int, left: list[int]) -> Iterator[Part]:
    kind, parameters = content_type(headers)
    if kind.startswith("multipart/") and depth < _MAX_DEPTH:
        pieces = list(_pieces(body, parameters.get("boundary", "")))
        if pieces:
            for inner, content in pieces:
                yield from _leaves(inner, content, depth + 1, left)
            return
        kind = "text/plain"
    if left[0] <= 0:
        return
    left[0] -= 1
    encoding = headers.get("content-transfer-encoding", "").lower().strip()
    data = body[: 2 * MAX_TEXT]
    if encoding == "quoted-printable":
        data = binascii.a2b_qp(data)
    elif encoding == "base64":
        data = _base64(data)
    yield Part(kind, headers, decoded(data, parameters.get("charset", ""))[:MAX_TEXT])


def _pieces(body: bytes, boundary: str) -> Iterator[tuple[dict[str, str], bytes]]:
    """The parts between boundaries. A boundary that is not there is guessed, for relays that fold
    headers sometimes lose it."""
    mark = b"--" + boundary.encode("utf-8", "replace")
    if not boundary or not (body.startswith(mark) or b"\n" + mark in body):
        guessed = _GUESSED.search(body[: 8 * MAX_TEXT])
        if guessed is None:
            return
        mark = b"--" + guessed[1]
    at = 0 if body.startswith(mark) else body.find(b"\n" + mark) + 1
    for _ in range(_MAX_PARTS):
        begin = body.find(b"\n", at)
        if begin < 0 or body.startswith(b"--", at + len(mark)):
            return
        end = body.find(b"\n" + mark, begin)
        chunk = body[begin + 1 : end if end >= 0 else len(body)]
        if chunk[:1] == b"\n":
            yield {}, chunk[1:]
        else:
            yield split(chunk)
        if end < 0:
            return
        at = end + 1


def _base64(data: bytes) -> bytes:
    text = re.sub(rb"[^A-Za-z0-9+/]", b"", data)
    text = text[: len(text) - len(text) % 4 or None] if len(text) % 4 == 1 else text
    try:
        return binascii.a2b_base64(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        return data


def decoded(data: bytes, charset: str) -> str:
    """The text, in the charset that was named if that is true, else in the likeliest."""
    tries = [charset] if _CHARSET.fullmatch(charset) else []
    if b"\x1b$" in data or b"\x1b(" in data:
        tries.insert(0, "iso-2022-jp")
    for name in (*tries, "utf-8", "euc-jp"):
        try:
            return data.decode(name)
        except (LookupError, ValueError):
            continue
    for name in tries:
        try:
            return data.decode(name, "replace")
        except (LookupError, ValueError):
            continue
    return data.decode("latin-1")


def header_text(value: str) -> str:
    """A header's words with RFC 2047 undone; as it is where that cannot be."""
    if "=?" not in value:
        return value
    try:
        pieces = decode_header(value[:1000])
    except (MessageError, ValueError):
        return value
    return "".join(
        piece if isinstance(piece, str) else decoded(piece, charset or "")
        for piece, charset in pieces
    )


def without_tags(text: str) -> str:
    """The words of HTML, roughly: a line for each block."""
    out: list[str] = []
    at = 0
    while at < len(text):
        begin = text.find("<", at)
        if begin < 0:
            break
        out.append(text[at:begin])
        tag = text[begin + 1 : begin + 8].lower()
        end = text.find(">", begin)
        for name in ("style", "script"):
            if tag.startswith(name):
                end = text.lower().find(f"</{name}", begin) if len(out) < 200 else -1
                end = text.find(">", end) if end >= 0 else -1
        if end < 0:
            return "".join(out)
        if tag.startswith(("p", "br", "/p", "tr", "/tr", "div", "/div", "h", "li", "td")):
            out.append("\n")
        at = end + 1
    out.append(text[at:])
    joined = "".join(out)
    for entity, sign in (("&lt;", "<"), ("&gt;", ">"), ("&nbsp;", " "), ("&quot;", '"')):
        joined = joined.replace(entity, sign)
    return joined.replace("&amp;", "&")
