"""Words by which mail servers say what is wrong with themselves or with the way between, in lower
case; and what words say that fit many reasons. "a*b" is as in `phrases`.
"""

from __future__ import annotations

from services.delivery.domain.bounces.reasons import Reason

_R = Reason

TOOMANYCONN = (
    "simultaneous connections exceeded", "maximum number of simultaneous", "too many simultaneous",
    "connections exceeded", "connection count", "concurrency limit", "connection*limit exceeded",
    "too many open connections", "too many connections", "too many concurrent", "too many sessions",
    "concurrent connections", "connections from your", "connection rate", "max connections",
    "maximum connections", "connection limit", "number of connections", "too many smtp sessions",
    "too many open", "many simultaneous", "connection refused*too many", "server busy",
    "too many incoming", "session limit", "too many errors from your", "connections per",
    "unusual*connections", "all sockets in use", "max*smtp connections", "concurrent*connections",
    "has too many recipients", "many recipients at once",
)  # fmt: skip

FAILEDSTARTTLS = (
    "not support tls", "tls is not", "tls not available", "tls currently unavailable", "no tls",
    "tls required but", "tls-only", "requires tls", "cannot start tls", "certificate error",
    "certificate is not trusted", "tls encryption required", "tls is mandatory", "starttls",
    "tls handshake", "tls required", "tls connection", "tls negotiation", "tls session",
    "ssl handshake", "certificate verif", "certificate*expired", "server certificate", "requiretls",
    "tls is required", "tls-required", "secure connection", "mta-sts", "dane",
)  # fmt: skip

SYSTEMFULL = (
    "mail system full", "insufficient system storage", "no space left on device", "disk full",
    "system storage", "requested mail action aborted: exceeded storage", "mail system congestion",
    "insufficient disk space", "not enough disk space", "not enough disk", "no space left",
    "out of disk", "filesystem is full", "file system full", "disk is full", "server*full",
)  # fmt: skip

SYSTEMERROR = (
    "temporarily rejected message", "error on our side", "internal problem", "malfunction",
    "fatal error", "software error", "permission denied", "read-only file system",
    "resource*unavailable", "service unavailable; please try", "message has wrong owner",
    "unable to run qmail", "frozen", "temporarily unable to process", "insufficient resources",
    "system error", "internal error", "local error", "server error", "local configuration error",
    "configuration error", "cannot allocate memory", "out of memory", "can't create",
    "cannot create", "can't open", "unable to open", "cannot open", "ldap server", "ldap*fail",
    "unable to connect*database", "database error", "i/o error", "mailer table",
    "duplicated message-id", "insufficient memory", "timeout waiting for input",
    "interrupted system call", "process failed", "mail system config error", "system config error",
    "config error", "loops back to myself", "loops back to itself", "host configuration error",
    "user database", "service currently unavailable", "directory server failure",
    "resources temporarily", "resources unavailable", "unexpected error",
    "insufficient system resources", "delivery error", "service is not available",
    "cannot send*message", "unable to process", "system incorrectly configured", "internal reasons",
    "after multiple retries", "service refused, please try later", "error in processing",
    "local delivery", "not capable of selected features", "queue file write error",
    "server failure", "deferred*internal", "write error", "undefined error", "application error",
    "mail transport", "never_users", "lowest numbered mx", "unable to chdir", "unable to switch to",
    "unable to stat", "home directory is", "several matches found", "internal resource",
)  # fmt: skip

NETWORKERROR = (
    "dns operation", "name server failure", "dns timeout", "dns failure", "remote host closed",
    "unreachable", "cannot route", "connection was reset", "connection aborted", "connection died",
    "lookup failed temporarily", "failure in mx lookup", "address family mismatch",
    "routes to destination blocked", "no valid route", "could not retrieve source address",
    "bad dns lookup", "this message is looping", "connection was refused", "mxloopback",
    "too many hops", "too many received", "mail loop", "mail forwarding loop", "routing loop",
    "loop detected", "hop count", "looping", "forwarding loop", "forwarded more than",
    "network is unreachable", "network unreachable", "network error", "no route to host",
    "connection refused", "connection reset", "connection lost", "lost connection",
    "connection was dropped", "host name lookup failure", "name lookup failure", "name server*fail",
    "dns lookup", "dns error", "dns server", "nameserver", "name service error", "host unreachable",
    "host is down", "unable to contact", "unable to route", "can't connect", "cannot connect",
    "could not connect", "connection*closed", "bad connection", "dns temporarily",
    "malformed name server", "no network connection", "temporary dns", "could not resolve",
    "maximum forwarding", "server terminated", "address already in use",
    "error during communication", "broken pipe", "unable to establish connection", "didn't answer",
    "ip address lookup", "message loop", "server closed connection", "best-preference mx",
    "host lookup did not complete",
)  # fmt: skip

