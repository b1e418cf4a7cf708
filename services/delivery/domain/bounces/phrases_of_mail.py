"""Words by which receivers say what is wrong with a message, a host or the way between, in lower
case. As in `phrases`, "a*b" is b within 80 characters after a."""

from __future__ import annotations

from services.delivery.domain.bounces.reasons import Reason

_R = Reason

AUTHFAILURE = (
    "unauthenticated email", "sender is unauthenticated", "spf check", "spf fail", "spf*fail",
    "spf validation", "spf record", "fails spf", "failed spf", "openspf",
    "sender policy framework", "dkim*fail", "dkim*did not pass", "dkim signature", "no spf",
    "sender id", "senderid", "domainkeys", "spf*not pass", "spf violation", "(spf)", "spf unauth",
    "does not pass authentication", "authentication checks", "authentication results",
    "is not authorized to send mail from", "not allowed to send mail for", "arc validation",
    "dmarc policy", "dmarc verification", "dmarc check", "requires all senders to authenticate",
    "email rejected per*policy", "sender authentication", "authentication*failed*domain",
    "not authorized to use domain", "unauthenticated mail",
)  # fmt: skip

REQUIREPTR = (
    "reverse dns", "reverse lookup", "rdns", "ptr record", "no ptr", "ptr lookup", "reverse-dns",
    "reverse address", "cannot find your reverse", "cannot find your hostname", "reverse hostname",
    "reverse ip lookup", "no reverse", "missing ptr", "fix reverse", "without a reverse",
    "ip name lookup failed", "ip name possibly forged", "client host rejected: cannot find",
    "unresolvable relay host", "does not have a valid ptr", "name has no address",
    "without a valid sender domain", "no dns ptr", "reverse mapping", "ptr*not",
    "forward*confirmed", "helo*not match*ip", "unknown[", "domain name*ip address*not match",
)  # fmt: skip

BADREPUTATION = (
    "reputation", "user complaints", "sender score", "senderscore", "poor score",
    "unexpected volume", "temporarily deferred due to*complaints", "suspicious due to the",
    "very low reputation", "low reputation",
)  # fmt: skip

SPEEDING = (
    "unusual rate", "rate limit", "rate-limit", "ratelimit", "rate that prevents", "rate exceeded",
    "sending rate", "too many recipients this hour", "too many messages from",
    "too much mail from", "too fast", "too frequent", "throttl", "slow down", "excessive rate",
    "message rate", "mail rate", "exceeded*per hour", "exceeded*per day", "per hour*exceed",
    "too many emails", "too many mails", "receiving mail at a rate", "receivingrate",
    "sent too many messages", "daily limit", "hourly limit", "hourly quota", "sending limit",
    "try again slower", "limits for sender", "exceeded the rate", "mail flood",
    "recipient limit for", "has sent to too many", "too many messages",
    "sent to this recipient too",
)  # fmt: skip

TOOMANYCONN = (
    "too many connections", "too many concurrent", "too many sessions", "concurrent connections",
    "connections from your", "connection rate", "max connections", "maximum connections",
    "connection limit", "number of connections", "too many smtp sessions", "too many open",
    "too many recipients", "many simultaneous", "connection refused*too many", "server busy",
    "too many incoming", "session limit", "too many errors from your", "connections per",
    "unusual*connections", "all sockets in use", "max*smtp connections",
)  # fmt: skip

