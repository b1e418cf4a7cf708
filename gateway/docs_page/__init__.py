"""The API page at /docs and the document it shows, /openapi.json. Nothing comes from elsewhere."""

from __future__ import annotations

import importlib.resources

import orjson

from gateway.http.application import Page
from gateway.transcode import openapi
from gateway.transcode.descriptors import Contract
from gateway.transcode.routes import RouteTable

DESCRIPTION = (
    "Prices of collectible cards, alerts on them, and the webhooks that tell of them. Reads of the "
    "market are open; everything else takes a token, which POST /v1/accounts gives. Every error is "
    "problem+json (RFC 9457) and names the field at fault. Send Idempotency-Key with what you may "
    "have to send again. Lists answer text/csv too."
)
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_GUARDS = [("content-security-policy", _POLICY), ("referrer-policy", "no-referrer")]
_FILES = {
    "/docs": ("index.html", "text/html; charset=utf-8"),
    "/docs/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/docs/page.css": ("page.css", "text/css; charset=utf-8"),
}


def pages(contract: Contract, table: RouteTable, version: str) -> dict[str, Page]:
    """The gateway's own documents by path."""
    document = openapi.document(contract, table, version, DESCRIPTION)
    found = {"/openapi.json": Page(orjson.dumps(document), "application/json")}
    folder = importlib.resources.files(__package__)
    for path, (name, media_type) in _FILES.items():
        found[path] = Page(folder.joinpath(name).read_bytes(), media_type, _GUARDS)
    return found
