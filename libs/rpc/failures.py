"""What a handler raised, as what its caller is told."""

from __future__ import annotations

import logging
from typing import Any

from libs.db import is_transient
from libs.errors import AppError, Kind, to_status
from libs.obs import metrics
from libs.obs.requests import HEADER, request_id
from libs.rpc.received import DETAILS

log = logging.getLogger(__name__)

# Trailers over the peer's limit would be dropped whole.
_MAX_DETAILS = 16 * 1024
_MAX_MESSAGE = 1024


def public_error(error: BaseException, method: str) -> AppError:
    """The error a client may see. What nobody foresaw is logged, and told by its id alone."""
    if isinstance(error, AppError):
        return error
    if isinstance(error, NotImplementedError):
        return AppError(Kind.UNIMPLEMENTED, "unimplemented", "this server does not do that")
    if is_transient(error):
        log.warning(
            "a call failed for want of the database",
            extra={"rpc.method": method, "error.type": type(error).__name__, "error": str(error)},
        )
        return AppError(
            Kind.UNAVAILABLE,
            "database_unavailable",
            "the database cannot be reached; try again in a moment",
            retry_after=0.5,
        )
    log.error("a call failed in a way nobody foresaw", exc_info=error, extra={"rpc.method": method})
    id = request_id()
    return AppError(
        Kind.INTERNAL, "internal", f"internal error; quote {id}", metadata={"request_id": id}
    )


def trailers(error: AppError) -> tuple[tuple[str, str | bytes], ...]:
    """The error with its details, as trailing metadata."""
    status = to_status(_shortened(error))
    return ((DETAILS, status.SerializeToString()), (HEADER, request_id()))


def count(error: AppError) -> None:
    """Counts an error that somebody is told of."""
    metrics.ERRORS.labels(error.reason, error.kind.grpc.name).inc()


def message(error: AppError) -> str:
    """Its text, within what a header should carry."""
    return error.message[:_MAX_MESSAGE]


def _shortened(error: AppError) -> AppError:
    text, violations = message(error), list(error.violations)
    budget = _MAX_DETAILS - len(text.encode())
    kept = []
    for violation in violations:
        budget -= len((violation.field + violation.description + violation.reason).encode()) + 16
        if budget < 0:
            break
        kept.append(violation)
    if text == error.message and len(kept) == len(violations):
        return error
    return AppError(
        error.kind,
        error.reason,
        text,
        metadata=error.metadata,
        violations=kept,
        retry_after=error.retry_after,
    )


def text_entries(metadata: Any) -> dict[str, str]:
    """The text entries of a call's metadata; the last of a name wins."""
    return {name: value for name, value in metadata or () if isinstance(value, str)}
