"""Who is let in where."""

import uuid

import pytest

from libs.auth import ANONYMOUS, Caller, Role
from libs.auth.rules import Rule, find_rule, rule_of
from libs.errors import AppError, Kind
from pq.auth.v1 import rule_pb2
from pq.market.v1 import imports_pb2  # noqa: F401 # puts its services into the pool
from pq.ops.v1 import ops_pb2  # noqa: F401

ACCOUNT = Caller.for_account(uuid.UUID(int=7))
READER = Caller.for_account(uuid.UUID(int=7), read_only=True)
SERVICE = Caller.for_service("alerts")


def operator(role):
    return Caller.for_operator("tokens/tok_x", role)


def reason(rule, caller):
    try:
        rule.check(caller)
    except AppError as error:
        return error.kind, error.reason
    return None


def test_the_roles_are_those_of_the_contract():
    assert {f"ROLE_{role.name}": role.value for role in Role if role} == {
        name: number for name, number in rule_pb2.Role.items() if number
    }


def test_each_role_reaches_what_is_below_it_and_ingest_stands_apart():
    let_in = {}
    for name, wanted in rule_pb2.Role.items():
        if wanted:
            rule = rule_of_option(rule_pb2.Rule(roles=[wanted]))
            let_in[name] = {role.name for role in Role if not reason(rule, operator(role))}
    assert let_in == {
        "ROLE_VIEWER": {"VIEWER", "OPERATOR", "ADMIN"},
        "ROLE_OPERATOR": {"OPERATOR", "ADMIN"},
        "ROLE_ADMIN": {"ADMIN"},
        "ROLE_INGEST": {"INGEST", "ADMIN"},
    }


@pytest.mark.parametrize(
    ("rule", "caller", "expected"),
    [
        (Rule("/x/Y"), ANONYMOUS, (Kind.UNAUTHENTICATED, "token_missing")),
        (Rule("/x/Y"), ACCOUNT, (Kind.FORBIDDEN, "account_not_allowed")),
        (Rule("/x/Y"), operator(Role.ADMIN), (Kind.FORBIDDEN, "role_too_low")),
        (Rule("/x/Y"), SERVICE, (Kind.FORBIDDEN, "service_not_allowed")),
        (Rule("/x/Y", account=True), ACCOUNT, None),
        (Rule("/x/Y", account=True), SERVICE, (Kind.FORBIDDEN, "service_not_allowed")),
        (Rule("/x/Y", service=True), SERVICE, None),
        (Rule("/x/Y", anonymous=True), ANONYMOUS, None),
        (Rule("/x/Y", anonymous=True), ACCOUNT, None),
        (Rule("/x/Y", account=True), READER, (Kind.FORBIDDEN, "read_only_token")),
        (Rule("/x/Y", anonymous=True), READER, (Kind.FORBIDDEN, "read_only_token")),
        (Rule("/x/Y", account=True, read_only=True), READER, None),
    ],
)
def test_doors(rule, caller, expected):
    assert reason(rule, caller) == expected


def test_a_rule_is_read_from_the_contract():
    rule = find_rule("/pq.ops.v1.OpsService/GetStatus")
    assert rule.read_only
    assert rule.service
    assert not rule.account
    assert rule.roles == {Role.VIEWER, Role.OPERATOR, Role.ADMIN}
    rule = find_rule("/pq.market.v1.ImportService/ImportFile")
    assert not rule.read_only
    assert rule.roles == {Role.INGEST, Role.ADMIN}


def test_what_is_not_there_has_no_rule():
    assert find_rule("/pq.ops.v1.OpsService/Nothing") is None
    assert find_rule("/pq.nowhere.v1.Service/Nothing") is None


@pytest.mark.parametrize("option", [None, rule_pb2.Rule(), rule_pb2.Rule(read_only=True)])
def test_a_rule_that_opens_no_door_is_none(option):
    assert rule_of_option(option) is None


def rule_of_option(option):
    from google.protobuf import descriptor_pb2

    class Service:
        full_name = "pq.test.v1.Service"

    class Method:
        name = "Do"
        containing_service = Service

        @staticmethod
        def GetOptions():  # noqa: N802 # as the descriptor has it
            options = descriptor_pb2.MethodOptions()
            if option is not None:
                options.Extensions[rule_pb2.rule].CopyFrom(option)
            return options

    return rule_of(Method)
