"""The reasons that delivery's callers are told of, besides those of libs.

In domain/urls.py: url_missing, url_too_long, url_fragment, url_malformed, url_scheme, url_userinfo,
url_host, url_port, address_refused. In domain/custom_headers.py: header_name, header_refused,
header_repeated, header_hidden, header_value.
"""

from __future__ import annotations

TOO_MANY_ENDPOINTS = "too_many_endpoints"
REQUEST_ID_REUSED = "request_id_reused"
DELIVERY_NOT_WAITING = "delivery_not_waiting"
ETAG_MISMATCH = "etag_mismatch"
ENDPOINT_DISABLED = "endpoint_disabled"
ENDPOINT_UNVERIFIED = "endpoint_unverified"
SECRET_UNREADABLE = "secret_unreadable"  # noqa: S105 # a reason
VERIFICATION_REQUIRED = "verification_required"
DOMAIN_EXISTS = "domain_exists"
TOO_MANY_DOMAINS = "too_many_domains"
TOO_MANY_EMAIL_ADDRESSES = "too_many_email_addresses"
EMAIL_ADDRESS_EXISTS = "email_address_exists"
EMAIL_ADDRESS_NOT_UNCONFIRMED = "email_address_not_unconfirmed"
TOO_MANY_CONFIRMATIONS = "too_many_confirmations"
SUPPRESSION_EXISTS = "suppression_exists"
SIGNATURE_INVALID = "signature_invalid"
PROVIDER_NOT_CONFIGURED = "provider_not_configured"
