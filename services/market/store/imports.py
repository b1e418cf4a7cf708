"""Files that were taken in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson

from libs.api import filters
from libs.db import Reader, Tx
from services.market.domain.faults import RowFault
from services.market.domain.imports import Import, Kind, Mode

KINDS = {"IMPORT_KIND_PRICES": Kind.PRICES, "IMPORT_KIND_CATALOG": Kind.CATALOG}
FILTERS = {
    "day": filters.day("i.day"),
    "source": filters.text("s.name"),
    "kind": filters.choice("i.kind", KINDS),
    "sha256": filters.text("i.sha256"),
}

_COLUMNS = (
    "i.import, i.kind, s.name as source, i.day, i.file_name, i.sha256, i.size, i.create_time,"
    " i.row_count, i.accepted_count, i.rejected_count, i.change_count, i.version, i.mode,"
    " i.raw"
)
_FROM = "from imports i join sources s using (source)"


async def find(reader: Reader, source: int, kind: Kind, sha256: str) -> Import | None:
    """The import of this very file, if there is one."""
    row = await reader.fetchrow(
        f"select {_COLUMNS}, i.faults {_FROM}"
        " where i.source = $1 and i.kind = $2 and i.sha256 = $3",
        source,
        kind,
        sha256,
    )
    return None if row is None else _import(row, row["faults"])


async def get(reader: Reader, id: UUID) -> Import | None:
    """One import with its faults."""
    row = await reader.fetchrow(f"select {_COLUMNS}, i.faults {_FROM} where i.import = $1", id)
    return None if row is None else _import(row, row["faults"])


async def page(
    reader: Reader, where: filters.Where, after: UUID | None, limit: int
) -> tuple[list[Import], UUID | None]:
    """Imports, newest first, without their faults, and where the next page begins, None at the end.

    `where` counts its parameters from 3.
    """
    rows = await reader.fetch(
        f"select {_COLUMNS} {_FROM}"
        f" where {where.sql} and ($1::uuid is null or i.import < $1)"
        " order by i.import desc limit $2",
        after,
        limit + 1,
        *where.params,
    )
    place = rows[limit - 1]["import"] if len(rows) > limit else None
    return [_import(row, None) for row in rows[:limit]], place


async def insert(tx: Tx, source: int, item: Import) -> None:
    """Stores an import."""
    faults: Sequence[dict[str, Any]] = [
        {
            "line": fault.line,
            "field": fault.field,
            "reason": fault.reason,
            # A description quotes the file, and jsonb holds no NUL.
            "description": fault.description.replace("\0", "\ufffd"),
        }
        for fault in item.faults
    ]
    await tx.execute(
        "insert into imports (import, kind, source, day, file_name, sha256, size, create_time,"
        " row_count, accepted_count, rejected_count, faults, change_count, version, mode,"
        " raw)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        item.id,
        item.kind,
        source,
        item.day,
        item.file_name,
        item.sha256,
        item.size,
        item.create_time,
        item.row_count,
        item.accepted_count,
        item.rejected_count,
        orjson.dumps(faults).decode(),
        item.change_count,
        item.version,
        item.mode,
        item.raw,
    )


def _import(row: Any, faults: str | None) -> Import:
    values = dict(row)
    values.pop("faults", None)
    values["id"] = values.pop("import")
    values["kind"] = Kind(values["kind"])
    values["mode"] = Mode(values["mode"])
    told = tuple(RowFault(**fault) for fault in orjson.loads(faults or "[]"))
    return Import(**values, faults=told)