BLOCKED = (
    "blacklist", "black list", "blocklist", "block list", "blackhole", "black hole", "rbl",
    "dnsbl", "spamhaus", "spamcop", "barracudacentral", "sorbs", "uceprotect", "senderbase",
    "blocked using", "client host*blocked", "ip*is blocked", "ip*has been blocked",
    "ip*was blocked", "blocked by*list", "blocked for abuse", "your ip address",
    "ip address*blocked", "ip address*rejected", "ip*rejected", "your host", "your network",
    "your server*blocked", "messages from*weren't sent", "service refuse", "connection refused by",
    "connections not accepted", "connection rejected", "connection dropped",
    "refused to talk to me", "greylist", "graylist", "greylisted", "grey listed",
    "please visit*unblock", "from*temporarily blocked", "access denied*ip",
    "not accept mail from your", "access from*denied", "no access from mail server", "host*denied",
    "dynamic*ip", "dynamic ip", "residential", "dial-up", "dialup", "invalid ip for sending",
    "ip*listed", "listed*sbl", "listed*xbl", "listed*pbl", "mail server has been temporarily",
    "blocked because*ip", "client host rejected", "bad helo", "helo command rejected",
    "ehlo*rejected", "invalid helo", "host rejected", "we do not accept mail from dynamic",
    "too many bad commands", "too many unwanted messages", "unsolicited mail originating",
    "access denied*spam", "banned sending ip", "temporarily rejected*ip", "open relay",
    "open proxy", "is listed", "rejected*by rbl", "esmtp not accepting connections",
    "not accepting connections", "unwanted traffic", "message*from*blocked*ip", "relay quota",
    "server access*forbidden", "refused mail service", "mail from*ip*refused",
    "please contact*blocked", "abusive",
)  # fmt: skip

SPAMDETECTED = (
    "unsolicited", "junk mail", "bulk mail", "bulk e-mail", "phishing", "blacklisted url",
    "message looks", "message*identified as", "looks like", "considered unsolicited",
    "content filter", "surbl", "uribl", "high probability", "spam message", "spam mail", "is spam",
    "as spam", "spam content", "spam detected", "spam score", "spam-like", "spammy", "be spam",
    "rejected by cloudmark", "cloudmark", "message content*rejected", "mail contained",
    "appears to be unsolicited", "detected as", "rule imposed", "score*threshold",
    "rejected due to content", "classified as", "probable", "spam classification", "too many spam",
    "pornographic", "mail rejected by filter", "malicious url", "uri*blacklist", "url*blacklist",
    "blacklisted link",
)  # fmt: skip

VIRUSDETECTED = (
    "virus", "malware", "infected", "trojan", "worm", "clamav", "contains*malicious",
)  # fmt: skip

POLICYVIOLATION = (
    "policy violation", "for policy reasons", "policy reasons", "policy reason", "due to policy",
    "violates*policy", "violation of*policy", "local policy", "against*policy", "security policy",
    "content presents a potential", "potential security issue", "security reasons",
    "attachment*not allowed", "attachment*blocked", "banned attachment", "executable",
    "prohibited attachment", "forbidden attachment", "prohibited for security",
    "restricted attachment", "file*not allowed", "extension*not", "attachment type",
    "unsafe attachment", "organization's policy", "by policy", "message not accepted for policy",
    "policy restrictions", "mail policy", "header error", "corporate policy",
    "administrative policy", "policies", "policy*reject", "rejected by*policy", "policy filter",
    "protocol violation", "email not accepted for policy", "we do not accept messages containing",
    "encrypted mail*not", "banned content", "administrative prohibition",
    "not accepted due to domain", "blocked*security", "prohibited by",
)  # fmt: skip

SECURITYERROR = (
    "authentication required", "authentication turned on", "authentication failed",
    "authentication credentials", "authenticationfailed", "authentication failure", "auth failure",
    "unauthenticated senders not allowed", "must be authenticated", "not authenticated",
    "smtp authentication", "requires authentication", "please authenticate", "login failed",
    "authorization failed", "not authorized from this ip", "encryption required",
    "encryption needed", "verification failure", "codes*not match", "executable files are not",
    "sorry, you don't authenticate", "you are not authorized", "insecure", "cryptographic",
    "account not subscribed to ses", "not authorized to send", "unauthorized", "not authorised",
    "unauthorised", "security credentials", "trust relationship", "key required",
    "password*expired", "loginfailed",
)  # fmt: skip

