"""The OpenAPI 3.1 document, from the descriptors and their comments."""

from __future__ import annotations

from collections.abc import Iterator

from google.api import resource_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.transcode import openapi_problems
from gateway.transcode.descriptors import (
    OUTPUT_ONLY,
    REQUIRED,
    Contract,
    ContractError,
    behaviors,
    descriptor_of,
    field_at,
    kind_of_message,
)
from gateway.transcode.openapi_problems import PROBLEM_SCHEMA, TEXT, references
from gateway.transcode.raw import reader
from gateway.transcode.routes import Route, RouteTable
from gateway.transcode.schemas import Schema, Schemas

_MAX_DEPTH = 3
# Of any type, whatever its sender makes.
_RAW: Schema = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_HEADERS: Schema = {
    "X-Request-Id": {"description": "Names this request in logs.", "schema": TEXT},
    "RateLimit": {"description": "What is left of the quota.", "schema": TEXT},
    "RateLimit-Policy": {"description": "The quota.", "schema": TEXT},
    "PQ-Next-Page-Token": {"description": "The next page, of a list as CSV.", "schema": TEXT},
    "ETag": {"description": "Names this form of the answer.", "schema": TEXT},
    "Retry-After": {"description": "Seconds until it is worth trying.", "schema": TEXT},
}
_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes the call safe to repeat: the same key and request, the same answer.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


def document(contract: Contract, table: RouteTable, version: str, description: str) -> Schema:
    """The whole document. Raises ContractError where two operations would share an id."""
    schemas = Schemas(contract)
    schemas.components["Problem"] = PROBLEM_SCHEMA
    patterns = dict(_patterns(contract))
    paths: dict[str, Schema] = {}
    seen: set[str] = set()
    for route in table.routes:
        path, names = _path(route, patterns)
        operation = _operation(contract, schemas, route, names)
        way = route.rpc.bindings.index(route.binding)
        if way:  # the same call by another path
            operation["operationId"] += str(way + 1)
        if operation["operationId"] in seen:
            raise ContractError(f"two operations are called {operation['operationId']}")
        seen.add(operation["operationId"])
        paths.setdefault(path, {})[route.binding.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "pq", "version": version, "description": description},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": told} for name, told in _tags(contract)],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.components.items())),
            "headers": _HEADERS,
            "responses": openapi_problems.responses(),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": 'A token of an account or an operator, "pq_…".',
                }
            },
        },
    }


def _operation(contract: Contract, schemas: Schemas, route: Route, names: list[str]) -> Schema:
    rpc, binding = route.rpc, route.binding
    comment = contract.comment(rpc.full_name)
    operation: Schema = {
        "operationId": rpc.name[0].lower() + rpc.name[1:],
        "tags": [rpc.service.rpartition(".")[2]],
        "summary": comment.split("\n\n")[0].replace("\n", " ").split(". ")[0].rstrip("."),
        "description": comment,
        "parameters": [_path_parameter(name) for name in names],
        "responses": _responses(schemas, route),
        "security": [{"token": []}],
        "x-rpc": rpc.full_name,
    }
    if rpc.rule.anonymous:
        operation["security"].insert(0, {})
    request = descriptor_of(rpc.input)
    bound = frozenset(name for name, _, _ in route.template.variables)
    if binding.body == "*":
        schema = schemas.body(request, bound)
        needed = any(REQUIRED in behaviors(f) for f in request.fields if f.name not in bound)
        operation["requestBody"] = _body(schema, required=needed)
    else:
        raw = reader(rpc, binding.body)
        if raw is not None:
            operation["requestBody"] = {"required": False, "content": _RAW}
        elif binding.body:
            field = request.fields_by_name[binding.body]
            schema = schemas.request(kind_of_message(field))
            operation["requestBody"] = _body(schema, required=REQUIRED in behaviors(field))
        taken = bound | {binding.body} | (raw.bound if raw is not None else frozenset())
        operation["parameters"] += _query(contract, schemas, request, taken)
    if "request_id" in request.fields_by_name:
        operation["parameters"].append(_KEY)
    return operation


def _body(schema: Schema, *, required: bool) -> Schema:
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def _responses(schemas: Schemas, route: Route) -> Schema:
    rpc = route.rpc
    content: Schema = {"*/*": {"schema": {}}}
    if not rpc.answers_raw:
        answer = schemas.answer(descriptor_of(rpc.output))
        content = {"application/json": {"schema": answer}}
    if rpc.item_field is not None:
        content["text/csv"] = {"schema": {"type": "string"}}
    shown = ["X-Request-Id", "RateLimit", "RateLimit-Policy"]
    if rpc.public_read:
        shown.append("ETag")
    if rpc.is_paged:
        shown.append("PQ-Next-Page-Token")
    responses: Schema = {
        "200": {"description": "Done.", "headers": references(shown), "content": content}
    }
    if rpc.public_read:
        responses["304"] = {"description": "The client has it.", "headers": references(shown)}
    for status in openapi_problems.statuses(route):
        responses[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    return responses


def _path_parameter(name: str) -> Schema:
    schema = {"type": "string", "minLength": 1, "pattern": "^[^/]+$"}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query(
    contract: Contract,
    schemas: Schemas,
    descriptor: Descriptor,
    bound: frozenset[str],
    above: str = "",
    depth: int = 0,
) -> list[Schema]:
    parameters = []
    for field in descriptor.fields:
        if field.name in bound or OUTPUT_ONLY in behaviors(field):
            continue
        name = above + field.json_name
        schema = _query_schema(schemas, field)
        if schema is not None:
            parameter: Schema = {
                "name": name,
                "in": "query",
                "required": REQUIRED in behaviors(field),
                "schema": schema,
            }
            comment = contract.comment(field.full_name)
            parameters.append({**parameter, "description": comment} if comment else parameter)
        elif not field.is_repeated and depth < _MAX_DEPTH:
            inner = kind_of_message(field)
            parameters += _query(contract, schemas, inner, frozenset(), f"{name}.", depth + 1)
    return parameters


def _query_schema(schemas: Schemas, field: FieldDescriptor) -> Schema | None:
    """How a parameter is written; None for a message, whose fields are parameters of their own."""
    if field.message_type is None:
        schema = schemas.scalar(field)
    elif kind_of_message(field).full_name.startswith("google.protobuf."):
        schema = schemas.request(kind_of_message(field))
    else:
        return None
    return {"type": "array", "items": schema} if field.is_repeated else schema


def _patterns(contract: Contract) -> Iterator[tuple[str, str]]:
    """(type of resource, its name's pattern), of all resources that the contract speaks of."""
    for rpc in contract.rpcs:
        for message in descriptor_of(rpc.output).file.message_types_by_name.values():
            resource = message.GetOptions().Extensions[resource_pb2.resource]
            if resource.type:
                yield resource.type, resource.pattern[0]


def _path(route: Route, patterns: dict[str, str]) -> tuple[str, list[str]]:
    """The path as OpenAPI writes it, "/v1/alerts/{alert}:snooze", and its parameters."""
    segments = [segment or "" for segment in route.template.segments]
    for name, first, last in route.template.variables:
        named = _pattern(route, name, patterns).split("/")
        for index in range(first, last):
            if not segments[index]:
                inner = index - first
                known = named[inner].strip("{}") if len(named) == last - first else ""
                segments[index] = f"{{{known or segments[index - 1].removesuffix('s')}}}"
    names = [segment[1:-1] for segment in segments if segment.startswith("{")]
    verb = f":{route.template.verb}" if route.template.verb else ""
    return "/" + "/".join(segments) + verb, names


def _tags(contract: Contract) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for rpc in contract.rpcs:
        if rpc.service not in seen:
            seen.add(rpc.service)
            yield rpc.service.rpartition(".")[2], contract.comment(rpc.service)


def _pattern(route: Route, name: str, patterns: dict[str, str]) -> str:
    """The pattern of what a path variable names: another resource, or the one it is a field of."""
    field = field_at(descriptor_of(route.rpc.input), name)
    assert field is not None
    reference = field.GetOptions().Extensions[resource_pb2.resource_reference]
    owner = field.containing_type
    assert owner is not None
    own = owner.GetOptions().Extensions[resource_pb2.resource]
    return patterns.get(reference.type or own.type, "")
