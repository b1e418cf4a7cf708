"""Around every command: errors become one line and an exit code, signals end it cleanly."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from gateway.cli.exits import CliError, Exit
from gateway.cli.output import Output

if TYPE_CHECKING:
    from gateway.cli.client import Rest

Command = Callable[[Output], Coroutine[Any, Any, Exit]]


def run(command: Command, *, json: bool) -> None:
    """Runs a command to its end and leaves with its exit code. SIGTERM ends it as Ctrl-C does."""

    def in_loop(output: Output) -> Exit:
        import asyncio

        try:
            return asyncio.run(_ended_by_sigterm(command(output)))
        except asyncio.CancelledError:
            return Exit.INTERRUPTED

    run_plain(in_loop, json=json)


def run_connected(
    work: Callable[[Output, Rest], Awaitable[Exit]],
    home: Path | None,
    gateway: str | None,
    token: str | None,
    *,
    json: bool,
    timeout: float = 10.0,
) -> None:
    """As `run`, with the REST API of a product at hand; `timeout` is for one answer, in seconds."""

    async def connected(output: Output) -> Exit:
        from gateway.cli.client import Rest
        from gateway.cli.product import find

        product = find(home=home, gateway=gateway, token=token)
        async with Rest(product.gateway, product.token(), timeout=timeout) as rest:
            return await work(output, rest)

    run(connected, json=json)


def run_plain(command: Callable[[Output], Exit | None], *, json: bool) -> None:
    """As `run`, for what needs no event loop, or has its own."""
    output = Output(json=json)
    try:
        code = command(output) or Exit.OK
    except CliError as error:
        output.error(error)
        code = error.exit
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough, as in `pq tail | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = Exit.OK
    raise typer.Exit(int(code))


async def _ended_by_sigterm(work: Coroutine[Any, Any, Exit]) -> Exit:
    import asyncio

    task = asyncio.current_task()
    assert task is not None  # asyncio.run made it
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await work
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
