import pytest

from gateway.http import content, problem
from gateway.http.cache import ALONE, FOLLOWING, ReadCache
from gateway.http.quota import Policy, Quotas, network_of, parse_policy
from libs.errors import AppError, Kind, Violation


class Headers(dict):
    def get_all(self, key):
        return [self[key]] if key in self else []


def test_a_quota_may_be_used_at_once_and_comes_back_evenly(clock):
    quotas, policy = Quotas(clock), Policy("reads", 10, 60)
    left = [quotas.take(policy, "a") for _ in range(10)]
    assert left[0] == '"reads";r=9;t=6'
    assert left[-1] == '"reads";r=0;t=60'
    with pytest.raises(AppError) as caught:
        quotas.take(policy, "a")
    assert caught.value.kind is Kind.RATE_LIMITED
    assert caught.value.retry_after == pytest.approx(6)
    assert quotas.take(policy, "b").startswith('"reads";r=9')
    clock.advance(6)
    assert quotas.take(policy, "a") == '"reads";r=0;t=60'
    clock.advance(3600)
    assert quotas.take(policy, "a") == '"reads";r=9;t=6'


def test_a_refused_request_costs_nothing(clock):
    quotas, policy = Quotas(clock), Policy("reads", 1, 10)
    quotas.take(policy, "a")
    for _ in range(5):
        with pytest.raises(AppError):
            quotas.take(policy, "a")
    clock.advance(10)
    quotas.take(policy, "a")


def test_strangers_do_not_fill_the_memory_nor_push_out_who_is_over(clock):
    quotas, policy = Quotas(clock, max_callers=100), Policy("reads", 2, 60)
    for _ in range(2):
        quotas.take(policy, "greedy")
    for number in range(1000):
        quotas.take(policy, f"stranger-{number}")
        clock.advance(0.001)
    assert len(quotas._full_at) <= 101
    with pytest.raises(AppError):
        quotas.take(policy, "greedy")


@pytest.mark.parametrize("text", ["", "10", "10/", "/10", "0/10", "10/0", "-1/10", "1.5/10", "a/b"])
def test_policies_that_make_no_sense(text):
    with pytest.raises(ValueError, match="requests/seconds"):
        parse_policy(text)


def test_who_shares_a_network_shares_a_quota():
    assert network_of("203.0.113.9:4711") == "203.0.113.9"
    assert network_of("[2001:db8:1:2:3::4]:80") == network_of("2001:db8:1:2:ffff::1:80")
    assert network_of("[::ffff:203.0.113.9]:80") == "203.0.113.9"


@pytest.mark.parametrize(
    ("accept", "csv", "expected"),
    [
        (None, True, "application/json"),
        ("*/*", True, "application/json"),
        ("text/csv", True, "text/csv"),
        ("text/csv;q=0.5, application/json", True, "application/json"),
        ("text/*", True, "text/csv"),
        ("application/json;q=0, */*", True, "text/csv"),
        ("text/html, application/xhtml+xml, */*;q=0.8", False, "application/json"),
        ("text/csv", False, None),
        ("text/csv;q=nonsense", True, None),
        ("image/png", True, None),
    ],
)
def test_the_form_of_an_answer(accept, csv, expected):
    if expected is None:
        with pytest.raises(AppError) as caught:
            content.choose_type(accept, csv=csv)
        assert caught.value.status == 406
    else:
        assert content.choose_type(accept, csv=csv) == expected


def test_gzip_is_chosen_by_weight():
    assert content.takes_gzip(Headers({"accept-encoding": "gzip, br"}))
    assert content.takes_gzip(Headers({"accept-encoding": "*"}))
    assert not content.takes_gzip(Headers({"accept-encoding": "gzip;q=0, *"}))
    assert not content.takes_gzip(Headers({"accept-encoding": "br"}))
    assert not content.takes_gzip(Headers())


def test_tags_match_in_either_form():
    tag = content.etag(b"x")
    packed = content.etag_gzip(tag)
    assert tag != packed
    for header in (tag, packed, f"W/{tag}", f'"other", {tag}', "*"):
        assert content.none_match(header, tag)
        assert content.none_match(header, packed)
    assert not content.none_match('"other"', tag)


@pytest.mark.parametrize("kind", [None, "", "text/plain", "application/json; charset=utf-16"])
def test_a_body_must_be_json(kind):
    with pytest.raises(AppError) as caught:
        content.check_json(kind)
    assert caught.value.status == 415


def test_the_cache_forgets_with_time_and_sooner_without_the_log(clock):
    cache = ReadCache(clock, 10**6)
    cache.put("/a", "", cache.entry(b"x", []), cache.generation)
    clock.advance(ALONE)
    assert cache.get("/a", "")
    clock.advance(0.1)
    assert cache.get("/a", "") is None
    cache.follow(lambda: 1.0)
    cache.put("/a", "", cache.entry(b"x", []), cache.generation)
    clock.advance(FOLLOWING)
    assert cache.get("/a", "")
    clock.advance(0.1)
    assert cache.get("/a", "") is None


def test_the_cache_keeps_nothing_that_was_read_before_it_was_cleared(clock):
    cache = ReadCache(clock, 10**6)
    began = cache.generation
    cache.put("/old", "", cache.entry(b"x", []), began)
    cache.clear()
    assert cache.get("/old", "") is None
    cache.put("/late", "", cache.entry(b"x", []), began)
    assert cache.get("/late", "") is None


def test_the_cache_is_bounded_in_bytes_and_drops_what_was_not_used(clock):
    cache = ReadCache(clock, 100_000)
    body = bytes(10_000)
    for name in ("/a", "/b", "/c", "/d"):
        cache.put(name, "", cache.entry(body, []), 0)
    cache.get("/a", "")
    cache.put("/e", "", cache.entry(body, []), 0)
    assert cache.get("/a", "")
    assert cache.get("/b", "") is None
    cache.put("/huge", "", cache.entry(bytes(200_000), []), 0)
    assert cache.get("/huge", "") is None
    assert cache.get("/a", "")


def test_fields_of_a_service_are_told_in_json_names():
    error = AppError(
        Kind.INVALID,
        "bad",
        "x",
        violations=[Violation("alert.condition.price_above[2].currency_code", "is wrong", "bad")],
    )
    renamed = problem.in_json_names(error)
    assert renamed.violations[0].field == "alert.condition.priceAbove[2].currencyCode"
    assert renamed.message == "alert.condition.priceAbove[2].currencyCode: is wrong"


def test_a_problem_can_be_printed_whatever_the_client_sent():
    error = AppError(Kind.INVALID, "bad", "\ud800", violations=[Violation("\udfff", "x")])
    assert b'"detail":"?"' in problem.reply(error, "r").body
