"""Which engine an event log's address names."""

from __future__ import annotations

from libs.events.catalog import Catalog
from libs.events.log import Log, Timing


def open_log(url: str, *, catalog: Catalog | None = None, timing: Timing | None = None) -> Log:
    """The log at `url`; nothing is reached yet. Raises ValueError for an address it cannot be."""
    scheme = url.partition("://")[0]
    catalog = catalog or Catalog.load()
    timing = timing or Timing()
    if scheme in ("postgres", "postgresql"):
        from libs.events.postgres import PostgresLog  # each engine brings a library along

        return PostgresLog(url, catalog, timing)
    if scheme == "kafka":
        from libs.events.kafka import KafkaLog

        return KafkaLog(url, catalog, timing)
    raise ValueError("expected postgres://… or kafka://host:port[,host:port…]")
