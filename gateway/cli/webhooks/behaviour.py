"""How a receiver answers, and misbehaves when told to."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

DROP = 0
_SHARE = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*%?")


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer after how many seconds; the status DROP cuts the connection instead."""

    status: int
    delay: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Behaviour:
    """`fail` is the share of deliveries, 0 to 1, that get `status` instead of 204."""

    fail: float = 0.0
    status: int = 500
    slow: float = 0.0
    retry_after: int | None = None

    def answer(self, random: Callable[[], float]) -> Answer:
        """The answer to one delivery; `random` is in [0, 1)."""
        if random() >= self.fail:
            return Answer(204, self.slow)
        told = () if self.retry_after is None else (("retry-after", str(self.retry_after)),)
        return Answer(self.status, self.slow, told)

    def __str__(self) -> str:
        told = "answers 204"
        if self.fail:
            how = "cuts the connection" if self.status == DROP else f"answers {self.status}"
            told = how if self.fail == 1 else f"{how} for {self.fail:.4g} of all, else 204"
            told += "" if self.retry_after is None else f" with Retry-After: {self.retry_after}"
        return told + (f", after {self.slow:g} s" if self.slow else "")


def behaviour(
    *,
    fail: str | None,
    status: int | None,
    slow: float,
    retry_after: int | None,
    gone: bool,
    drop: bool,
) -> Behaviour:
    """The behaviour that options ask for. Raises ValueError where they contradict each other."""
    named = [
        name for name, given in (("--status", status), ("--gone", gone), ("--drop", drop)) if given
    ]
    if len(named) > 1:
        raise ValueError(f"{' and '.join(named)} contradict each other")
    if drop and retry_after is not None:
        raise ValueError("--drop answers nothing, so --retry-after has nowhere to go")
    if drop:
        status = DROP
    elif gone:
        status = 410
    elif status is None:
        status = 500 if retry_after is None else 429
    asked = bool(named) or retry_after is not None
    share = read_share(fail) if fail is not None else float(asked)
    return Behaviour(share, status, slow, retry_after)


def read_share(text: str) -> float:
    """Reads "20%" or "20" as 0.2. Raises ValueError."""
    match = _SHARE.fullmatch(text.strip())
    if match is None or float(match[1]) > 100:
        raise ValueError(f"expected a percentage of 0 to 100, such as 20%; got {text!r}")
    return float(match[1]) / 100
