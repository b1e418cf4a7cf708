"""A report's page: parts of text, plots and tables, in one file that needs no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Part:
    """A section. `plot` is SVG of our own making; `numbers` are the columns that hold numbers."""

    title: str
    text: str = ""
    plot: str = ""
    heads: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    numbers: frozenset[int] = field(default_factory=frozenset)
    code: str = ""


def render(title: str, subtitle: str, parts: Sequence[Part]) -> str:
    """The page; whatever comes from elsewhere is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=select_autoescape(["html.j2"], default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    template = environment.get_template("page.html.j2")
    return template.render(title=title, subtitle=subtitle, parts=parts)


def number(value: float | None, form: str = ".3f") -> str:
    """A number for people; a dash where it is unknown."""
    return "–" if value is None else format(value, form)
