"""PostgreSQL: pool, transactions that publish events, migrations."""

from libs.db.database import Database, is_transient
from libs.db.migrations import MigrationError, migrate
from libs.db.transaction import OutboxWriter, Reader, Tx

__all__ = [
    "Database",
    "MigrationError",
    "OutboxWriter",
    "Reader",
    "Tx",
    "is_transient",
    "migrate",
]
