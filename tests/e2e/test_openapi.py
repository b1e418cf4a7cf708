"""The OpenAPI document against the running product, by somebody who believes every word of it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.e2e.product import Product, running, sign_up

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


async def believe(product: Product, token: str, folder: Path) -> tuple[int, str]:
    """Runs schemathesis with a token: its exit code and what it says."""
    process = await asyncio.create_subprocess_exec(
        *(str(SCHEMATHESIS), "run", f"{product.url}/openapi.json", "--no-color"),
        *("-H", f"Authorization: Bearer {token}", "--checks", ",".join(CHECKS)),
        *("--phases", "coverage,fuzzing", "--max-examples", "8", "--seed", "20250601"),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "NO_PROXY": "*"},
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


@pytest.mark.parametrize("who", ["account", "admin"])
async def test_no_server_error_and_no_undocumented_answer(tmp_path: Path, who: str) -> None:
    limits = {f"PQ_GATEWAY_LIMIT_{name}": "1000000/60" for name in ("ANONYMOUS_READS", "OPERATORS")}
    async with running(tmp_path / "home", **limits) as product:
        person = await sign_up(product, "believer")
        token = person.token if who == "account" else product.admin_token
        code, said = await believe(product, token, tmp_path)
        assert code == 0, said[-6000:]
        assert "generated" in said
