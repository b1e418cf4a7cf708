"""`pq up` around small stand-ins: starts, deaths, ends, and what stays behind (nothing)."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from libs.local.layout import SERVICES, module
from libs.local.processes import lives

RUN = Path(__file__).with_name("up_stand_ins.py")
DEADLINE = 40


class Up:
    """A product of stand-ins in its own process."""

    def __init__(self, home, folder, listen="127.0.0.1:0"):
        self.home, self.folder = home, folder
        self.told = folder / f"told-{time.monotonic_ns()}"
        with self.told.open("wb") as out:
            self.process = psutil.Popen(
                [sys.executable, RUN, home, listen, folder], stdout=out, stderr=out
            )

    def text(self):
        return self.told.read_text()

    def wait_for(self, text):
        self.until(lambda: text in self.text(), text)
        return self

    def until(self, condition, what="condition"):
        ends = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < ends, f"waited for {what}; told so far:\n{self.text()}"
            time.sleep(0.02)

    def family(self):
        return self.process.children(recursive=True)

    def pid(self, service):
        with contextlib.suppress(OSError, ValueError):
            return int((self.folder / f"{module(service)}.pid").read_text())
        return None

    def postmaster(self):
        entry = json.loads((self.home / "run/processes.json").read_text()).get("postgres", {})
        return entry.get("pid")

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)


@pytest.fixture
def start(tmp_path_factory):
    """Starts products; ends what the test left of them."""
    started = []
    folder = tmp_path_factory.mktemp("stand-ins")

    def start(listen="127.0.0.1:0", home=None):
        up = Up(home or folder / "home", folder, listen)
        started.append(up)
        return up

    yield start
    for up in started:
        if up.process.is_running():
            family = [up.process, *up.family()]
            for process in family:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(family, 10)


def gone(processes, seconds=15):
    ends = time.monotonic() + seconds
    while any(map(lives, processes)) and time.monotonic() < ends:
        time.sleep(0.02)
    return not any(map(lives, processes))


def test_it_starts_is_alone_on_its_home_and_ends_cleanly(start):
    up = start().wait_for("ready http://127.0.0.1:")
    endpoints = json.loads((up.home / "run/endpoints.json").read_text())
    assert set(endpoints["services"]) == set(SERVICES)
    assert (up.home / "secrets/admin-token").read_text() == "a token"
    second = start()
    assert second.process.wait(DEADLINE) == 1
    assert second.text().splitlines() == [f"pq: {up.home} is in use by process {up.process.pid}"]
    family = up.family()
    assert up.end() == 0
    assert gone(family, 0)
    assert "killed" not in up.text()


def test_a_second_start_finds_state_and_addresses_again(start):
    up = start().wait_for("ready")
    first = json.loads((up.home / "run/endpoints.json").read_text())
    up.end(signal.SIGTERM)
    again = start().wait_for("ready")
    second = json.loads((again.home / "run/endpoints.json").read_text())
    assert (second["services"], second["databases"]) == (first["services"], first["databases"])
    assert again.end(signal.SIGHUP) == 0


def test_a_child_that_dies_is_started_again_and_it_is_said(start):
    up = start().wait_for("ready")
    before = up.pid("alerts")
    os.kill(before, signal.SIGKILL)
    up.wait_for("alerts was ended by SIGKILL; starting it again in 0.2 s")
    up.until(lambda: up.pid("alerts") not in (None, before), "another alerts")
    os.kill(up.pid("alerts"), signal.SIGKILL)
    up.wait_for("alerts was ended by SIGKILL; starting it again in 0.4 s")
    assert up.end() == 0


def test_a_child_that_cannot_start_is_tried_ever_more_seldom(start):
    broken = start
    up = broken()
    (up.folder / "services.market.broken").touch()
    up.wait_for("market: it is broken")
    up.wait_for("market ended with status 1; starting it again in 0.8 s")
    (up.folder / "services.market.broken").unlink()
    up.wait_for("ready")
    assert up.end() == 0


def test_the_postmaster_comes_back_on_the_same_port(start):
    up = start().wait_for("ready")
    port = json.loads((up.home / "run/endpoints.json").read_text())["ports"]["postgres"]
    before = up.postmaster()
    os.kill(before, signal.SIGKILL)
    up.wait_for("PostgreSQL was ended by SIGKILL; starting it again")
    up.until(lambda: up.postmaster() not in (None, before), "another postmaster")
    command = psutil.Process(up.postmaster()).cmdline
    up.until(lambda: str(port) in command(), "the same port")
    assert up.end() == 0


def test_who_does_not_end_is_killed_and_it_is_said(start):
    up = start()
    (up.folder / "services.delivery.deaf").touch()
    up.wait_for("ready")
    assert up.end() == 0
    assert "pq: delivery did not end within 1 s and was killed" in up.text()


def test_nothing_outlives_a_killed_supervisor(start):
    up = start().wait_for("ready")
    family = up.family()
    assert len(family) > len(SERVICES)
    up.process.kill()
    up.process.wait(DEADLINE)
    assert gone(family)


def test_a_start_ends_what_a_killed_one_left_and_nobody_else(start):
    up = start()
    (up.folder / "services.delivery.deaf").touch()
    up.wait_for("ready")
    up.process.kill()
    up.process.wait(DEADLINE)
    left = psutil.Process(up.pid("delivery"))
    document = json.loads((up.home / "run/processes.json").read_text())
    # A number that has gone to a stranger since: the same id, another start and command.
    stranger = subprocess.Popen(["sleep", "600"])
    document["market"] = {"pid": stranger.pid, "created": document["market"]["created"]}
    (up.home / "run/processes.json").write_text(json.dumps(document))
    try:
        assert lives(left)
        again = start().wait_for("ready")
        assert gone([left], 0)
        assert stranger.poll() is None
        assert again.end() == 0
    finally:
        stranger.kill()
        stranger.wait()


def test_a_taken_port_and_a_broken_folder_are_one_line_each(start, tmp_path):
    up = start().wait_for("ready")
    endpoints = json.loads((up.home / "run/endpoints.json").read_text())
    taken = endpoints["services"]["market"]["metrics"]
    other = start(listen=taken, home=tmp_path / "other")
    assert other.process.wait(DEADLINE) == 1
    assert other.text() == f"pq: {taken} is in use; set PQ_GATEWAY_LISTEN to another host:port\n"
    assert up.end() == 0
    (up.home / "postgres/data/PG_VERSION").write_text("17\n")
    broken = start()
    assert broken.process.wait(DEADLINE) == 1
    assert broken.text() == f"pq: {up.home}/postgres/data is of PostgreSQL 17; this is 18\n"
