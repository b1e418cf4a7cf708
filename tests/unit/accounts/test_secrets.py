import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounts import secrets


def test_a_secret_has_prefix_and_checksum():
    secret = secrets.mint(secrets.ACCOUNT)
    assert secret.startswith("pq_acc_")
    assert secrets.is_wellformed(secret)
    assert secrets.is_wellformed(secrets.mint(secrets.OPERATOR))


@given(st.integers(0, 45), st.sampled_from("0123456789abcdefghjkmnpqrstvwxyz_"))
def test_any_one_wrong_letter_is_noticed_without_a_database(at, letter):
    secret = secrets.mint(secrets.ACCOUNT, lambda count: bytes(range(count)))
    mistyped = secret[:at] + letter + secret[at + 1 :]
    assert secrets.is_wellformed(mistyped) is (mistyped == secret)


@pytest.mark.parametrize("text", ["", "pq_", "pq_acc_", "x" * 46, "pq_adm_" + "0" * 39])
def test_what_is_no_secret(text):
    assert not secrets.is_wellformed(text)


def test_the_hint_gives_little_away():
    secret = secrets.mint(secrets.ACCOUNT)
    assert len(secret) - len(secrets.hint(secret)) >= 27
