"""Why mail came back: Sisimai's vocabulary, and what RFC 3463 says about it."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """A reason in Sisimai's words (https://libsisimai.org/en/reason/)."""

    AUTHFAILURE = "authfailure"
    BADREPUTATION = "badreputation"
    BLOCKED = "blocked"
    CONTENTERROR = "contenterror"
    DELIVERED = "delivered"
    EXCEEDLIMIT = "exceedlimit"
    EXPIRED = "expired"
    FAILEDSTARTTLS = "failedstarttls"
    FEEDBACK = "feedback"
    FILTERED = "filtered"
    HASMOVED = "hasmoved"
    HOSTUNKNOWN = "hostunknown"
    MAILBOXFULL = "mailboxfull"
    MAILERERROR = "mailererror"
    MESGTOOBIG = "mesgtoobig"
    NETWORKERROR = "networkerror"
    NORELAYING = "norelaying"
    NOTACCEPT = "notaccept"
    NOTCOMPLIANTRFC = "notcompliantrfc"
    ONHOLD = "onhold"
    POLICYVIOLATION = "policyviolation"
    REJECTED = "rejected"
    REQUIREPTR = "requireptr"
    SECURITYERROR = "securityerror"
    SPAMDETECTED = "spamdetected"
    SPEEDING = "speeding"
    SUPPRESSED = "suppressed"
    SUSPEND = "suspend"
    SYNTAXERROR = "syntaxerror"
    SYSTEMERROR = "systemerror"
    SYSTEMFULL = "systemfull"
    TOOMANYCONN = "toomanyconn"
    UNDEFINED = "undefined"
    USERUNKNOWN = "userunknown"
    VACATION = "vacation"
    VIRUSDETECTED = "virusdetected"


# The address is no good, whatever is sent to it and whenever.
_ALWAYS_HARD = frozenset({Reason.USERUNKNOWN, Reason.HOSTUNKNOWN, Reason.HASMOVED})


def is_hard(reason: Reason, status: str) -> bool:
    """Whether the address is to be written to no more. A host that takes no mail is, unless it
    says that this will pass."""
    if reason is Reason.NOTACCEPT:
        return not status.startswith("4")
    return reason in _ALWAYS_HARD


_R = Reason