FAILEDSTARTTLS = (
    "starttls", "tls handshake", "tls required", "tls connection", "tls negotiation",
    "tls session", "ssl handshake", "certificate verif", "certificate*expired",
    "server certificate", "requiretls", "tls is required", "tls-required", "secure connection",
    "mta-sts", "dane",
)  # fmt: skip

MESGTOOBIG = (
    "message too big", "message too large", "message is too big", "message is too large",
    "message size exceed", "message exceeds", "message*exceeds*size", "exceeds maximum message",
    "exceeds maximum size", "exceeds size limit", "exceeded maximum*size",
    "exceeds the maximum size", "size limit*exceeded", "size exceeds", "message file too big",
    "max message size", "maximum message size", "message length limit", "mail size limit",
    "body too large", "too big for", "line limit exceeded", "message data size exceeds",
    "mail too large", "mail is too big", "datasize*exceed", "message header size exceeds",
    "mail file size exceeds", "larger than the", "message larger than", "is larger than*limit",
    "message length exceeds", "size*not accepted", "msg too big", "message size limit",
    "size of this message", "file size exceeds",
)  # fmt: skip

EXCEEDLIMIT = (
    "message length exceeds administrative", "message length exceeds limit set by recipient",
    "message too large for this recipient", "message too large for recipient",
    "message too big for recipient", "maximum allowed for this recipient",
    "limit set by recipient", "recipient's size limit",
    "message header size exceeds limit for recipient", "resolver.rst.recipsizelimit",
    "message size exceeds*recipient", "exceeds administrative limit",
)  # fmt: skip

NOTCOMPLIANTRFC = (
    "rfc 5322", "rfc5322", "rfc 2822", "rfc2822", "rfc 822", "not compliant", "non-compliant",
    "not rfc", "non-rfc", "rfc violation", "no-duplicate", "duplicate*header", "multiple*headers",
    "missing*header", "from: header", "messages missing", "missing a valid", "bare lf",
    "bare <lf>", "header is missing", "headers*malformed", "'from' header", "invalid header",
    "valid address in", "multiple addresses in from", "without*message-id", "header*missing",
    "not conform",
)  # fmt: skip

CONTENTERROR = (
    "bad header", "headers too large", "header too large", "improper use of 8-bit",
    "8-bit character", "8bit", "mime error", "malformed mime", "mime headers",
    "unsupported character", "non-ascii", "message content", "content*rejected",
    "message headers fail", "invalid body", "conversion required", "conversion failed",
    "media not supported", "undefined media", "routing loop detected -- too many received",
    "charset not supported", "smtputf8", "bad content", "improper mime", "message header*invalid",
    "had no*header", "message with invalid header", "too many 'received", "content-type",
    "media error", "unsupported media",
)  # fmt: skip

SYSTEMFULL = (
    "mail system full", "insufficient system storage", "no space left on device", "disk full",
    "system storage", "requested mail action aborted: exceeded storage", "mail system congestion",
    "insufficient disk space", "not enough disk space", "not enough disk", "no space left",
    "out of disk", "filesystem is full", "file system full", "disk is full", "server*full",
)  # fmt: skip

SYSTEMERROR = (
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
    "cannot send*message", "unable to process", "system incorrectly configured",
    "internal reasons", "after multiple retries", "service refused, please try later",
    "error in processing", "local delivery", "not capable of selected features",
    "queue file write error", "server failure", "deferred*internal", "write error",
    "undefined error", "application error",
)  # fmt: skip

NETWORKERROR = (
    "too many hops", "too many received", "mail loop", "mail forwarding loop", "routing loop",
    "loop detected", "hop count", "looping", "forwarding loop", "forwarded more than",
    "network is unreachable", "network unreachable", "no route to host", "connection refused",
    "connection reset", "connection lost", "lost connection", "connection was dropped",
    "host name lookup failure", "name lookup failure", "name server*fail", "dns lookup",
    "dns error", "dns server", "nameserver", "name service error", "host unreachable",
    "host is down", "unable to contact", "unable to route", "can't connect", "cannot connect",
    "could not connect", "connection*closed", "no answer from host", "bad connection",
    "dns temporarily", "malformed name server", "no network connection", "temporary dns",
    "could not resolve", "maximum forwarding", "server terminated", "address already in use",
    "error during communication", "broken pipe", "unable to establish connection", "didn't answer",
    "ip address lookup", "message loop", "server closed connection",
)  # fmt: skip

