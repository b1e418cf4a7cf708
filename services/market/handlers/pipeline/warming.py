"""Has the kernels compiled by a process of its own: compiling holds the interpreter for long."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import suppress

log = logging.getLogger(__name__)

_MODULE = "services.market.analytics.warm"


async def warm_up() -> None:
    """Returns when they are compiled and kept, at once where they were. A failure costs time, not
    results: they are compiled here then."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", _MODULE, stderr=asyncio.subprocess.PIPE
    )
    try:
        _, told = await process.communicate()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode:
        last = told.decode(errors="replace").strip().splitlines()[-1:]
        log.warning("the kernels were not compiled beforehand", extra={"why": "".join(last)})