# RFC 3463 and the registry that follows it (RFC 5248), without the class digit:
# what the code says alone, when the words beside it say nothing more. A second reason is for 4.x.
STATUSES: dict[str, tuple[str, Reason | None, Reason | None]] = {
    "0.0": ("Other undefined status", None, None),
    "1.0": ("Other address status", _R.USERUNKNOWN, None),
    "1.1": ("Bad destination mailbox address", _R.USERUNKNOWN, _R.USERUNKNOWN),
    "1.2": ("Bad destination system address", _R.HOSTUNKNOWN, _R.HOSTUNKNOWN),
    "1.3": ("Bad destination mailbox address syntax", _R.USERUNKNOWN, _R.USERUNKNOWN),
    "1.4": ("Destination mailbox address ambiguous", _R.FILTERED, _R.FILTERED),
    "1.5": ("Destination address valid", _R.DELIVERED, _R.DELIVERED),
    "1.6": ("Destination mailbox has moved", _R.HASMOVED, _R.HASMOVED),
    "1.7": ("Bad sender's mailbox address syntax", _R.REJECTED, _R.REJECTED),
    "1.8": ("Bad sender's system address", _R.REJECTED, _R.REJECTED),
    "1.9": ("Message relayed to non-compliant mailer", _R.SYSTEMERROR, _R.SYSTEMERROR),
    "1.10": ("Recipient address has null MX", _R.NOTACCEPT, _R.NOTACCEPT),
    "2.0": ("Other or undefined mailbox status", _R.FILTERED, None),
    "2.1": ("Mailbox disabled, not accepting messages", _R.FILTERED, _R.SUSPEND),
    "2.2": ("Mailbox full", _R.MAILBOXFULL, _R.MAILBOXFULL),
    "2.3": ("Message length exceeds administrative limit", _R.EXCEEDLIMIT, _R.EXCEEDLIMIT),
    "2.4": ("Mailing list expansion problem", _R.FILTERED, _R.FILTERED),
    "3.0": ("Other or undefined mail system status", _R.SYSTEMERROR, _R.SYSTEMERROR),
    "3.1": ("Mail system full", _R.SYSTEMFULL, _R.SYSTEMFULL),
    "3.2": ("System not accepting network messages", _R.NOTACCEPT, _R.NOTACCEPT),
    "3.3": ("System not capable of selected features", _R.SYSTEMERROR, _R.SYSTEMERROR),
    "3.4": ("Message too big for system", _R.MESGTOOBIG, _R.MESGTOOBIG),
    "3.5": ("System incorrectly configured", _R.SYSTEMERROR, _R.SYSTEMERROR),
    "3.6": ("Requested priority was changed", _R.SYSTEMERROR, _R.SYSTEMERROR),
    "4.0": ("Other or undefined network or routing status", _R.NETWORKERROR, None),
    "4.1": ("No answer from host", None, _R.EXPIRED),
    "4.2": ("Bad connection", None, _R.NETWORKERROR),
    "4.3": ("Directory server failure", _R.SYSTEMERROR, _R.SYSTEMERROR),
    "4.4": ("Unable to route", _R.HOSTUNKNOWN, _R.NETWORKERROR),
    "4.5": ("Mail system congestion", _R.SYSTEMFULL, _R.SYSTEMFULL),
    "4.6": ("Routing loop detected", None, _R.NETWORKERROR),
    "4.7": ("Delivery time expired", _R.EXPIRED, _R.EXPIRED),
    "4.8": ("Retry on IPv4", None, _R.NETWORKERROR),
    "5.0": ("Other or undefined protocol status", None, None),
    "5.1": ("Invalid command", None, None),
    "5.2": ("Syntax error", _R.SYNTAXERROR, None),
    "5.3": ("Too many recipients", _R.TOOMANYCONN, _R.SYSTEMERROR),
    "5.4": ("Invalid command arguments", _R.SYSTEMERROR, _R.SYSTEMERROR),
    "5.5": ("Wrong protocol version", _R.SYSTEMERROR, _R.SYSTEMERROR),
    "5.6": ("Authentication exchange line is too long", _R.SYNTAXERROR, _R.SYNTAXERROR),
    "6.0": ("Other or undefined media error", _R.CONTENTERROR, _R.CONTENTERROR),
    "6.1": ("Media not supported", _R.CONTENTERROR, _R.CONTENTERROR),
    "6.2": ("Conversion required and prohibited", _R.CONTENTERROR, _R.CONTENTERROR),
    "6.3": ("Conversion required but not supported", _R.CONTENTERROR, _R.CONTENTERROR),
    "6.4": ("Conversion with loss performed", _R.CONTENTERROR, _R.CONTENTERROR),
    "6.5": ("Conversion failed", _R.CONTENTERROR, _R.CONTENTERROR),
    "6.6": ("Message content not available", _R.CONTENTERROR, _R.CONTENTERROR),
    "6.7": ("Non-ASCII addresses not permitted", _R.CONTENTERROR, _R.CONTENTERROR),
    "6.8": ("UTF-8 string reply required", _R.CONTENTERROR, _R.CONTENTERROR),
    "6.9": ("UTF-8 header cannot be transferred", _R.CONTENTERROR, _R.CONTENTERROR),
    "7.0": ("Other or undefined security status", _R.SECURITYERROR, None),
    "7.1": ("Delivery not authorized, message refused", _R.SECURITYERROR, _R.BLOCKED),
    "7.2": ("Mailing list expansion prohibited", _R.SECURITYERROR, _R.BLOCKED),
    "7.3": ("Security conversion required", _R.SECURITYERROR, _R.SECURITYERROR),
    "7.4": ("Security features not supported", _R.SECURITYERROR, _R.SECURITYERROR),
    "7.5": ("Cryptographic failure", _R.SECURITYERROR, _R.SECURITYERROR),
    "7.6": ("Cryptographic algorithm not supported", _R.SECURITYERROR, _R.SECURITYERROR),
    "7.7": ("Message integrity failure", _R.SECURITYERROR, _R.SECURITYERROR),
    "7.8": ("Authentication credentials invalid", _R.SECURITYERROR, _R.SECURITYERROR),
    "7.9": ("Authentication mechanism is too weak", _R.SECURITYERROR, _R.SECURITYERROR),
    "7.10": ("Encryption needed", _R.SECURITYERROR, _R.SECURITYERROR),
    "7.11": ("Encryption required for this mechanism", _R.SECURITYERROR, _R.SECURITYERROR),
    "7.12": ("A password transition is needed", _R.SECURITYERROR, _R.SECURITYERROR),
    "7.13": ("User account disabled", _R.SUSPEND, _R.SUSPEND),
    "7.14": ("Trust relationship required", _R.SECURITYERROR, _R.SECURITYERROR),
    "7.15": ("Priority level is too low", _R.SECURITYERROR, _R.SECURITYERROR),
    "7.16": ("Message too big for its priority", _R.MESGTOOBIG, _R.MESGTOOBIG),
    "7.17": ("Mailbox owner has changed", _R.HASMOVED, _R.HASMOVED),
    "7.18": ("Domain owner has changed", _R.HASMOVED, _R.HASMOVED),
    "7.19": ("RRVS test cannot be completed", _R.SECURITYERROR, _R.SECURITYERROR),
    "7.20": ("No passing DKIM signature found", _R.AUTHFAILURE, _R.AUTHFAILURE),
    "7.21": ("No acceptable DKIM signature found", _R.AUTHFAILURE, _R.AUTHFAILURE),
    "7.22": ("No author-matched DKIM signature found", _R.AUTHFAILURE, _R.AUTHFAILURE),
    "7.23": ("SPF validation failed", _R.AUTHFAILURE, _R.AUTHFAILURE),
    "7.24": ("SPF validation error", _R.AUTHFAILURE, _R.AUTHFAILURE),
    "7.25": ("Reverse DNS validation failed", _R.REQUIREPTR, _R.REQUIREPTR),
    "7.26": ("Multiple authentication checks failed", _R.AUTHFAILURE, _R.AUTHFAILURE),
    "7.27": ("Sender address has null MX", _R.REJECTED, _R.REJECTED),
    "7.28": ("Mail flood detected", _R.SPEEDING, _R.SPEEDING),
    "7.29": ("ARC validation failure", _R.AUTHFAILURE, _R.AUTHFAILURE),
    "7.30": ("REQUIRETLS support required", _R.FAILEDSTARTTLS, _R.FAILEDSTARTTLS),
}


