"""What the doctor makes of what it is told."""

from gateway.cli.doctor.findings import Check, Findings, read_status
from gateway.cli.doctor.report import render
from gateway.cli.exits import Exit
from pq.ops.v1 import ops_pb2 as pb

NOW = 1_000_000.0


def status(**more):
    message = pb.ServiceStatus(service="alerts", version="1", **more)
    message.start_time.FromSeconds(int(NOW) - 90)
    return message


def partition(number, lag, halt=""):
    return pb.PartitionStatus(consumer="alerts", topic="t", partition=number, lag=lag, halt=halt)


def findings(*services, gateway=None):
    return Findings("/home", gateway or Check("read", True), (), services)


def test_lag_is_summed_by_topic():
    found = read_status(status(partitions=[partition(0, 3), partition(1, 4)]), NOW)
    assert [(lag.partitions, lag.lag) for lag in found.consumers] == [(2, 7)]
    assert found.uptime_seconds == 90
    assert findings(found).verdict() is Exit.OK
    assert "alerts ← t: at most 7 behind (2 partitions)" in render(findings(found)).plain


def test_a_halted_partition_is_told_with_its_reason():
    found = findings(read_status(status(partitions=[partition(0, 3, "KeyError: x")]), NOW))
    assert found.verdict() is Exit.DEGRADED
    assert "alerts, alerts t/0: halted: KeyError: x" in render(found).plain


def test_dead_letters_and_broken_parts_are_faults():
    parts = [pb.PartStatus(name="database", ok=False, detail="refused")]
    found = findings(read_status(status(parts=parts, dead_letter_count=2), NOW))
    assert [check.name for _, check in found.faults()] == ["database", "dead letters"]
    assert found.document()["verdict"] == "degraded"


def test_an_outbox_may_hold_events_but_not_for_long():
    for age, faults in ((5, 0), (31, 1)):
        message = status(outbox=pb.OutboxStatus(waiting=9))
        message.outbox.oldest_time.FromSeconds(int(NOW) - age)
        found = findings(read_status(message, NOW))
        assert len(found.faults()) == faults
    failing = status(outbox=pb.OutboxStatus(error="away"))
    assert findings(read_status(failing, NOW)).verdict() is Exit.DEGRADED


def test_nothing_answers_is_another_verdict_than_degraded():
    silent = Check("read", False, "refused", reached=False)
    assert findings(gateway=silent).verdict() is Exit.UNREACHABLE
    serving = pb.PartStatus(name="database", ok=True)
    some = read_status(status(parts=[serving]), NOW)
    assert findings(some, gateway=silent).verdict() is Exit.DEGRADED
