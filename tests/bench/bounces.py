"""Bounces: the share that is read as it should be, by column, and mails a second.

The mails are the real ones where they lie beside the repository (PQ_SHARED_DATA names another
place); without them only the pace is measured, on a report of our own.
"""

from __future__ import annotations

import csv
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from services.delivery.domain.bounces import Bounce, parse
from tests.bench import Row

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("PQ_SHARED_DATA", ROOT.parent / "shared" / "data")) / "bounces"
COLUMNS = ("status", "reply_code", "reason", "hard_bounce")
OWN = (
    b"From: MAILER-DAEMON@relay.test\nTo: bounces@our.test\nSubject: Could not deliver\n"
    b'Content-Type: multipart/report; report-type=delivery-status; boundary="bb"\n\n'
    b"--bb\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; relay.test\n\n"
    b"Final-Recipient: rfc822; a@shop.test\nAction: failed\nStatus: 5.1.1\n"
    b"Diagnostic-Code: smtp; 550 5.1.1 user unknown\n"
    b"--bb\nContent-Type: message/rfc822\n\nMessage-ID: <m@our.test>\n\nHi\n--bb--\n"
)


async def run(scale: int) -> list[Row]:
    """A row for each column, and the pace; the curve multiplies the mails."""
    mails = [path.read_bytes() for path in sorted(FOLDER.glob("*.eml"))] or [OWN]
    repeated = mails * (scale if len(mails) > 1 else 300 * scale)
    began = time.perf_counter()
    for raw in repeated:
        parse(raw)
    pace = len(repeated) / (time.perf_counter() - began)
    rows = [Row("bounces.parsed", scale, pace, "mails/s", 100.0, note=f"{len(mails)} mails")]
    if len(mails) > 1:
        found = shares(FOLDER)
        rows += [Row(f"bounces.{name}", scale, found[name], "%", 95.0) for name in COLUMNS]
    return rows


def shares(folder: Path) -> dict[str, float]:
    """Per column, the percentage of the folder's expected rows that are read so."""
    wanted: dict[str, list[dict[str, str]]] = defaultdict(list)
    with (folder / "expected.csv").open(newline="") as rows:
        for row in csv.DictReader(rows):
            wanted[row["file"]].append(row)
    right = dict.fromkeys(COLUMNS, 0)
    for name, expected in wanted.items():
        found = parse((folder / name).read_bytes())
        for row in expected:
            for column, value in _columns(found, int(row["index"])).items():
                right[column] += value == row[column]
    count = sum(map(len, wanted.values()))
    return {column: 100 * number / count for column, number in right.items()}


def _columns(found: Sequence[Bounce], index: int) -> dict[str, str]:
    if index > len(found):
        return dict.fromkeys(COLUMNS, "missing")
    bounce = found[index - 1]
    return {
        "status": bounce.status,
        "reply_code": bounce.reply,
        "reason": bounce.reason.value,
        "hard_bounce": str(bounce.hard).lower(),
    }
