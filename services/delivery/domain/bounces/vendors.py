"""What single large receivers mean by their own codes."""

from __future__ import annotations

import re

from services.delivery.domain.bounces.reasons import Reason

_R = Reason

# Microsoft: https://learn.microsoft.com/exchange/mail-flow-best-practices/
# non-delivery-reports-in-exchange-online. Nobody else numbers details from 100 on.
_MICROSOFT: tuple[tuple[str, int, int, Reason], ...] = (
    ("1", 10, 10, _R.USERUNKNOWN),
    ("2", 121, 122, _R.SPEEDING),
    ("3", 190, 190, _R.USERUNKNOWN),
    ("4", 300, 309, _R.EXPIRED),
    ("4", 310, 312, _R.HOSTUNKNOWN),
    ("4", 314, 319, _R.EXPIRED),
    ("7", 57, 57, _R.SECURITYERROR),
    ("7", 64, 64, _R.NORELAYING),
    ("7", 100, 123, _R.SECURITYERROR),
    ("7", 124, 124, _R.REJECTED),
    ("7", 129, 139, _R.SECURITYERROR),
    ("7", 230, 233, _R.SPEEDING),
    ("7", 320, 323, _R.FAILEDSTARTTLS),
    ("7", 500, 500, _R.SPEEDING),
    ("7", 501, 504, _R.SPAMDETECTED),
    ("7", 505, 505, _R.REJECTED),
    ("7", 506, 508, _R.BLOCKED),
    ("7", 509, 510, _R.AUTHFAILURE),
    ("7", 511, 511, _R.BLOCKED),
    ("7", 512, 512, _R.NOTCOMPLIANTRFC),
    ("7", 513, 514, _R.BLOCKED),
    ("7", 515, 515, _R.AUTHFAILURE),
    ("7", 606, 649, _R.BLOCKED),
    ("7", 700, 749, _R.SPEEDING),
    ("7", 750, 750, _R.REJECTED),
    ("7", 800, 899, _R.BLOCKED),
)
_OF_MICROSOFT = ("resolver.", "outlook.com", "protection.outlook", "recipientnotfound", "microsoft")

# Exchange's own words for its resolver, submission and queue, in front of what it says.
_EXCHANGE = {
    "smtpsend.dns.nonexistentdomain": _R.HOSTUNKNOWN,
    "smtpsend.dns.mxloopback": _R.NETWORKERROR,
    "resolver.adr.badprimary": _R.SYSTEMERROR,
    "resolver.adr.recipnotfound": _R.USERUNKNOWN,
    "resolver.adr.recipientnotfound": _R.USERUNKNOWN,
    "resolver.adr.exrecipnotfound": _R.USERUNKNOWN,
    "resolver.adr.reciplimit": _R.TOOMANYCONN,
    "resolver.adr.invalidinsmtp": _R.SYSTEMERROR,
    "resolver.adr.ambiguous": _R.SYSTEMERROR,
    "resolver.rst.authrequired": _R.SECURITYERROR,
    "resolver.rst.notauthorized": _R.REJECTED,
    "resolver.rst.recipsizelimit": _R.EXCEEDLIMIT,
    "resolver.rst.sendsizelimit": _R.MESGTOOBIG,
    "queue.expired": _R.EXPIRED,
}

# Orange, Wanadoo and La Poste end their texts with a code: https://postmaster.orange.fr
_FRENCH = re.compile(r"\b(?:ofr|lpn|lpnaaa)[0-9]{0,4}_([0-9]{3})\b")
_FRENCH_CODES = {
    "101": _R.BLOCKED, "102": _R.BLOCKED, "103": _R.BLOCKED, "104": _R.TOOMANYCONN,
    "105": _R.BLOCKED, "106": _R.BLOCKED, "107": _R.BLOCKED, "108": _R.BLOCKED,
    "109": _R.REQUIREPTR, "305": _R.SECURITYERROR, "401": _R.AUTHFAILURE, "402": _R.AUTHFAILURE,
    "403": _R.REJECTED, "405": _R.REJECTED, "415": _R.REJECTED, "416": _R.USERUNKNOWN,
    "417": _R.MAILBOXFULL, "418": _R.SUSPEND, "420": _R.SUSPEND, "421": _R.REJECTED,
    "423": _R.REJECTED, "436": _R.REJECTED, "501": _R.SYSTEMERROR, "505": _R.SYSTEMERROR,
    "506": _R.SPAMDETECTED, "510": _R.BLOCKED, "513": _R.MESGTOOBIG, "514": _R.TOOMANYCONN,
    "515": _R.AUTHFAILURE, "517": _R.SYSTEMERROR, "519": _R.SYSTEMERROR, "521": _R.SYSTEMERROR,
    "525": _R.SYSTEMERROR, "534": _R.SPAMDETECTED, "540": _R.SPAMDETECTED, "541": _R.SPAMDETECTED,
    "550": _R.SPAMDETECTED, "630": _R.POLICYVIOLATION, "999": _R.SECURITYERROR,
}  # fmt: skip

