"""The document is true: what it says is answered, and nothing else is."""

import asyncio
import os
import sys

import jsonschema
import pytest

from gateway.transcode.descriptors import load
from gateway.transcode.openapi import document
from gateway.transcode.routes import RouteTable
from tests.contract.gateway.serving import serving


@pytest.fixture(scope="module")
def spec():
    contract = load()
    return document(contract, RouteTable(contract), "1", "")


def test_every_route_is_in_the_document(spec):
    documented = [(verb, path) for path, item in spec["paths"].items() for verb in item]
    assert len(documented) == len(set(documented)) == len(RouteTable(load()).routes)


def test_references_lead_somewhere_and_schemas_are_schemas(spec):
    def walk(node):
        if isinstance(node, dict):
            if "$ref" in node:
                at = spec
                for part in node["$ref"].removeprefix("#/").split("/"):
                    at = at[part]
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(spec)
    for schema in spec["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,response_headers_conformance,unsupported_method"
)


@pytest.mark.parametrize("token", ["account", "admin"])
async def test_no_server_error_and_no_undocumented_answer(tmp_path, token):
    """schemathesis, good and bad requests, seen from an account and from an operator."""
    unlimited = {f"limit_{name}": "1000000/1" for name in ("reads", "writes", "operators")}
    async with serving(**unlimited) as gateway:
        command = [
            sys.executable, "-m", "schemathesis.cli", "run",
            f"http://127.0.0.1:{gateway.port}/openapi.json",
            "--checks", CHECKS, "--mode", "all", "--phases", "examples,coverage,fuzzing",
            "--max-examples", os.environ.get("PQ_SCHEMATHESIS_EXAMPLES", "3"),
            "--generation-deterministic", "--no-color",
            "-H", f"Authorization: Bearer {token}",
        ]  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        told, _ = await process.communicate()
        assert process.returncode == 0, told.decode()[-8_000:]
        assert gateway.canned.calls
