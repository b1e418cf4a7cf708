"""Words by which receivers say what is wrong with an address or with the sender, in lower case.

Each phrase is stock text of a mail server, or of a large receiver. "a*b" is b within 80 characters
after a. `phrases_of_mail` has those about the message and about servers.
"""

from __future__ import annotations

from services.delivery.domain.bounces.reasons import Reason

_R = Reason

USERUNKNOWN = (
    "user not known", "is not known here", "account is unavailable", "user not local",
    "email address is not valid", "address is not valid", "recipient addresses rejected",
    "validrcptto", "not in my list of recipients", "user*not available", "not a user",
    "no longer works here", "no longer exists", "mailbox does not", "account no longer",
    "has no account", "unknown person", "recipient doesn't exist", "user*does not have",
    "not known at this", "cannot find user", "can't find user", "could not find user",
    "no user named", "no such person", "not found in the directory", "rcpt*unknown",
    "rcpt*not exist", "recipient*isn't", "sorry, no such", "mailbox*invalid", "mail account*not",
    "user*not listed", "illegal alias", "unknown or illegal", "user*not recognized",
    "recipient*not recognized", "recipient*unknown", "user*unknown", "mailbox*not exist",
    "no recipient", "not our user", "unknown alias", "recipient name*unknown", "not a recipient",
    "mailbox*not found", "bad user", "bad destination", "is not a valid", "unknown: user",
    "user name not found", "recipient*not found", "mailbox*unavailable or", "no account",
    "not have an account", "user unkn", "unknown email", "email address could not be found",
    "mail address is not", "account not found", "address error", "user unknown", "unknown user",
    "no such user", "user not found", "user*not found", "user not exist", "user does not exist",
    "user doesn't exist", "user*does not exist", "user invalid", "invalid user", "no mailbox",
    "no such mailbox", "mailbox not found", "mailbox does not exist", "mailbox unknown",
    "unknown mailbox", "mailbox*does not exist", "mailbox not present", "mailbox invalid",
    "invalid mailbox", "bad mailbox", "no such recipient", "recipient unknown",
    "unknown recipient", "recipient not found", "invalid recipient", "recipient invalid",
    "recipient*does not exist", "recipientnotfound", "recipient name is not recognized",
    "recipient is not local", "recipient does not exist", "recipient rejected: no such",
    "bad recipient", "no such address", "address unknown", "unknown address",
    "address does not exist", "address not found", "address*does not exist", "address*not found",
    "invalid address", "address invalid", "bad address", "no such email address",
    "bad destination mailbox address", "address couldn't be found", "address wasn't found",
    "email address*not found", "no such account", "account does not exist",
    "account*does not exist", "account unknown", "no account by that name",
    "account has been deleted", "account that you tried to reach does", "no such local user",
    "not a valid mailbox", "not a valid user", "not a valid recipient", "not a known user",
    "is not a known", "not listed in", "not our customer", "no one by that name",
    "no user by that name", "doesn't have a*account", "no valid recipient", "unknown local-part",
    "unknown local part", "unable to lookup user", "unknown account", "unknown to domino",
    "not listed in domino directory", "not listed in public name", "delivery userid",
    "in local recipient table", "in virtual alias table", "in virtual mailbox table",
    "in relay recipient table", "recipient address rejected: access denied", "email not found",
    "recipient address rejected: invalid", "recipient address rejected. user", "ldap verification",
    "recipient address rejected: unverified", "recipient verify failed",
    "couldn't be delivered*no", "callout verification", "verification of recipient",
    "undeliverable address", "user is unknown", "resolver.adr.recip", "unknown in*recipient",
    "wasn't found at", "nosuchuser", "adresse destinataire invalide", "destinataire invalide",
    "destinataire inconnu", "utilisateur inconnu", "empfaenger unbekannt", "unbekannter empf",
    "destinatario desconocido", "usuario desconocido", "utente sconosciuto",
    "宛先が見つかりません", "宛先不明", "見つかりません", "пользователь не найден",
    "нет такого пользователя", "用户不存在", "no such virtual", "recipient has no mailbox",
    "mailbox name is not", "sin buzon", "does not have an account", "user name is invalid",
    "alias not found", "and other recipients in the same", "invalid final delivery",
    "doesn't exist at this", "not exist on this", "not found in directory", "not a local address",
)  # fmt: skip

