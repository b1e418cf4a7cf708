"""Which files to send, what each is, and in which order."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from gateway.cli.exits import CliError, Exit

_GZIP = b"\x1f\x8b"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_DATED_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})\.csv(\.gz)?")
# Columns that a catalogue has and prices have not.
_CATALOG_COLUMNS = {"name", "rarity", "group_name", "is_sealed", "image_url"}


class FileKind(Enum):
    """What a file holds."""

    CATALOG = "catalog"
    PRICES = "prices"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to send.

    `day` orders files: what the name says, else the first row. `claim` is what the name says: every
    row must be of it.
    """

    path: Path
    kind: FileKind
    size: int
    day: str = ""
    claim: str = ""


def collect(paths: Sequence[Path], catalogs: Sequence[Path] = ()) -> list[SourceFile]:
    """The files named, and those right inside the folders named: catalogues first, then by day.

    `catalogs` are catalogues whatever their heading says. Order matters: what the market gets after
    a newer day is history to it, not news. Raises CliError where a path is not there or a folder
    holds none.
    """
    found = [inspect(path) for path in _expand(paths)]
    found += [SourceFile(path, FileKind.CATALOG, _size(path)) for path in catalogs]
    return sorted(found, key=lambda file: (file.kind.value, file.day, str(file.path)))


def inspect(path: Path) -> SourceFile:
    """Reads the head of a file to tell what it is.

    Only guesses: a broken file counts as prices, so that the market says precisely what is wrong.
    """
    size = _size(path)
    heading, first = _first_lines(path)
    if len(_CATALOG_COLUMNS & set(heading)) >= 3:
        return SourceFile(path, FileKind.CATALOG, size)
    claim = _DATED_NAME.fullmatch(path.name)
    day = claim[1] if claim else ""
    if not day and "date" in heading:
        place = heading.index("date")
        value = first[place] if place < len(first) else ""
        day = value if _DAY.fullmatch(value) else ""
    return SourceFile(path, FileKind.PRICES, size, day, claim[1] if claim else "")


def repeated_days(files: Iterable[SourceFile]) -> list[str]:
    """Days that more than one file is of: each file after the first corrects the one before."""
    days = [file.day for file in files if file.day]
    return sorted({day for day in days if days.count(day) > 1})


def _expand(paths: Sequence[Path]) -> Iterable[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        inside = sorted(p for p in path.iterdir() if p.name.endswith((".csv", ".csv.gz")))
        if not inside:
            raise CliError(
                Exit.USAGE,
                "no_files",
                f"{path} holds no .csv or .csv.gz file",
                "name the folder that the files are right in: folders inside are not looked into",
            )
        yield from inside


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise CliError(Exit.USAGE, "no_such_file", f"{path}: {error.strerror}") from None


def _first_lines(path: Path) -> tuple[list[str], list[str]]:
    try:
        with path.open("rb") as raw:
            head = raw.read(8192)
    except OSError as error:
        raise CliError(Exit.USAGE, "unreadable_file", f"{path}: {error.strerror}") from None
    if head.startswith(_GZIP):
        try:
            head = zlib.decompressobj(wbits=31).decompress(head, 8192)
        except (zlib.error, gzip.BadGzipFile):
            head = b""
    lines = [*head.decode("utf-8-sig", "replace").splitlines()[:2], "", ""]
    heading = [name.strip().strip('"') for name in lines[0].split(",")]
    return heading, [value.strip().strip('"') for value in lines[1].split(",")]
