"""Exit codes, in one place, and the error that carries one."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """How a command ended. Scripts rely on these numbers: they never change."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    REJECTED = 5
    DEGRADED = 6
    INTERRUPTED = 130


MEANINGS = {
    Exit.OK: "done",
    Exit.FAILED: "failed: the line on stderr says why",
    Exit.USAGE: "wrong usage: an option or argument cannot be",
    Exit.UNREACHABLE: "nothing answers: pq does not run there, or the address is wrong",
    Exit.REFUSED: "not allowed: the token is missing, wrong, expired or not enough",
    Exit.REJECTED: "input refused: in whole, or with --strict in part",
    Exit.DEGRADED: "not well: it answers, but is not ready, or something in it is broken",
    Exit.INTERRUPTED: "interrupted: by Ctrl-C or SIGTERM",
}


class CliError(Exception):
    """What a command ends with: a line that says what went wrong, and a hint of what to do next.

    `reason` is a stable word in lower snake case, for --json.
    """

    def __init__(self, exit: Exit, reason: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.exit = exit
        self.reason = reason
        self.message = message
        self.hint = hint

    def document(self) -> dict[str, object]:
        """The error as --json tells it."""
        error: dict[str, object] = {
            "exit": int(self.exit),
            "reason": self.reason,
            "message": self.message,
        }
        if self.hint:
            error["hint"] = self.hint
        return {"error": error}


def table() -> str:
    """The codes as Markdown, for the documents."""
    rows = ["| exit code | meaning |", "|---|---|"]
    return "\n".join([*rows, *(f"| {int(code)} | {MEANINGS[code]} |" for code in Exit)]) + "\n"


def summary() -> str:
    """The codes on one line, for --help: what stands before the colon of each meaning."""
    short = (f"{int(code)} {MEANINGS[code].partition(':')[0]}" for code in Exit)
    return "Exit codes: " + " · ".join(short)
