"""What an alert's webhook says, and that its readers are told of every field."""

import re
from pathlib import Path

from pq.alerts.v1.alerts_events_pb2 import AlertTriggered
from services.delivery.handlers import alerts

DOCUMENT = Path(__file__).parents[3] / "docs" / "webhooks.md"


def test_the_table_of_fields_is_that_of_the_webhooks():
    said = alerts._data(AlertTriggered(), "2025-06-01T00:00:00Z")
    section = DOCUMENT.read_text().split("### `alert.triggered`")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    told = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(told) == sorted(said)
