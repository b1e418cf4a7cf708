"""Documents that repeat what the code says are held to it."""

import re
from pathlib import Path

import pytest

from libs.events.catalog import Catalog

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_the_table_of_topics_is_that_of_the_contracts():
    text = (ROOT / "docs" / "architecture.md").read_text()
    shown = text.partition("<!-- topics -->\n")[2].partition("<!-- /topics -->")[0]
    wanted = Catalog.load().table()
    assert shown == wanted, f"docs/architecture.md must say:\n{wanted}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_decisions_are_numbered_once_and_titled_by_their_number():
    found = {}
    for path in sorted((ROOT / "docs" / "adr").glob("[0-9]*.md")):
        number = int(path.name[:4])
        assert number not in found, f"{path.name} and {found[number]}"
        found[number] = path.name
        assert path.read_text().startswith(f"# {number}. "), path.name
