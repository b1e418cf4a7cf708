"""`pq up`: the whole product on this machine, with a demo market in it."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli.exits import CliError, Exit
from gateway.cli.output import Output, Quiet
from gateway.cli.product import Product, find, find_home
from libs.clock import SystemClock

if TYPE_CHECKING:
    from libs.local.layout import Wiring

# The generator is the market's; it runs as a program of its own, for services are not imported.
GENERATOR = "services.market.demo"
SOURCE = "demo"
# Stands while the demo market is being loaded, so that an interrupted load is taken up again.
LOADING = Path("run/demo-market-loading")


def up(output: Output, *, home: Path, listen: str, event_log: str, demo_market: bool) -> Exit:
    """Runs until Ctrl-C or SIGTERM. Prints the addresses once all is ready."""
    from gateway.accounts import secrets
    from libs.local.up import Options
    from libs.local.up import up as run

    began = time.monotonic()

    async def ready(wiring: Wiring) -> None:
        product = find(home=home, gateway=wiring.gateway_url)
        if demo_market:
            await _load_when_empty(output, product)
        _greet(output, wiring, time.monotonic() - began)

    options = Options(home, listen, event_log, lambda: secrets.mint(secrets.OPERATOR), ready)
    return Exit(run(options))


def _greet(output: Output, wiring: Wiring, seconds: float) -> None:
    output.line({"ready": True, "seconds": round(seconds, 2), **_addresses(wiring)})
    url, pq = wiring.gateway_url, _command(wiring.home.path)
    lines = [
        f"\npq is up after {seconds:.1f} s",
        f"  REST      {url}/v1/cards",
        f"  API page  {url}/docs",
        f"  home      {wiring.home.path} (data, keys, logs)",
        "\ntry next, in a second terminal",
        f"  {pq} demo     one price becomes a signed webhook, hop by hop",
        f"  {pq} doctor   what is up, and how far behind each consumer is",
        f"  curl '{url}/v1/cards?pageSize=3&orderBy=market%20desc'",
        "\nCtrl-C stops it; starting it again continues where it was",
    ]
    for line in lines:
        output.say(line)


def _addresses(wiring: Wiring) -> dict[str, str]:
    return {"gateway": wiring.gateway_url, "home": str(wiring.home.path)}


def _command(home: Path) -> str:
    """How a person in this folder calls this command for this home."""
    here, path = Path.cwd(), Path(sys.argv[0]).absolute()
    if shutil.which(path.name) == str(path):
        command = path.name
    else:
        command = str(path.relative_to(here) if path.is_relative_to(here) else path)
    return command if find_home(None) == home else f"PQ_HOME={home} {command}"


async def _load_when_empty(output: Output, product: Product) -> None:
    """Loads the demo market. What goes wrong is told; the product runs all the same."""
    try:
        await _load(output, product)
    except CliError as error:
        output.error(error)
        output.note("the demo market is not loaded; all else runs")


async def _load(output: Output, product: Product) -> None:
    from gateway.cli.client import Rest

    loading = product.home / LOADING
    if not loading.exists():
        async with Rest(product.gateway, product.token()) as rest:
            if (await rest.get("/v1/snapshots", {"pageSize": "1"}))["snapshots"]:
                return
        loading.touch()
    with tempfile.TemporaryDirectory(prefix="pq-demo-market-") as folder:
        await _generate(folder)
        await _send(output, product, Path(folder))
    loading.unlink()


async def _generate(folder: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", GENERATOR, folder, SystemClock().now().date().isoformat()),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        last = (said.decode(errors="replace").strip().splitlines() or ["it did not say why"])[-1]
        raise CliError(Exit.FAILED, "demo_market_failed", f"the demo market was not made: {last}")


async def _send(output: Output, product: Product, folder: Path) -> None:
    from gateway.cli.ingest.command import ingest
    from gateway.cli.ingest.files import collect
    from gateway.cli.ingest.upload import Terms

    output.note("the market is empty: loading the demo market")
    files = collect([folder])
    # Its days are history: whoever has an alert already is not woken by them.
    terms = Terms(SOURCE, backfill=True)
    code = await ingest(Quiet(), product, files, terms)
    if code is not Exit.OK:
        raise CliError(Exit.FAILED, "demo_market_refused", "the market refused its demo files")
