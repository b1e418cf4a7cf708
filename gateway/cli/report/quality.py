"""How far the market's numbers can be believed: what the API says of itself, on one page."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from gateway.cli.client import Rest
from gateway.cli.exits import CliError, Exit
from gateway.cli.output import Output
from gateway.cli.report.page import Part, number, render
from gateway.cli.report.plot import bars, lines

_TEN = 10
_INDICES = ("all-equal", "all-price", "all-held", "top-100")


async def quality(
    output: Output, rest: Rest, source: str, out: Path, prices: Path | None = None
) -> Exit:
    """Writes the page; with `prices`, a folder of day files, naive averages stand beside the
    indices."""
    signals = await rest.get("/v1/signals")
    values = [await _values(rest, one["name"], source) for one in signals["signals"]]
    if not values:
        raise CliError(Exit.FAILED, "nothing_published", "there is nothing to report on", "")
    basis = values[0]["basis"]
    parts = [
        await _factors(rest, source),
        _unknown(signals["signals"], values),
        await _ticks(rest, source),
        await _anomalies(rest, source),
        await _indices(rest, source, prices),
        *await _movers(rest, source),
    ]
    subtitle = (
        f"{basis['source']}, {basis['day']}; version of the data {basis['dataVersion']}, of the"
        f" code {basis['codeVersion']}, published {basis['publishTime']}"
    )
    out.write_text(render("Quality of the market's numbers", subtitle, parts))
    output.document({"written": str(out)})
    output.say(f"written: {out}")
    return Exit.OK


async def _values(rest: Rest, signal: str, source: str) -> Any:
    return await rest.get(f"/v1/{signal}/values", {"pageSize": "1", "source": source})


async def _factors(rest: Rest, source: str) -> Part:
    listed = await rest.get("/v1/factorReports", {"source": source, "pageSize": "10"})
    done = [r for r in listed["factorReports"] if r["state"] == "STUDY_STATE_SUCCEEDED"]
    title = "What factors say of later returns"
    if not done:
        return Part(title, "No report has been made yet: POST /v1/factorReports asks for one.")
    report, rows = done[0], []
    for factor in report["factors"]:
        for line in factor["lines"]:
            ic = line["ic"]
            rows.append(
                [
                    factor["factor"],
                    line["kind"],
                    f"{line['horizonDays']} d",
                    number(ic.get("mean")),
                    number(ic.get("t"), ".1f"),
                    number(line.get("naiveT"), ".1f"),
                    number(line.get("grossSpread"), "+.2%"),
                    number(line.get("netSpread"), "+.2%"),
                    number(line.get("turnover"), ".0%"),
                    number(line.get("shuffledIc"), "+.4f"),
                    "nothing, as it must be" if line["canaryPassed"] else "NOT NOTHING",
                ]
            )
    differing = report.get("differingDays") or []
    told = (
        f"{report['cardCount']:,} cards at {report['leastCents'] / 100:.2f} or more,"
        f" {report['basis']['firstDay']} to {report['basis']['lastDay']}."
        f" Days made again from data cut off after them: {', '.join(report['recomputedDays'])};"
        f" {'they differ: ' + ', '.join(differing) if differing else 'none differs'}."
        f" All canaries passed: {'yes' if report['passed'] else 'NO'}."
    )
    heads = (
        *("factor", "on", "over", "rank IC", "t", "naive t"),
        *("gross", "net", "turnover", "shuffled IC", "canary"),
    )
    drawn = bars(
        [
            (factor["factor"], line["ic"]["mean"])
            for factor in report["factors"]
            for line in factor["lines"]
            if (line["kind"], line["horizonDays"]) == ("market", 30)
            and line["ic"].get("mean") is not None
        ]
    )
    return Part(title, told, drawn, heads, rows, frozenset(range(3, 10)))


def _unknown(signals: list[Any], values: list[Any]) -> Part:
    rows = []
    for signal, found in zip(signals, values, strict=True):
        unknown = {
            one["reason"].removeprefix("UNKNOWN_REASON_").lower(): one["cardCount"]
            for one in found.get("unknownCounts", [])
        }
        total = found["knownCount"] + sum(unknown.values())
        told = ", ".join(f"{reason.replace('_', ' ')} {n:,}" for reason, n in unknown.items())
        share = found["knownCount"] / total if total else None
        rows.append([signal["name"].removeprefix("signals/"), f"{found['knownCount']:,}",
                     number(share, ".1%"), told or "–"])  # fmt: skip
    text = "Cards each signal is known of, and why it is not of the others."
    return Part("What is not known, and why", text, "", ("signal", "known", "", "unknown"), rows,
                frozenset({1, 2}))  # fmt: skip


async def _ticks(rest: Rest, source: str) -> Part:
    counts = {"open": 0, "cleared": 0, "confirmed": 0}
    shown: list[list[str]] = []
    async for tick in rest.pages("/v1/suspectTicks", "suspectTicks", _of(source)):
        counts[tick["verdict"]] += 1
        if len(shown) < _TEN:
            shown.append([tick["day"], tick["displayName"], tick["priceBefore"], tick["price"],
                          tick["low"], tick["verdict"], tick["verdictDay"] or "–"])  # fmt: skip
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    heads = ("day", "card", "before", "price", "lowest ask", "verdict", "settled")
    return Part(
        "Falls nobody asked so little for",
        f"{told}. The newest ten:",
        "",
        heads,
        shown,
        frozenset({2, 3, 4}),
    )


async def _anomalies(rest: Rest, source: str) -> Part:
    counts: dict[str, int] = {}
    shown: list[list[str]] = []
    async for one in rest.pages("/v1/anomalies", "anomalies", _of(source)):
        kind = one["kind"].removeprefix("KIND_").lower()
        counts[kind] = counts.get(kind, 0) + 1
        if len(shown) < _TEN:
            shown.append([one["day"], one["displayName"], kind, one["priceBefore"], one["price"],
                          number(one["score"], ".2f"), one["explanation"]])  # fmt: skip
    told = ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items()))
    heads = ("day", "card", "kind", "before", "price", "score", "why")
    return Part(
        "Unusual prices", f"{told or 'none'}. The newest ten:", "", heads, shown,
        frozenset({3, 4, 5}),
    )  # fmt: skip


async def _indices(rest: Rest, source: str, prices: Path | None) -> Part:
    series: dict[str, list[tuple[str, float]]] = {}
    for index in _INDICES:
        levels = rest.pages(f"/v1/indices/{source}:{index}/levels", "levels")
        points = [(one["day"], one["level"]) async for one in _there(levels)]
        if points:
            series[index] = points[::-1]
    text = "Levels, 100 on the first day."
    if prices is not None:
        first = min((points[0][0] for points in series.values()), default="")
        series["mean of all prices (naive)"] = _naive(prices, first)
        text += (
            " The mean of all prices moves with what happens to be quoted: new cards and gaps in it"
            " are no market moves, which is why no index is made so."
        )
    last = [[name, f"{points[-1][1]:.2f}"] for name, points in series.items() if points]
    heads = ("index", "on the last day")
    return Part("Indices", text, lines(series), heads, last, frozenset({1}))


async def _movers(rest: Rest, source: str) -> list[Part]:
    found = []
    for title, thin in (("Movers of a week", False), ("What the rule holds back", True)):
        query = {"source": source, "windowDays": "7", "order": "MOVER_ORDER_RELATIVE_GAIN",
                 "pageSize": str(_TEN), "thin": str(thin).lower()}  # fmt: skip
        page = await rest.get("/v1/movers", query)
        rows = [
            [one["displayName"], one["priceBefore"], one["price"],
             number(one["relativeChange"], "+.0%"), str(one["moves"])]
            for one in page["movers"]
        ]  # fmt: skip
        told = page["rule"] if not thin else "The largest rises without that evidence."
        heads = ("card", "before", "price", "change", "moves in 7 days")
        found.append(Part(title, told, "", heads, rows, frozenset({1, 2, 3, 4})))
    return found


def _of(source: str) -> dict[str, str]:
    return {"filter": f'source = "{source}"'}


async def _there(levels: AsyncIterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    """Nothing where the index is not there."""
    from gateway.cli.client import ProblemError

    try:
        async for one in levels:
            yield one
    except ProblemError as error:
        if error.status != 404:
            raise


def _naive(folder: Path, first: str) -> list[tuple[str, float]]:
    """The mean of all market prices of each day's file, 100 on the first day."""
    found: list[tuple[str, float]] = []
    for path in sorted(folder.iterdir()):
        day = path.name[:10]
        if not path.name.endswith((".csv", ".csv.gz")) or day < first:
            continue
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
        rows = csv.DictReader(io.StringIO(text, newline=""))
        values = [float(row["market"]) for row in rows if row.get("market")]
        if values:
            found.append((day, sum(values) / len(values)))
    base = found[0][1] if found else 1.0
    return [(day, value / base * 100) for day, value in found]
