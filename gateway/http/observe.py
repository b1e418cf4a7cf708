"""What each request leaves in the metrics."""

from __future__ import annotations

from prometheus_client import Histogram

from gateway.http.exchange import Exchange
from libs.obs import metrics

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Finding a label's child costs more than counting in it.
_children: dict[tuple[str, str, int], Histogram] = {}


def observe(exchange: Exchange, status: int, seconds: float) -> None:
    """Counts one answer. A path without a route has none, so that strangers make no labels."""
    key = (exchange.method, exchange.route, status)
    child = _children.get(key)
    if child is None:
        method = exchange.method if exchange.method in _METHODS else "_OTHER"
        child = metrics.HTTP_SERVER_DURATION.labels(method, exchange.route, str(status))
        if method != "_OTHER":
            _children[key] = child
    child.observe(seconds)
    if status == 429:
        policy = exchange.quota[0][1].partition(";")[0].strip('"') if exchange.quota else ""
        metrics.RATE_LIMITED.labels(policy).inc()
