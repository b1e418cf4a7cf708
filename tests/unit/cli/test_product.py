"""Finding the product."""

import json
from pathlib import Path

import pytest

from gateway.cli.exits import CliError, Exit
from gateway.cli.product import find, find_home

DOCUMENT = {
    "gateway": "http://127.0.0.1:8123",
    "services": {"market": {"target": "dns:///127.0.0.1:5001", "metrics": "127.0.0.1:5002"}},
    "databases": {"market": "postgresql://x/market"},
    "event_log": "postgresql://x/log",
}


@pytest.fixture
def home(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "secrets").mkdir()
    (tmp_path / "run/endpoints.json").write_text(json.dumps(DOCUMENT))
    (tmp_path / "secrets/admin-token").write_text("from the home\n")
    return tmp_path


def test_a_home_tells_where_everything_is(home):
    product = find(home=home, environ={})
    assert product.gateway == "http://127.0.0.1:8123"
    assert product.target("market") == "dns:///127.0.0.1:5001"
    assert product.services["market"].metrics == "127.0.0.1:5002"
    assert product.log_url() == "postgresql://x/log"
    assert product.token() == "from the home"


def test_what_is_given_wins(home):
    environ = {"PQ_MARKET_TARGET": "dns:///env:1", "PQ_EVENT_LOG": "kafka://k:9092"}
    product = find(home=home, gateway="pq.test:80", token="given", environ=environ)
    assert product.gateway == "http://pq.test:80"
    assert product.target("market") == "dns:///env:1"
    assert product.log_url() == "kafka://k:9092"
    assert product.token() == "given"
    named = find(home=home, targets={"market": "dns:///option:1"}, environ=environ)
    assert named.target("market") == "dns:///option:1"


def test_without_a_home_the_error_says_what_to_do(tmp_path):
    product = find(home=tmp_path, environ={})
    assert (product.gateway, product.running) == ("http://127.0.0.1:8080", False)
    with pytest.raises(CliError, match="where market is, is not known") as caught:
        product.target("market")
    assert caught.value.exit is Exit.UNREACHABLE
    assert "PQ_MARKET_TARGET" in caught.value.hint
    with pytest.raises(CliError, match="no token") as caught:
        product.token()
    assert caught.value.exit is Exit.REFUSED


def test_a_broken_file_is_named(home):
    (home / "run/endpoints.json").write_text("{")
    with pytest.raises(CliError, match=r"endpoints\.json cannot be read"):
        find(home=home, environ={})


def test_the_home_is_here_before_it_is_the_projects(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_home(None) == Path(__file__).parents[3] / ".pq"
    (tmp_path / ".pq").mkdir()
    assert find_home(None) == tmp_path / ".pq"
    assert find_home(Path("other")) == tmp_path / "other"
