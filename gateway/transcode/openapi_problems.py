"""What can go wrong with a call, as the OpenAPI document tells it."""

from __future__ import annotations

from gateway.transcode.routes import Route
from gateway.transcode.schemas import Schema

PROBLEM = "application/problem+json"
STATUSES = {
    400: "The request is not valid; `violations` names each field at fault.",
    401: "A token is needed, or this one is not valid.",
    403: "This token may not do that.",
    404: "It does not exist, or is not yours.",
    406: "The answer has no form that the client takes.",
    408: "The body did not arrive in time.",
    409: "It changed meanwhile, exists already, or the same request is still under way.",
    411: "The body came without its length.",
    413: "The body, or the answer, is too large.",
    415: "The body is not JSON.",
    422: "The idempotency key was used for another request.",
    429: "Too many requests; `Retry-After` says when to come again.",
    431: "The headers are too large.",
    499: "The call was cancelled.",
    500: "Something went wrong here; the request id finds it in our logs.",
    501: "The service behind this does not know the call.",
    503: "A service behind this is away; try again.",
    504: "It took too long.",
}
_ALWAYS = (400, 401, 406, 429, 431, 499, 500, 501, 503, 504)
_BODY = (408, 411, 413, 415)
_CHANGE = (409, 422)

TEXT: Schema = {"type": "string"}
PROBLEM_SCHEMA: Schema = {
    "type": "object",
    "description": "What went wrong (RFC 9457).",
    "required": ["type", "title", "status", "detail", "instance", "reason", "requestId"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "Names the sort of problem."},
        "title": {**TEXT, "description": "The status in words."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {**TEXT, "description": "What happened this time, for people."},
        "instance": {"type": "string", "format": "uri", "description": "Names this occurrence."},
        "reason": {**TEXT, "description": "A stable word, for programs."},
        "requestId": {**TEXT, "description": "The X-Request-Id of the answer."},
        "violations": {
            "type": "array",
            "description": "The fields at fault.",
            "items": {
                "type": "object",
                "required": ["field", "description", "reason"],
                "properties": {
                    "field": {**TEXT, "description": "Its path, as JSON names it."},
                    "description": {**TEXT, "description": "What was expected."},
                    "reason": {**TEXT, "description": "A stable word, for programs."},
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}


def responses() -> Schema:
    """One response a status, which operations refer to."""
    found = {}
    for status, told in STATUSES.items():
        headers = ["X-Request-Id", *(["Retry-After"] if status in (429, 503) else [])]
        found[f"Problem{status}"] = {
            "description": told,
            "headers": references(headers),
            "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    return found


def statuses(route: Route) -> list[int]:
    found = set(_ALWAYS)
    # A public read names no owner, and yet a resource may not be there.
    if route.template.variables or not route.rpc.public_read:
        found.add(404)
    if not route.rpc.rule.anonymous:
        found.add(403)
    if not route.rpc.rule.read_only:
        found |= {403, 404, *_CHANGE}
    if route.binding.body:
        found |= set(_BODY)
    else:
        found |= {411, 413}
    return sorted(found)


def references(names: list[str]) -> Schema:
    """Headers by reference."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
