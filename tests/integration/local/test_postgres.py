"""The embedded server: its life, its deaths, and folders it must refuse."""

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import asyncpg
import psutil
import pytest

from libs.local import cluster as cluster_module
from libs.local.cluster import environment, launcher, program
from libs.local.postgres import FORGETFUL, EmbeddedPostgres, PostgresError
from libs.local.processes import lives


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A data folder made once; each test has a copy, for initdb takes a second."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("template"), settings=FORGETFUL)
    server.prepare()
    server.stop()
    return server.cluster.folder


@pytest.fixture
def folder(template, tmp_path):
    subprocess.run(["cp", "-a", template, tmp_path / "postgres"], check=True)
    return tmp_path / "postgres"


@pytest.fixture
def server(folder):
    made = EmbeddedPostgres(folder, settings=FORGETFUL)
    yield made
    made.stop()


async def up(server):
    server.start()
    await server.ready()


async def fetchval(server, sql):
    connection = await asyncpg.connect(server.dsn("postgres"))
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def until(condition, seconds=20):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 # of another process
            await asyncio.sleep(0.02)


async def test_state_survives_a_stop_and_the_port_is_kept(server):
    await up(server)
    assert (await fetchval(server, "show server_version")).startswith("18.")
    await fetchval(server, "create table kept (id int)")
    port = server.port
    server.stop()
    assert server.pid is None
    await up(server)
    assert server.port == port
    assert await fetchval(server, "select to_regclass('kept')::text") == "kept"


async def test_others_on_the_machine_do_not_get_in(server):
    await up(server)
    for secret in ("password", "lock"):
        assert stat.S_IMODE((server.cluster.folder / secret).stat().st_mode) == 0o600
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(server.dsn("postgres").replace(server.cluster.password, "guess"))
    assert await fetchval(server, "show unix_socket_directories") == ""
    assert await fetchval(server, "show listen_addresses") == "127.0.0.1"


async def test_databases_are_created_once(server):
    await up(server)
    await server.create_databases(["market", "alerts"])
    await server.create_databases(["market", "alerts", "log"])
    found = await fetchval(server, "select array_agg(datname::text) from pg_database")
    assert {"alerts", "log", "market"} < set(found)


async def test_the_product_is_durable(tmp_path):
    server = EmbeddedPostgres(tmp_path / "a folder with spaces" / "postgres")
    try:
        await up(server)
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            assert await fetchval(server, f"show {setting}") == "on"
    finally:
        server.stop()


async def test_a_killed_postmaster_comes_back_although_a_backend_holds_the_folder(server):
    await up(server)
    client = await asyncpg.connect(server.dsn("postgres"))
    backend = psutil.Process(await client.fetchval("select pg_backend_pid()"))
    # It computes; one that waits (as in pg_sleep) would notice that its postmaster is gone.
    busy = asyncio.create_task(client.execute("do $$ begin loop null; end loop; end $$"))
    sql = "select count(*) from pg_stat_activity where query like 'do $$%'"
    while not await fetchval(server, sql):  # noqa: ASYNC110 # in another process
        await asyncio.sleep(0.02)
    os.kill(server.pid, signal.SIGKILL)
    await until(lambda: server.pid is None)
    # This is the trap: without help the new postmaster would refuse to start.
    assert lives(backend)
    server.spawn()
    with pytest.raises(PostgresError, match="shared memory block"):
        await server.ready()
    await up(server)
    assert await fetchval(server, "select 1") == 1
    assert not lives(backend)
    with pytest.raises((OSError, asyncpg.PostgresError)):
        await busy


async def test_a_stale_pid_file_that_names_a_stranger_is_no_obstacle(server):
    # The number in it has gone to another process of this user, as after a reboot.
    server.prepare()
    (server.cluster.data / "postmaster.pid").write_text(
        f"{os.getpid()}\n{server.cluster.data}\n1\n{server.port}\n\n127.0.0.1\n1 1\nready\n"
    )
    await up(server)
    assert await fetchval(server, "select 1") == 1


async def test_a_second_one_on_the_folder_is_refused_and_the_first_lives_on(server, folder):
    await up(server)
    second = EmbeddedPostgres(folder)
    with pytest.raises(PostgresError, match=f"in use by process {os.getpid()}$"):
        second.start()
    second.stop()
    assert await fetchval(server, "select 1") == 1


