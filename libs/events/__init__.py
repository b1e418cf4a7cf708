"""Events: published in a transaction, carried by a log, handled once.

`Outbox` takes them down in the publisher's transaction, `Relay` appends them to the log that
`open_log` opens, `Consumer` handles each batch in one transaction of its own service, `Broadcast`
lets every replica see all.
"""

from libs.events.batch import BatchHandler
from libs.events.broadcast import Broadcast, Start
from libs.events.catalog import Catalog, CatalogError, EventSpec, partition_for
from libs.events.consumer import Consumer
from libs.events.engines import open_log
from libs.events.lanes import Options, PartitionStatus
from libs.events.log import Log, LogError, LogUnavailableError, Timing
from libs.events.outbox import Outbox
from libs.events.record import Partition, Received, Record
from libs.events.relay import OutboxStatus, Relay
from libs.events.store import MIGRATIONS
from libs.events.store_letters import DeadLetter
from libs.events.verdict import Poison

__all__ = [
    "MIGRATIONS",
    "BatchHandler",
    "Broadcast",
    "Catalog",
    "CatalogError",
    "Consumer",
    "DeadLetter",
    "EventSpec",
    "Log",
    "LogError",
    "LogUnavailableError",
    "Options",
    "Outbox",
    "OutboxStatus",
    "Partition",
    "PartitionStatus",
    "Poison",
    "Received",
    "Record",
    "Relay",
    "Start",
    "Timing",
    "open_log",
    "partition_for",
]
