"""What was read about domains, and what a check still wants to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """What is asked for. POLICY is a domain's MTA-STS policy, which is read by HTTPS."""

    TXT = "TXT"
    MX = "MX"
    A = "A"
    AAAA = "AAAA"
    PTR = "PTR"
    POLICY = "POLICY"


class Question(NamedTuple):
    """A name in lower case without its last dot; for PTR the address."""

    kind: Kind
    name: str


class Status(Enum):
    """How a question was answered."""

    FOUND = "found"
    EMPTY = "empty"  # the name is there, with nothing of this kind
    ABSENT = "absent"  # the name is not there
    FAILED = "failed"  # nobody could say: the next time may differ
    PENDING = "pending"  # not asked yet


@dataclass(frozen=True, slots=True)
class Answer:
    """`values`: each text record in one piece; "preference host" for MX (an empty host is the null
    MX); addresses; names; the policy's text. `problem` says why it failed."""

    status: Status
    values: tuple[str, ...] = ()
    problem: str = ""

    @property
    def missing(self) -> bool:
        """Certainly nothing there."""
        return self.status in (Status.EMPTY, Status.ABSENT)

    @property
    def unsure(self) -> bool:
        """Nobody could say, or nobody was asked yet."""
        return self.status in (Status.FAILED, Status.PENDING)


_PENDING = Answer(Status.PENDING, problem="not read yet")


class Facts:
    """Answers, and in `wanted` the questions that had none, in the order they were asked."""

    def __init__(self, known: Mapping[Question, Answer] | None = None) -> None:
        self._known = dict(known or {})
        self.wanted: dict[Question, None] = {}

    def ask(self, kind: Kind, name: str) -> Answer:
        """What is known of it; PENDING where it has not been read."""
        question = Question(kind, name.lower().rstrip("."))
        found = self._known.get(question)
        if found is None:
            self.wanted[question] = None
            return _PENDING
        return found

    def learn(self, question: Question, answer: Answer) -> None:
        """Adds an answer."""
        self._known[question] = answer
        self.wanted.pop(question, None)
