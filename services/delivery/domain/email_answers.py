"""What providers and mail servers answer, as data: codes, and which answer is which code.

Sources: RFC 5321 §4.2, RFC 4954 §6, RFC 9110 §15. What single providers answer is in
email_provider_answers.
"""

from __future__ import annotations

from services.delivery.domain.bounces.reasons import Reason

_R = Reason

# name, kind, flags, meaning
CODES: tuple[tuple[str, str, str, str], ...] = (
    # --- what a provider says of us
    ("email_provider_rate_limited", "rate", "elsewhere", "too many requests in too short a time"),
    ("email_provider_quota_exceeded", "rate", "elsewhere", "the plan's quota is used up"),
    ("email_provider_unavailable", "retry", "elsewhere", "the provider cannot serve right now"),
    ("email_provider_timeout", "retry", "elsewhere", "the provider did not answer in time"),
    ("email_provider_unreachable", "retry", "elsewhere", "no connection to the provider"),
    ("email_provider_tls_failed", "retry", "elsewhere", "no encrypted connection to the provider"),
    ("email_request_in_flight", "retry", "", "the same idempotency key is being worked on"),
    ("email_idempotency_conflict", "permanent", "", "the key was used with another message"),
    ("email_credentials_missing", "configuration", "elsewhere", "no credentials were sent"),
    ("email_credentials_invalid", "configuration", "elsewhere", "the credentials are refused"),
    ("email_permission_denied", "configuration", "elsewhere", "the credentials may not do this"),
    ("email_account_suspended", "configuration", "elsewhere", "the account may not send"),
    ("email_account_sandboxed", "configuration", "elsewhere", "the account may send tests only"),
    ("email_sender_not_verified", "configuration", "elsewhere", "sender or domain not verified"),
    ("email_encryption_required", "configuration", "elsewhere", "STARTTLS is required first"),
    ("email_relay_denied", "configuration", "elsewhere", "the server does not relay for us"),
    ("email_request_invalid", "permanent", "", "the request itself is wrong; a fault of ours"),
    ("email_request_refused", "permanent", "elsewhere", "refused, with nothing said we know"),
    ("email_unexpected_reply", "retry", "", "an answer that fits no protocol"),
    # --- what is wrong with the recipient
    ("email_invalid_recipient", "permanent", "hard", "there is no such mailbox"),
    ("email_invalid_recipient_domain", "permanent", "hard", "the domain does not exist"),
    ("email_domain_takes_no_mail", "permanent", "hard", "the domain says that it takes no mail"),
    ("email_recipient_moved", "permanent", "hard", "the mailbox has moved"),
    ("email_recipient_disabled", "permanent", "", "the mailbox is suspended"),
    ("email_recipient_refuses", "permanent", "", "the mailbox exists and refuses this"),
    ("email_recipient_suppressed", "suppressed", "", "the address is on a suppression list"),
    ("email_recipient_complained", "suppressed", "", "the recipient reported mail as spam"),
    ("email_recipient_deferred", "retry", "", "the recipient is refused for now"),
    ("email_mailbox_full", "retry", "", "the mailbox is full"),
    # --- what is wrong with the sender, as receivers see it
    ("email_authentication_failed", "configuration", "", "SPF, DKIM or DMARC did not pass"),
    ("email_reverse_dns_required", "configuration", "elsewhere", "no fitting PTR record"),
    ("email_bad_reputation", "configuration", "elsewhere", "address or domain has a bad name"),
    ("email_sender_blocked", "configuration", "elsewhere", "the sending host is blocked"),
    ("email_sender_deferred", "retry", "elsewhere", "the sending host is put off, or greylisted"),
    ("email_sender_rejected", "configuration", "", "the envelope's sender is refused"),
    # --- what is wrong with the message
    ("email_message_too_large", "permanent", "", "larger than the receiver takes"),
    ("email_content_rejected", "permanent", "", "format or content cannot be taken"),
    ("email_not_compliant", "permanent", "", "a header breaks RFC 5322"),
    ("email_spam_rejected", "permanent", "", "judged to be spam"),
    ("email_spam_deferred", "retry", "", "looks like spam, and is put off"),
    ("email_virus_rejected", "permanent", "", "judged to carry malware"),
    ("email_policy_rejected", "permanent", "", "against the receiver's policy"),
    ("email_policy_deferred", "retry", "", "put off for the receiver's policy"),
    # --- what is wrong with the receiver, or between us
    ("email_too_many_connections", "rate", "", "too many connections or recipients at a time"),
    ("email_receiver_unavailable", "retry", "", "the receiver takes no mail for now"),
    ("email_receiver_full", "retry", "", "the receiver has no space left"),
    ("email_receiver_error", "retry", "", "the receiver failed, and may not the next time"),
    ("email_receiver_failed", "permanent", "", "the receiver failed for good"),
    ("email_receiver_tls_failed", "retry", "", "no encrypted connection to the receiver"),
    ("email_network_failed", "retry", "", "no route, no name, or a lost connection"),
    ("email_delivery_expired", "permanent", "", "it was tried for as long as it could be"),
    ("email_protocol_refused", "permanent", "", "a command was not understood or out of order"),
    ("email_temporary_failure", "retry", "", "put off, with nothing said we know"),
    ("email_permanent_failure", "permanent", "", "refused for good, with nothing said we know"),
)

