"""Where the Kafka cases get their broker from, and what is said where there is none."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.local.ports import free_ports
from tests.kafka import broker
from tests.kafka.broker import NoBrokerError, any_broker
from tests.kafka.fixtures import kafka_broker  # noqa: F401 # a fixture

ROOT = Path(__file__).parents[3]
CASE = "tests/contract/events/test_log_carries.py"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One Kafka case of the contract suite, in a pytest of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PQ_TEST")}
    kept.pop("CI", None)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    return subprocess.run(
        [*command, CASE, "-k", "kafka", *arguments],
        cwd=ROOT,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def nowhere() -> str:
    return f"127.0.0.1:{free_ports(1)[0]}"


def test_without_a_broker_the_cases_are_skipped_and_in_ci_they_fail_by_name() -> None:
    here = run("-rs", "--maxfail=1", PQ_TEST_KAFKA=nowhere())
    assert here.returncode == 0, here.stdout
    assert "PQ_TEST_KAFKA: nothing answers at 127.0.0.1:" in here.stdout
    in_ci = run("--maxfail=1", CI="true", PQ_TEST_KAFKA=nowhere())
    assert in_ci.returncode == 1
    assert "ERROR tests/contract/events/test_log_carries.py::test_" in in_ci.stdout
    assert "[kafka] - tests.kafka.broker.NoBrokerError: PQ_TEST_KAFKA: nothing" in in_ci.stdout


@pytest.mark.kafka
def test_the_broker_that_is_named_is_used(request: pytest.FixtureRequest) -> None:
    address = request.getfixturevalue("kafka_broker")
    done = run("--maxfail=1", CI="true", PQ_TEST_KAFKA=address)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A container engine that hangs up on whoever asks for anything."""
    path = tmp_path / "engine.sock"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def hang_up() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            connection.close()

    thread = threading.Thread(target=hang_up)
    thread.start()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    monkeypatch.delenv("PQ_TEST_KAFKA", raising=False)
    yield
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


@pytest.mark.usefixtures("engine")
def test_an_engine_that_cannot_is_told_of_and_the_jars_are_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "none"))
    monkeypatch.setattr(broker, "JARS", tmp_path / "jars")
    with (
        pytest.raises(NoBrokerError, match=r"engine is there, but not apache/kafka.*; no Java 17"),
        any_broker(tmp_path),
    ):
        pass
