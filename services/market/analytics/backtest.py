"""Would a rule have paid? Bought and sold day by day with nothing known of later days.

On each rebalancing day the cards that are quoted, and dear enough, are ranked by a score as of that
day; the best are held in equal amounts until the next one. A card that appears later joins when it
is there; one that is quoted no more is kept at its last price and sold when it is quoted again, or
written off after a year. Nothing is chosen for having survived.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import numpy.typing as npt

from services.market.analytics.panel import NONE, Panel
from services.market.analytics.risk import Drawdown, drawdown, volatility

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Score = Callable[[Panel, Panel], Floats]

CODE_VERSION = "backtest-1"
WRITTEN_OFF = 365


@dataclass(frozen=True, slots=True)
class Rules:
    """What is traded. Money in cents.

    `every` days the portfolio is set up anew from the `share` best of the cards of at least
    `least_cents`, at most `most` of them, with at most `copies` bought or sold of one card each
    time: nobody knows how many there are to be had, so it is an assumption, and said. Selling costs
    `fee` of the price and `fee_cents` a copy; buying `premium` above the market price. `start` is
    the money at first.
    """

    every: int = 30
    share: float = 0.1
    most: int = 50
    copies: int = 4
    least_cents: int = 500
    fee: float = 0.1275
    fee_cents: int = 30
    premium: float = 0.0
    start: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Rebalance:
    """One day of trading: what was bought and sold in cents and copies, and what it cost."""

    day: date
    eligible: int
    held: int
    bought_cents: int
    sold_cents: int
    fees_cents: int
    copies: int


@dataclass(frozen=True, slots=True)
class Result:
    """`worth` is money and cards at market prices by day, in cents; `net` what selling all of it
    would bring after fees. `turnover` is traded over mean worth, a year."""

    days: Sequence[date]
    worth: Floats
    net: Floats
    rebalances: Sequence[Rebalance]
    yearly: float
    volatility: float
    drawdown: Drawdown
    turnover: float
    fees_cents: int
    written_off_cents: int


@dataclass(slots=True)
class _Book:
    """What is held: money, copies by card, the last price of each and its age in days."""

    cash: int
    copies: Ints
    last: Ints
    age: Ints
    fees: int = 0
    written_off: int = 0
    trades: list[Rebalance] = field(default_factory=list)


def run(market: Panel, low: Panel, score: Score, rules: Rules, first: date) -> Result:
    """Plays the rules from `first` to the panel's last day.

    `score` gets panels as of the day (they refuse later ones) and answers a value a card, NaN for
    not to be held. Raises as Panel.index does for a first day that the panel has not.
    """
    start = market.index(first)
    count = market.card_count
    book = _Book(rules.start, np.zeros(count, np.int64), np.zeros(count, np.int64),
                 np.zeros(count, np.int64))  # fmt: skip
    days = list(market)[start:]
    worth, net = np.zeros(len(days)), np.zeros(len(days))
    for at, day in enumerate(days):
        today = market.cents[:, start + at]
        _mark(book, today)
        if at % rules.every == 0:
            _rebalance(book, today, score(market.as_of(day), low.as_of(day)), rules, day)
        held = book.copies * book.last
        worth[at] = book.cash + held.sum()
        fees = _fees(book.copies, book.last, rules)
        net[at] = book.cash + held.sum() - fees.sum()
    return _result(days, worth, net, book)


def _mark(book: _Book, today: npt.NDArray[np.int32]) -> None:
    quoted = today != NONE
    book.last[quoted] = today[quoted]
    book.age = np.where(quoted, 0, book.age + 1)
    lost = (book.age > WRITTEN_OFF) & (book.copies > 0)
    if lost.any():
        book.written_off += int((book.copies[lost] * book.last[lost]).sum())
        book.copies[lost] = 0


def _rebalance(
    book: _Book, today: npt.NDArray[np.int32], values: Floats, rules: Rules, day: date
) -> None:
    quoted = today != NONE
    eligible = np.flatnonzero(quoted & (today >= rules.least_cents) & ~np.isnan(values))
    want = _wanted(book, today, eligible, values, rules)
    change = np.clip(want - book.copies, -rules.copies, rules.copies)
    change[~quoted] = 0  # what is not quoted cannot be traded
    sold = np.where(change < 0, -change, 0)
    cost = int(_fees(sold, book.last, rules).sum())
    brought = int((sold * book.last).sum())
    book.cash += brought - cost
    book.copies -= sold
    bought, paid = _buy(book, np.where(change > 0, change, 0), values, rules)
    book.fees += cost
    held = int(np.count_nonzero(book.copies))
    traded = int(sold.sum() + bought)
    book.trades.append(Rebalance(day, len(eligible), held, paid, brought, cost, traded))


def _wanted(
    book: _Book, today: npt.NDArray[np.int32], eligible: Ints, values: Floats, rules: Rules
) -> Ints:
    """Copies of each card to be held: equal amounts of the best, one copy at least."""
    want = np.zeros(len(today), np.int64)
    number = min(rules.most, math.ceil(rules.share * len(eligible)))
    if not number:
        return want
    # Equal scores stand in the order of the panel's rows, which says nothing of the future.
    order = eligible[np.argsort(-values[eligible], kind="stable")][:number]
    amount = (book.cash + (book.copies * book.last).sum()) / number
    want[order] = np.maximum(np.floor(amount / today[order]), 1).astype(np.int64)
    return want


def _buy(book: _Book, wished: Ints, values: Floats, rules: Rules) -> tuple[int, int]:
    """Buys the best first, for as long as there is money; answers copies and cents."""
    copies = paid = 0
    chosen = np.flatnonzero(wished)
    for card in chosen[np.argsort(-values[chosen], kind="stable")].tolist():
        price = math.ceil(int(book.last[card]) * (1 + rules.premium))
        number = min(int(wished[card]), book.cash // price)
        if number:
            book.cash -= number * price
            book.copies[card] += number
            copies, paid = copies + number, paid + number * price
    return copies, paid


def _fees(copies: Ints, prices: Ints, rules: Rules) -> Floats:
    """What selling costs, in cents, at most the price itself."""
    each = np.minimum(np.ceil(prices * rules.fee) + rules.fee_cents, prices)
    found: Floats = copies * each
    return found


def _result(days: list[date], worth: Floats, net: Floats, book: _Book) -> Result:
    years = max(len(days) - 1, 1) / 365
    traded = sum(one.bought_cents + one.sold_cents for one in book.trades)
    return Result(
        days=days,
        worth=worth,
        net=net,
        rebalances=book.trades,
        yearly=float((worth[-1] / worth[0]) ** (1 / years) - 1),
        volatility=volatility(np.where(worth > 0, worth, np.nan)),
        drawdown=drawdown(worth),
        turnover=traded / 2 / float(worth.mean()) / years,
        fees_cents=book.fees,
        written_off_cents=book.written_off,
    )
