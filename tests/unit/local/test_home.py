"""The home's files, its ports, and what services are told."""

import socket
import stat

import pytest

from libs.auth.keys import PublicKeys, SigningKey
from libs.local import ports
from libs.local.home import Home, HomeError, read_json, write_json
from libs.local.layout import SECRET_FILES, SERVICES, Wiring
from libs.local.ports import free_ports, is_free
from libs.local.supervisor import listening


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path / "home")
    made.prepare(list(SERVICES), SECRET_FILES)
    return made


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_each_service_has_a_key_of_its_own_and_knows_the_others(home, clock):
    known = PublicKeys(home.public_keys, clock)
    for service in SERVICES:
        assert mode(home.private_key(service)) == 0o600
        pair = SigningKey.load(home.private_key(service))
        shown = known.get(service)
        assert shown is not None
        assert shown.public_bytes_raw() == pair.key.public_key().public_bytes_raw()


def test_secrets_are_private_differ_and_stay(home):
    page, ring = home.secret("page-token-key"), home.secret("delivery-secret-keys")
    before = [path.read_bytes() for path in (page, ring, home.private_key("market"))]
    assert len(before[0]) == 32
    assert before[1].startswith(b"k1 ")
    assert (mode(page), mode(ring), mode(home.path), mode(page.parent)) == (
        *(0o600, 0o600),
        *(0o700, 0o700),
    )
    home.prepare(list(SERVICES), SECRET_FILES)
    assert [p.read_bytes() for p in (page, ring, home.private_key("market"))] == before
    home.keep(page, lambda: b"other")
    assert page.read_bytes() == before[0]


def test_a_home_that_cannot_be_used_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    for use in (Home(tmp_path / "file").lock, lambda: Home(tmp_path / "file").prepare([], [])):
        with pytest.raises(HomeError, match="cannot be used"):
            use()


def test_a_broken_key_is_told_in_one_line(home):
    home.private_key("market").write_text("nonsense")
    with pytest.raises(HomeError, match=r"market\.pem"):
        home.prepare(list(SERVICES), SECRET_FILES)


def test_documents_are_whole_or_empty(tmp_path):
    path = tmp_path / "d.json"
    assert read_json(path) == {}
    write_json(path, {"a": 1})
    assert (read_json(path), mode(path)) == ({"a": 1}, 0o600)
    for broken in ("{", "[]", ""):
        path.write_text(broken)
        assert read_json(path) == {}


def test_free_ports_are_free_different_and_below_those_of_outgoing_connections():
    found = free_ports(20)
    assert len(set(found)) == 20
    assert all(is_free(port) for port in found)
    assert max(found) < ports._outgoing_start()
    assert not set(free_ports(50, besides=found)) & set(found)


def test_too_few_ports_are_told(monkeypatch):
    monkeypatch.setattr(ports, "is_free", lambda _port: False)
    with pytest.raises(OSError, match="only 0 are free"):
        free_ports(1)


def test_where_the_gateway_listens():
    assert listening("127.0.0.1:0").startswith("127.0.0.1:")
    assert not listening("127.0.0.1:0").endswith(":0")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(HomeError, match=f"{address} is in use; set PQ_GATEWAY_LISTEN"):
            listening(address)
    for wrong in ("8080", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000"):
        with pytest.raises(HomeError, match="expected host:port"):
            listening(wrong)


def wiring(home, listen="127.0.0.1:8080"):
    numbers = {name: (n, n + 100) for n, name in enumerate(SERVICES, 1000)}
    return Wiring(home, listen, numbers, {name: f"dsn of {name}" for name in SERVICES}, "a log")


def test_services_are_told_of_each_other(home, monkeypatch):
    monkeypatch.setenv("PQ_LISTEN", "0.0.0.0:1")
    monkeypatch.setenv("PQ_DELIVERY_ALLOW_HTTP", "false")
    market, alerts = wiring(home).environment("market"), wiring(home).environment("alerts")
    assert alerts["PQ_MARKET_TARGET"] == f"dns:///{market['PQ_LISTEN']}"
    assert (market["PQ_DATABASE_URL"], alerts["PQ_DATABASE_URL"]) == (
        "dsn of market",
        "dsn of alerts",
    )
    assert market["PQ_SIGNING_KEY"] != alerts["PQ_SIGNING_KEY"]
    assert market["PQ_DELIVERY_ALLOW_HTTP"] == "false"  # a person's own setting wins


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        (":80", "http://127.0.0.1:80"),
        ("[::1]:80", "http://[::1]:80"),
    ],
)
def test_where_people_reach_it(home, listen, url):
    assert wiring(home, listen).gateway_url == url
