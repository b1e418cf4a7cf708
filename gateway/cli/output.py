"""Where a command's words go: data to stdout, everything else to stderr."""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from gateway.cli.exits import CliError


class Output:
    """Speaks to a person, or with `json` to a machine: then stdout holds JSON and nothing else."""

    def __init__(self, *, json: bool = False) -> None:
        self.json = json
        # Set while a live display on stderr shares the terminal with stdout: words printed beside
        # it would tear it, words printed through it do not.
        self.through_stderr = False

    @cached_property
    def out(self) -> Console:
        """stdout, for what a person asked to see."""
        return _console(stderr=False)

    @cached_property
    def err(self) -> Console:
        """stderr, for progress, remarks and errors."""
        return _console(stderr=True)

    def say(self, *parts: Any) -> None:
        """Tells a person something they asked for. Silent with --json."""
        if not self.json:
            (self.err if self.through_stderr else self.out).print(*parts)

    def note(self, text: str) -> None:
        """A remark beside the result."""
        self.err.print(text, style="dim", markup=False)

    def line(self, document: object) -> None:
        """One JSON document on one line, at once. Silent without --json."""
        if self.json:
            self._write(document, pretty=False)

    def document(self, document: object) -> None:
        """The one JSON document of a command; indented where a person looks on."""
        if self.json:
            self._write(document, pretty=sys.stdout.isatty())

    def error(self, error: CliError) -> None:
        """Says on stderr how the command failed: a line and a hint, or one JSON document."""
        if self.json:
            import orjson

            print(orjson.dumps(error.document()).decode(), file=sys.stderr, flush=True)
            return
        from rich.text import Text

        self.err.print(Text.assemble(("pq: ", "bold red"), error.message))
        if error.hint:
            self.err.print(Text(f"    {error.hint}", style="dim"))

    def _write(self, document: object, *, pretty: bool) -> None:
        import orjson

        options = orjson.OPT_APPEND_NEWLINE | (orjson.OPT_INDENT_2 if pretty else 0)
        sys.stdout.write(orjson.dumps(document, option=options).decode())
        sys.stdout.flush()


class Quiet(Output):
    """Shows progress, remarks and errors, but no results."""

    def say(self, *parts: Any) -> None:
        """Silent."""


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would leave with 1; `run` knows better

    stream = sys.stderr if stderr else sys.stdout
    # A pipe has no width: lines must not be cut or folded at 80.
    width = None if stream.isatty() else 10_000
    return Plain(stderr=stderr, highlight=False, soft_wrap=not stream.isatty(), width=width)
