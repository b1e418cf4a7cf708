"""When a call is made once more."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.message import Message

from libs.auth.rules import find_method, rule_of
from libs.errors import AppError, Kind


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """After UNAVAILABLE: `attempts` in all, pauses doubling from `base` up to `cap` seconds.

    The pause is drawn between nothing and that, so that clients do not come back in step.
    """

    attempts: int = 5
    base: float = 0.05
    cap: float = 1.0
    random: Callable[[], float] = random.random

    def pause(self, attempt: int, error: AppError, left: float) -> float | None:
        """Seconds to wait after failed attempt number `attempt` (from 1); None to give up."""
        if error.kind is not Kind.UNAVAILABLE or attempt >= self.attempts:
            return None
        drawn = self.random() * min(self.cap, self.base * 2 ** (attempt - 1))
        pause = max(drawn, error.retry_after or 0)
        return pause if pause < left else None


class Repeatable:
    """Whether calls of one RPC may be repeated: it changes nothing, or carries a request id."""

    def __init__(self, path: str) -> None:
        method = find_method(path)
        rule = rule_of(method) if method is not None else None
        self._always = rule is not None and rule.read_only
        self._by_id = method is not None and "request_id" in method.input_type.fields_by_name

    def __call__(self, request: Message) -> bool:
        """Whether this very call may."""
        return self._always or (self._by_id and bool(getattr(request, "request_id", "")))