# Yahoo, AOL: https://senders.yahooinc.com/smtp-error-codes/
_YAHOO = re.compile(
    r"\[(?:ip)?(tss|tsl|ts|gl|bl|cm|ir|dynt|hvu|rly|dl)(?:[0-9]{2}|:[a-z0-9]{1,3})\]"
)
_YAHOO_CODES = {
    "tss": _R.BADREPUTATION, "ts": _R.BADREPUTATION, "tsl": _R.SPEEDING, "gl": _R.BLOCKED,
    "bl": _R.BLOCKED, "ir": _R.BLOCKED, "dynt": _R.BLOCKED, "hvu": _R.SPAMDETECTED,
    "rly": _R.NORELAYING, "cm": _R.SPAMDETECTED, "dl": _R.REJECTED,
}  # fmt: skip

# GoDaddy: https://www.godaddy.com/help/what-does-my-email-bounceback-mean-3568
_GODADDY = re.compile(r"\bib([0-9])[0-9]{2}\b")
_GODADDY_CODES = {"1": _R.BLOCKED, "2": _R.SPEEDING, "5": _R.SPAMDETECTED, "6": _R.SPEEDING}

# Cox, Comcast, Charter: https://www.cox.com/residential/support/email-error-codes.html,
# https://postmaster.comcast.net/smtp-error-codes.php,
# https://www.spectrum.net/support/internet/understanding-email-error-codes
_CABLE = re.compile(
    r"\b(cx(?:bl|thrt|mj|dns|sndr|cnct|mxrt|smtp)|cdrbl|ipbl[01]|urlbl|bl0000[0-9]{2}|pt0000[0-9]{2}"
    r"|rl0000[0-9]{2}|dm0000[0-9]{2}|aup#[a-z]{1,4}-[0-9a-z]{1,6})"
)
_CABLE_CODES = {
    "cxbl": _R.BLOCKED, "cxthrt": _R.SPEEDING, "cxmj": _R.BLOCKED, "cxdns": _R.REQUIREPTR,
    "cxsndr": _R.REJECTED, "cxcnct": _R.TOOMANYCONN, "cxmxrt": _R.REJECTED,
    "cxsmtp": _R.SPEEDING, "cdrbl": _R.BLOCKED, "ipbl": _R.BLOCKED, "urlbl": _R.SPAMDETECTED,
    "bl0000": _R.BLOCKED, "pt0000": _R.REQUIREPTR, "rl0000": _R.SPEEDING, "dm0000": _R.AUTHFAILURE,
}  # fmt: skip
# The number of a Charter code says what it is about.
_CHARTER_CODES = {
    "1130": _R.SPEEDING, "1140": _R.SPEEDING, "1150": _R.SPEEDING, "1160": _R.SPEEDING,
    "1170": _R.SPEEDING, "1180": _R.SPEEDING, "1190": _R.SPEEDING, "1200": _R.SPEEDING,
    "1210": _R.SPEEDING, "1220": _R.SPEEDING, "1230": _R.SPEEDING, "1250": _R.SPEEDING,
    "1260": _R.SPEEDING, "1300": _R.BLOCKED, "1310": _R.BLOCKED, "1320": _R.BLOCKED,
    "1330": _R.REQUIREPTR, "1350": _R.SPAMDETECTED, "1360": _R.SPAMDETECTED,
    "1380": _R.SPAMDETECTED, "1400": _R.SPAMDETECTED, "1410": _R.SPAMDETECTED,
    "1500": _R.SPAMDETECTED, "1520": _R.REJECTED, "1530": _R.MESGTOOBIG, "1540": _R.SPAMDETECTED,
    "1550": _R.SPAMDETECTED, "1560": _R.SPAMDETECTED, "1570": _R.SPAMDETECTED,
    "1580": _R.SPAMDETECTED, "1590": _R.SPAMDETECTED,
}  # fmt: skip

