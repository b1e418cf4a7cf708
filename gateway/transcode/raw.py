"""Bodies that travel as they are: `google.api.HttpBody` in a request or as an answer (AIP-127).

A request that carries one may also have `headers`, a map of text to text, and `client_address`:
the gateway alone fills them, for what is verified by whoever takes the body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from gateway.transcode.descriptors import HTTP_BODY, Rpc, descriptor_of, is_map

_HEADERS, _CLIENT = "headers", "client_address"


@dataclass(frozen=True, slots=True)
class RawBody:
    """A request's body, byte for byte; `headers` are by lower-case name, `client` an address."""

    data: bytes
    content_type: str
    headers: Mapping[str, str]
    client: str


class RawReader:
    """Fills the requests of one RPC whose body binding is an HttpBody."""

    def __init__(self, rpc: Rpc, body: str) -> None:
        fields = descriptor_of(rpc.input).fields_by_name
        self._body = body
        self._takes_headers = _HEADERS in fields and is_map(fields[_HEADERS])
        self._takes_client = _CLIENT in fields
        self.bound = frozenset({_HEADERS, _CLIENT} & set(fields))

    def fill(self, message: Message, raw: RawBody) -> None:
        """Puts the body, and what came with it, in its place."""
        body = HttpBody(content_type=raw.content_type, data=raw.data)
        getattr(message, self._body).CopyFrom(body)
        if self._takes_headers:
            message.headers.clear()  # type: ignore[attr-defined] # looked for when this was made
            message.headers.update(raw.headers)  # type: ignore[attr-defined]
        if self._takes_client:
            message.client_address = raw.client  # type: ignore[attr-defined]


def reader(rpc: Rpc, body: str) -> RawReader | None:
    """For the RPC's binding of `body`; None where that is JSON."""
    field: FieldDescriptor | None = descriptor_of(rpc.input).fields_by_name.get(body)
    if field is None or field.message_type is None or field.message_type.full_name != HTTP_BODY:
        return None
    return RawReader(rpc, body)
