import pytest

from gateway.transcode.descriptors import Binding, Contract, ContractError, load
from gateway.transcode.routes import RouteTable, parse


@pytest.fixture(scope="module")
def contract():
    return load()


@pytest.fixture(scope="module")
def table(contract):
    return RouteTable(contract)


@pytest.mark.parametrize(
    ("method", "path", "rpc", "fields"),
    [
        ("GET", "/v1/cards", "ListCards", {}),
        ("GET", "/v1/cards/a-1", "GetCard", {"name": "cards/a-1"}),
        ("GET", "/v1/cards/a-1/quotes", "ListQuotes", {"parent": "cards/a-1"}),
        ("GET", "/v1/endpoints/e/secret", "GetEndpointSecret", {"name": "endpoints/e/secret"}),
        ("POST", "/v1/endpoints/e/secret:rotate", "RotateSecret", {"endpoint": "endpoints/e"}),
        ("POST", "/v1/alerts/a:snooze", "SnoozeAlert", {"name": "alerts/a"}),
        ("POST", "/v1/tokens:exchange", "ExchangeToken", {}),
        # A colon that no verb claims is part of the name.
        ("GET", "/v1/cards/a:b", "GetCard", {"name": "cards/a:b"}),
        ("DELETE", "/v1/endpoints/e", "DeleteEndpoint", {"name": "endpoints/e"}),
    ],
)
def test_a_path_finds_its_rpc(table, method, path, rpc, fields):
    match = table.match(method, path)
    assert match is not None
    assert (match.route.rpc.name, match.fields) == (rpc, fields)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/v1",
        "/v1/cards/",
        "/v1//cards",
        "/v1/cards//quotes",
        "/v2/cards",
        "/v1/cards/a/b/c",
    ],
)
def test_other_paths_find_nothing(table, path):
    assert table.match("GET", path) is None
    assert not table.methods(path)


def test_methods_are_told_per_path(table):
    assert table.methods("/v1/alerts") == {"GET", "POST"}
    assert table.methods("/v1/emailAddresses/e") == {"GET", "PATCH", "DELETE"}
    # The verb is taken, so the path is not an alert called "a:snooze".
    assert table.methods("/v1/alerts/a:snooze") == {"POST"}
    assert table.match("GET", "/v1/alerts/a:snooze") is None


@pytest.mark.parametrize("template", ["/v1/{name=**}", "v1/a", "/v1/{name", "/v1/{a={b}}", "/v1/ä"])
def test_what_cannot_be_served_is_refused_at_start(template):
    with pytest.raises(ContractError):
        parse(template)


def test_two_routes_that_a_path_cannot_tell_apart_are_refused(contract):
    get_card = contract.rpc("pq.market.v1.MarketService.GetCard")
    clash = Binding("GET", "/v1/{name=cards/*}", "")
    twice = type(get_card)(
        get_card.service, "Other", get_card.input, get_card.output, get_card.rule, (clash,)
    )
    with pytest.raises(ContractError, match="share"):
        RouteTable(Contract((get_card, twice), {}))


def test_a_path_must_name_fields_of_the_request(contract):
    rpc = contract.rpc("pq.market.v1.MarketService.GetCard")
    wrong = Binding("GET", "/v1/{nome=cards/*}", "")
    with pytest.raises(ContractError, match="nome"):
        RouteTable(Contract((type(rpc)(*_fields(rpc), (wrong,)),), {}))


def _fields(rpc):
    return rpc.service, rpc.name, rpc.input, rpc.output, rpc.rule


def test_comments_come_with_the_contract(contract):
    assert contract.comment("pq.market.v1.Card.sealed").startswith("True for boxes")
    assert contract.comment("pq.alerts.v1.AlertService.SnoozeAlert").startswith("Keeps an alert")
    assert contract.comment("pq.alerts.v1.DIRECTION_UP") == ""
    assert contract.comment("pq.alerts.v1.Direction.DIRECTION_UP") == "Up only."
