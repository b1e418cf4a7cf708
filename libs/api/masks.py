"""Which fields of a resource an update is to change (AIP-134)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from google.protobuf.message import Message

from libs.errors import invalid


def masked(paths: Iterable[str], asked: Message, fields: Collection[str]) -> list[str]:
    """Those of `fields` that the mask names, all for "*"; without a mask those that are set.

    Raises AppError (INVALID) for a path that cannot be changed.
    """
    named = list(paths)
    if "*" in named:
        return list(fields)
    for path in named:
        if path not in fields:
            told = f"{path[:60]!r} is none of {', '.join(fields)}"
            raise invalid("update_mask", told, "unknown_field")
    set_ = {field.name for field, _ in asked.ListFields()}
    return [name for name in fields if (name in named if named else name in set_)]
