"""How long Kafka may take, and its failures in the log's words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka.errors import (
    IllegalStateError,
    InvalidProducerEpoch,
    KafkaError,
    OffsetOutOfRangeError,
    ProducerFenced,
)

from libs.events.log import FencedError, LogUnavailableError, OutOfRangeError
from libs.events.record import Partition

REQUEST_TIMEOUT = 15.0
START_TIMEOUT = 30.0


@asynccontextmanager
async def unavailable() -> AsyncIterator[None]:
    """Puts Kafka's failures in the log's words."""
    try:
        yield
    except (ProducerFenced, InvalidProducerEpoch) as error:
        raise FencedError("a newer relay of this source is at work") from error
    except OffsetOutOfRangeError as error:
        ((where, position),) = error.args[0].items()
        raise OutOfRangeError(
            Partition(where.topic, where.partition), position, "is not in the log"
        ) from error
    except (KafkaError, IllegalStateError, OSError, TimeoutError) as error:
        raise LogUnavailableError(f"{type(error).__name__}: {error}") from error
