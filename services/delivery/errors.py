"""The reasons that delivery's callers are told of, besides those of libs.

In domain/urls.py: url_missing, url_too_long, url_fragment, url_malformed, url_scheme, url_userinfo,
url_host, url_port, address_refused.
"""

from __future__ import annotations

TOO_MANY_ENDPOINTS = "too_many_endpoints"
ETAG_MISMATCH = "etag_mismatch"
DOMAIN_EXISTS = "domain_exists"
TOO_MANY_DOMAINS = "too_many_domains"
TOO_MANY_EMAIL_ADDRESSES = "too_many_email_addresses"
EMAIL_ADDRESS_EXISTS = "email_address_exists"
EMAIL_ADDRESS_NOT_UNCONFIRMED = "email_address_not_unconfirmed"
TOO_MANY_CONFIRMATIONS = "too_many_confirmations"
SUPPRESSION_EXISTS = "suppression_exists"
SIGNATURE_INVALID = "signature_invalid"
PROVIDER_NOT_CONFIGURED = "provider_not_configured"
