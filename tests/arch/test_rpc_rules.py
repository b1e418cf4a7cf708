"""Every RPC says who may call it, and those that REST offers say where."""

import importlib
from pathlib import Path

import pytest
from google.api import annotations_pb2

import pq
from libs.auth.rules import rule_of

# REST has no shape for these: gRPC alone serves them.
GRPC_ONLY_SERVICES = {"pq.ops.v1.OpsService"}


def rpcs():
    # The generated package has no __init__ files, so pkgutil does not walk into it.
    for folder in pq.__path__:
        for path in sorted(Path(folder).rglob("*_pb2.py")):
            inner = path.relative_to(folder).with_suffix("").parts
            module = importlib.import_module(".".join(("pq", *inner)))
            for service in module.DESCRIPTOR.services_by_name.values():
                yield from service.methods


READ_OTHERWISE = {
    # A token that only reads must not read what would let its holder sign.
    "pq.delivery.v1.EndpointService.GetEndpointSecret",
    # Answers with a token that may do what the caller's may, and stores nothing.
    "pq.accounts.v1.TokenService.ExchangeToken",
    # Many reads in one.
    "pq.accounts.v1.AccountService.ExportAccount",
    # A question of two hundred cards is too long for a URL.
    "pq.market.v1.RiskService.ComputeBasketRisk",
}

RPCS = {method.full_name: method for method in rpcs()}
each = pytest.mark.parametrize("name", sorted(RPCS))


def test_there_are_rpcs():
    assert len(RPCS) >= 25


@each
def test_somebody_may_call_it(name):
    assert rule_of(RPCS[name]) is not None, "no pq.auth.v1.rule that lets anybody in"


@each
def test_whoever_reads_only_changes_nothing_and_sees_no_secret(name):
    reads = RPCS[name].name.startswith(("Get", "List", "Search", "Watch"))
    if name not in READ_OTHERWISE:
        assert rule_of(RPCS[name]).read_only is reads


@each
def test_rest_offers_it_unless_it_streams_requests_or_is_for_operators_tools(name):
    method = RPCS[name]
    on_rest = method.GetOptions().HasExtension(annotations_pb2.http)
    grpc_only = method.client_streaming or method.containing_service.full_name in GRPC_ONLY_SERVICES
    assert on_rest is not grpc_only


@each
def test_the_verb_fits_what_it_does(name):
    method = RPCS[name]
    http = method.GetOptions().Extensions[annotations_pb2.http]
    verb = http.WhichOneof("pattern")
    if verb is not None and name not in READ_OTHERWISE:
        assert rule_of(method).read_only is (verb == "get")


@each
def test_a_mutation_can_be_repeated_safely(name):
    method = RPCS[name]
    if method.name.startswith(("Create", "Update", "Delete", "Rotate", "Revoke")):
        assert "request_id" in method.input_type.fields_by_name
