"""`pq serve`, `pq migrate`, `pq market unpack`: single parts of the product on this machine."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from gateway.cli.exits import CliError, Exit
from gateway.cli.output import Output
from gateway.cli.product import Product

SERVICES = ("market", "alerts", "delivery", "gateway")
LOG = "log"


def serve(service: str) -> None:
    """Becomes the service: the same process, so that signals and exit status are the service's."""
    if service not in SERVICES:
        raise _no_such_service(service)
    module = service if service == "gateway" else f"services.{service}"
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", module])  # noqa: S606 # no shell is wanted


def unpack(product: Product, month: str, *, source: str, table: str) -> None:
    """Becomes the market's command that shows a month."""
    url = databases(product, [], os.environ).get("market")
    if url is None:
        raise _no_databases(product)
    wanted = [month]
    wanted += ["--source", source] if source else []
    wanted += ["--table", table] if table else []
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(  # noqa: S606 # no shell is wanted
        sys.executable,
        [sys.executable, "-P", "-m", "services.market.unpack", *wanted],
        {**os.environ, "PQ_DATABASE_URL": url},
    )


async def migrate(
    output: Output,
    product: Product,
    names: Sequence[str],
    environ: Mapping[str, str] = os.environ,
) -> Exit:
    """Brings databases up to date, one after the other: all that are known, or the ones named."""
    known = databases(product, names, environ)
    wanted = list(names) or sorted(known)
    if not wanted:
        raise _no_databases(product)
    for name in wanted:
        if name not in (*SERVICES, LOG):
            raise _no_such_service(name)
        if name not in known:
            raise CliError(
                Exit.UNREACHABLE,
                "no_database",
                f"where the database of {name} is, is not known",
                f"set PQ_{name.upper()}_DATABASE_URL",
            )
        applied = await _migrate(name, known[name])
        output.line({"database": name, "applied": applied})
        output.say(f"{name}: {', '.join(applied) if applied else 'up to date'}")
    return Exit.OK


def databases(product: Product, names: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Where each database is: PQ_<NAME>_DATABASE_URL, else the home's; PQ_DATABASE_URL for one."""
    found = dict(product.databases)
    if urlsplit(product.event_log).scheme in ("postgres", "postgresql"):
        found[LOG] = product.event_log
    for name in SERVICES:
        named = environ.get(f"PQ_{name.upper()}_DATABASE_URL")
        if named:
            found[name] = named
    alone = environ.get("PQ_DATABASE_URL")
    if alone and len(names) == 1:
        found[names[0]] = alone
    return found


def folders(name: str) -> list[tuple[str, Path]]:
    """The migrations of one database, (namespace, folder) in order."""
    libs = _package("libs")
    if name == LOG:
        return [("log", libs / "events" / "postgres_migrations")]
    own = (
        ("accounts", _package("gateway") / "accounts" / "migrations")
        if name == "gateway"
        else (name, _package("services") / name / "migrations")
    )
    shared = [("events", libs / "events" / "migrations"), ("api", libs / "api" / "migrations")]
    return [*shared, own]


def _no_databases(product: Product) -> CliError:
    return CliError(
        Exit.UNREACHABLE,
        "no_databases",
        f"where the databases are is not known: nothing was ever started in {product.home}",
        "set PQ_MARKET_DATABASE_URL and the like, or start the product with `pq up`",
    )


async def _migrate(name: str, url: str) -> list[str]:
    import asyncpg

    from libs.db import MigrationError
    from libs.db import migrate as apply

    try:
        return await apply(url, folders(name))
    except MigrationError as error:
        raise CliError(Exit.FAILED, "migrations_differ", f"{name}: {error}") from None
    except (OSError, TimeoutError) as error:
        why = str(error) or "no answer"
        hint = "is PostgreSQL up? `pq doctor` says"
        raise CliError(Exit.UNREACHABLE, "database_unreachable", f"{name}: {why}", hint) from None
    except asyncpg.LockNotAvailableError:
        raise CliError(
            Exit.FAILED,
            "lock_timeout",
            f"{name}: something holds a table that a migration needs",
            "what was applied stays; run the same command again",
        ) from None
    except asyncpg.PostgresError as error:
        raise CliError(Exit.FAILED, "migration_failed", f"{name}: {error}") from None


def _package(name: str) -> Path:
    # Found and not imported: the services are no part of this command.
    spec = importlib.util.find_spec(name)
    assert spec is not None  # they are installed together
    assert spec.submodule_search_locations
    return Path(next(iter(spec.submodule_search_locations)))


def _no_such_service(name: str) -> CliError:
    return CliError(Exit.USAGE, "no_such_service", f"{name!r} is none of pq's", ", ".join(SERVICES))
