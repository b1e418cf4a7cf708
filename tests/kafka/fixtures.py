"""Pytest fixtures for a real Kafka broker. Where none can be had the cases are skipped, saying why;
with CI=true that is a failure."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.kafka.broker import JarBroker, NoBrokerError, any_broker, jar_broker


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a broker for the whole session."""
    running = any_broker(tmp_path_factory.mktemp("kafka"))
    address = _or_skip(running.__enter__)
    try:
        yield address
    finally:
        running.__exit__(None, None, None)


@pytest.fixture
def mortal_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JarBroker]:
    """A broker of one's own, to be killed and started again."""
    running = jar_broker(tmp_path_factory.mktemp("mortal-kafka"))
    broker = _or_skip(running.__enter__)
    try:
        yield broker
    finally:
        running.__exit__(None, None, None)


def _or_skip(start: Callable[[], object]) -> object:
    try:
        return start()
    except NoBrokerError as error:
        if os.environ.get("CI") == "true":
            raise
        return pytest.skip(f"no Kafka broker: {error}")
