"""Unpacking a file as it came, within bounds."""

from __future__ import annotations

import zlib

from services.market.domain.faults import FileRefusedError

GZIP_MAGIC = b"\x1f\x8b"
_GZIP = 16 + zlib.MAX_WBITS


def gunzip(data: bytes, limit: int) -> bytes:
    """The plain bytes of a gzip file of one or more members.

    Raises FileRefusedError when it is broken, cut short, or holds more than `limit` bytes; never
    allocates much more than `limit`.
    """
    parts: list[bytes] = []
    left = limit
    while True:
        member = zlib.decompressobj(_GZIP)
        try:
            plain = member.decompress(data, left + 1)
        except zlib.error as error:
            raise FileRefusedError("file", "broken_gzip", f"cannot be unpacked: {error}") from None
        if len(plain) > left:
            raise FileRefusedError("file", "too_large", f"holds more than {limit} bytes unpacked")
        if not member.eof:
            raise FileRefusedError("file", "truncated_gzip", "the gzip data ends too early")
        parts.append(plain)
        left -= len(plain)
        # RFC 1952 lets members follow one another; zeros after the last are padding.
        data = member.unused_data.lstrip(b"\0")
        if not data:
            return b"".join(parts)
