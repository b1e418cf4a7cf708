"""The set-up script: what it takes from pip, the lock, and an environment that is there."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
# As `pip config list` prints it.
LISTING = r"""
:env:.index-url='https://env.example/simple'
global.cert='/etc/cert.pem'
global.find-links='\n/one\n/two'
global.index-url='https://global.example/simple'
global.timeout='60'
install.extra-index-url='https://a.example https://b.example'
install.proxy=''
"""


@pytest.fixture
def bootstrap(tmp_path, monkeypatch):
    """The script, as if it stood in a folder of its own."""
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "bootstrap.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("bootstrap.py", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "STAMP", tmp_path / ".venv" / ".pq-stamp")
    for name in module.UV_NAMES.values():
        monkeypatch.delenv(name, raising=False)
    return module


def test_uv_looks_where_pip_looks(bootstrap, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/mine.pem")
    assert bootstrap.sources(LISTING) == {
        "UV_DEFAULT_INDEX": "https://env.example/simple",
        "UV_FIND_LINKS": "/one,/two",
        "UV_INDEX": "https://a.example https://b.example",
    }


def test_uv_itself_comes_by_the_locks_hashes(bootstrap):
    lines = bootstrap.locked("uv").splitlines()
    assert lines[0].startswith("uv==")
    assert len(lines) > 2
    assert all("--hash=sha256:" in line for line in lines[1:-1])
    with pytest.raises(SystemExit, match="nosuch is not in"):
        bootstrap.locked("nosuch")


def test_an_environment_for_development_serves_to_run_and_any_change_is_noticed(bootstrap):
    bootstrap.VENV.mkdir()
    assert not bootstrap.is_current(False)
    bootstrap.STAMP.write_text(bootstrap.stamp(False))
    assert (bootstrap.is_current(False), bootstrap.is_current(True)) == (True, False)
    bootstrap.STAMP.write_text(bootstrap.stamp(True))
    assert (bootstrap.is_current(False), bootstrap.is_current(True)) == (True, True)
    (bootstrap.ROOT / "requirements.lock").write_text("other")
    assert not bootstrap.is_current(False)


def test_an_environment_that_was_moved_or_is_broken_is_not_used(bootstrap):
    assert not bootstrap.is_usable()
    (bootstrap.VENV / "bin").mkdir(parents=True)
    config = bootstrap.VENV / "pyvenv.cfg"
    config.write_text(f"command = python3 -m venv {bootstrap.VENV}\n")
    (bootstrap.VENV / "bin" / "python").write_text("#!/bin/sh\nexit 0\n")
    (bootstrap.VENV / "bin" / "python").chmod(0o755)
    assert bootstrap.is_usable()
    config.write_text("command = python3 -m venv /elsewhere/.venv\n")
    assert not bootstrap.is_usable()
    config.write_text(f"command = python3 -m venv {bootstrap.VENV}\n")
    (bootstrap.VENV / "bin" / "python").unlink()
    assert not bootstrap.is_usable()


def test_without_a_python_we_run_on_it_says_which_are_wanted(bootstrap, monkeypatch, tmp_path):
    monkeypatch.setattr(bootstrap, "VERSIONS", ((2, 0),))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match=r"Python 3\.11, 3\.12 or 3\.13 is needed, and none is"):
        bootstrap.find_python()


def test_no_registry_is_named():
    for name in ("bootstrap.py", "requirements.lock", "requirements-dev.lock", "Makefile"):
        assert "://" not in (ROOT / name).read_text(), name