# The code of a reason: for good, and for now.
REASONS: dict[Reason, tuple[str, str]] = {
    _R.AUTHFAILURE: ("email_authentication_failed", "email_authentication_failed"),
    _R.BADREPUTATION: ("email_bad_reputation", "email_sender_deferred"),
    _R.BLOCKED: ("email_sender_blocked", "email_sender_deferred"),
    _R.CONTENTERROR: ("email_content_rejected", "email_content_rejected"),
    _R.DELIVERED: ("email_unexpected_reply", "email_unexpected_reply"),
    _R.EXCEEDLIMIT: ("email_message_too_large", "email_message_too_large"),
    _R.EXPIRED: ("email_delivery_expired", "email_network_failed"),
    _R.FAILEDSTARTTLS: ("email_receiver_tls_failed", "email_receiver_tls_failed"),
    _R.FEEDBACK: ("email_recipient_complained", "email_recipient_complained"),
    _R.FILTERED: ("email_recipient_refuses", "email_recipient_deferred"),
    _R.HASMOVED: ("email_recipient_moved", "email_recipient_moved"),
    _R.HOSTUNKNOWN: ("email_invalid_recipient_domain", "email_network_failed"),
    _R.MAILBOXFULL: ("email_mailbox_full", "email_mailbox_full"),
    _R.MAILERERROR: ("email_receiver_failed", "email_receiver_error"),
    _R.MESGTOOBIG: ("email_message_too_large", "email_message_too_large"),
    _R.NETWORKERROR: ("email_network_failed", "email_network_failed"),
    _R.NORELAYING: ("email_relay_denied", "email_relay_denied"),
    _R.NOTACCEPT: ("email_domain_takes_no_mail", "email_receiver_unavailable"),
    _R.NOTCOMPLIANTRFC: ("email_not_compliant", "email_not_compliant"),
    _R.ONHOLD: ("email_permanent_failure", "email_temporary_failure"),
    _R.POLICYVIOLATION: ("email_policy_rejected", "email_policy_deferred"),
    _R.REJECTED: ("email_sender_rejected", "email_sender_deferred"),
    _R.REQUIREPTR: ("email_reverse_dns_required", "email_reverse_dns_required"),
    _R.SECURITYERROR: ("email_policy_rejected", "email_policy_deferred"),
    _R.SPAMDETECTED: ("email_spam_rejected", "email_spam_deferred"),
    _R.SPEEDING: ("email_provider_rate_limited", "email_provider_rate_limited"),
    _R.SUPPRESSED: ("email_recipient_suppressed", "email_recipient_suppressed"),
    _R.SUSPEND: ("email_recipient_disabled", "email_recipient_deferred"),
    _R.SYNTAXERROR: ("email_protocol_refused", "email_receiver_error"),
    _R.SYSTEMERROR: ("email_receiver_failed", "email_receiver_error"),
    _R.SYSTEMFULL: ("email_receiver_full", "email_receiver_full"),
    _R.TOOMANYCONN: ("email_too_many_connections", "email_too_many_connections"),
    _R.UNDEFINED: ("email_permanent_failure", "email_temporary_failure"),
    _R.USERUNKNOWN: ("email_invalid_recipient", "email_recipient_deferred"),
    _R.VACATION: ("email_unexpected_reply", "email_unexpected_reply"),
    _R.VIRUSDETECTED: ("email_virus_rejected", "email_virus_rejected"),
}

# SMTP replies to what comes before any message: they are about our account at the server.
SUBMISSION_REPLIES = {
    432: "email_credentials_invalid",
    454: "email_provider_unavailable",
    530: "email_credentials_missing",
    534: "email_credentials_invalid",
    535: "email_credentials_invalid",
    538: "email_encryption_required",
}
# The same by RFC 4954's statuses, without the class.
SUBMISSION_STATUSES = {
    "7.8": "email_credentials_invalid",
    "7.10": "email_encryption_required",
    "7.11": "email_encryption_required",
    "7.12": "email_credentials_invalid",
}

# RFC 5321 §4.2.3 and later: what a reply says where its text says nothing we know.
REPLIES = {
    421: "email_receiver_unavailable",
    450: "email_recipient_deferred",
    451: "email_receiver_error",
    452: "email_receiver_full",
    455: "email_receiver_error",
    500: "email_protocol_refused",
    501: "email_protocol_refused",
    502: "email_protocol_refused",
    503: "email_protocol_refused",
    504: "email_protocol_refused",
    521: "email_domain_takes_no_mail",
    523: "email_message_too_large",
    541: "email_spam_rejected",
    550: "email_permanent_failure",
    551: "email_recipient_moved",
    552: "email_mailbox_full",
    553: "email_invalid_recipient",
    554: "email_permanent_failure",
    555: "email_protocol_refused",
    556: "email_domain_takes_no_mail",
}

# What an HTTP status says where a provider's body says nothing we know.
HTTP = {
    400: "email_request_invalid",
    401: "email_credentials_invalid",
    402: "email_provider_quota_exceeded",
    403: "email_permission_denied",
    404: "email_request_invalid",
    405: "email_request_invalid",
    406: "email_request_invalid",
    408: "email_provider_timeout",
    409: "email_request_in_flight",
    413: "email_message_too_large",
    415: "email_request_invalid",
    422: "email_request_invalid",
    425: "email_provider_unavailable",
    429: "email_provider_rate_limited",
    504: "email_provider_timeout",
}
