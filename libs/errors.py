"""The one error type of pq, and its translation to and from `google.rpc.Status`.

Handlers raise `AppError`. The gRPC server's interceptor alone turns it into a status, and the
gateway alone turns that into RFC 9457 problem+json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

DOMAIN = "pq.dev"


class Kind(Enum):
    """What sort of failure: (gRPC code, HTTP status).

    gRPC has no 413 and no 422: those kinds share a code with another, and ErrorInfo's metadata
    carries the kind so that the gateway finds the right status again.
    """

    INVALID = (grpc.StatusCode.INVALID_ARGUMENT, 400)
    UNAUTHENTICATED = (grpc.StatusCode.UNAUTHENTICATED, 401)
    FORBIDDEN = (grpc.StatusCode.PERMISSION_DENIED, 403)
    NOT_FOUND = (grpc.StatusCode.NOT_FOUND, 404)
    ALREADY_EXISTS = (grpc.StatusCode.ALREADY_EXISTS, 409)
    ABORTED = (grpc.StatusCode.ABORTED, 409)
    PRECONDITION = (grpc.StatusCode.FAILED_PRECONDITION, 400)
    TOO_LARGE = (grpc.StatusCode.OUT_OF_RANGE, 413)
    UNPROCESSABLE = (grpc.StatusCode.FAILED_PRECONDITION, 422)
    RATE_LIMITED = (grpc.StatusCode.RESOURCE_EXHAUSTED, 429)
    CANCELLED = (grpc.StatusCode.CANCELLED, 499)
    INTERNAL = (grpc.StatusCode.INTERNAL, 500)
    UNIMPLEMENTED = (grpc.StatusCode.UNIMPLEMENTED, 501)
    UNAVAILABLE = (grpc.StatusCode.UNAVAILABLE, 503)
    DEADLINE = (grpc.StatusCode.DEADLINE_EXCEEDED, 504)

    @property
    def grpc(self) -> grpc.StatusCode:
        """The gRPC code."""
        return self.value[0]

    @property
    def http(self) -> int:
        """The HTTP status."""
        return self.value[1]


CLIENT_KINDS = frozenset(kind for kind in Kind if kind.http < 500 and kind is not Kind.CANCELLED)
_BY_CODE: dict[int, Kind] = {}
for _kind in Kind:
    _BY_CODE.setdefault(_kind.grpc.value[0], _kind)


@dataclass(frozen=True, slots=True)
class Violation:
    """One field at fault: its path in proto names, what was expected, and a stable word for it."""

    field: str
    description: str
    reason: str = ""


class AppError(Exception):
    """A failure that the caller is told of, word for word.

    `reason` is a stable public code in lower snake case; `retry_after` is in seconds.
    """

    def __init__(
        self,
        kind: Kind,
        reason: str,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_after = retry_after

    def __repr__(self) -> str:
        return f"AppError({self.kind.name}, {self.reason!r}, {self.message!r})"


def invalid(field: str, description: str, reason: str = "invalid_field") -> AppError:
    """One field of the request is at fault."""
    return AppError(
        Kind.INVALID,
        reason,
        f"{field}: {description}",
        violations=[Violation(field, description, reason)],
    )


def invalid_all(violations: Sequence[Violation]) -> AppError:
    """Several fields of the request are at fault; `violations` is not empty."""
    told = "; ".join(f"{v.field}: {v.description}" for v in violations)
    return AppError(
        Kind.INVALID, violations[0].reason or "invalid_field", told, violations=violations
    )


def not_found(name: str) -> AppError:
    """The resource is not there, or not the caller's."""
    return AppError(
        Kind.NOT_FOUND, "not_found", f"{name} does not exist", metadata={"resource": name}
    )


def to_status(error: AppError) -> status_pb2.Status:
    """The error with ErrorInfo, and BadRequest and RetryInfo where they apply."""
    status = status_pb2.Status(code=error.kind.grpc.value[0], message=error.message)
    metadata = {**error.metadata, "kind": error.kind.name}
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)
    status.details.add().Pack(info)
    if error.violations:
        bad = error_details_pb2.BadRequest()
        for violation in error.violations:
            bad.field_violations.add(
                field=violation.field, description=violation.description, reason=violation.reason
            )
        status.details.add().Pack(bad)
    if error.retry_after is not None:
        delay = Duration()
        delay.FromNanoseconds(int(error.retry_after * 1e9))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status


def from_status(status: status_pb2.Status) -> AppError:
    """The inverse of `to_status`; a status of somebody else's making keeps its code and message."""
    kind = _BY_CODE.get(status.code, Kind.INTERNAL)
    reason, metadata, violations, retry_after = kind.name.lower(), {}, [], None
    for detail in status.details:
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(info) and info.domain == DOMAIN:
            reason, metadata = info.reason, dict(info.metadata)
            named = metadata.pop("kind", "")
            if named in Kind.__members__ and Kind[named].grpc is kind.grpc:
                kind = Kind[named]
        elif detail.Unpack(bad):
            violations = [Violation(v.field, v.description, v.reason) for v in bad.field_violations]
        elif detail.Unpack(retry):
            retry_after = retry.retry_delay.ToNanoseconds() / 1e9
    return AppError(
        kind,
        reason,
        status.message,
        metadata=metadata,
        violations=violations,
        retry_after=retry_after,
    )