EXPIRED = (
    "no answer from host", "tried for", "been unable to deliver", "not be delivered within",
    "did not respond", "not responding", "failed to connect", "retry period",
    "delivery cancelled; message expired", "could not send message for past",
    "warning: could not send", "still being retried", "is being retried",
    "could not deliver for the last", "delivery failed*attempts", "not reachable",
    "giving up after", "delivery attempts failed", "gave up after", "has not been collected after",
    "attempts to deliver", "aborted after", "could not be sent for", "not delivered after",
    "no delivery for", "unable to deliver this message after", "could not find a gateway",
    "been trying to deliver", "maximum queue", "queue lifetime", "queue.expired",
    "undeliverable for", "attempted to deliver*times", "connection timed out", "timed out",
    "operation timed out", "timeout", "delivery time expired", "message expired",
    "envelope expired", "expired after", "retry timeout exceeded", "queue too long",
    "in queue too long", "been in the queue", "could not be delivered for",
    "retry time not reached", "hosts have been failing", "long failure period",
    "not reached for any host", "delivery expired", "message timed out", "retries*exceeded",
    "did not accept our requests to connect", "establish an smtp connection", "too old",
    "cannot send message for", "has been delayed", "delivery attempts will continue",
    "will retry for", "delay in the delivery", "message has been delayed",
    "hours and could not be delivered", "was not delivered within", "expiration", "undelivered for",
    "was not delivered in", "unable to deliver*in the specified", "retry limit", "maximum time",
    "not been delivered yet", "not yet received", "host unavailable", "no answer from",
    "socket error", "message*expired", "for too long", "could not be delivered in",
)  # fmt: skip

MAILERERROR = (
    "mailer error", "command failed", "exit status", "exit code", "exited with",
    "unknown mailer error", "local delivery failed", "procmail", "pipe to |", "|/",
    "unknown mailer-error", "command died", "process died", "prog mailer", "command output",
    "returned error", "pipe returned", "error from .forward", "not write to mailbox",
    "non zero exit", "delivery failed with*exit", "mailer returned", "child process",
    "vdelivermail: command",
)  # fmt: skip

SYNTAXERROR = (
    "improper sequence of commands", "out of sequence", "need rcpt", "need mail", "no recipients",
    "valid rcpt to required", "nested mail", "unimplemented", "is not implemented", "syntax error",
    "malformed address", "bad sequence", "command not recognized", "command unrecognized",
    "unrecognized command", "unknown command", "invalid command", "command out of sequence",
    "command not implemented", "command parameter not", "bad command", "invalid arguments",
    "invalid argument", "unsupported command", "invalid address syntax", "improper command",
    "parse error", "malformed recipient",
)  # fmt: skip

SERVERS: dict[Reason, tuple[str, ...]] = {
    _R.TOOMANYCONN: TOOMANYCONN,
    _R.FAILEDSTARTTLS: FAILEDSTARTTLS,
    _R.SYSTEMFULL: SYSTEMFULL,
    _R.SYSTEMERROR: SYSTEMERROR,
    _R.NETWORKERROR: NETWORKERROR,
    _R.EXPIRED: EXPIRED,
    _R.MAILERERROR: MAILERERROR,
    _R.SYNTAXERROR: SYNTAXERROR,
}

# Heard before all the others: they leave no doubt, whatever else is said.
PLAIN: tuple[tuple[Reason, tuple[str, ...]], ...] = (
    (
        _R.MAILERERROR,
        ("child process of*returned", "command does not exist", "delivery program failed"),
    ),
    (_R.SECURITYERROR, ("turn on smtp authentication", "username or password")),
    (_R.BLOCKED, ("blackhole site", "refused by blackhole", "internal resource*mimecast")),
    (_R.REJECTED, ("administrative prohibition - envelope",)),
    (
        _R.FILTERED,
        (
            "recipient has rejected",
            "recipient has blocked",
            "only accepts mail from approved",
            "recipient does not accept mail from",
            "user blocks mail",
            "recipient only accepts",
        ),
    ),
    (_R.SUPPRESSED, ("do-not-send",)),
    (_R.SYNTAXERROR, ("syntax error: bad",)),
    (_R.SPEEDING, ("send limit exceeded", "too many transaction", "too many recipients received")),
    (_R.TOOMANYCONN, ("has too many recipients",)),
)

# Heard after all the others.
GENERAL: tuple[tuple[Reason, tuple[str, ...]], ...] = (
    (_R.AUTHFAILURE, ("dmarc", "spf", "dkim")),
    (_R.BADREPUTATION, ("reputation",)),
    (_R.TOOMANYCONN, ("too many recipients",)),
    (_R.FAILEDSTARTTLS, ("tls",)),
    (_R.MAILBOXFULL, ("quota",)),
    (_R.SPAMDETECTED, ("likely spam", "spam", "(mode: normal)", "denied (mode")),
)

# What a status of X.7 means, where it means one of these.
OF_SECURITY: tuple[tuple[Reason, tuple[str, ...]], ...] = (
    (_R.SPAMDETECTED, ("spam", "antispam", "junk")),
    (_R.POLICYVIOLATION, ("policy",)),
)

# What says little by itself: heard only where the status says nothing either.
WEAK: tuple[tuple[Reason, tuple[str, ...]], ...] = (
    (_R.SPAMDETECTED, ("spam", "antispam", "junk")),
    (
        _R.USERUNKNOWN,
        (
            "mailbox unavailable", "recipient rejected", "recipient address rejected.",
            "address rejected.",
        ),
    ),
    (_R.REJECTED, ("access denied", "mail from")),
    (
        _R.SYSTEMERROR,
        (
            "temporary failure", "temporary lookup failure", "try again later", "try later",
            "temporarily unavailable", "unavailable",
        ),
    ),
    (_R.NETWORKERROR, ("unable to connect",)),
    (_R.EXPIRED, ("delayed", "deferred")),
    (_R.POLICYVIOLATION, ("policy",)),
)  # fmt: skip