async def test_a_taken_port_is_given_up_for_a_free_one(server):
    listener = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    async with listener:
        server.port = taken = listener.sockets[0].getsockname()[1]
        await up(server)
        assert server.port != taken
        assert await fetchval(server, "select 1") == 1


def test_no_stranger_is_ended(server):
    server.prepare()
    elsewhere = subprocess.Popen(["sleep", "600"], cwd=server.cluster.data)
    try:
        server.clear_orphans()
        assert elsewhere.poll() is None
    finally:
        elsewhere.kill()
        elsewhere.wait()


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (lambda f: (f / "data/PG_VERSION").write_text("16\n"), "is of PostgreSQL 16; this is 18"),
        (lambda f: (f / "password").unlink(), "password is missing"),
        (lambda f: (f / "data/PG_VERSION").unlink(), "no PostgreSQL data folder, and is not empty"),
        (lambda f: (f / "password").write_text("other"), "password is not the server's"),
        (lambda f: (f / "data/global/pg_control").unlink(), "could not open file"),
        (lambda f: (f / "data/global/pg_control").write_bytes(b"x" * 8192), "incompatible"),
        (lambda f: (f / "data/pg_hba.conf").write_text("nonsense"), "could not load"),
    ],
)
async def test_a_broken_folder_is_told_in_one_line(server, folder, broken, told):
    broken(folder)
    with pytest.raises(PostgresError, match=told) as caught:
        await up(server)
    assert "\n" not in str(caught.value)


async def test_the_reason_told_is_of_this_start(server, folder):
    server.log.write_text("1999 FATAL:  an old story\n")
    (folder / "data/global/pg_control").unlink()
    with pytest.raises(PostgresError) as caught:
        await up(server)
    assert "old story" not in str(caught.value)


async def test_a_half_made_folder_is_made_anew(tmp_path):
    (tmp_path / "postgres/data.new").mkdir(parents=True)
    (tmp_path / "postgres/data.new/PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(tmp_path / "postgres", settings=FORGETFUL)
    try:
        await up(server)
        assert await fetchval(server, "select 1") == 1
    finally:
        server.stop()


def test_it_does_not_outlive_its_parent(folder):
    code = (
        "import asyncio, sys; from pathlib import Path\n"
        "from libs.local.postgres import EmbeddedPostgres, FORGETFUL\n"
        "server = EmbeddedPostgres(Path(sys.argv[1]), settings=FORGETFUL)\n"
        "server.start(); asyncio.run(server.ready()); print(server.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    postmaster = psutil.Process(int(parent.stdout.readline()))
    family = [postmaster, *postmaster.children()]
    parent.kill()
    parent.communicate()
    ends = time.monotonic() + 20
    while any(map(lives, family)):
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_where_user_namespaces_are_refused_root_becomes_nobody(monkeypatch):
    monkeypatch.setattr(cluster_module, "identity", lambda: "nobody")
    monkeypatch.setattr("libs.local.postgres.identity", lambda: "nobody")
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        # The environment may lie where root alone may go, as any folder of mktemp's.
        installed = Path(program("initdb")).parents[2]
        for wheel in (installed, installed.with_suffix(".libs")):
            shutil.copytree(wheel, Path(place) / wheel.name)
        monkeypatch.syspath_prepend(place)
        home = Path(place) / "home"
        home.mkdir(mode=0o700)
        server = EmbeddedPostgres(home / "postgres", settings=FORGETFUL)
        try:
            await up(server)
            assert psutil.Process(server.pid).username() == "nobody"
        finally:
            server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_where_neither_works_it_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(cluster_module, "identity", lambda: "nobody")
    (tmp_path / "closed" / "home").mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    server = EmbeddedPostgres(tmp_path / "closed" / "home" / "postgres")
    with pytest.raises(PostgresError, match="run as an ordinary user instead"):
        server.prepare()
    server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone is refused")
def test_root_runs_it_in_a_namespace_of_its_own():
    said = subprocess.run(
        [*launcher("namespace"), sys.executable, "-c", "import os; print(os.geteuid())"],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    assert said.stdout == "1000\n"
    refused = subprocess.run(
        [*launcher("same"), program("postgres"), "--single"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "root" in refused.stderr
