"""The public face, in a file that a reviewer sees change."""

import os
from pathlib import Path

from gateway.transcode.descriptors import load
from gateway.transcode.routes import RouteTable

SNAPSHOT = Path(__file__).with_name("routes.txt")


def doors(rule):
    found = ["anyone"] if rule.anonymous else []
    found += ["account"] if rule.account else []
    found += sorted(role.name.lower() for role in rule.roles)
    found += ["service"] if rule.service else []
    return ",".join(found) + (" (reads)" if rule.read_only else "")


def test_every_route_is_as_written_down():
    """PQ_UPDATE_SNAPSHOTS=1 writes the file anew."""
    rows = [
        (r.binding.method, r.binding.template, r.rpc.full_name, doors(r.rpc.rule))
        for r in RouteTable(load()).routes
    ]
    text = "".join(f"{m:6} {t:45} {n:50} {d}\n" for m, t, n, d in sorted(rows, key=lambda r: r[1:]))
    if os.environ.get("PQ_UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(text)
    assert SNAPSHOT.read_text() == text
