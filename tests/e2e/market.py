"""A small market and its people: cards, days, accounts, alerts, endpoints."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from tests.e2e import oracle
from tests.e2e.product import Client, Importer, Product, csv_of, sign_up, walk


def card_id(product: int) -> str:
    return f"pokemon-{product}-normal"


def calendar(first: date, count: int, step: int = 1) -> list[str]:
    return [(first + timedelta(days=n * step)).isoformat() for n in range(count)]


@dataclass
class Scene:
    """What was set up, in the oracle's terms. `paths` maps an account's receiver path to it."""

    days: list[tuple[str, dict[int, int | None]]]
    clients: list[Client] = field(default_factory=list)
    alerts: list[oracle.Alert] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)

    def prices(self, upto: int | None = None) -> list[tuple[str, oracle.Day]]:
        """The days as the oracle reads them."""
        return [
            (day, {card_id(p): cents for p, cents in rows.items() if cents is not None})
            for day, rows in self.days[:upto]
        ]

    def expected(self, upto: int | None = None) -> dict[str, tuple[str, str]]:
        return oracle.expected(self.alerts, self.prices(upto))


async def set_the_scene(
    product: Product,
    importer: Importer,
    receiver_port: int,
    *,
    seed: int,
    cards: int = 60,
    days: int = 20,
    accounts: int = 4,
    alerts: int = 40,
    step: int = 1,
) -> Scene:
    """Imports the first day, then signs people up, each with an endpoint and alerts.

    There are prices every `step` days.
    """
    dice = random.Random(seed)
    products = list(range(1000, 1000 + cards))
    scene = Scene(walk(seed, products, calendar(date(2001, 1, 1), days, step)))
    first, rows = scene.days[0]
    await importer.send(first, csv_of(first, rows))
    known = [product for product, cents in rows.items() if cents is not None]
    for number in range(accounts):
        client = await sign_up(product, f"person-{seed}-{number}")
        scene.clients.append(client)
        path = f"/{number}"
        url = f"http://127.0.0.1:{receiver_port}{path}"
        endpoint = await client.call("POST", "/v1/endpoints", {"url": url})
        scene.secrets[path] = endpoint["secret"]
        for _ in range(alerts):
            product_id = dice.choice(known)
            made = await client.call("POST", "/v1/alerts", wish(dice, product_id, rows[product_id]))
            scene.alerts.append(replace(in_oracles_terms(made), since=first))
    return scene


def wish(dice: random.Random, product: int, cents: int) -> dict[str, Any]:
    """An alert somebody could want, near enough to the price to fire some day."""
    money = lambda value: {"currencyCode": "USD", "amount": f"{value // 100}.{value % 100:02}"}  # noqa: E731
    condition: dict[str, Any] = dice.choice(
        [
            {"priceAbove": money(max(1, round(cents * dice.choice([0.9, 1.05, 1.2]))))},
            {"priceBelow": money(max(1, round(cents * dice.choice([0.8, 0.95, 1.1]))))},
            {"percentageChange": {"percent": dice.choice([4, 10, 15, 30.5])}},
            {"percentageChange": {"percent": 10, "direction": "DIRECTION_UP"}},
            {"percentageChange": {"percent": 5, "direction": "DIRECTION_DOWN"}},
        ]
    )
    return {"card": f"cards/{card_id(product)}", "condition": condition}


def in_oracles_terms(alert: dict[str, Any]) -> oracle.Alert:
    name, card = alert["name"], alert["card"].removeprefix("cards/")
    condition = alert["condition"]
    for key, kind in (("priceAbove", "above"), ("priceBelow", "below")):
        if condition.get(key):
            level = int(Fraction(condition[key]["amount"]) * 100)
            return oracle.Alert(name, card, kind, level=level)
    change = condition["percentageChange"]
    direction = change["direction"].removeprefix("DIRECTION_").lower()
    direction = "both" if direction == "unspecified" else direction
    percent = Fraction(str(change["percent"]))
    return oracle.Alert(name, card, "change", percent=percent, direction=direction)


async def import_days(scene: Scene, importer: Importer, which: Sequence[int]) -> None:
    """Sends days by their place in the calendar, one after the other."""
    for number in which:
        day, rows = scene.days[number]
        await importer.send(day, csv_of(day, rows))
