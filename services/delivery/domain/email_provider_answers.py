"""Providers' documented HTTP answers, and which code each is.

Sources: https://resend.com/docs/api-reference/errors, SendGrid's "Mail Send errors", Postmark's
"API error codes", the SES v2 API and "Amazon SES email sending errors".
"""

from __future__ import annotations

from typing import NamedTuple


class Answer(NamedTuple):
    """A provider's answer: its HTTP status (0 for any), its word for the error, and lower-case
    words of which its sentence has one. What is empty says nothing."""

    http: int
    name: str
    words: tuple[str, ...]
    code: str


_RESEND = (
    Answer(0, "invalid_idempotency_key", (), "email_request_invalid"),
    Answer(0, "invalid_idempotent_request", (), "email_idempotency_conflict"),
    Answer(0, "concurrent_idempotent_requests", (), "email_request_in_flight"),
    Answer(0, "missing_api_key", (), "email_credentials_missing"),
    Answer(0, "invalid_api_key", (), "email_credentials_invalid"),
    Answer(0, "invalid_api_Key", (), "email_credentials_invalid"),
    Answer(0, "suspended_api_key", (), "email_account_suspended"),
    Answer(0, "restricted_api_key", (), "email_permission_denied"),
    Answer(0, "invalid_permission", (), "email_permission_denied"),
    Answer(0, "invalid_access", (), "email_permission_denied"),
    Answer(0, "rate_limit_exceeded", (), "email_provider_rate_limited"),
    Answer(0, "daily_quota_exceeded", (), "email_provider_quota_exceeded"),
    Answer(0, "monthly_quota_exceeded", (), "email_provider_quota_exceeded"),
    Answer(0, "invalid_from_address", (), "email_sender_not_verified"),
    Answer(0, "security_error", (), "email_policy_rejected"),
    Answer(0, "application_error", (), "email_provider_unavailable"),
    Answer(0, "internal_server_error", (), "email_provider_unavailable"),
    Answer(0, "service_unavailable", (), "email_provider_unavailable"),
    Answer(0, "validation_error", ("testing email",), "email_account_sandboxed"),
    Answer(0, "validation_error", ("not verified", "verify a domain"), "email_sender_not_verified"),
    Answer(
        0,
        "validation_error",
        ("invalid `to`", "`to` field", "recipient"),
        "email_invalid_recipient",
    ),
    Answer(0, "validation_error", ("`from` field", "from address"), "email_sender_not_verified"),
    Answer(403, "validation_error", (), "email_sender_not_verified"),
    Answer(0, "validation_error", (), "email_request_invalid"),
    Answer(0, "invalid_attachment", (), "email_content_rejected"),
    Answer(0, "invalid_parameter", (), "email_request_invalid"),
    Answer(0, "invalid_region", (), "email_request_invalid"),
    Answer(0, "missing_required_field", (), "email_request_invalid"),
    Answer(0, "not_found", (), "email_request_invalid"),
    Answer(0, "method_not_allowed", (), "email_request_invalid"),
)

_SENDGRID = (
    Answer(0, "", ("maximum credits exceeded",), "email_provider_quota_exceeded"),
    Answer(
        0,
        "",
        ("authorization grant is invalid", "authenticated user is not authorized to send"),
        "email_credentials_invalid",
    ),
    Answer(
        0, "", ("required authentication", "authorization required"), "email_credentials_missing"
    ),
    Answer(
        0,
        "",
        ("verified sender identity", "sender identity", "not match a verified"),
        "email_sender_not_verified",
    ),
    Answer(0, "", ("access forbidden", "insufficient permission"), "email_permission_denied"),
    Answer(0, "", ("suspended", "under review", "account disabled"), "email_account_suspended"),
    Answer(
        400,
        "",
        (".to.email", ".to:", ".cc.email", ".bcc.email", "to: does not contain a valid"),
        "email_invalid_recipient",
    ),
    Answer(400, "", (".to", "does not contain a valid address"), "email_invalid_recipient"),
    Answer(400, "", ("from.email", "from:"), "email_sender_not_verified"),
    Answer(413, "", (), "email_message_too_large"),
    Answer(429, "", (), "email_provider_rate_limited"),
)

