"""Plots as SVG, with nothing but lines, bars and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 12, 26
COLOURS = ("#2456c4", "#b3261e", "#0f7a48", "#8a5a00", "#6b3fa0", "#4d5766")


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values to a place on the paper."""

    low: float
    high: float
    begin: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return self.begin + share * (self.end - self.begin)


def lines(series: Mapping[str, Sequence[tuple[str, float]]], unit: str = "") -> str:
    """Named lines over days "YYYY-MM-DD", each a list of (day, value); "" without any value."""
    days = sorted({day for points in series.values() for day, _ in points})
    values = [value for points in series.values() for _, value in points]
    if not values:
        return ""
    place = {day: at for at, day in enumerate(days)}
    across = _Scale(0, max(len(days) - 1, 1), _LEFT, WIDTH - _RIGHT)
    up = _Scale(min(values), max(values), HEIGHT - _BOTTOM, _TOP)
    drawn = [_grid(up, unit), _days(days, across)]
    for (name, points), colour in zip(series.items(), COLOURS * 9, strict=False):
        path = " ".join(f"{across(place[day]):.1f},{up(value):.1f}" for day, value in points)
        drawn.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{path}">'
            f"<title>{escape(name)}</title></polyline>"
        )
    return _svg(drawn) + _legend(list(series))


def bars(values: Sequence[tuple[str, float]], unit: str = "") -> str:
    """A bar for each (label, value), upwards or downwards from 0."""
    if not values:
        return ""
    numbers = [value for _, value in values]
    up = _Scale(min(0.0, *numbers), max(0.0, *numbers), HEIGHT - _BOTTOM, _TOP)
    step = (WIDTH - _LEFT - _RIGHT) / len(values)
    drawn = [_grid(up, unit)]
    for at, (label, value) in enumerate(values):
        left, top = _LEFT + at * step, min(up(value), up(0))
        drawn.append(
            f'<rect x="{left + step * 0.15:.1f}" y="{top:.1f}" width="{step * 0.7:.1f}"'
            f' height="{abs(up(value) - up(0)):.1f}" fill="{COLOURS[0]}">'
            f"<title>{escape(label)}: {value:.4g}{escape(unit)}</title></rect>"
            f'<text x="{left + step / 2:.1f}" y="{HEIGHT - 8}" text-anchor="middle">'
            f"{escape(label)}</text>"
        )
    return _svg(drawn)


def _grid(up: _Scale, unit: str) -> str:
    drawn = []
    for number in range(5):
        value = up.low + (up.high - up.low) * number / 4
        drawn.append(
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{up(value):.1f}"'
            f' y2="{up(value):.1f}"/><text x="{_LEFT - 6}" y="{up(value) + 4:.1f}"'
            f' text-anchor="end">{value:.4g}{escape(unit)}</text>'
        )
    return "".join(drawn)


def _days(days: Sequence[str], across: _Scale) -> str:
    chosen = sorted({round(number * (len(days) - 1) / 5) for number in range(6)})
    return "".join(
        f'<text x="{across(at):.1f}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"{escape(days[at])}</text>"
        for at in chosen
    )


def _legend(names: Sequence[str]) -> str:
    shown = "".join(
        f'<span><i style="background:{colour}"></i>{escape(name)}</span>'
        for name, colour in zip(names, COLOURS * 9, strict=False)
    )
    return f'<p class="legend">{shown}</p>'


def _svg(parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )
