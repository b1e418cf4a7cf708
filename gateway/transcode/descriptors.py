"""What the gateway serves, read from the descriptor set that the build ships with the package."""

from __future__ import annotations

import importlib
import importlib.resources
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

from google.api import annotations_pb2, field_behavior_pb2, http_pb2
from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from gateway.transcode.comments import comments_of
from libs.auth.rules import Rule, rule_of

OUTPUT_ONLY = field_behavior_pb2.OUTPUT_ONLY
REQUIRED = field_behavior_pb2.REQUIRED
IMMUTABLE = field_behavior_pb2.IMMUTABLE
HTTP_BODY = "google.api.HttpBody"


class ContractError(Exception):
    """A contract that cannot be served as it is written; told at start-up, never at run time."""


@dataclass(frozen=True, slots=True)
class Binding:
    """One way to reach an RPC by HTTP: `body` is "*", a field of the request, or empty."""

    method: str
    template: str
    body: str


@dataclass(frozen=True)
class Rpc:
    """An RPC that REST may call: unary, or one that answers a document in parts (`streams`).

    What follows from it is asked with each request, and kept.
    """

    service: str
    name: str
    input: type[Message]
    output: type[Message]
    rule: Rule
    bindings: tuple[Binding, ...]
    streams: bool = False

    @cached_property
    def full_name(self) -> str:
        """Such as "pq.market.v1.MarketService.GetCard"."""
        return f"{self.service}.{self.name}"

    @cached_property
    def path(self) -> str:
        """The gRPC path."""
        return f"/{self.service}/{self.name}"

    @cached_property
    def public_read(self) -> bool:
        """True where everybody gets the same answer and nothing changes by asking."""
        rule = self.rule
        return bool(
            rule.anonymous
            and rule.read_only
            and "GET" in {b.method for b in self.bindings}
            and not self.answers_raw
        )

    @cached_property
    def answers_raw(self) -> bool:
        """True where the answer is a document of its own type, not JSON."""
        return descriptor_of(self.output).full_name == HTTP_BODY

    @cached_property
    def is_callback(self) -> bool:
        """True where a stranger's machine reports in its own form, and the service verifies it.

        What such a caller sends as Authorization is no token of ours.
        """
        rule = self.rule
        if not rule.anonymous or rule.account or rule.roles or rule.service or rule.read_only:
            return False
        kinds = (f.message_type for f in descriptor_of(self.input).fields)
        return any(kind is not None and kind.full_name == HTTP_BODY for kind in kinds)

    @cached_property
    def is_paged(self) -> bool:
        """True for a List that comes page by page (AIP-158)."""
        return "next_page_token" in descriptor_of(self.output).fields_by_name

    @cached_property
    def item_field(self) -> FieldDescriptor | None:
        """A List's repeated field of resources (AIP-132); None where this is no List."""
        descriptor = descriptor_of(self.output)
        if not (self.is_paged or self.name.startswith("List")):
            return None
        repeated = [f for f in descriptor.fields if f.is_repeated and f.message_type]
        return repeated[0] if repeated else None


@dataclass(frozen=True)
class Contract:
    """Every RPC with a `google.api.http` rule, in the order of the files, and all comments."""

    rpcs: tuple[Rpc, ...]
    comments: Mapping[str, str] = field(repr=False)

    def rpc(self, full_name: str) -> Rpc:
        """The RPC of that full name; KeyError where there is none."""
        return {rpc.full_name: rpc for rpc in self.rpcs}[full_name]

    def comment(self, full_name: str) -> str:
        """The leading comment of a message, field, enum, value, service or RPC; or ""."""
        return self.comments.get(full_name, "")


def load() -> Contract:
    """Reads the descriptor set of the package `pq` and imports its modules.

    Raises ContractError where an RPC has no authorization rule, streams what is no document, or is
    bound twice.
    """
    data = importlib.resources.files("pq").joinpath("descriptors.binpb").read_bytes()
    files = descriptor_pb2.FileDescriptorSet.FromString(data).file
    rpcs: list[Rpc] = []
    comments: dict[str, str] = {}
    for file in files:
        comments.update(comments_of(file))
        if file.package.startswith("pq."):
            rpcs.extend(_rpcs(file.name))
    return Contract(tuple(rpcs), comments)


def behaviors(descriptor: FieldDescriptor) -> frozenset[int]:
    """The `google.api.field_behavior` of a field."""
    return frozenset(descriptor.GetOptions().Extensions[field_behavior_pb2.field_behavior])


def descriptor_of(message: Message | type[Message]) -> Descriptor:
    """The type's descriptor (the stubs know two classes of it, of which one exists)."""
    return cast("Descriptor", message.DESCRIPTOR)


def kind_of_message(field: FieldDescriptor) -> Descriptor:
    """The message type of a field that has one."""
    assert field.message_type is not None
    return field.message_type


def is_map(field: FieldDescriptor) -> bool:
    """True for `map<…>`."""
    kind = field.message_type
    return kind is not None and field.is_repeated and bool(kind.GetOptions().map_entry)


def in_oneof(field: FieldDescriptor) -> bool:
    """True for a member of a oneof that the contract writes out (`optional` makes a hidden one)."""
    oneof = field.containing_oneof
    return oneof is not None and not (len(oneof.fields) == 1 and oneof.name == f"_{field.name}")


def _rpcs(file_name: str) -> Iterator[Rpc]:
    module = importlib.import_module(file_name.removesuffix(".proto").replace("/", ".") + "_pb2")
    for service in module.DESCRIPTOR.services_by_name.values():
        for method in service.methods:
            options = method.GetOptions()
            if options.HasExtension(annotations_pb2.http):
                yield _rpc(method)


def _rpc(method: MethodDescriptor) -> Rpc:
    rule = rule_of(method)
    if rule is None:
        raise ContractError(f"{method.full_name} has no rule (pq.auth.v1.rule) saying who may call")
    parts = method.server_streaming and method.output_type.full_name == HTTP_BODY
    if method.client_streaming or (method.server_streaming and not parts):
        raise ContractError(f"{method.full_name} streams: REST cannot call it")
    http = method.GetOptions().Extensions[annotations_pb2.http]
    return Rpc(
        service=method.containing_service.full_name,
        name=method.name,
        input=_class(method.input_type),
        output=_class(method.output_type),
        rule=rule,
        bindings=tuple(_binding(method, item) for item in (http, *http.additional_bindings)),
        streams=parts,
    )


def _class(descriptor: Descriptor) -> type[Message]:
    return message_factory.GetMessageClass(descriptor)


def _binding(method: MethodDescriptor, rule: http_pb2.HttpRule) -> Binding:
    kind = rule.WhichOneof("pattern")
    if kind is None or rule.response_body:
        raise ContractError(f"{method.full_name}: a pattern is needed, response_body is not served")
    if kind == "custom":
        return Binding(rule.custom.kind, rule.custom.path, rule.body)
    body = rule.body
    if body not in ("", "*") and body not in method.input_type.fields_by_name:
        raise ContractError(f"{method.full_name}: its body {body!r} is no field of the request")
    return Binding(kind.upper(), getattr(rule, kind), body)


def field_at(descriptor: Descriptor, path: str) -> FieldDescriptor | None:
    """The field at a path such as "endpoint.name"; None where there is none."""
    first, _, rest = path.partition(".")
    field = descriptor.fields_by_name.get(first)
    if field is None or not rest:
        return field
    if field.message_type is None or field.is_repeated:
        return None
    return field_at(field.message_type, rest)