_POSTMARK = (
    Answer(0, "10", (), "email_credentials_invalid"),
    Answer(0, "100", (), "email_provider_unavailable"),
    Answer(0, "300", ("'from'", "sender signature"), "email_sender_not_verified"),
    Answer(
        0, "300", ("'to'", "'cc'", "'bcc'", "illegal email", "recipient"), "email_invalid_recipient"
    ),
    Answer(0, "300", ("too large", "size"), "email_message_too_large"),
    Answer(0, "300", (), "email_request_invalid"),
    Answer(0, "400", (), "email_sender_not_verified"),
    Answer(0, "401", (), "email_sender_not_verified"),
    Answer(0, "402", (), "email_request_invalid"),
    Answer(0, "403", (), "email_request_invalid"),
    Answer(0, "405", (), "email_provider_quota_exceeded"),
    Answer(0, "406", (), "email_recipient_suppressed"),
    Answer(0, "409", (), "email_request_invalid"),
    Answer(0, "410", (), "email_request_invalid"),
    Answer(0, "411", (), "email_content_rejected"),
    Answer(0, "412", (), "email_account_sandboxed"),
    Answer(0, "413", (), "email_account_suspended"),
    Answer(0, "429", (), "email_provider_rate_limited"),
    Answer(0, "503", (), "email_sender_not_verified"),
    Answer(0, "510", (), "email_sender_not_verified"),
    Answer(0, "1221", (), "email_request_invalid"),
    Answer(0, "1235", (), "email_request_invalid"),
    Answer(0, "1236", (), "email_permission_denied"),
)

_SES = (
    Answer(0, "", ("daily message quota", "daily sending quota"), "email_provider_quota_exceeded"),
    Answer(0, "", ("maximum sending rate", "throttl"), "email_provider_rate_limited"),
    Answer(0, "", ("address is not verified", "not verified"), "email_sender_not_verified"),
    Answer(0, "", ("suppression list",), "email_recipient_suppressed"),
    Answer(
        0,
        "",
        ("domain starts with dot", "missing final", "local address"),
        "email_invalid_recipient",
    ),
    Answer(0, "", ("message length is more", "too long", "too large"), "email_message_too_large"),
    Answer(0, "", ("virus", "malware"), "email_virus_rejected"),
    Answer(0, "TooManyRequestsException", (), "email_provider_rate_limited"),
    Answer(0, "ThrottlingException", (), "email_provider_rate_limited"),
    Answer(0, "Throttling", (), "email_provider_rate_limited"),
    Answer(0, "LimitExceededException", (), "email_provider_quota_exceeded"),
    Answer(0, "AccountSuspendedException", (), "email_account_suspended"),
    Answer(0, "AccountSendingPausedException", (), "email_account_suspended"),
    Answer(0, "SendingPausedException", (), "email_account_suspended"),
    Answer(0, "ConfigurationSetSendingPausedException", (), "email_account_suspended"),
    Answer(0, "MailFromDomainNotVerifiedException", (), "email_sender_not_verified"),
    Answer(0, "MailFromDomainNotVerified", (), "email_sender_not_verified"),
    Answer(0, "MessageRejected", (), "email_content_rejected"),
    Answer(0, "NotFoundException", (), "email_request_invalid"),
    Answer(0, "BadRequestException", (), "email_request_invalid"),
    Answer(0, "InvalidParameterValue", (), "email_request_invalid"),
    Answer(0, "ValidationError", (), "email_request_invalid"),
    Answer(0, "MissingAuthenticationTokenException", (), "email_credentials_missing"),
    Answer(0, "InvalidClientTokenId", (), "email_credentials_invalid"),
    Answer(0, "UnrecognizedClientException", (), "email_credentials_invalid"),
    Answer(0, "SignatureDoesNotMatch", (), "email_credentials_invalid"),
    Answer(0, "InvalidSignatureException", (), "email_credentials_invalid"),
    Answer(0, "ExpiredTokenException", (), "email_credentials_invalid"),
    Answer(0, "AccessDeniedException", (), "email_permission_denied"),
    Answer(0, "AccessDenied", (), "email_permission_denied"),
    Answer(0, "OptInRequired", (), "email_account_suspended"),
    Answer(0, "InternalFailure", (), "email_provider_unavailable"),
    Answer(0, "InternalServiceErrorException", (), "email_provider_unavailable"),
    Answer(0, "ServiceUnavailable", (), "email_provider_unavailable"),
)

# Each provider's answers, the more telling first.
PROVIDERS: dict[str, tuple[Answer, ...]] = {
    "resend": _RESEND,
    "sendgrid": _SENDGRID,
    "postmark": _POSTMARK,
    "ses": _SES,
}
