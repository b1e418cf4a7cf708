"""What is away only delays; who is asked to stop loses and repeats nothing; a full disk is told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import psutil
import pytest

from tests.e2e.market import Scene, import_days, set_the_scene
from tests.e2e.product import Importer, Product, csv_of, eventually, running
from tests.e2e.receiver import Receiver
from tests.e2e.witnesses import until_quiet
from tests.kafka.fixtures import mortal_broker  # noqa: F401 # a fixture

# The full run takes a minute.
AWAY = float(os.environ.get("PQ_OUTAGE_SECONDS", "12"))


async def settle(receiver: Receiver, scene: Scene, upto: int) -> None:
    """Waits for what the oracle expects, and sees that nothing else came."""
    expected = scene.expected(upto)
    assert expected
    await receiver.until(lambda: expected.keys() <= receiver.ids, timeout=120)
    missing, extra = expected.keys() - receiver.ids, receiver.ids - expected.keys()
    assert not missing, f"{len(missing)} of {len(expected)} are missing"
    assert not extra, f"{len(extra)} came that should not"


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A process and its children stand still, as on a machine that is unreachable."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for process in family:
        process.suspend()
    try:
        yield
    finally:
        for process in reversed(family):
            process.resume()


async def test_a_database_that_is_away_only_delays(tmp_path: Path) -> None:
    async with running(tmp_path / "home") as product, Receiver() as receiver:
        importer = Importer(product)
        scene = await set_the_scene(product, importer, receiver.port, seed=11)
        work = asyncio.create_task(import_days(scene, importer, range(1, 8)))
        with frozen(product.pids()["postgres"]):
            await asyncio.sleep(AWAY)  # the outage itself
        await work
        await settle(receiver, scene, 8)


@pytest.mark.kafka
async def test_a_broker_that_is_away_only_delays(tmp_path: Path, mortal_broker) -> None:  # noqa: F811
    log = f"kafka://{mortal_broker.address}"
    async with running(tmp_path / "home", log) as product, Receiver() as receiver:
        importer = Importer(product)
        scene = await set_the_scene(product, importer, receiver.port, seed=12)
        await asyncio.to_thread(mortal_broker.kill)
        # Days are accepted all the same: their events wait in the outbox.
        await import_days(scene, importer, range(1, 8))
        await asyncio.sleep(AWAY)  # the outage itself
        await asyncio.to_thread(mortal_broker.start)
        await settle(receiver, scene, 8)


async def test_sigterm_under_load_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    async with running(tmp_path / "home") as product, Receiver() as receiver:
        importer = Importer(product)
        scene = await set_the_scene(product, importer, receiver.port, seed=13, alerts=150)
        victims = ["delivery", "alerts", "market", "delivery", "delivery"]
        for number, victim in enumerate(victims, 1):
            before = len(receiver.arrivals)
            await import_days(scene, importer, [number])
            # Some have arrived, and more are on their way.
            assert await receiver.until(lambda: len(receiver.arrivals) > before, timeout=30)  # noqa: B023 # at once
            await asked_to_stop(product, victim)
        await import_days(scene, importer, [6])
        await settle(receiver, scene, 7)
        await until_quiet(product, timeout=60)
        ids = [arrival.id for arrival in receiver.arrivals]
        assert len(ids) == len(set(ids)), f"{len(ids) - len(set(ids))} were sent twice"


async def asked_to_stop(product: Product, victim: str) -> None:
    """SIGTERM, and waits for the successor: a second signal would end the process at once."""
    pid = product.pids()[victim]
    assert product.signal(victim, signal.SIGTERM)
    await eventually(lambda: product.pids().get(victim, pid) != pid, timeout=60)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 260 MB. Only root can mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=260m,mode=0700", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system cannot be mounted here (it takes root)")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_a_full_disk_gives_errors_and_not_lies(small_disk: Path) -> None:
    async with running(small_disk / "home") as product, Receiver() as receiver:
        importer = Importer(product)
        scene = await set_the_scene(product, importer, receiver.port, seed=14)
        ballast = small_disk / "ballast"
        fill(ballast)
        day, rows = scene.days[1]
        with pytest.raises((grpc.aio.AioRpcError, OSError)):
            # Until then some days may still fit into what files have room for.
            for number in range(1, len(scene.days)):
                day, rows = scene.days[number]
                await importer.send(day, csv_of(day, rows), timeout=8)
        refused = [d for d, _ in scene.days].index(day)
        ballast.unlink()
        await import_days(scene, importer, range(refused, refused + 3))
        await settle(receiver, scene, refused + 3)


def fill(path: Path) -> None:
    """Takes all the room there is."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 65536)
