"""How a receiver misbehaves."""

import pytest

from gateway.cli.webhooks.behaviour import DROP, Behaviour, behaviour, read_share

NOTHING = {
    "fail": None,
    "status": None,
    "slow": 0.0,
    "retry_after": None,
    "gone": False,
    "drop": False,
}


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        ({}, Behaviour(0.0, 500)),
        ({"fail": "20%"}, Behaviour(0.2, 500)),
        ({"status": 503}, Behaviour(1.0, 503)),
        ({"status": 503, "fail": "12.5"}, Behaviour(0.125, 503)),
        ({"gone": True}, Behaviour(1.0, 410)),
        ({"drop": True, "fail": "50%"}, Behaviour(0.5, DROP)),
        ({"retry_after": 7}, Behaviour(1.0, 429, retry_after=7)),
        ({"retry_after": 7, "status": 503}, Behaviour(1.0, 503, retry_after=7)),
        ({"slow": 2.5}, Behaviour(0.0, 500, slow=2.5)),
    ],
)
def test_options_make_a_behaviour(asked, made):
    assert behaviour(**NOTHING | asked) == made


@pytest.mark.parametrize(
    "asked",
    [{"gone": True, "status": 500}, {"drop": True, "retry_after": 1}, {"fail": "101%"}],
)
def test_contradictions_are_refused(asked):
    with pytest.raises(ValueError, match=r"contradict|nowhere|percentage"):
        behaviour(**NOTHING | asked)


def test_the_share_decides():
    some = Behaviour(0.2, 503, slow=1.0, retry_after=9)
    assert some.answer(lambda: 0.19).status == 503
    assert some.answer(lambda: 0.19).headers == (("retry-after", "9"),)
    assert some.answer(lambda: 0.2).status == 204
    assert some.answer(lambda: 0.2).headers == ()
    assert Behaviour(1.0).answer(lambda: 0.999999).status == 500
    assert Behaviour(0.0).answer(lambda: 0.0).status == 204


def test_it_says_what_it_does():
    assert str(Behaviour()) == "answers 204"
    assert str(Behaviour(0.25, DROP, slow=2)) == (
        "cuts the connection for 0.25 of all, else 204, after 2 s"
    )


@pytest.mark.parametrize(("text", "share"), [("0", 0), ("100%", 1), ("12.5 %", 0.125)])
def test_shares(text, share):
    assert read_share(text) == share