MAILBOXFULL = (
    "mailbox*out of disk", "mailbox*no space", "mailbox*out of space", "mailbox*storage limit",
    "mailbox*no more space", "mailbox*size exceeded", "user*over quota",
    "insufficient storage for", "not enough free space in", "space in the mailbox",
    "mailbox*capacity", "mailbox size limit", "quota of user", "mailbox*too full",
    "quota*exceeded", "mailbox*exceeded", "box is full", "too full", "exceeded storage",
    "over its quota", "over their quota", "over disk quota", "storage*exceeded", "mailbox full",
    "mailbox is full", "mailbox*is full", "mailbox was full", "inbox is full", "inbox*full",
    "over quota", "overquota", "over-quota", "quota exceed", "exceeded*quota", "exceeds*quota",
    "exceed*quota", "quota violation", "quota has been", "quota full", "out of storage",
    "storage quota", "storage limit", "disk quota", "user is over", "is over the*quota",
    "mailbox over", "mailbox has exceeded", "mailbox exceeded", "mailbox exceeds",
    "not enough storage space in", "no space left in mail", "account is full", "account is over",
    "account is exceeding", "too much mail data", "too much mail on", "message store full",
    "full mailbox", "maildir over", "maildir delivery", "recipient's mailbox exceeded",
    "recipient's mailbox is full", "exceeded the local limit", "exceeded the space limit",
    "exceeding the maximum number of messages", "is out of space", "would exceed mailbox",
    "would be over", "would exceed*quota", "insufficient disk quota",
    "not enough disk space*mailbox", "boite du destinataire pleine", "boîte*pleine",
    "casella*piena", "postfach*voll", "mailbox voll", "buzon*lleno", "メールボックスが一杯",
    "容量を超", "ящик*переполнен", "mailboxfull", "quotaexceeded", "mailbox temporarily full",
    "maximum allowed mailbox", "mail folder is full", "mail box is full", "mailbox_full",
    "local user over quota", "recipient storage full", "no room in mailbox", "space*exhausted",
    "mailbox limit exceeded", "quota for this user", "size of mailbox*exceeded",
)  # fmt: skip

SUSPEND = (
    "account*disabled", "user*disabled", "mailbox disabled", "mailbox is disabled",
    "address is disabled", "recipient*disabled", "disableduser", "account*is inactive",
    "inactive account", "account inactive", "inactive user", "user*inactive", "recipient*inactive",
    "mailbox*inactive", "account*suspended", "user*suspended", "mailbox*suspended",
    "recipient*suspended", "suspended user", "address*suspended", "account*locked",
    "mailbox*locked", "account is not active", "account not active", "account*deactivated",
    "user*deactivated", "account*expired", "mailbox*frozen", "is a deactivated",
    "account closed due to inactivity", "has been disabled", "has been suspended",
    "has been temporarily suspended", "is currently suspended", "currently disabled",
    "not subscribed", "address*no longer available", "temporarily disabled",
    "mailbox blocked for inactivity", "is no longer active", "email address is temporarily",
    "mailbox currently suspended", "user is not active", "unavailable due to inactivity",
    "not accepting messages", "boite du destinataire archivee", "recipient suspend",
    "invalid/inactive user", "account has been blocked", "administratively disabled",
    "the account or domain may not exist", "domain*is suspended", "user*is blocked",
    "locked email", "suspend the service",
)  # fmt: skip

