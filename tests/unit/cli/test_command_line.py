"""The command line as a person meets it."""

import subprocess
import sys

import pytest

HEAVY = "grpc rich asyncio pyreqwest orjson google asyncpg uvloop numpy pq services"


def pq(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", "from gateway.cli.main import main; main()", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **environment},
    )


def test_help_loads_nothing_heavy():
    code = (
        "import sys\n"
        "from gateway.cli.main import build\n"
        "try:\n    build()(['--help'], prog_name='pq')\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        f"print([name for name in {HEAVY.split()} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    for command in (
        "up",
        "serve",
        "migrate",
        "ingest",
        "listen",
        "demo",
        "doctor",
        "tail",
        "token",
        "domains",
        "ops",
    ):
        assert f"\n  {command} " in done.stdout
    assert "130 interrupted" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["lisen"], 2, "Did you mean 'listen'"),
        (["serve", "nothing"], 2, "'nothing' is none of pq's"),
        (["ingest"], 2, "name a file or a folder"),
        (["ingest", "missing.csv"], 2, "missing.csv: No such file"),
        (["listen", "--gone", "--drop"], 2, "--gone and --drop contradict each other"),
        (["listen", "--secret", "whsec_!"], 2, "a secret looks like whsec_"),
        (["ops", "redrive", "--token", "x"], 2, "name letters, or a consumer"),
        (["ops", "lag", "--token", "x"], 3, "is not known: nothing runs in"),
        (["tail"], 3, "where the event log is, is not known"),
        (["migrate"], 3, "where the databases are is not known"),
        (["token", "list"], 4, "no token: none was given"),
        (["token", "list", "--token", "x", "--gateway", "127.0.0.1:1"], 3, "nothing answers"),
        (["domains", "add", "a.test", "--key", "=x", "--token", "x"], 2, "expected selector"),
        (["domains", "check", "a/b", "--token", "x"], 2, "is not a domain"),
        (["doctor", "--gateway", "127.0.0.1:1"], 3, "nothing answers"),
    ],
)
def test_failures_are_a_line_and_a_code(tmp_path, arguments, code, said):
    done = pq(*arguments, PQ_HOME=str(tmp_path))
    assert done.returncode == code, done.stderr
    assert said in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_with_json_an_error_is_json_on_stderr_and_stdout_is_empty(tmp_path):
    import json

    done = pq("tail", "--json", PQ_HOME=str(tmp_path))
    assert done.stdout == ""
    assert json.loads(done.stderr)["error"]["reason"] == "not_running"


@pytest.mark.parametrize("options", ["", "--json"])
def test_a_reader_that_has_seen_enough_is_no_failure(options):
    code = (
        "import sys, typer\n"
        "from gateway.cli.run import run_plain\n"
        "def chatty(output):\n"
        "    for number in range(100_000):\n"
        "        output.line({'n': number})\n"
        "        output.say('n', str(number))\n"
        f"try:\n    run_plain(chatty, json={bool(options)})\n"
        "except typer.Exit as end:\n    sys.exit(end.exit_code)\n"
    )
    script = f'{sys.executable} -c "$CODE" | head -1; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "CODE": code},
    )
    assert (done.returncode, done.stderr) == (0, "")
