"""How long to wait, and what a person is told."""

import orjson
import pytest

from libs.local.child import FIRST_PAUSE, LONGEST_PAUSE, STEADY, Backoff, ending
from libs.local.echo import Echo, readable


def test_pauses_double_up_to_a_limit_and_begin_anew_after_a_steady_life():
    backoff = Backoff()
    pauses = [backoff.after(0) for _ in range(10)]
    assert pauses[:4] == [FIRST_PAUSE, FIRST_PAUSE * 2, FIRST_PAUSE * 4, FIRST_PAUSE * 8]
    assert pauses[-1] == LONGEST_PAUSE
    assert backoff.after(STEADY - 0.1) == LONGEST_PAUSE
    assert backoff.after(STEADY) == FIRST_PAUSE
    assert backoff.after(0) == FIRST_PAUSE * 2


@pytest.mark.parametrize(
    ("status", "words"),
    [(0, "ended with status 0"), (3, "ended with status 3"), (-9, "was ended by SIGKILL")],
)
def test_an_end_in_words(status, words):
    assert ending(status) == words


def entry(number, text, body, **attributes):
    return orjson.dumps(
        {"SeverityNumber": number, "SeverityText": text, "Body": body, "Attributes": attributes}
    )


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (entry(9, "INFO", "ready"), ""),
        (entry(13, "WARN", "late"), "WARN late"),
        (entry(17, "ERROR", "broke", error="disk full"), "ERROR broke (disk full)"),
        (b"Traceback (most recent call last):", ""),
        (b'  File "x.py", line 1', ""),
        (b"ImportError: no module", "ImportError: no module"),
        (b"[1, 2]", "[1, 2]"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", ""),
    ],
)
def test_what_is_repeated(line, told):
    assert readable(line) == told


class Listening:
    def __init__(self, log, **options):
        self.told = []
        self.log = log
        self.echo = Echo("market", log, self.told.append, **options)

    def write(self, *lines):
        with self.log.open("ab") as file:
            file.writelines(lines)

    def look(self):
        self.told.clear()
        self.echo.look()
        return list(self.told)


def test_what_was_there_before_is_not_repeated_and_half_a_line_waits(tmp_path):
    (tmp_path / "m.jsonl").write_bytes(b"old\n")
    on = Listening(tmp_path / "m.jsonl")
    assert on.look() == []
    on.write(b"one\ntw")
    assert on.look() == ["market: one"]
    assert on.look() == []
    on.write(b"o\n")
    assert on.look() == ["market: two"]


def test_a_log_that_is_not_there_yet(tmp_path):
    on = Listening(tmp_path / "m.jsonl")
    assert on.look() == []
    on.write(b"one\n")
    assert on.look() == ["market: one"]


def test_a_flood_is_summed_up(tmp_path):
    on = Listening(tmp_path / "m.jsonl")
    on.write(*[b"no\n"] * 1000)
    told = on.look()
    assert (len(told), told[-1].split(",")[0]) == (11, "market: and 990 lines more")


def test_a_long_log_is_set_aside_while_its_writer_goes_on(tmp_path):
    log = tmp_path / "m.jsonl"
    on = Listening(log, limit=1000)
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 2000 + b"\n")
        on.look()
        assert (tmp_path / "m.1.jsonl").stat().st_size == 2001
        writer.write(b"after\n")
    assert log.read_bytes() == b"after\n"
    assert on.look() == ["market: after"]
