"""Words by which receivers say what is wrong with a message, or with the host that sends it, in
lower case. As in `phrases`, "a*b" is b within 80 characters after a.
"""

from __future__ import annotations

from services.delivery.domain.bounces.reasons import Reason

_R = Reason

AUTHFAILURE = (
    "unauthenticated email", "sender is unauthenticated", "spf check", "spf fail", "spf*fail",
    "spf validation", "spf record", "fails spf", "failed spf", "openspf", "sender policy framework",
    "dkim*fail", "dkim*did not pass", "dkim signature", "no spf", "sender id", "senderid",
    "domainkeys", "spf*not pass", "spf violation", "(spf)", "spf unauth",
    "does not pass authentication", "authentication checks", "authentication results",
    "is not authorized to send mail from", "not allowed to send mail for", "arc validation",
    "dmarc policy", "dmarc*policy", "dmarc verification", "dmarc check",
    "requires all senders to authenticate",
    "email rejected per*policy", "sender authentication", "authentication*failed*domain",
    "not authorized to use domain", "unauthenticated mail", "spf sender invalid",
    "dmarc sender invalid",
)  # fmt: skip

REQUIREPTR = (
    "helo*not match", "domain name*not match", "reverse dns", "reverse lookup", "rdns",
    "ptr record", "no ptr", "ptr lookup", "reverse-dns", "reverse address",
    "cannot find your reverse", "cannot find your hostname", "reverse hostname",
    "reverse ip lookup", "no reverse", "missing ptr", "fix reverse", "without a reverse",
    "ip name lookup failed", "ip name possibly forged", "client host rejected: cannot find",
    "unresolvable relay host", "does not have a valid ptr", "name has no address",
    "without a valid sender domain", "no dns ptr", "reverse mapping", "ptr*not",
    "forward*confirmed", "ptr resource record", "bad dns ptr",
)  # fmt: skip

BADREPUTATION = (
    "low reputation", "poor reputation", "bad reputation", "reputation of", "user complaints",
    "sender score", "senderscore", "poor score", "unexpected volume",
    "temporarily deferred due to*complaints", "suspicious due to the", "very low reputation",
)  # fmt: skip

SPEEDING = (
    "limit*per minute", "too many mail", "throttled", "mail volume", "rate control",
    "sending quota", "daily quota", "message quota", "too quickly", "too rapidly", "too often",
    "sending too", "messages*per hour", "messages*per day", "over the*rate", "frequency limited",
    "quota for today", "messages per", "unusual rate", "rate limit", "rate-limit", "ratelimit",
    "rate that prevents", "rate exceeded", "sending rate", "too many recipients this hour",
    "too many messages from", "too much mail from", "too fast", "too frequent", "throttl",
    "slow down", "excessive rate", "message rate", "mail rate", "exceeded*per hour",
    "exceeded*per day", "per hour*exceed", "too many emails", "too many mails",
    "receiving mail at a rate", "receivingrate", "sent too many messages", "daily limit",
    "hourly limit", "hourly quota", "sending limit", "try again slower", "limits for sender",
    "exceeded the rate", "mail flood", "recipient limit for", "has sent to too many",
    "too many messages", "sent to this recipient too", "send limit", "too many transaction",
    "too many recipients received", "frequency limit", "high a rate", "too high rate", "sends too",
)  # fmt: skip

BLOCKED = (
    "connection refused by", "see rbl", "ip address is", "ip*blacklist", "your ip",
    "your mail server", "abuse from", "blocked by our", "host is blocked", "host*blacklisted",
    "has been blacklisted", "connection denied", "refused connection", "bad reputation ip",
    "not allowed to connect", "do not accept connections from", "blocked using*reputation",
    ":blocked)", "client host*blocked", "poor reputation ip", "blacklist", "black list",
    "blocklist", "block list", "blackhole", "black hole", "rbl", "dnsbl", "spamhaus", "spamcop",
    "barracudacentral", "sorbs", "uceprotect", "senderbase", "blocked using", "ip*is blocked",
    "ip*has been blocked", "ip*was blocked", "blocked by*list", "blocked for abuse",
    "your ip address", "ip address*blocked", "ip address*rejected", "ip*rejected", "your host",
    "your network", "your server*blocked", "messages from*weren't sent", "service refuse",
    "connections not accepted", "connection rejected", "connection dropped",
    "refused to talk to me", "greylist", "graylist", "greylisted", "grey listed",
    "please visit*unblock", "from*temporarily blocked", "access denied*ip",
    "not accept mail from your", "access from*denied", "no access from mail server", "dynamic*ip",
    "dynamic ip", "residential", "dial-up", "dialup", "invalid ip for sending", "ip*listed",
    "listed*sbl", "listed*xbl", "listed*pbl", "mail server has been temporarily",
    "blocked because*ip", "client host rejected", "bad helo", "helo command rejected",
    "ehlo*rejected", "invalid helo", "host rejected", "we do not accept mail from dynamic",
    "too many bad commands", "too many unwanted messages", "unsolicited mail originating",
    "access denied*spam", "banned sending ip", "temporarily rejected*ip", "open relay",
    "open proxy", "is listed", "rejected*by rbl", "esmtp not accepting connections",
    "not accepting connections", "unwanted traffic", "message*from*blocked*ip", "relay quota",
    "server access*forbidden", "refused mail service", "mail from*ip*refused",
    "please contact*blocked", "abusive", "blocked - see", "comcast block",
    "no smtp service for you",
)  # fmt: skip

