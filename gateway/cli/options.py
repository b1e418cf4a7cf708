"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[
    bool,
    typer.Option("--json", help="Print JSON: one document, or one a line where results stream."),
]
Home = Annotated[
    Path | None,
    typer.Option(
        envvar="PQ_HOME",
        metavar="FOLDER",
        help="The product's data folder. [default: .pq here, else the project's]",
        show_default=False,
    ),
]
Gateway = Annotated[
    str | None,
    typer.Option(
        envvar="PQ_GATEWAY",
        metavar="URL",
        help="The gateway. [default: the one running in the home]",
        show_default=False,
    ),
]
Market = Annotated[
    str | None,
    typer.Option(
        envvar="PQ_MARKET_TARGET",
        metavar="TARGET",
        help="The market service's gRPC target, such as dns:///host:port.",
        show_default=False,
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        envvar="PQ_TOKEN",
        metavar="TOKEN",
        help="The token to speak with. [default: the home's admin token]",
        show_default=False,
    ),
]
