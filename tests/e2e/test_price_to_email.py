"""A price becomes an e-mail at a real relay, for an address that was confirmed, through a kill."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.policy import default

import httpx

from tests.e2e.market import card_id
from tests.e2e.product import Importer, csv_of, eventually, running, sign_up
from tests.integration.delivery.email_world import Relay

PRODUCTS = list(range(1000, 1030))
LINK = re.compile(r"http://\S+/v1/(?:confirmations|unsubscriptions)/[\w-]+")


def read(relay):
    return [message_from_bytes(e.content, policy=default) for e in relay.envelopes]


def link_in(message):
    return LINK.findall(message.get_body(("plain",)).get_content())[-1]


async def test_a_confirmed_address_hears_of_each_alert(tmp_path):
    async with Relay() as relay:
        environment = {
            "PQ_EMAIL_PROVIDERS": "smtp",
            "PQ_EMAIL_SMTP_URL": f"smtp+plain://127.0.0.1:{relay.port}",
            "PQ_EMAIL_FROM": "pq <alerts@pq.example.com>",
        }
        async with running(tmp_path / "home", **environment) as product:
            importer = Importer(product)
            await importer.send("2001-01-01", csv_of("2001-01-01", dict.fromkeys(PRODUCTS, 1000)))
            ann = await sign_up(product, "ann")
            address = await ann.call("POST", "/v1/emailAddresses", {"email": "ann@example.com"})
            await eventually(lambda: len(relay.envelopes) == 1, timeout=30)
            confirm = link_in(read(relay)[0])
            async with httpx.AsyncClient(trust_env=False) as person:
                page = await person.get(confirm)
                assert "Confirm ann@example.com?" in page.text
                assert (await state(ann, address)) == "EMAIL_ADDRESS_STATE_UNCONFIRMED"
                page = await person.post(confirm)
                assert "is confirmed" in page.text
            assert (await state(ann, address)) == "EMAIL_ADDRESS_STATE_CONFIRMED"
            level = {"priceAbove": {"currencyCode": "USD", "amount": "11.00"}}
            for number in PRODUCTS:
                alert = {"card": f"cards/{card_id(number)}", "condition": level}
                await ann.call("POST", "/v1/alerts", alert)
            await importer.send("2001-01-02", csv_of("2001-01-02", dict.fromkeys(PRODUCTS, 1200)))
            await eventually(lambda: len(relay.envelopes) > 3, timeout=60)
            product.signal("delivery")

            def told():
                return {m["Message-ID"]: m["Subject"] for m in read(relay)[1:]}

            wanted = {f"{card_id(number)} is 12.00 USD (+20.0 %)" for number in PRODUCTS}
            await eventually(lambda: set(told().values()) >= wanted, timeout=60)
            # What came twice, for the kill, came under the same Message-ID.
            assert len(told()) == len(PRODUCTS)
            assert set(told().values()) == wanted
            async with httpx.AsyncClient(trust_env=False) as person:
                one_click = {"List-Unsubscribe": "One-Click"}
                last = read(relay)[-1]
                assert last["List-Unsubscribe"] == f"<{link_in(last)}>"
                done = await person.post(link_in(last), data=one_click)
                assert done.status_code == 200
            assert (await state(ann, address)) == "EMAIL_ADDRESS_STATE_UNSUBSCRIBED"


async def state(client, address):
    return (await client.call("GET", f"/v1/{address['name']}"))["state"]
