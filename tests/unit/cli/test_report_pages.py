"""Reports: what the API says, on a page that needs nothing else."""

import xml.etree.ElementTree as ET

import pytest

from gateway.cli.exits import CliError, Exit
from gateway.cli.output import Output
from gateway.cli.report import backtest, page, plot, quality

BASIS = {
    "source": "demo",
    "day": "2025-06-01",
    "dataVersion": "365",
    "codeVersion": "signals-1",
    "publishTime": "2025-06-01T21:00:00Z",
    "firstDay": "2025-01-01",
    "lastDay": "2025-06-01",
}
LINE = {
    "kind": "market",
    "horizonDays": 30,
    "ic": {"mean": 0.25, "t": 12.0, "dayCount": 120},
    "naiveT": 99.0,
    "grossSpread": 0.05,
    "netSpread": -0.1,
    "turnover": 0.6,
    "shuffledIc": 0.0001,
    "shuffledError": 0.0002,
    "canaryPassed": True,
}
REPORT = {
    "state": "STUDY_STATE_SUCCEEDED",
    "basis": BASIS,
    "cardCount": 1234,
    "leastCents": 500,
    "passed": True,
    "recomputedDays": ["2025-03-01"],
    "differingDays": [],
    "factors": [{"factor": "momentum_30", "lines": [LINE]}],
}


class Api:
    """Answers by path, as REST would."""

    def __init__(self, **more):
        self.documents = {
            "/v1/signals": {"signals": [{"name": "signals/trend_30"}]},
            "/v1/signals/trend_30/values": {
                "basis": BASIS,
                "knownCount": 30,
                "unknownCounts": [{"reason": "UNKNOWN_REASON_TOO_FEW_QUOTES", "cardCount": 10}],
            },
            "/v1/factorReports": {"factorReports": [REPORT]},
            "/v1/movers": {"movers": [], "rule": "five moves"},
            "/v1/suspectTicks": {"suspectTicks": []},
            "/v1/anomalies": {
                "anomalies": [
                    {
                        "day": "2025-06-01",
                        "displayName": "<script>alert(1)</script>",
                        "kind": "KIND_THIN",
                        "priceBefore": "1.00",
                        "price": "9.00",
                        "score": 1.5,
                        "explanation": "it moved & moved",
                    }
                ]
            },
            "/v1/indices/demo:all-equal/levels": {
                "levels": [
                    {"day": "2025-06-01", "level": 110.0},
                    {"day": "2025-05-31", "level": 100.0},
                ]
            },
        } | more

    async def get(self, path, _query=None):
        return self.documents[path]

    async def pages(self, path, field, _query=None):
        for item in self.documents.get(path, {field: []})[field]:
            yield item


async def test_quality_is_one_page_and_what_others_wrote_is_escaped(tmp_path):
    prices = tmp_path / "prices"
    prices.mkdir()
    for day, price in (("2025-05-30", 5), ("2025-05-31", 2), ("2025-06-01", 3)):
        (prices / f"{day}.csv").write_text(f"product,market\n1,{price}\n2,\n")
    out = tmp_path / "q.html"
    assert await quality.quality(Output(), Api(), "demo", out, prices) is Exit.OK
    text = out.read_text()
    assert "momentum_30" in text
    assert "0.250" in text
    assert "nothing, as it must be" in text
    assert "too few quotes 10" in text
    assert "75.0%" in text
    assert "<script>alert" not in text
    assert "it moved &amp; moved" in text
    assert "150.00" in text  # 3 after 2, from the index's first day on
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


async def test_without_a_factor_report_the_page_says_how_to_get_one(tmp_path):
    out = tmp_path / "q.html"
    api = Api(
        **{"/v1/factorReports": {"factorReports": [REPORT | {"state": "STUDY_STATE_RUNNING"}]}}
    )
    await quality.quality(Output(), api, "demo", out)
    assert "POST /v1/factorReports" in out.read_text()


async def test_a_backtest_that_is_not_done_is_no_page(tmp_path):
    api = Api(**{"/v1/backtests/bkt_1": {"state": "STUDY_STATE_FAILED", "error": "no days"}})
    out = tmp_path / "b.html"
    with pytest.raises(CliError, match="failed: no days"):
        await backtest.backtest(Output(), api, "bkt_1", out)
    assert not out.exists()


def test_lines_are_drawn_from_edge_to_edge():
    drawn = plot.lines(
        {"a": [("2025-01-01", 1.0), ("2025-01-02", 3.0)], "b<": [("2025-01-02", 2.0)]}
    )
    svg = ET.fromstring(drawn[: drawn.index("</svg>") + 6])
    points = [line.get("points") for line in svg.iter("{http://www.w3.org/2000/svg}polyline")]
    assert points == ["56.0,234.0 708.0,12.0", "708.0,123.0"]
    assert "b&lt;" in drawn
    assert plot.lines({}) == ""


def test_bars_stand_on_nothing():
    drawn = plot.bars([("low", -1.0), ("high", 1.0)], "%")
    rects = list(ET.fromstring(drawn).iter("{http://www.w3.org/2000/svg}rect"))
    assert [r.get("y") for r in rects] == ["123.0", "12.0"]
    assert {r.get("height") for r in rects} == {"111.0"}


def test_what_is_not_known_is_a_dash():
    assert (page.number(None), page.number(0.1234), page.number(0.5, "+.0%")) == (
        "–",
        "0.123",
        "+50%",
    )
