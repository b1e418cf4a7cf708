"""Which events delivery hears of, and what handles them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from libs.api.erasure import Erasures
from pq.accounts.v1.accounts_events_pb2 import AccountChanged
from pq.alerts.v1.alerts_events_pb2 import AlertTriggered
from pq.delivery.v1.delivery_events_pb2 import EndpointDisabled, EndpointFailing
from services.delivery.handlers.alerts import TellOfAlerts
from services.delivery.handlers.email_notices import TellOwners

NAME = "delivery.alerts"
ACCOUNTS = "delivery.accounts"


def handlers(tell: TellOfAlerts, owners: TellOwners) -> Mapping[type[Any], Any]:
    """By type of event."""
    return {AlertTriggered: tell, EndpointFailing: owners, EndpointDisabled: owners}


def account_handlers(erasures: Erasures) -> Mapping[type[Any], Any]:
    """The table of the consumer ACCOUNTS: apart, so that neither waits for the other."""
    return {AccountChanged: erasures.on_account_changed}
