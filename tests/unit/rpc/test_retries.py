"""When a call is made once more, and when it is not."""

from libs.errors import AppError, Kind
from libs.rpc.retries import Repeatable, RetryPolicy
from pq.alerts.v1 import alerts_pb2


def test_pauses_double_are_drawn_and_heed_the_server_and_the_deadline():
    policy = RetryPolicy(attempts=9, base=0.05, cap=1, random=lambda: 0.5)
    away = AppError(Kind.UNAVAILABLE, "x", "x")
    pauses = [policy.pause(n, away, left=10) for n in range(1, 10)]
    assert pauses == [0.025, 0.05, 0.1, 0.2, 0.4, 0.5, 0.5, 0.5, None]
    told = AppError(Kind.UNAVAILABLE, "x", "x", retry_after=2)
    assert policy.pause(1, told, left=10) == 2
    assert policy.pause(1, told, left=1.5) is None


def test_repeatability_is_read_from_the_contract():
    request = alerts_pb2.CreateAlertRequest
    create = Repeatable("/pq.alerts.v1.AlertService/CreateAlert")
    assert not create(request())
    assert create(request(request_id="a"))
    assert Repeatable("/pq.alerts.v1.AlertService/GetAlert")(alerts_pb2.GetAlertRequest())
    assert not Repeatable("/pq.nowhere.v1.Service/Get")(request())
