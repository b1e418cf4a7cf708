"""The catalogue is one that operators can rely on."""

import re

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from libs.obs import metrics

CATALOGUE = {name: m for name, m in vars(metrics).items() if isinstance(m, MetricWrapperBase)}
FOREIGN = ("rpc_", "http_", "db_", "messaging_")
UNBOUNDED = {"id", "account", "user", "url", "address", "path", "card", "email", "endpoint"}


def test_names_are_of_the_conventions_or_ours_and_each_is_explained():
    assert len(CATALOGUE) > 30
    for metric in CATALOGUE.values():
        assert metric._name.startswith(("pq_", *FOREIGN)), metric._name
        assert re.fullmatch(r"[A-Z0-9].*\.", metric._documentation, re.DOTALL), metric._name


def test_no_label_can_grow_without_bound():
    for metric in CATALOGUE.values():
        assert not UNBOUNDED & set(metric._labelnames), metric._name


def test_all_of_them_are_shown():
    shown = {family.name for family in REGISTRY.collect()}
    assert {metric._name for metric in CATALOGUE.values()} <= shown


def test_the_names_that_were_promised():
    shown = {family.name for family in REGISTRY.collect()}
    assert {"pq_email_error_codes", "pq_slo_burn", "pq_breaker_transitions"} <= shown
    assert {"pq_log_flush", "pq_log_flush_error", "pq_log_flush_retry"} <= shown
