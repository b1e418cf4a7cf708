"""`pq domains` against canned answers."""

from __future__ import annotations

import pytest

from gateway.cli import domains
from gateway.cli.client import Rest
from gateway.cli.exits import CliError, Exit
from gateway.cli.output import Output
from tests.integration.cli.canned import Canned, problem

LINE = 'pq1._domainkey.shop.test. IN TXT "v=DKIM1; p=AAAA"'


def found(verdict: str, **more) -> dict:
    return {
        "name": "domains/shop.test",
        "domainName": "shop.test",
        "verdict": f"DOMAIN_VERDICT_{verdict}",
        "checkTime": "2026-11-23T08:00:00Z",
        "checks": [
            {"check": "DOMAIN_CHECK_TYPE_SPF", "verdict": "DOMAIN_VERDICT_PASS", "code": "spf_ok",
             "text": "It takes 3 of 10 lookups."},
            {"check": "DOMAIN_CHECK_TYPE_DKIM", "verdict": f"DOMAIN_VERDICT_{verdict}",
             "code": "dkim_missing", "text": "There is [nothing] there."},
        ],
        "records": [
            {"zoneLine": LINE, "present": verdict == "PASS", "held": ["v=DKIM1; p="]},
            {"zoneLine": "never shown", "present": True},
            {"zoneLine": "never shown", "present": False, "value": "same", "held": ["same"]},
        ],
        "preflight": [
            {"provider": "gmail", "requirement": "SPF passes", "verdict": "DOMAIN_VERDICT_PASS"},
            {"provider": "yahoo", "requirement": "SPF passes", "verdict": "DOMAIN_VERDICT_UNKNOWN"},
            {"provider": "yahoo", "requirement": "few complain", "verdict": "DOMAIN_VERDICT_FAIL"},
        ],
        **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "exit"),
    [("PASS", Exit.OK), ("WARN", Exit.OK), ("UNKNOWN", Exit.OK), ("FAIL", Exit.DEGRADED)],
)
async def test_a_check_is_shown_with_what_to_paste(capsys, verdict, exit):
    routes = {"POST /v1/domains/shop.test:check": lambda _: (200, found(verdict))}
    async with Canned(routes) as server, Rest(server.url, "t") as rest:
        assert await domains.check(Output(), rest, "Shop.Test.") is exit
    shown = capsys.readouterr().out
    assert "shop.test: " in shown
    assert "There is [nothing] there." in shown
    assert "never shown" not in shown
    assert (LINE in shown, "instead of v=DKIM1; p=" in shown) == (verdict != "PASS",) * 2
    [row] = [line for line in shown.splitlines() if "SPF passes" in line]
    assert row.split()[2:] == ["●", "?"]


async def test_with_json_stdout_is_the_document(capsys):
    import json

    routes = {"GET /v1/domains/shop.test": lambda _: (200, found("FAIL"))}
    async with Canned(routes) as server, Rest(server.url, "t") as rest:
        assert await domains.show(Output(json=True), rest, "shop.test") is Exit.DEGRADED
    assert json.loads(capsys.readouterr().out) == found("FAIL")


async def test_adding_sends_what_was_said_and_reads_key_files(tmp_path, capsys):
    file = tmp_path / "public.pem"
    file.write_text("-----BEGIN PUBLIC KEY-----")
    async with (
        Canned({"POST /v1/domains": lambda _: (200, found("WARN"))}) as server,
        Rest(server.url, "t") as rest,
    ):
        await domains.add(
            Output(),
            rest,
            "shop.test",
            senders=["mx"],
            keys=["pq1", f"pq2=@{file}", "pq3=AAAA=="],
            envelope="b.shop.test",
            reports="d@shop.test",
        )
    assert server.asked[0].body == {
        "domainName": "shop.test",
        "envelopeDomain": "b.shop.test",
        "spfSenders": ["mx"],
        "dkimKeys": [
            {"selector": "pq1", "publicKey": ""},
            {"selector": "pq2", "publicKey": "-----BEGIN PUBLIC KEY-----"},
            {"selector": "pq3", "publicKey": "AAAA=="},
        ],
        "reportAddress": "d@shop.test",
    }


async def test_an_update_sends_what_was_given_and_nothing_else():
    routes = {"PATCH /v1/domains/shop.test": lambda _: (200, found("PASS"))}
    none = {"senders": [], "keys": [], "envelope": "", "reports": ""}
    async with Canned(routes) as server, Rest(server.url, "t") as rest:
        await domains.update(Output(json=True), rest, "shop.test", **none | {"keys": ["pq2"]})
        with pytest.raises(CliError, match="something to change"):
            await domains.update(Output(json=True), rest, "shop.test", **none)
    assert [asked.body for asked in server.asked] == [
        {"dkimKeys": [{"selector": "pq2", "publicKey": ""}]}
    ]


def test_a_private_key_is_never_sent(tmp_path):
    file = tmp_path / "key.pem"
    file.write_text("-----BEGIN PRIVATE KEY-----")
    with pytest.raises(CliError, match="that is a private key"):
        domains.read_key(f"pq1=@{file}")


async def test_a_domain_that_pq_does_not_send_from_has_a_hint():
    missing = {"POST /v1/domains/shop.test:check": lambda _: (404, problem(404, "not_found", "no"))}
    async with Canned(missing) as server, Rest(server.url, "t") as rest:
        with pytest.raises(CliError) as caught:
            await domains.check(Output(), rest, "shop.test")
    assert "pq domains add shop.test" in caught.value.hint


async def test_the_list_names_the_faults(capsys):
    page = {"domains": [found("FAIL"), found("PASS", checks=[])], "nextPageToken": ""}
    routes = {"GET /v1/domains": lambda _: (200, page)}
    async with Canned(routes) as server, Rest(server.url, "t") as rest:
        assert await domains.list_domains(Output(), rest) is Exit.OK
    lines = capsys.readouterr().out.splitlines()
    assert "dkim_missing" in lines[1]
    assert len(lines) == 3
