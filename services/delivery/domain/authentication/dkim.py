"""The verdict on DKIM keys (RFC 6376, section 3.6; RFC 8301; RFC 8463)."""

from __future__ import annotations

from services.delivery.domain.authentication.facts import Answer, Facts, Kind
from services.delivery.domain.authentication.keys import (
    ED25519,
    RSA,
    BadKeyError,
    PublicKey,
    parse_key,
)
from services.delivery.domain.authentication.subject import SigningKey, Subject
from services.delivery.domain.authentication.tags import Tags, parse_tags
from services.delivery.domain.authentication.verdict import (
    Check,
    Fault,
    Finding,
    Verdict,
    conclude,
    unread,
)

# RFC 8301: signers use at least 1,024 bits and should use 2,048.
MIN_BITS, GOOD_BITS = 1024, 2048


def check_dkim(subject: Subject, facts: Facts) -> list[Finding]:
    """A finding for each key; one that is unknown where no key is named."""
    if not subject.keys:
        text = "No DKIM key is named for this domain, so there is none to look for."
        return [Finding(Check.DKIM, Verdict.UNKNOWN, "dkim_not_named", text)]
    return [_check_key(key, facts.ask(Kind.TXT, key.name)) for key in subject.keys]


def _check_key(key: SigningKey, answer: Answer) -> Finding:
    if answer.unsure:
        return unread(Check.DKIM, key.name, answer, key.name)
    # Other text may stand at the name; but there are domains that leave v=DKIM1 out, as they may.
    found = tuple(text for text in answer.values if "p" in parse_tags(text).values)
    if not found:
        code = "dkim_missing" if not answer.values else "dkim_syntax"
        what = "no DKIM record" if not answer.values else "text, but no DKIM record"
        text = f"{key.name} holds {what}."
        return Finding(Check.DKIM, Verdict.FAIL, code, text, answer.values[:5], key.name)
    if len(found) > 1:
        text = f"{key.name} holds {len(found)} keys; which one counts is chance."
        return Finding(Check.DKIM, Verdict.FAIL, "dkim_multiple", text, found, key.name)
    tags = parse_tags(found[0])
    good = ("dkim_ok", f"{key.name} holds our key.")
    return conclude(Check.DKIM, _faults(key, tags), good, found, key.name)


def _faults(key: SigningKey, tags: Tags) -> list[Fault]:
    faults = [_fail("dkim_syntax", f"The record cannot be read: {why}.") for why in tags.problems]
    if "v" in tags.values and (tags.get("v") != "DKIM1" or next(iter(tags.values)) != "v"):
        faults.append(_fail("dkim_version", "The record must begin with v=DKIM1."))
    if not "".join(tags.get("p").split()):
        return [*faults, _fail("dkim_revoked", f"{key.name} is revoked: its p= is empty.")]
    services = [part.strip() for part in tags.get("s", "*").split(":")]
    if "*" not in services and "email" not in services:
        faults.append(_fail("dkim_service", "Its s= does not say that the key is for e-mail."))
    hashes = [part.strip() for part in tags.get("h", "sha256").lower().split(":")]
    if "sha256" not in hashes:
        faults.append(_fail("dkim_hash", "Its h= does not allow sha256, which we sign with."))
    if "y" in [part.strip() for part in tags.get("t").split(":")]:
        text = "Its t=y says that DKIM is only being tested: receivers may ignore it."
        faults.append(_warn("dkim_testing", text))
    return faults + _key_faults(key, tags)


def _key_faults(key: SigningKey, tags: Tags) -> list[Fault]:
    algorithm = tags.get("k", RSA).lower()
    if algorithm not in (RSA, ED25519):
        return [
            _fail("dkim_key_type", f"k={algorithm[:20]} is no type of key that receivers know.")
        ]
    try:
        held = parse_key(algorithm, tags.get("p"))
    except BadKeyError as error:
        return [_fail("dkim_key_unreadable", f"What p= holds {error}.")]
    faults = _strength(held)
    if key.public_key and key.public_key != held.text:
        text = f"{key.name} holds another key than the one that signs: no signature verifies."
        faults.append(_fail("dkim_mismatch", text))
    return faults


def _strength(held: PublicKey) -> list[Fault]:
    if held.algorithm == ED25519:
        text = "Not all receivers verify Ed25519: sign with an RSA key as well."
        return [_warn("dkim_ed25519", text)]
    if held.bits < MIN_BITS:
        text = f"The key has {held.bits} bits; below {MIN_BITS} receivers do not verify it."
        return [_fail("dkim_key_short", text)]
    if held.bits < GOOD_BITS:
        return [_warn("dkim_key_weak", f"The key has {held.bits} bits; {GOOD_BITS} are usual.")]
    return []


def _fail(code: str, text: str) -> Fault:
    return Fault(Verdict.FAIL, code, text)


def _warn(code: str, text: str) -> Fault:
    return Fault(Verdict.WARN, code, text)