HASMOVED = (
    "person has moved", "user moved", "account*moved", "moved to", "has moved",
    "has changed*address", "address has been changed", "user not local; please try",
    "user has moved", "mailbox moved", "has been replaced by", "please try forward",
    "no forwarding address", "has left the company", "is no longer with", "new address is",
    "recipient has left", "address*is no longer valid", "has relocated", "owner has changed",
    "not local; will forward", "mailbox has been moved",
)  # fmt: skip

FILTERED = (
    "ambiguous recipient", "prefers not to receive", "not willing to accept",
    "user settings*reject", "recipient does not want", "recipient preferences",
    "refused due to recipient preferences", "user refused", "refused by recipient",
    "rejected by recipient", "recipient refused", "does not accept mail from you",
    "because the recipient is only accepting", "only accepting mail from specific",
    "due to extended inactivity new mail is not", "rejected by the domain filter",
    "recipient is not accepting", "user reject", "user rejected", "blocked by the recipient",
    "recipients was rejected by a remote", "transaction failed*content restriction",
    "not accept mail from", "resolver.rst.notauthorized", "is not allowed to send to this",
    "your message was rejected by", "delivery is restricted", "permission*restricted",
    "refused to accept your message", "this user doesn't accept", "has rejected your message",
    "rejected a message with",
)  # fmt: skip

HOSTUNKNOWN = (
    "unable to find host", "cannot find host", "unable to look up", "no mail host",
    "domain unknown", "bad domain", "domain*unknown", "nonexistentdomain", "nonexistent domain",
    "invalid domain name", "no address associated with", "find any host",
    "domain name does not exist", "unrouteable address", "unroutable address", "host unknown",
    "unknown host", "host not found", "no such domain", "domain does not exist",
    "domain doesn't exist", "domain not found", "domain name not found", "unknown domain",
    "domain*does not exist", "domain*couldn't be found", "domain*not found", "no such host",
    "lookup failure: host", "nxdomain", "domain is not*reachable", "non-existent domain",
    "non existent domain", "bad destination system", "recipient domain must exist",
    "recipient address rejected: domain", "unrouteable mail domain", "unroutable mail domain",
    "no route for the domain", "couldn't find any host", "cannot resolve", "is unroutable",
    "invalid domain", "domain invalid", "host or domain name not found", "host name lookup*not",
    "name or service not known", "illegal host/domain", "illegal domain", "unable to resolve",
    "destination server not found", "dns name error", "all relevant mx records point to non",
    "all host address lookups failed permanently", "no mx or a records", "host/domain*unknown",
    "destination system*does not exist", "can not find mail server", "unknown mail domain",
    "the account or domain", "domain that isn't", "type=mx: host not", "domainnotfound",
)  # fmt: skip

NOTACCEPT = (
    "no mx found", "destination seem to reject all", "no mx found for", "no mx record",
    "has no mx", "no mx host", "couldn't find a mail exchanger", "indicated no smtp service",
    "does not accept mail", "do not accept mail", "doesn't accept mail", "accepts no mail",
    "does not accept email", "does not accept any mail", "doesn't accept any mail", "nullmx",
    "null mx", "domain does not accept", "not accepting network messages", "not accepting mail",
    "mail server is not accepting", "system is not accepting",
    "smtp protocol returned a permanent", "host/domain does not accept", "mail receiving disabled",
    "does not receive mail", "domain*not accept*mail", "no mail accepted",
    "cannot accept mail for", "mail for*not accepted here", "does not run a mail",
)  # fmt: skip

