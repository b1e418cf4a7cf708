"""What form an answer takes: its type, its encoding, and the tag that names that form."""

from __future__ import annotations

import hashlib
import zlib

from gateway.http.exchange import HttpError
from gateway.http.request import HeaderFields

JSON = "application/json"
CSV = "text/csv"
MIN_COMPRESSED = 1_024  # bytes; below, gzip saves less than a packet
LEVEL = 5


def choose_type(accept: str | None, *, csv: bool) -> str:
    """JSON or CSV. Raises HttpError 406 where the client takes neither."""
    if not accept or accept == "*/*" or accept == JSON:
        return JSON
    offers = (JSON, CSV) if csv else (JSON,)
    weights = _weights(accept)
    best, best_weight = "", 0.0
    for offer in offers:
        main = offer.split("/")[0]
        weight = weights.get(offer, weights.get(f"{main}/*", weights.get("*/*", 0.0)))
        if weight > best_weight:
            best, best_weight = offer, weight
    if not best:
        raise HttpError(406, "not_acceptable", f"served here: {', '.join(offers)}")
    return best


def takes_gzip(headers: HeaderFields) -> bool:
    """Whether the client takes gzip."""
    accepted = headers.get("accept-encoding")
    if not accepted or not ("gzip" in accepted or "*" in accepted):
        return False
    weights = _weights(accepted)
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def gzip(body: bytes) -> bytes:
    """Compressed; the same bytes for the same body, so that tags hold."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


def etag(body: bytes) -> str:
    """A strong tag (RFC 9110 §8.8.3): equal for equal bytes, in every process."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def etag_gzip(tag: str) -> str:
    """The tag of the compressed form: its bytes differ, so its tag must."""
    return f'{tag[:-1]}-gz"'


def none_match(header: str, tag: str) -> bool:
    """Whether If-None-Match lists the tag in either form (weak comparison)."""
    if header == tag:
        return True
    plain = tag.replace('-gz"', '"')
    candidates = (part.strip().removeprefix("W/") for part in header.split(","))
    return any(c == "*" or c.replace('-gz"', '"') == plain for c in candidates)


def check_json(content_type: str | None) -> None:
    """Raises HttpError 415 unless a body is said to be JSON in UTF-8."""
    kind, _, parameters = (content_type or "").lower().partition(";")
    charset = parameters.strip().removeprefix("charset=").strip('"')
    if kind.strip() != JSON or charset not in ("", "utf-8"):
        told = f"a body must be {JSON}, in UTF-8"
        raise HttpError(415, "unsupported_media_type", told, [("accept", JSON)])


def _weights(header: str) -> dict[str, float]:
    """An Accept-like field as {value: weight}; a weight that cannot be read counts as 0."""
    weights = {}
    for part in header.lower().split(",")[:32]:
        name, *parameters = (piece.strip() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
        weights[name] = weight if 0 <= weight <= 1 else 0.0
    return weights
