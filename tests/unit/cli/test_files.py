"""Which files are sent, as what, and in which order."""

import gzip
from pathlib import Path

import pytest

from gateway.cli.exits import CliError, Exit
from gateway.cli.ingest.files import FileKind, collect, inspect, repeated_days

PRICES = "date,category,group_id,product_id,subtype,market,low,mid,high,direct_low\n"
CATALOG = (
    "category,group_id,group_name,published,product_id,name,number,rarity,is_sealed,image_url\n"
)


def write(path: Path, text: str) -> Path:
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_a_file_is_known_by_its_heading(tmp_path):
    prices = write(tmp_path / "2026-01-02.csv.gz", PRICES + "2026-01-02,pokemon,1,2,Normal,1,,,,\n")
    catalog = write(tmp_path / "x.csv", "\ufeff" + CATALOG)
    assert inspect(prices).kind is FileKind.PRICES
    assert inspect(catalog).kind is FileKind.CATALOG


def test_only_a_name_that_is_a_day_claims_one(tmp_path):
    text = PRICES + "2026-01-02,pokemon,1,2,Normal,1,,,,\n"
    named = inspect(write(tmp_path / "2026-01-02.csv", text))
    other = inspect(write(tmp_path / "export-2026-01-05.csv", text))
    assert (named.day, named.claim) == ("2026-01-02", "2026-01-02")
    assert (other.day, other.claim) == ("2026-01-02", "")


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b broken", b"\xff\xfe\x00", b"a,b\n1,2\n"])
def test_what_makes_no_sense_is_left_to_the_market_to_refuse(tmp_path, content):
    path = tmp_path / "odd.csv"
    path.write_bytes(content)
    assert inspect(path).kind is FileKind.PRICES


def test_catalogues_first_then_days_in_order(tmp_path):
    for name in ("2026-01-03.csv", "2026-01-01.csv.gz", "2026-01-02.csv"):
        write(tmp_path / name, PRICES)
    write(tmp_path / "zz-catalog.csv", CATALOG)
    write(tmp_path / "odd.csv", "a,b\n")
    (tmp_path / "notes.txt").write_text("not data")
    late = write(tmp_path / "late.txt", PRICES + "2025-12-31,pokemon,1,2,Normal,1,,,,\n")
    names = [file.path.name for file in collect([tmp_path, late])]
    assert names == [
        *("zz-catalog.csv", "odd.csv", "late.txt"),
        *("2026-01-01.csv.gz", "2026-01-02.csv", "2026-01-03.csv"),
    ]


def test_a_file_can_be_declared_a_catalogue(tmp_path):
    path = write(tmp_path / "odd.csv", "a,b\n")
    assert [file.kind for file in collect([], [path])] == [FileKind.CATALOG]


def test_a_folder_without_files_is_wrong_usage(tmp_path):
    with pytest.raises(CliError, match=r"holds no \.csv") as caught:
        collect([tmp_path])
    assert caught.value.exit is Exit.USAGE


def test_a_day_that_comes_twice_is_noticed(tmp_path):
    (tmp_path / "again").mkdir()
    for folder in (tmp_path, tmp_path / "again"):
        write(folder / "2026-01-01.csv", PRICES)
    assert repeated_days(collect([tmp_path, tmp_path / "again"])) == ["2026-01-01"]
