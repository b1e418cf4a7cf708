"""How long a further call may take."""

from contextvars import copy_context

from libs.rpc import deadlines
from libs.rpc.deadlines import Limits, budget, remaining

LIMITS = Limits(default=15, maximum=120)


def test_outside_of_a_call_there_is_the_default():
    assert remaining() is None
    assert budget(None, LIMITS) == 15
    assert budget(3, LIMITS) == 3


def test_within_a_call_no_further_call_gets_more_than_is_left():
    def call():
        deadlines.set_remaining(5)
        assert 4 < budget(None, LIMITS) <= 5
        assert 4 < budget(60, LIMITS) <= 5
        assert budget(3, LIMITS) == 3

    copy_context().run(call)