REJECTED = (
    "from header domain", "from domain*not allowed", "sender*not permitted", "sender*denied",
    "sender*refused", "not allowed to send mail from", "sender address*not", "return path",
    "mail from domain", "return-path*not", "invalid from", "address is not allowed to send",
    "you are not allowed to send", "not permitted to send", "envelope blocked",
    "originating address", "manually blocked senders", "blocked senders", "sender*on*block list",
    "sender address rejected", "sender rejected", "sender is rejected", "sender address*rejected",
    "address rejected: sender", "sender domain*rejected", "sender is invalid", "invalid sender",
    "unroutable sender", "unrouteable sender", "sender verify failed", "sender verification",
    "verification failed for <", "sender*does not exist", "sender domain must", "sender unknown",
    "domain of sender", "domain of the sender", "envelope sender", "empty envelope sender",
    "null sender", "bounces*not accepted", "mail from*rejected", "mail from*refused",
    "from address*not allowed", "from address is not", "backscatter protection", "bad sender",
    "not a member of", "you are not member", "not member", "isn't a member of", "only*may post",
    "you do not have permission to post", "not have permissions to post", "permission to post",
    "posting to this list", "not allowed to post", "members only", "not allowed to submit",
    "sender denied", "denied due to sender", "from*blacklisted sender", "sender*blacklisted",
    "address that has been blacklisted", "sender*blocked", "address*in blacklist",
    "returned mail is not accepted", "unacceptable sender",
    "we do not accept mail from this address", "access denied for sender", "sender not allowed",
    "domain*has a bad sender", "domain of*does not resolve", "sender's domain", "sender*not found",
    "bad sender's mailbox", "bad sender's system", "message sender*refused", "fromdenied",
    "sent from*is not allowed", "sendas", "send mail as", "send as*denied", "sendasdenied",
    "group you tried to contact", "no such group", "groups.google.com/support", "spammer",
    "sender refused", "server does not accept mail from", "invalid mailbox of sender",
    "sender email address", "sending domain", "senders' domain", "no reply host for",
    "cannot be verified as a sender",
)  # fmt: skip

NORELAYING = (
    "for relay", "relaying", "to relay", "relay from", "relay for",
    "email address is not verified", "identities failed the check", "open relay not allowed",
    "relaying denied", "relay access denied", "relay denied", "relaying not allowed",
    "relay not permitted", "not permitted to relay", "relaying is prohibited",
    "relaying prohibited", "unable to relay", "not allowed to relay", "relay not allowed",
    "refused to relay", "relay operation rejected", "no relaying", "relay*prohibited",
    "cannot relay", "relay rejected", "relaying mail to*is not", "not a gateway", "not a relay",
    "we do not relay", "open relay*not", "that domain isn't in my list of allowed rcpthosts",
    "in my list of allowed rcpthosts", "not authorized to relay", "relaying to*prohibited",
    "relaying disallowed", "relaying temporarily", "relay disallowed", "relay to*denied",
    "denied relay", "insecure mail relay", "mail relay denied",
    "this system is not configured to relay", "domain name is not in my list of allowed",
    "relay attempts", "relaying <", "no relay",
)  # fmt: skip

# Of them, those that the mailbox's own server says, before there is any SMTP.
LOCAL = (
    "invalid user address", "recipient name is not recognized", "delivery userid", "not listed in",
    "no mailbox here", "unknown local", "mail.local:", "local user", "unknown recipient",
    "doesn't have a*account", "見つかりません", "and other recipients in the same",
    "not in directory", "address couldn't be found", "unknown to domino", "no such virtual",
)  # fmt: skip

SUPPRESSED = (
    "suppression list", "suppressed sending", "address is suppressed", "is being suppressed",
    "inactive recipient", "blacklisted recipient",
)  # fmt: skip

ADDRESS: dict[Reason, tuple[str, ...]] = {
    _R.USERUNKNOWN: USERUNKNOWN,
    _R.MAILBOXFULL: MAILBOXFULL,
    _R.SUSPEND: SUSPEND,
    _R.HASMOVED: HASMOVED,
    _R.FILTERED: FILTERED,
    _R.HOSTUNKNOWN: HOSTUNKNOWN,
    _R.NOTACCEPT: NOTACCEPT,
    _R.REJECTED: REJECTED,
    _R.NORELAYING: NORELAYING,
    _R.SUPPRESSED: SUPPRESSED,
}
