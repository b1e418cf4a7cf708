"""From nothing to serving, and back: start, signals, drain."""

from __future__ import annotations

import asyncio
import gc
import importlib.metadata
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from libs.config import ConfigError, load
from libs.obs import logs, metrics, tracing
from libs.rpc.server import AddressInUseError
from libs.runtime.config import ServiceConfig, address
from libs.runtime.probes import Probes
from libs.runtime.runtime import Runtime, Work
from libs.runtime.servicer import add_ops

log = logging.getLogger(__name__)

C = TypeVar("C", bound=ServiceConfig)

EXIT_FAILED = 1
# sysexits.h: EX_CONFIG.
EXIT_CONFIG = 78
_LAG_SECONDS = 1.0
_YOUNG_OBJECTS = 20_000


def run(build: Callable[[Runtime, C], Awaitable[None]], config_class: type[C]) -> None:
    """Runs a service until SIGTERM or SIGINT, then exits with 0.

    Exits with 78 where the configuration is at fault, a line for each fault on stderr, and with 1
    where the service cannot start or go on. A second signal ends the process at once.
    """
    import uvloop

    try:
        config = load(config_class, os.environ)
        service, version = config_class.service_name(), _version()
        logs.configure(service, version, level=config.log_level, form=config.log_format)
        tracing.configure(service, version, os.environ)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            code = runner.run(_run(build, config, version))
    except ConfigError as error:
        for fault in error.faults:
            print(f"{config_class.service_name()}: {fault}", file=sys.stderr)
        code = EXIT_CONFIG
    finally:
        tracing.shutdown()
    sys.exit(code)


async def _run(build: Callable[[Runtime, C], Awaitable[None]], config: C, version: str) -> int:
    rt = Runtime(config, version)
    probes = Probes(lambda: _why_not_ready(rt))
    _on_signals(rt)
    try:
        await build(rt, config)
        await _start(rt, probes)
    except (AddressInUseError, OSError) as error:
        log.critical(str(error))
        return EXIT_FAILED
    serving = asyncio.create_task(_serve_when_ready(rt))
    await rt.stopping.wait()
    serving.cancel()
    await drain(rt)
    await probes.stop()
    if rt.fatal is not None:
        log.critical("the service cannot go on", exc_info=rt.fatal)
        return EXIT_FAILED
    log.info("stopped")
    return 0


async def _start(rt: Runtime, probes: Probes) -> None:
    add_ops(rt)
    config = rt.config
    host, _ = address(config.listen)
    metrics_host, metrics_port = address(config.metrics_listen)
    try:
        metrics_port = await probes.start(metrics_host, metrics_port)
    except OSError as error:
        raise AddressInUseError(f"{config.metrics_listen}: {error.strerror}") from error
    port = await rt.server.start()
    rt.background("loop-lag", _measure_lag)
    for name, work, part in rt.work:
        rt.background_tasks.start(name, work, part)
    for name, work, part in rt.consuming:
        rt.consumer_tasks.start(name, work, part)
    rt.parts.settle()
    metrics.BUILD.labels(rt.service, rt.version).set(1)
    # What start-up made lives as long as the process: no collection need look at it again.
    gc.collect()
    gc.freeze()
    # Batches make thousands of objects that soon die by themselves: looked at less often, hardly
    # any of them is still there.
    gc.set_threshold(_YOUNG_OBJECTS)
    log.info(
        "listening",
        extra={"grpc": f"{host}:{port}", "metrics": f"{metrics_host}:{metrics_port}"},
    )


async def _serve_when_ready(rt: Runtime) -> None:
    await rt.parts.ready.wait()
    await rt.server.set_serving(True)
    metrics.READY.set(1)
    log.info("ready")


async def drain(rt: Runtime) -> None:
    """Leaves: says so, waits for it to be noticed, finishes what is under way, lets go."""
    config = rt.config
    log.info("draining")
    metrics.READY.set(0)
    await rt.server.leave()
    if rt.parts.ready.is_set():
        await asyncio.sleep(config.drain_notice)
    grace = config.drain_grace
    finishing = [rt.server.stop(grace), rt.consumer_tasks.stop(timeout=grace)]
    finishing += [_bounded(finish, grace) for finish in rt.drains]
    for outcome in await asyncio.gather(*finishing, return_exceptions=True):
        if isinstance(outcome, BaseException):
            log.error("a part did not finish in good order", exc_info=outcome)
    await rt.background_tasks.stop(timeout=5)
    closing = [channel.close() for channel in rt.channels]
    closing += [opened.close() for opened in rt.logs]
    closing += [database.close(timeout=3) for database in rt.databases]
    for outcome in await asyncio.gather(*closing, return_exceptions=True):
        if isinstance(outcome, BaseException):
            log.warning("a connection did not close in good order", exc_info=outcome)


async def _bounded(finish: Work, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        await finish()


def _why_not_ready(rt: Runtime) -> str:
    if rt.stopping.is_set():
        return "draining"
    if rt.parts.ready.is_set():
        return ""
    return f"waiting for {', '.join(rt.parts.missing()) or 'start-up'}"


def _on_signals(rt: Runtime) -> None:
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        if rt.stopping.is_set():
            log.warning("told twice; stopping at once")
            os._exit(128 + number)
        rt.stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)


async def _measure_lag() -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _LAG_SECONDS
        await asyncio.sleep(_LAG_SECONDS)
        metrics.LOOP_LAG.set(max(0.0, loop.time() - due))


def _version() -> str:
    try:
        return importlib.metadata.version("pq-platform")
    except importlib.metadata.PackageNotFoundError:
        return "0"