def of_status(status: str) -> Reason | None:
    """What an RFC 3463 code says alone; None where that is nothing in particular."""
    row = STATUSES.get(status[2:])
    if row is None:
        return None
    return row[2] if status[:1] == "4" else row[1]


# Detail numbers from 900 on are nobody's: they stand for a reason where the mail named no status.
_OWN_STATUSES = {
    _R.ONHOLD: 901,
    _R.SYNTAXERROR: 902,
    _R.NORELAYING: 909,
    _R.FILTERED: 910,
    _R.USERUNKNOWN: 911,
    _R.HOSTUNKNOWN: 912,
    _R.HASMOVED: 916,
    _R.REJECTED: 918,
    _R.SUSPEND: 921,
    _R.MAILBOXFULL: 922,
    _R.EXCEEDLIMIT: 923,
    _R.SYSTEMERROR: 930,
    _R.SYSTEMFULL: 931,
    _R.NOTACCEPT: 932,
    _R.MESGTOOBIG: 934,
    _R.MAILERERROR: 939,
    _R.NETWORKERROR: 944,
    _R.TOOMANYCONN: 945,
    _R.SPEEDING: 946,
    _R.EXPIRED: 947,
    _R.CONTENTERROR: 960,
    _R.SECURITYERROR: 970,
    _R.BLOCKED: 971,
    _R.VIRUSDETECTED: 971,
    _R.AUTHFAILURE: 972,
    _R.POLICYVIOLATION: 972,
    _R.REQUIREPTR: 974,
    _R.BADREPUTATION: 975,
    _R.FAILEDSTARTTLS: 976,
    _R.NOTCOMPLIANTRFC: 977,
    _R.SPAMDETECTED: 980,
}
# What never passes by itself has no temporary form.
_NEVER_TEMPORARY = frozenset(
    {
        _R.EXCEEDLIMIT, _R.HASMOVED, _R.HOSTUNKNOWN, _R.MAILERERROR, _R.MESGTOOBIG, _R.NORELAYING,
        _R.POLICYVIOLATION, _R.SUSPEND, _R.SYNTAXERROR, _R.USERUNKNOWN, _R.VIRUSDETECTED,
    }
)  # fmt: skip
_NO_STATUS = frozenset({_R.FEEDBACK, _R.VACATION, _R.DELIVERED, _R.SUPPRESSED})


def own_status(reason: Reason, temporary: bool) -> str:
    """The status that stands for a reason where the mail named none: 5.0.9xx or 4.0.9xx. A
    complaint and an automatic reply have none."""
    if reason in _NO_STATUS:
        return ""
    if reason is _R.FILTERED and temporary:
        return "4.0.924"
    first = 4 if temporary and reason not in _NEVER_TEMPORARY else 5
    return f"{first}.0.{_OWN_STATUSES.get(reason, 900)}"
