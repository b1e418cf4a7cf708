"""`pq ops`: lag, letters, redrive, resume."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.exits import CliError, Exit
from gateway.cli.options import Gateway, Home, Json, Token
from gateway.cli.output import Output
from gateway.cli.product import find
from gateway.cli.run import run

app = typer.Typer(
    help="What waits for a person: consumers that stand still, dead letters.\n\n"
    "Looking takes a viewer's token, mending an operator's.",
    no_args_is_help=True,
    add_completion=False,
)

Services = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SERVICE]...", help="alerts, delivery … [default: all]", show_default=False
    ),
]


@app.command()
def lag(
    services: Services = None,
    home: Home = None,
    gateway: Gateway = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Show how far each consumer is in each partition, and why it stands still.

    Exits with 6 where one has halted.
    """

    async def work(output: Output) -> Exit:
        from gateway.cli.ops.command import lag as show

        product = find(home=home, gateway=gateway, token=token)
        return await show(output, product, services or ())

    run(work, json=json)


@app.command()
def letters(
    services: Services = None,
    consumer: Annotated[str, typer.Option(metavar="NAME", help="Of this consumer alone.")] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Those that were handled after all, too.")
    ] = False,
    home: Home = None,
    gateway: Gateway = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """List dead letters: messages that could not be handled, and why."""

    async def work(output: Output) -> Exit:
        from gateway.cli.ops.command import letters as show

        product = find(home=home, gateway=gateway, token=token)
        return await show(output, product, services or (), consumer, everything=everything)

    run(work, json=json)


@app.command()
def redrive(
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[LETTER]...", help="dlt_…, as listed.", show_default=False),
    ] = None,
    consumer: Annotated[
        str,
        typer.Option(metavar="NAME", help="Instead of letters: all that wait at this consumer."),
    ] = "",
    home: Home = None,
    gateway: Gateway = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Have dead letters handled once more, by the one consumer that gave each up.

    Exits with 5 where one still cannot be; the others are handled all the same.
    """

    async def work(output: Output) -> Exit:
        from gateway.cli.ops.command import redrive as again

        if bool(ids) is bool(consumer):
            raise CliError(
                Exit.USAGE,
                "which_letters",
                "name letters, or a consumer with --consumer",
                "`pq ops letters` lists them",
            )
        product = find(home=home, gateway=gateway, token=token)
        return await again(output, product, ids or (), consumer)

    run(work, json=json)


@app.command()
def resume(
    consumer: Annotated[
        str, typer.Argument(metavar="CONSUMER", help="Such as alerts.prices.", show_default=False)
    ],
    topic: Annotated[
        str, typer.Argument(metavar="[TOPIC]", help="[default: all]", show_default=False)
    ] = "",
    partition: Annotated[
        int | None, typer.Argument(metavar="[PARTITION]", help="[default: all]", show_default=False)
    ] = None,
    home: Home = None,
    gateway: Gateway = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Let a consumer go on in the partitions in which it has halted.

    Mend first what halted it, or it halts again. One that halted because the log no longer has
    what it was to read goes on at the log's beginning: the gap is accepted by this.
    """

    async def work(output: Output) -> Exit:
        from gateway.cli.ops.command import resume as go_on

        product = find(home=home, gateway=gateway, token=token)
        return await go_on(output, product, consumer, topic, partition)

    run(work, json=json)
