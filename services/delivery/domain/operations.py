"""Work over many deliveries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from uuid import UUID


class OperationKind(IntEnum):
    """What it does; the numbers are the contract's."""

    RECOVER = 1
    REPLAY = 2
    CANCEL = 3


class OperationState(IntEnum):
    """How far it is; the numbers are the contract's."""

    RUNNING = 1
    SUCCEEDED = 2
    CANCELLED = 3


@dataclass(frozen=True, slots=True)
class Operation:
    """Over messages made from `start_time` on and before `end_time`; those up to the cursor have
    been looked at."""

    id: UUID
    account: UUID
    kind: OperationKind
    endpoint: UUID
    state: OperationState
    start_time: datetime | None
    end_time: datetime
    create_time: datetime
    cursor_time: datetime | None = None
    cursor_id: UUID | None = None
    looked_at: int = 0
    changed: int = 0
    finish_time: datetime | None = None
