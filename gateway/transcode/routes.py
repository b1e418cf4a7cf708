"""Path templates of `google.api.http`, compiled into one tree that a path is walked down once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.transcode.descriptors import (
    Binding,
    Contract,
    ContractError,
    Rpc,
    descriptor_of,
    field_at,
)

_PART = re.compile(r"\{(?P<name>[a-z0-9_.]+)(?:=(?P<pattern>[^{}]+))?\}|(?P<literal>[^{}/]+)|/")
_LITERAL = re.compile(r"[A-Za-z0-9._~-]+")


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template. None in `segments` takes any one segment; `variables` name spans of them,
    as (path of the field, first, one past the last)."""

    segments: tuple[str | None, ...]
    verb: str
    variables: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Route:
    """Where a template leads."""

    rpc: Rpc
    binding: Binding
    template: Template


@dataclass(frozen=True, slots=True)
class Match:
    """A route and the request fields that its path gave."""

    route: Route
    fields: dict[str, str]


@dataclass(slots=True)
class _Node:
    literals: dict[str, _Node] = field(default_factory=dict)
    wildcard: _Node | None = None
    routes: dict[tuple[str, str], Route] = field(default_factory=dict)


class RouteTable:
    """All routes. Refuses, when built, two that a path could not tell apart."""

    def __init__(self, contract: Contract) -> None:
        self._root = _Node()
        self.routes: tuple[Route, ...] = tuple(
            self._add(rpc, binding) for rpc in contract.rpcs for binding in rpc.bindings
        )

    def match(self, method: str, path: str) -> Match | None:
        """The route for a percent-decoded path; None where no template fits with this method."""
        segments, verb = _split(path)
        for node, key in self._nodes(segments, verb):
            route = node.routes.get((method, key))
            if route is not None:
                return Match(route, _variables(route.template, segments, verb, key))
        return None

    def methods(self, path: str) -> frozenset[str]:
        """The methods that some template takes at this path; empty where none fits it."""
        segments, verb = _split(path)
        return frozenset(
            method
            for node, key in self._nodes(segments, verb)
            for method, named in node.routes
            if named == key
        )

    def _nodes(self, segments: list[str], verb: str) -> Iterator[tuple[_Node, str]]:
        """Nodes that fit, best first; with the verb they fit by. A colon may belong to the last
        segment itself, but only where no template has that verb there."""
        if verb:
            found = [n for n in _walk(self._root, segments, 0) if _has_verb(n, verb)]
            if found:
                yield from ((node, verb) for node in found)
                return
            segments = [*segments[:-1], f"{segments[-1]}:{verb}"]
        for node in _walk(self._root, segments, 0):
            yield node, ""

    def _add(self, rpc: Rpc, binding: Binding) -> Route:
        template = parse(binding.template)
        for name, _, _ in template.variables:
            if field_at(descriptor_of(rpc.input), name) is None:
                raise ContractError(f"{rpc.full_name}: {name!r} in its path is no request field")
        node = self._root
        for segment in template.segments:
            if segment is None:
                node.wildcard = node.wildcard or _Node()
                node = node.wildcard
            else:
                node = node.literals.setdefault(segment, _Node())
        key = (binding.method, template.verb)
        if key in node.routes:
            other = node.routes[key].rpc.full_name
            raise ContractError(f"{rpc.full_name} and {other} share {binding.template}")
        node.routes[key] = Route(rpc, binding, template)
        return node.routes[key]


def parse(template: str) -> Template:
    """Parses "/v1/{name=alerts/*}:snooze". Raises ContractError on what is not served: `**`."""
    path, colon, verb = template.rpartition(":")
    if not colon or "}" in verb or "/" in verb:
        path, verb = template, ""
    segments: list[str | None] = []
    variables: list[tuple[str, int, int]] = []
    position = 0
    for part in _PART.finditer(path):
        if part.start() != position:
            break
        position = part.end()
        first = len(segments)
        if part["name"]:
            segments.extend(_segments(part["pattern"] or "*", template))
            variables.append((part["name"], first, len(segments)))
        elif part["literal"]:
            segments.extend(_segments(part["literal"], template))
    if position != len(path) or not path.startswith("/"):
        raise ContractError(f"the path template {template!r} cannot be read")
    return Template(tuple(segments), verb, tuple(variables))


def _segments(pattern: str, template: str) -> Iterator[str | None]:
    for segment in pattern.split("/"):
        if segment != "*" and not _LITERAL.fullmatch(segment):
            raise ContractError(f"the path template {template!r}: {segment!r} is not served")
        yield None if segment == "*" else segment


def _split(path: str) -> tuple[list[str], str]:
    segments = path.split("/")[1:]
    last, _, verb = segments[-1].rpartition(":") if segments else ("", "", "")
    if last:
        segments[-1] = last
        return segments, verb
    return segments, ""


def _walk(node: _Node, segments: list[str], index: int) -> Iterator[_Node]:
    if index == len(segments):
        yield node
        return
    segment = segments[index]
    literal = node.literals.get(segment)
    if literal is not None:
        yield from _walk(literal, segments, index + 1)
    if node.wildcard is not None and segment:
        yield from _walk(node.wildcard, segments, index + 1)


def _has_verb(node: _Node, verb: str) -> bool:
    return any(named == verb for _, named in node.routes)


def _variables(template: Template, segments: list[str], verb: str, key: str) -> dict[str, str]:
    if verb and not key:  # the colon was part of the last segment
        segments = [*segments[:-1], f"{segments[-1]}:{verb}"]
    return {name: "/".join(segments[a:b]) for name, a, b in template.variables}
