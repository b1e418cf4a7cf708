"""docs/domains.md lists every code that a check can find, and none besides."""

from __future__ import annotations

import re
from pathlib import Path

from services.delivery.domain.authentication import preflight
from tests.integration.delivery.domain_table import GOOD, ROWS

ROOT = Path(__file__).resolve().parents[3]
CHECKS = ROOT / "services" / "delivery" / "domain" / "authentication"
CODE = re.compile(r'"((?:spf|dkim|dmarc|mx|mta_sts|tls_rpt|bimi|rdns|dns)_[a-z0-9_]+)"')
# Found only in what an MTA-STS server answers: test_domains has them.
ELSEWHERE = {
    "mta_sts_mx",
    "mta_sts_off",
    "mta_sts_ok",
    "mta_sts_policy",
    "mta_sts_short",
    "mta_sts_testing",
}


def codes() -> set[str]:
    rules = {rule for _, rule, _, _ in preflight._RULES}
    found = {code for file in CHECKS.glob("*.py") for code in CODE.findall(file.read_text())}
    return found - rules


def test_the_document_has_each_code():
    text = (ROOT / "docs" / "domains.md").read_text()
    table = text.partition("<!-- codes -->")[2].partition("<!-- /codes -->")[0]
    assert set(re.findall(r"^\| `([a-z0-9_]+)` \|", table, re.MULTILINE)) == codes()


def test_the_table_of_domains_brings_each_code_about():
    found = {code for row in ROWS for code in row.expect.values()} | set(GOOD.values())
    assert codes() - found == ELSEWHERE
