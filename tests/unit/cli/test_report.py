"""What is told of files that were sent."""

from pathlib import Path

from gateway.cli.exits import Exit
from gateway.cli.ingest import report
from gateway.cli.ingest.files import FileKind, SourceFile
from libs.errors import AppError, Kind, Violation
from pq.market.v1 import imports_pb2 as pb
from pq.market.v1 import market_pb2

DAY = SourceFile(Path("2026-01-02.csv.gz"), FileKind.PRICES, 10, "2026-01-02", "2026-01-02")


def answer(**more):
    return pb.Import(
        **{
            "name": "imports/imp_1",
            "day": "2026-01-02",
            "source": "demo",
            "row_count": 12,
            "accepted_count": 10,
            "rejected_count": 2,
            "change_count": 1,
            "snapshot": "snapshots/demo-2026-01-02-v3",
            "mode": market_pb2.MODE_CORRECTION,
            "faults": [
                pb.RowFault(line=7, field="market", reason="not_a_price", description="expected 1")
            ],
        }
        | more
    )


def test_a_taken_file_shows_version_counts_and_faults():
    text = report.taken_text(DAY, answer()).plain
    assert text.splitlines() == [
        "✓ 2026-01-02.csv.gz  2026-01-02 v3 correction  10 accepted, 2 set aside, 1 change",
        "    line 7, market: expected 1 (not_a_price)",
        "    and 1 more; --json prints the first 100",
    ]


def test_a_duplicate_says_that_nothing_changed():
    assert "taken in before" in report.taken_text(DAY, answer(duplicate=True)).plain


def test_a_refused_file_names_its_fields_for_machines():
    error = AppError(
        Kind.INVALID, "missing_column", "no market", violations=[Violation("market", "is missing")]
    )
    document = report.refused_document(DAY, error)
    assert document["error"]["violations"] == [
        {"field": "market", "reason": "", "description": "is missing"}
    ]
    assert "refused: no market (missing_column)" in report.refused_text(DAY, error).plain


def test_the_tally_counts_once_and_decides_the_exit_code():
    tally = report.Tally(seconds=2.0)
    tally.add(answer())
    tally.add(answer(duplicate=True))
    assert (tally.files, tally.duplicates, tally.accepted, tally.rate) == (2, 1, 10, 6.0)
    assert tally.exit(strict=False) is Exit.OK
    assert tally.exit(strict=True) is Exit.REJECTED
    tally.refused.append(DAY.path)
    assert tally.exit(strict=False) is Exit.REJECTED
    assert "1 refused" in tally.text()
    assert tally.document()["summary"]["rows_per_second"] == 6
