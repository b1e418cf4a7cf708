"""Lists of tag=value with semicolons between (RFC 6376, 3.2), as five standards use them."""

from __future__ import annotations

import re
from dataclasses import dataclass

# No standard has half as many; who writes more wants our time.
_MAX_TAGS = 50
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Tags:
    """`values` by tag, in lower case, in their order; `problems` in words."""

    values: dict[str, str]
    problems: tuple[str, ...]

    def get(self, name: str, default: str = "") -> str:
        """A tag's value."""
        return self.values.get(name, default)


def parse_tags(text: str) -> Tags:
    """Reads what can be read; what cannot is a problem and never an exception."""
    values: dict[str, str] = {}
    problems = []
    parts = text.split(";")
    if not parts[-1].strip():
        parts.pop()  # a semicolon at the end is allowed
    if len(parts) > _MAX_TAGS:
        problems.append(f"there are more than {_MAX_TAGS} tags")
    for part in parts[:_MAX_TAGS]:
        name, equals, value = part.partition("=")
        name = name.strip().lower()
        if not equals or not _NAME.fullmatch(name):
            problems.append(f"{_short(part)!r} is not tag=value")
            continue
        if name in values:
            problems.append(f"the tag {name!r} is there twice")
            continue
        values[name] = value.strip()
    return Tags(values, tuple(problems))


def versioned(values: tuple[str, ...], version: str) -> tuple[str, ...]:
    """The records that begin with v=`version`: other text may stand at the same name."""
    begins = re.compile(rf"\s*v\s*=\s*{re.escape(version)}\s*(;|$)")
    return tuple(value for value in values if begins.match(value))


def _short(text: str) -> str:
    text = text.strip()
    return text if len(text) <= 40 else text[:39] + "…"
