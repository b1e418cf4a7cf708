"""PostgreSQL: pool, transactions that publish events, migrations."""

from libs.db.database import Database, OutboxWriter, Reader, Tx, is_transient
from libs.db.migrations import MigrationError, migrate

__all__ = [
    "Database",
    "MigrationError",
    "OutboxWriter",
    "Reader",
    "Tx",
    "is_transient",
    "migrate",
]