SPAMDETECTED = (
    "spam points", "seems to be spam", "spam filter", "considered spam", "anti-spam",
    "spamassassin", "spam or virus", "rejected by the content filter", "unsolicited", "junk mail",
    "bulk mail", "bulk e-mail", "phishing", "blacklisted url", "message filtered", "message looks",
    "message*identified as", "looks like", "considered unsolicited", "content filter", "surbl",
    "uribl", "high probability", "spam message", "spam mail", "is spam", "as spam", "spam content",
    "spam detected", "spam score", "spam-like", "spammy", "be spam", "rejected by cloudmark",
    "cloudmark", "message content*rejected", "mail contained", "mail content denied",
    "suspected to be spam", "suspected spam", "appears to be unsolicited", "detected as",
    "rule imposed", "score*threshold", "classified as", "probable", "spam classification",
    "too many spam", "pornographic", "mail rejected by filter", "malicious url", "uri*blacklist",
    "url*blacklist", "blacklisted link", "unacceptable content", "brightmail",
)  # fmt: skip

VIRUSDETECTED = (
    "rejected due to security policies", "ransomware", "malicious attachment", "malicious content",
    "eicar", "security threat", "harmful content", "virus", "malware", "infected", "trojan", "worm",
    "clamav", "contains*malicious",
)  # fmt: skip

POLICYVIOLATION = (
    "illegal attachment", "attachments of this type", "attachment of this type",
    "type of attachment", "attachments are not", "attachment*rejected", "zip files",
    "content policy", "dangerous attachment", "suspicious attachment", "contains*attachment*not",
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
    "could not retrieve credentials", "server does not support auth", "authentication is required",
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

MESGTOOBIG = (
    "mail size limit exceeded", "sendsizelimit", "exceeded*message size limit", "maximum size for",
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
    "message too big for recipient", "maximum allowed for this recipient", "limit set by recipient",
    "recipient's size limit", "message header size exceeds limit for recipient",
    "resolver.rst.recipsizelimit", "message size exceeds*recipient", "exceeds administrative limit",
)  # fmt: skip

NOTCOMPLIANTRFC = (
    "rfc 5322", "rfc5322", "rfc 2822", "rfc2822", "rfc 822", "not compliant", "non-compliant",
    "not rfc", "non-rfc", "rfc violation", "no-duplicate", "duplicate*header", "multiple*headers",
    "missing*header", "from: header", "messages missing", "missing a valid", "bare lf", "bare <lf>",
    "header is missing", "headers*malformed", "'from' header", "invalid header", "valid address in",
    "multiple addresses in from", "without*message-id", "header*missing", "not conform",
)  # fmt: skip

CONTENTERROR = (
    "conversion to internet format failed", "8bitmime", "illegal character", "bad character",
    "invalid character", "bad header", "headers too large", "header too large",
    "improper use of 8-bit", "8-bit character", "8bit", "mime error", "malformed mime",
    "mime headers", "unsupported character", "non-ascii", "message content", "content*rejected",
    "message headers fail", "invalid body", "conversion required", "conversion failed",
    "media not supported", "undefined media", "routing loop detected -- too many received",
    "charset not supported", "smtputf8", "bad content", "improper mime", "message header*invalid",
    "had no*header", "message with invalid header", "too many 'received", "content-type",
    "media error", "unsupported media", "eight bit", "eight-bit", "improper header", "nested group",
    "missing final '@domain'",
)  # fmt: skip

MAIL: dict[Reason, tuple[str, ...]] = {
    _R.AUTHFAILURE: AUTHFAILURE,
    _R.REQUIREPTR: REQUIREPTR,
    _R.BADREPUTATION: BADREPUTATION,
    _R.SPEEDING: SPEEDING,
    _R.BLOCKED: BLOCKED,
    _R.SPAMDETECTED: SPAMDETECTED,
    _R.VIRUSDETECTED: VIRUSDETECTED,
    _R.POLICYVIOLATION: POLICYVIOLATION,
    _R.SECURITYERROR: SECURITYERROR,
    _R.MESGTOOBIG: MESGTOOBIG,
    _R.EXCEEDLIMIT: EXCEEDLIMIT,
    _R.NOTCOMPLIANTRFC: NOTCOMPLIANTRFC,
    _R.CONTENTERROR: CONTENTERROR,
}