# NetEase: https://mail.163.com/help/help_spam_16.htm
_NETEASE = re.compile(
    r"\b(dt:spm|dt:sum|hl:rep|hl:itc|hl:icc|hl:ihu|hl:mep|mi:[a-z]{3}|rp:[a-z]{3})\b"
)
_NETEASE_CODES = {
    "dt:spm": _R.SPAMDETECTED, "dt:sum": _R.REJECTED, "hl:rep": _R.BLOCKED,
    "hl:itc": _R.TOOMANYCONN, "hl:icc": _R.TOOMANYCONN, "hl:ihu": _R.BLOCKED,
    "hl:mep": _R.SPEEDING, "mi:spf": _R.AUTHFAILURE, "mi:dma": _R.AUTHFAILURE,
    "mi:spb": _R.REJECTED,
}  # fmt: skip

# PowerMTA's X-PowerMTA-BounceCategory.
CATEGORIES = {
    "bad-mailbox": _R.USERUNKNOWN, "bad-domain": _R.HOSTUNKNOWN, "inactive-mailbox": _R.SUSPEND,
    "quota-issues": _R.MAILBOXFULL, "spam-related": _R.SPAMDETECTED,
    "policy-related": _R.POLICYVIOLATION, "virus-related": _R.VIRUSDETECTED,
    "content-related": _R.CONTENTERROR, "message-expired": _R.EXPIRED,
    "relaying-issues": _R.NORELAYING, "no-answer-from-host": _R.EXPIRED,
    "bad-connection": _R.NETWORKERROR, "routing-errors": _R.NETWORKERROR,
    "bad-configuration": _R.SYSTEMERROR, "protocol-errors": _R.SYNTAXERROR,
    "invalid-sender": _R.REJECTED,
}  # fmt: skip

# Mobile networks of Japan that answer after DATA, with nothing where the address would be.
_KDDI = ("ezweb.ne.jp", "au.com", "uqmobile.jp")


def reason_of(text: str, status: str, host: str) -> Reason | None:
    """The reason, where the text (in lower case) or status is one that a vendor documents."""
    french = _FRENCH.search(text)
    if french is not None:
        return _FRENCH_CODES.get(french[1])
    yahoo = _YAHOO.search(text)
    if yahoo is not None:
        return _YAHOO_CODES[yahoo[1]]
    found = _of_coded(text)
    if found is not None:
        return found
    godaddy = _GODADDY.search(text)
    if godaddy is not None and ("secureserver" in host or "x.co/" in text):
        return _GODADDY_CODES.get(godaddy[1])
    if any(name in host or f"@{name}" in text for name in _KDDI):
        found = _of_kddi(text)
        if found is not None:
            return found
    for word, reason in _EXCHANGE.items():
        if word in text:
            return reason
    return _of_microsoft(text, status)


def _of_coded(text: str) -> Reason | None:
    """By codes that only one receiver writes."""
    cable = _CABLE.search(text)
    if cable is not None:
        code = cable[1]
        if code.startswith("aup#"):
            return _CHARTER_CODES.get(code.rpartition("-")[2][:4])
        return _CABLE_CODES.get(code.rstrip("0123456789") or code) or _CABLE_CODES.get(code[:6])
    netease = _NETEASE.search(text)
    if netease is not None:
        return _NETEASE_CODES.get(netease[1], _R.SPEEDING)
    return None


def _of_kddi(text: str) -> Reason | None:
    if "user unknown" not in text or "disabled" in text:
        return None
    return _R.FILTERED if ": user unknown" in text and ">: user" not in text else _R.USERUNKNOWN


def _of_microsoft(text: str, status: str) -> Reason | None:
    _, _, tail = status.partition(".")
    subject, _, number = tail.partition(".")
    if not number.isdigit():
        return None
    detail = int(number)
    if detail < 100 and not any(name in text for name in _OF_MICROSOFT):
        return None
    if detail >= 900:
        return None
    for wanted, first, last, reason in _MICROSOFT:
        if subject == wanted and first <= detail <= last:
            return reason
    return None
