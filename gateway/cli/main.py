"""The `pq` command."""

from __future__ import annotations

import typer

from gateway.cli import exits
from gateway.cli.commands import (
    domains,
    events,
    market,
    ops,
    prices,
    product,
    report,
    tokens,
    webhooks,
)


def build() -> typer.Typer:
    """The command line, with nothing heavy imported yet."""
    app = typer.Typer(
        help="pq watches the market for collectible cards and tells people when a price moves.",
        epilog=exits.summary(),
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_top)
    app.command()(product.up)
    app.command()(product.serve)
    app.command()(product.migrate)
    app.command()(prices.ingest)
    app.command()(webhooks.listen)
    app.command()(webhooks.demo)
    app.add_typer(webhooks.app, name="webhook")
    app.add_typer(tokens.app, name="token")
    app.add_typer(domains.app, name="domains")
    app.command()(product.doctor)
    app.add_typer(ops.app, name="ops")
    app.add_typer(market.app, name="market")
    app.add_typer(report.app, name="report")
    app.command()(events.tail)
    return app


def main() -> None:
    """The entry point of the console script."""
    build()(prog_name="pq")


def _top(
    version: bool = typer.Option(False, "--version", help="Print the version."),
) -> None:
    if version:
        from importlib.metadata import version as installed

        print(f"pq {installed('pq-platform')}")
        raise typer.Exit
