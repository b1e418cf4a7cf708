"""A file on its way in: header, chunks, trailer, and nothing else."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import date
from hashlib import sha256

from libs.errors import AppError, Kind, Violation, invalid
from pq.market.v1 import imports_pb2 as pb
from services.market.domain.faults import FieldError
from services.market.domain.imports import Kind as FileKind
from services.market.domain.prices import read_day
from services.market.handlers.ingest import ImportFile

MAX_CHUNK = 1 << 20
_SOURCE = re.compile(r"[a-z0-9-]{1,40}")
_GZIP = {
    pb.IMPORT_ENCODING_UNSPECIFIED: None,
    pb.IMPORT_ENCODING_IDENTITY: False,
    pb.IMPORT_ENCODING_GZIP: True,
}


async def receive(parts: AsyncIterator[pb.ImportFileRequest], limit: int) -> ImportFile:
    """The whole file, at most `limit` bytes. Raises AppError that names the part at fault."""
    header: pb.ImportHeader | None = None
    data, digest = bytearray(), sha256()
    async for part in parts:
        which = part.WhichOneof("part")
        if header is None:
            if which != "header":
                raise _wrong_order("header", f"expected the header first; got {which}")
            header = part.header
            _check(header)
        elif which == "chunk":
            _check_chunk(part.chunk, len(data), limit)
            data += part.chunk
            digest.update(part.chunk)
        elif which == "trailer":
            _check_trailer(part.trailer, len(data), digest.hexdigest())
            await _check_end(parts)
            return _command(header, bytes(data), digest.hexdigest())
        else:
            raise _wrong_order(which or "part", f"expected a chunk or the trailer; got {which}")
    raise _wrong_order("trailer", "the stream ended without a trailer; nothing was kept")


def _check(header: pb.ImportHeader) -> None:
    if int(header.kind) not in set(FileKind):
        raise invalid("header.kind", "expected IMPORT_KIND_PRICES or IMPORT_KIND_CATALOG")
    if not _SOURCE.fullmatch(header.source):
        raise invalid(
            "header.source",
            f"expected 1 to 40 of a-z, 0-9 and hyphen; got {header.source[:60]!r}",
        )
    _day(header)
    if len(header.file_name) > 255 or not header.file_name.isprintable():
        raise invalid("header.file_name", "expected at most 255 printable characters")
    if header.encoding not in _GZIP:
        raise invalid("header.encoding", "expected IMPORT_ENCODING_IDENTITY or _GZIP, or nothing")


def _day(header: pb.ImportHeader) -> date | None:
    if not header.day:
        return None
    if header.kind != pb.IMPORT_KIND_PRICES:
        raise invalid("header.day", "expected none: a catalogue has no day")
    try:
        return read_day(header.day)
    except FieldError as error:
        told = f"expected {error.expected}; got {header.day[:60]!r}"
        raise invalid("header.day", told, error.reason) from None


def _check_chunk(chunk: bytes, size: int, limit: int) -> None:
    if not 1 <= len(chunk) <= MAX_CHUNK:
        raise invalid("chunk", f"expected 1 to {MAX_CHUNK} bytes; got {len(chunk)}", "out_of_range")
    if size + len(chunk) > limit:
        violation = Violation("chunk", f"expected a file of at most {limit} bytes", "too_large")
        raise AppError(
            Kind.TOO_LARGE,
            "too_large",
            f"the file is larger than {limit} bytes",
            violations=[violation],
        )


def _check_trailer(trailer: pb.ImportTrailer, size: int, digest: str) -> None:
    if trailer.size != size:
        told = f"{size} bytes came, the trailer says {trailer.size}; nothing was kept"
        raise invalid("trailer.size", told, "size_mismatch")
    if trailer.sha256 != digest:
        told = f"the bytes that came have the SHA-256 {digest}; nothing was kept"
        raise invalid("trailer.sha256", told, "digest_mismatch")


async def _check_end(parts: AsyncIterator[pb.ImportFileRequest]) -> None:
    async for part in parts:
        which = part.WhichOneof("part") or "part"
        raise _wrong_order(which, "expected nothing after the trailer; nothing was kept")


def _command(header: pb.ImportHeader, data: bytes, digest: str) -> ImportFile:
    return ImportFile(
        kind=FileKind(header.kind),
        source=header.source,
        day=_day(header),
        file_name=header.file_name,
        gzip=_GZIP[header.encoding],
        backfill=header.backfill,
        data=data,
        sha256=digest,
    )


def _wrong_order(field: str, description: str) -> AppError:
    return invalid(field, description, "wrong_order")
