import base64
from datetime import timedelta

import pytest

from libs.api.paging import LIFETIME, PageTokens
from libs.errors import AppError

KEY = b"k" * 32


@pytest.fixture
def tokens(clock):
    return PageTokens(KEY, clock)


def ask(tokens, token="", **changes):
    question = {"method": "ListCards", "page_size": 0, "default": 50, "question": ("f", "o")}
    return tokens.page(page_token=token, **{**question, **changes})


def test_a_token_continues_its_own_question(tokens):
    token = tokens.next(ask(tokens), ["pokemon-1-normal", 7, None])
    assert ask(tokens, token).cursor == ["pokemon-1-normal", 7, None]


def test_the_last_page_has_no_token(tokens):
    assert tokens.next(ask(tokens), None) == ""


@pytest.mark.parametrize(
    "change", [{"question": ("g", "o")}, {"question": ("fo", "")}, {"method": "ListAlerts"}]
)
def test_another_question_refuses_the_token(tokens, change):
    token = tokens.next(ask(tokens), ["a"])
    with pytest.raises(AppError) as caught:
        ask(tokens, token, **change)
    assert caught.value.reason == "page_token_invalid"
    assert caught.value.violations[0].field == "page_token"


def test_every_changed_byte_is_noticed(tokens):
    token = tokens.next(ask(tokens), ["a", 1])
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    for at in range(len(raw)):
        raw[at] ^= 1
        with pytest.raises(AppError, match="not one of ours"):
            ask(tokens, base64.urlsafe_b64encode(raw).rstrip(b"=").decode())
        raw[at] ^= 1


@pytest.mark.parametrize("token", ["x", "é", "====", "A" * 5000, "\x00"])
def test_rubbish_is_refused(tokens, token):
    with pytest.raises(AppError):
        ask(tokens, token)


def test_a_token_expires(tokens, clock):
    token = tokens.next(ask(tokens), ["a"])
    clock.advance((LIFETIME + timedelta(seconds=1)).total_seconds())
    with pytest.raises(AppError) as caught:
        ask(tokens, token)
    assert caught.value.reason == "page_token_expired"


def test_another_key_refuses_the_token(tokens, clock):
    with pytest.raises(AppError):
        ask(PageTokens(b"z" * 32, clock), tokens.next(ask(tokens), ["a"]))


@pytest.mark.parametrize("size", [-1, 1001])
def test_a_page_size_out_of_range_is_named(tokens, size):
    with pytest.raises(AppError) as caught:
        ask(tokens, page_size=size)
    assert caught.value.violations[0].field == "page_size"


def test_no_page_size_means_the_default(tokens):
    assert ask(tokens).size == 50
    assert ask(tokens, page_size=7).size == 7
