"""Sources with their currency and condition, as a setting says them."""

import pytest

from services.market.config import DEFAULT_SOURCES
from services.market.domain import terms
from services.market.domain.terms import Terms


def test_sources_are_read_in_order():
    found = terms.read("tcgplayer=USD/near_mint, cardmarket=EUR,x-psa-9=USD/psa_9.5")
    assert list(found.items()) == [
        ("tcgplayer", Terms("USD", "near_mint")),
        ("cardmarket", Terms("EUR", "any")),
        ("x-psa-9", Terms("USD", "psa_9.5")),
    ]
    assert str(found["cardmarket"]) == "EUR/any"


@pytest.mark.parametrize(
    "text", ["", "x", "x=usd", "x=USD,x=EUR", "x=USD/", "x=USD/Near Mint", "X=USD", "x=USD/a/b"]
)
def test_what_is_no_source_is_refused(text):
    with pytest.raises(ValueError, match="currency"):
        terms.read(text)


def test_the_default_names_each_source_once():
    assert terms.read(DEFAULT_SOURCES)["pricecharting-psa-10"] == Terms("USD", "psa_10")
