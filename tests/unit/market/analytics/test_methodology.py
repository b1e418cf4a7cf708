from pathlib import Path

from services.market.analytics.catalogue import table

PAGE = Path(__file__).parents[4] / "docs" / "methodology.md"


def test_the_page_shows_the_catalogue_as_it_is():
    assert table() in PAGE.read_text()
