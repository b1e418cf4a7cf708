"""A route's two directions: an HTTP request becomes a request message, its answer becomes JSON."""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.message import Message

from gateway.transcode import query, raw, strict_json
from gateway.transcode.descriptors import descriptor_of, kind_of_message
from gateway.transcode.raw import RawBody
from gateway.transcode.read import Faults, Readers
from gateway.transcode.routes import Route, RouteTable
from gateway.transcode.scalars import Refused, read_string
from gateway.transcode.wellknown import json_name
from gateway.transcode.write import Writers
from libs.errors import AppError, Kind, Violation, invalid, invalid_all

MAX_KEY = 255  # characters of an idempotency key, as the contracts say of request_id


class Operation:
    """What the gateway does for one route. Everything that can be known beforehand is."""

    def __init__(self, route: Route, readers: Readers, writers: Writers) -> None:
        self.route = route
        self.rpc = route.rpc
        self.method = route.binding.method
        self.body = route.binding.body
        self.takes_key = "request_id" in route.rpc.input.DESCRIPTOR.fields_by_name
        self.encode: Callable[[bytes], bytes] = (
            bytes if route.rpc.answers_raw else writers.encoder(route.rpc.output)
        )
        self.raw = raw.reader(route.rpc, self.body)
        item = route.rpc.item_field
        self.write_item = writers.writer(kind_of_message(item)) if item else None
        self._readers = readers
        named = {name for name, _, _ in route.template.variables if "." not in name}
        fields = {f.name for f in route.rpc.input.DESCRIPTOR.fields}
        self._bound = frozenset(fields if self.body == "*" else named | {self.body} - {""})
        if self.raw is not None:
            self._bound |= self.raw.bound
        readers.shape(descriptor_of(route.rpc.input))
        # An update tells what changes, under a mask (AIP-134): the rest of the resource is there.
        self._partial = self.body if self.method == "PATCH" else ""
        self._body_path = ""
        if self.body not in ("", "*") and self.raw is None:
            self._body_path = route.rpc.input.DESCRIPTOR.fields_by_name[self.body].json_name

    def decode(
        self, path: dict[str, str], query_string: str, body: bytes, key: str | None
    ) -> Message:
        """The request. Raises AppError INVALID naming every field at fault.

        `key` is the Idempotency-Key; it becomes the field request_id.
        """
        message = self.rpc.input()
        faults: Faults = []
        if self.body and body:
            self._read_body(message, body, faults)
        if query_string:
            query.apply(self._readers, message, query.parse(query_string), self._bound, faults)
        self._bind_path(message, path, faults)
        if key is not None:
            self._bind_key(message, key, faults)
        self._readers.missing(message, "", faults, but=self._partial)
        if faults:
            raise invalid_all(faults)
        return message

    def decode_raw(
        self, path: dict[str, str], query_string: str, body: RawBody, key: str | None = None
    ) -> Message:
        """The request around a body that is taken as it is; see `decode`. Raises AppError INVALID.

        Whoever calls back may send such a key without meaning us: it counts where it is taken.
        """
        assert self.raw is not None
        message = self.rpc.input()
        faults: Faults = []
        if query_string:
            query.apply(self._readers, message, query.parse(query_string), self._bound, faults)
        self._bind_path(message, path, faults)
        self.raw.fill(message, body)
        if key is not None and self.takes_key:
            self._bind_key(message, key, faults)
        self._readers.missing(message, "", faults)
        if faults:
            raise invalid_all(faults)
        return message

    def _read_body(self, message: Message, body: bytes, faults: Faults) -> None:
        data = strict_json.parse(body, self._body_path)
        if self._body_path:
            if data is not None:
                target = getattr(message, self.body)
                target.SetInParent()
                self._readers.read(target, data, self._body_path, faults)
            return
        self._readers.read(message, data, "", faults)

    def _bind_path(self, message: Message, path: dict[str, str], faults: Faults) -> None:
        for name, text in path.items():
            *parents, last = name.split(".")
            parent = message
            for step in parents:
                parent = getattr(parent, step)
            given = getattr(parent, last)
            shown = ".".join(json_name(step) for step in (*parents, last))
            if given and given != text:
                faults.append(Violation(shown, "differs from the name in the path", "path_differs"))
            try:
                setattr(parent, last, read_string(text))
            except Refused as refused:
                faults.append(Violation(shown, refused.expected, refused.reason))

    def _bind_key(self, message: Message, key: str, faults: Faults) -> None:
        if not self.takes_key:
            if self.method not in ("GET", "HEAD") and not self.rpc.rule.read_only:
                told = "is not served here: each such call counts"
                raise invalid("Idempotency-Key", told, "idempotency_key_not_served")
            return  # what changes nothing may be repeated anyhow
        if not 1 <= len(key) <= MAX_KEY or not key.isascii() or not key.isprintable():
            told = f"must be 1 to {MAX_KEY} printable ASCII characters"
            faults.append(Violation("Idempotency-Key", told, "bad_format"))
            return
        given = message.request_id  # type: ignore[attr-defined] # takes_key says so
        if given and given != key:
            told = "differs from the Idempotency-Key header"
            faults.append(Violation("requestId", told, "idempotency_key_differs"))
            return
        message.request_id = key  # type: ignore[attr-defined] # takes_key says so


class Transcoder:
    """All operations, by route."""

    def __init__(self, table: RouteTable) -> None:
        self.table = table
        readers, writers = Readers(), Writers()
        self._operations = {id(route): Operation(route, readers, writers) for route in table.routes}
        self.operations = tuple(self._operations.values())

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, str]]:
        """The operation for a request, and what its path gave. Raises NotRouted where none fits."""
        match = self.table.match(method, path)
        if match is None and method == "HEAD":
            match = self.table.match("GET", path)
        if match is None:
            raise NotRouted(self.table.methods(path))
        return self._operations[id(match.route)], match.fields


class NotRouted(AppError):  # noqa: N818 # an answer, as AppError is
    """No route. `allowed` are the methods that the path takes; empty where there is none."""

    def __init__(self, allowed: frozenset[str]) -> None:
        super().__init__(Kind.NOT_FOUND, "no_such_path", "there is nothing at this path")
        self.allowed = allowed | ({"HEAD"} if "GET" in allowed else set())
