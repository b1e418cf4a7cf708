"""Scripts rely on the numbers."""

from gateway.cli.exits import MEANINGS, CliError, Exit, summary, table


def test_the_numbers_never_change():
    assert {code.name: int(code) for code in Exit} == {
        "OK": 0,
        "FAILED": 1,
        "USAGE": 2,
        "UNREACHABLE": 3,
        "REFUSED": 4,
        "REJECTED": 5,
        "DEGRADED": 6,
        "INTERRUPTED": 130,
    }


def test_every_code_is_documented():
    assert set(MEANINGS) == set(Exit)
    assert all(f"| {int(code)} | {MEANINGS[code]} |" in table() for code in Exit)
    assert "3 nothing answers ·" in summary()


def test_an_error_as_json_says_what_to_do():
    error = CliError(Exit.REFUSED, "no_token", "no token", "give one")
    assert error.document() == {
        "error": {"exit": 4, "reason": "no_token", "message": "no token", "hint": "give one"}
    }
