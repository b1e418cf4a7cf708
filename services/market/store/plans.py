"""Plans for sets of rows that come as arrays.

PostgreSQL takes an array whose content it does not know for ten elements. What is right for ten, a
nested loop or a linear search, takes minutes for a full day: each row is compared with each other.
So arrays are joined with, never searched with `= any`, and large files rule nested loops out.
"""

from __future__ import annotations

from libs.db import Tx

_MANY = 1000


async def expect(tx: Tx, rows: int) -> None:
    """Has the rest of the transaction planned for this many rows."""
    if rows > _MANY:
        await tx.execute(
            "set local enable_nestloop = off; set local plan_cache_mode = force_custom_plan"
        )
