"""A backtest as a page, with all that is needed to make it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from gateway.cli.client import Rest
from gateway.cli.exits import CliError, Exit
from gateway.cli.output import Output
from gateway.cli.report.page import Part, number, render
from gateway.cli.report.plot import lines


async def backtest(output: Output, rest: Rest, name: str, out: Path) -> Exit:
    """Writes the page of a backtest that is done."""
    full = name if name.startswith("backtests/") else f"backtests/{name}"
    found = await rest.get(f"/v1/{full}")
    if found["state"] != "STUDY_STATE_SUCCEEDED":
        state = found["state"].removeprefix("STUDY_STATE_").lower()
        told = f"the backtest is {state}" + (f": {found['error']}" if found.get("error") else "")
        raise CliError(Exit.FAILED, "backtest_not_done", told, "look again when it is done")
    out.write_text(page(found))
    output.document({"written": str(out)})
    output.say(f"written: {out}")
    return Exit.OK


def page(found: Any) -> str:
    """The page of a backtest as REST shows it."""
    result, basis = found["result"], found["basis"]
    days = result["days"]
    worth = [(one["day"], one["worthCents"] / 100) for one in days]
    net = [(one["day"], one["netCents"] / 100) for one in days]
    facts = [
        ("Growth a year", number(result["yearlyReturn"], "+.1%")),
        ("Index over the same days", number(result.get("indexReturn"), "+.1%")),
        ("Volatility a year", number(result.get("volatility"), ".1%")),
        ("Deepest fall", number(result["drawdown"], ".1%")),
        ("Worth at the end", f"{result['worthCents'] / 100:,.2f}"),
        ("After selling all of it", f"{result['netCents'] / 100:,.2f}"),
        ("Fees paid", f"{int(result['feesCents']) / 100:,.2f}"),
        ("Written off", f"{int(result['writtenOffCents']) / 100:,.2f}"),
        ("Traded a year, of the mean worth", number(result["turnover"], ".0%")),
    ]
    trades = [
        [
            one["day"],
            str(one["eligibleCount"]),
            str(one["heldCount"]),
            f"{int(one['boughtCents']) / 100:,.2f}",
            f"{int(one['soldCents']) / 100:,.2f}",
            f"{int(one['feesCents']) / 100:,.2f}",
            str(one["copies"]),
        ]
        for one in result["trades"]
    ]
    heads = ("day", "eligible", "held", "bought", "sold", "fees", "copies")
    again = {"rules": found["rules"], "basis": basis}
    return render(
        found.get("displayName") or "Backtest",
        f"{basis['source']}, {basis['firstDay']} to {basis['lastDay']}; {found['name']}",
        [
            Part("What came of it", heads=("", ""), rows=facts, numbers=frozenset({1})),
            Part(
                "Worth by day",
                "At market prices, and after fees if all were sold that day.",
                lines({"worth": worth, "after selling": net}),
            ),
            Part("Days of trading", "", "", heads, trades, frozenset(range(1, 7))),
            Part(
                "To make it again",
                "These rules, on this data version, with this version of the code.",
                code=orjson.dumps(again, option=orjson.OPT_INDENT_2).decode(),
            ),
        ],
    )