EXPIRED = (
    "connection timed out", "timed out", "operation timed out", "timeout", "delivery time expired",
    "message expired", "envelope expired", "expired after", "retry timeout exceeded",
    "queue too long", "in queue too long", "been in the queue", "could not be delivered for",
    "retry time not reached", "not reached for any host", "delivery expired", "message timed out",
    "retries*exceeded", "did not accept our requests to connect", "establish an smtp connection",
    "too old", "cannot send message for", "has been delayed", "delivery attempts will continue",
    "will retry for", "delay in the delivery", "message has been delayed",
    "hours and could not be delivered", "was not delivered within", "expiration",
    "undelivered for", "was not delivered in", "unable to deliver*in the specified", "retry limit",
    "maximum time", "not been delivered yet", "not yet received", "host unavailable",
    "no answer from", "socket error", "message*expired", "for too long",
    "could not be delivered in",
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
    "syntax error", "malformed address", "bad sequence", "command not recognized",
    "command unrecognized", "unrecognized command", "unknown command", "invalid command",
    "command out of sequence", "command not implemented", "command parameter not", "bad command",
    "invalid arguments", "invalid argument", "unsupported command", "invalid address syntax",
    "improper command", "parse error", "malformed recipient",
)  # fmt: skip

MAIL: dict[Reason, tuple[str, ...]] = {
    _R.AUTHFAILURE: AUTHFAILURE,
    _R.REQUIREPTR: REQUIREPTR,
    _R.BADREPUTATION: BADREPUTATION,
    _R.SPEEDING: SPEEDING,
    _R.TOOMANYCONN: TOOMANYCONN,
    _R.BLOCKED: BLOCKED,
    _R.SPAMDETECTED: SPAMDETECTED,
    _R.VIRUSDETECTED: VIRUSDETECTED,
    _R.POLICYVIOLATION: POLICYVIOLATION,
    _R.SECURITYERROR: SECURITYERROR,
    _R.FAILEDSTARTTLS: FAILEDSTARTTLS,
    _R.MESGTOOBIG: MESGTOOBIG,
    _R.EXCEEDLIMIT: EXCEEDLIMIT,
    _R.NOTCOMPLIANTRFC: NOTCOMPLIANTRFC,
    _R.CONTENTERROR: CONTENTERROR,
    _R.SYSTEMFULL: SYSTEMFULL,
    _R.SYSTEMERROR: SYSTEMERROR,
    _R.NETWORKERROR: NETWORKERROR,
    _R.EXPIRED: EXPIRED,
    _R.MAILERERROR: MAILERERROR,
    _R.SYNTAXERROR: SYNTAXERROR,
}

# Heard after all the others.
GENERAL: tuple[tuple[Reason, tuple[str, ...]], ...] = ((_R.AUTHFAILURE, ("dmarc", "spf", "dkim")),)

# What says little by itself: heard only where the status says nothing either.
WEAK: tuple[tuple[Reason, tuple[str, ...]], ...] = (
    (_R.SPAMDETECTED, ("spam", "antispam", "junk")),
    (_R.USERUNKNOWN, ("mailbox unavailable", "recipient rejected")),
    (_R.REJECTED, ("access denied", "mail from")),
    (
        _R.SYSTEMERROR,
        (
            "temporary failure",
            "try again later",
            "try later",
            "temporarily unavailable",
            "unavailable",
        ),
    ),
    (_R.NETWORKERROR, ("unable to connect",)),
    (_R.EXPIRED, ("delayed", "deferred")),
    (_R.POLICYVIOLATION, ("policy",)),
)
