"""pq.delivery.v1.WebhookKeyService, and what EndpointService shows of keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from libs.api.wire import resource_name, stamp
from libs.ids import decode
from pq.delivery.v1 import delivery_pb2 as pb
from pq.delivery.v1 import delivery_pb2_grpc
from services.delivery.domain.model import Endpoint
from services.delivery.domain.settings import SignatureKind
from services.delivery.domain.signing import encode_public_key, fingerprint
from services.delivery.handlers.endpoint_keys import EndpointKeys
from services.delivery.store.endpoint_secrets import Version


class WebhookKeyServicer(delivery_pb2_grpc.WebhookKeyServiceServicer):
    """Public keys, for everybody who has an endpoint's id."""

    def __init__(self, keys: EndpointKeys) -> None:
        self._keys = keys

    async def GetWebhookKeys(
        self, request: pb.GetWebhookKeysRequest, _context: Any
    ) -> pb.WebhookKeys:
        """The public keys of an endpoint."""
        id = decode("ep", request.endpoint, field="endpoint")
        return pb.WebhookKeys(
            endpoint=resource_name("endpoints", "ep", id),
            keys=[
                pb.WebhookKey(
                    public_key=_public(version),
                    algorithm="ed25519",
                    expire_time=stamp(version.expire_time),
                )
                for version in await self._keys.public_keys(id)
            ],
        )


def signing_pb(endpoint: Endpoint, versions: Sequence[Version]) -> pb.EndpointSigning:
    """What signs an endpoint's deliveries."""
    return pb.EndpointSigning(
        name=_name(endpoint.id),
        keys=[_key_pb(version, takes_over=len(versions) > 1) for version in versions],
        signatures=[
            kind.name.lower()
            for kind in SignatureKind
            if not endpoint.settings.signatures or kind in endpoint.settings.signatures
            for _ in versions
        ],
    )


def _key_pb(version: Version, *, takes_over: bool) -> pb.SigningKey:
    """Of two the one that expires is what receivers verify with still."""
    is_next = takes_over and version.expire_time is None
    return pb.SigningKey(
        version=version.number,
        role=pb.SIGNING_KEY_ROLE_NEXT if is_next else pb.SIGNING_KEY_ROLE_CURRENT,
        fingerprint="" if version.secret is None else fingerprint(version.secret),
        public_key=_public(version),
        create_time=stamp(version.create_time),
        expire_time=stamp(version.expire_time),
    )


def _public(version: Version) -> str:
    return "" if version.public_key is None else encode_public_key(version.public_key)


def _name(id: UUID) -> str:
    return resource_name("endpoints", "ep", id) + "/signing"
