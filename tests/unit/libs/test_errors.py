import pytest
from google.rpc import error_details_pb2, status_pb2

from libs.errors import AppError, Kind, Violation, from_status, to_status


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_survives_the_wire(kind):
    error = AppError(
        kind,
        "some_reason",
        "words",
        metadata={"a": "b"},
        violations=[Violation("alert.card", "expected a card", "wrong_id_kind")],
        retry_after=1.5,
    )
    there = status_pb2.Status.FromString(to_status(error).SerializeToString())
    back = from_status(there)
    assert back.kind is kind
    assert (back.reason, back.message, back.metadata) == ("some_reason", "words", {"a": "b"})
    assert (back.violations, back.retry_after) == (error.violations, 1.5)


def test_a_status_of_another_making_keeps_its_code():
    back = from_status(status_pb2.Status(code=5, message="gone"))
    assert (back.kind, back.reason, back.message) == (Kind.NOT_FOUND, "not_found", "gone")


def test_another_domain_does_not_choose_our_kind():
    status = status_pb2.Status(code=9)
    info = error_details_pb2.ErrorInfo(domain="other", reason="x", metadata={"kind": "INTERNAL"})
    status.details.add().Pack(info)
    assert from_status(status).kind is Kind.PRECONDITION
