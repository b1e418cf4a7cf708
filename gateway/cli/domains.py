"""`pq domains`: sending domains over REST, and how they are shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.client import ProblemError, Rest
from gateway.cli.exits import CliError, Exit
from gateway.cli.output import Output

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_MARKS = {
    "PASS": ("●", "green"),
    "WARN": ("▲", "yellow"),
    "FAIL": ("✗", "bold red"),
    "UNKNOWN": ("?", "magenta"),
    "NONE": ("·", "dim"),
}
_WORDS = {
    "PASS": "as it should be",
    "WARN": "works, and should be better",
    "FAIL": "mail will be refused, marked or forged",
    "UNKNOWN": "not all could be read",
    "NONE": "nothing to say",
    "UNSPECIFIED": "not checked yet",
}
_NOT_FOUND = 404


async def check(output: Output, rest: Rest, name: str) -> Exit:
    """Checks a domain now and shows what was found; DEGRADED where something fails."""
    try:
        domain = await rest.post(f"/v1/{full_name(name)}:check", {})
    except ProblemError as error:
        if error.status == _NOT_FOUND:
            raise CliError(
                Exit.REJECTED,
                "unknown_domain",
                f"{name} is none of pq's sending domains",
                f"`pq domains add {name} --sender include:…` makes it one",
            ) from None
        raise
    return _show(output, domain)


async def show(output: Output, rest: Rest, name: str) -> Exit:
    """Shows what the last check found."""
    return _show(output, await rest.get(f"/v1/{full_name(name)}"))


async def list_domains(output: Output, rest: Rest) -> Exit:
    """All domains with their verdicts."""
    found = [domain async for domain in rest.pages("/v1/domains", "domains")]
    output.document({"domains": found})
    if found:
        output.say(_list_table(found))
    elif not output.json:
        output.note("no sending domains; `pq domains add` adds one")
    return Exit.OK


async def add(
    output: Output,
    rest: Rest,
    name: str,
    *,
    senders: list[str],
    keys: list[str],
    envelope: str,
    reports: str,
) -> Exit:
    """Adds a domain and shows its first check."""
    domain = {"domainName": name, **_said(senders, keys, envelope, reports)}
    return _show(output, await rest.post("/v1/domains", domain))


async def update(
    output: Output,
    rest: Rest,
    name: str,
    *,
    senders: list[str],
    keys: list[str],
    envelope: str,
    reports: str,
) -> Exit:
    """Changes what is given, each as a whole, and shows what the check then finds."""
    said = {key: value for key, value in _said(senders, keys, envelope, reports).items() if value}
    if not said:
        raise CliError(Exit.USAGE, "nothing_given", "name something to change")
    return _show(output, await rest.call("PATCH", f"/v1/{full_name(name)}", body=said))


def _said(senders: list[str], keys: list[str], envelope: str, reports: str) -> dict[str, Any]:
    return {
        "envelopeDomain": envelope,
        "spfSenders": senders,
        "dkimKeys": [read_key(key) for key in keys],
        "reportAddress": reports,
    }


async def remove(output: Output, rest: Rest, name: str) -> Exit:
    """Takes a domain away."""
    output.document(await rest.call("DELETE", f"/v1/{full_name(name)}"))
    output.say(f"{name} is not checked any more")
    return Exit.OK


def full_name(name: str) -> str:
    """ "example.com" or "domains/example.com" as "domains/example.com". Raises CliError."""
    domain = name.removeprefix("domains/").lower().removesuffix(".")
    if not domain or not all(c.isascii() and (c.isalnum() or c in ".-_") for c in domain):
        raise CliError(Exit.USAGE, "bad_name", f"{name!r} is not a domain, such as example.com")
    return f"domains/{domain}"


def read_key(text: str) -> dict[str, str]:
    """Reads "selector", "selector=key" or "selector=@file" of --key. Raises CliError."""
    selector, equals, key = text.partition("=")
    if not selector or (equals and not key):
        wanted = "expected selector, selector=KEY or selector=@FILE"
        raise CliError(Exit.USAGE, "bad_key", f"{text!r}: {wanted}")
    if key.startswith("@"):
        try:
            key = Path(key[1:]).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise CliError(Exit.USAGE, "bad_key", f"{key[1:]}: {error}") from None
        if "PRIVATE KEY" in key:
            text = "that is a private key; give the public one"
            raise CliError(Exit.USAGE, "bad_key", text)
    return {"selector": selector, "publicKey": key}


def _show(output: Output, domain: dict[str, Any]) -> Exit:
    output.document(domain)
    if not output.json:
        output.say(_head(domain))
        output.say(_checks(domain.get("checks", [])))
        for part in (_paste(domain), _preflight(domain.get("preflight", []))):
            if part is not None:
                output.say("")
                output.say(part)
    return Exit.DEGRADED if _verdict(domain) == "FAIL" else Exit.OK


def _head(domain: dict[str, Any]) -> Text:
    from rich.text import Text

    verdict = _verdict(domain)
    text = Text(f"{domain['domainName']}: ", "bold")
    text.append(_WORDS[verdict], _MARKS.get(verdict, ("", ""))[1])
    checked = domain.get("checkTime")
    text.append(f"  checked {checked}" if checked else "", "dim")
    drifted = domain.get("driftTime")
    return text.append(f", changed {drifted}" if drifted else "", "dim")


def _checks(checks: list[dict[str, Any]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    for heading in ("verdict", "check", "code", "text"):
        table.add_column(heading, overflow="fold", no_wrap=heading != "text")
    for found in checks:
        mark, style = _MARKS[_verdict(found)]
        name = found["check"].removeprefix("DOMAIN_CHECK_TYPE_").lower().replace("_", " ")
        table.add_row(Text(mark, style), name, Text(found["code"], style), Text(found["text"]))
    return table


def _paste(domain: dict[str, Any]) -> Text | None:
    """What DNS lacks, in the words of a zone file. What must be mended elsewhere is not pasted."""
    from rich.text import Text

    missing = [
        record
        for record in domain.get("records", [])
        if not record.get("present") and record.get("value") not in record.get("held", [])
    ]
    if not missing:
        return None
    text = Text("DNS must hold\n", "bold")
    for record in missing:
        text.append(f"  {record['zoneLine']}\n")
        for held in record.get("held", []):
            text.append(f"    instead of {held}\n", "dim")
    text.rstrip()
    return text


def _preflight(rules: list[dict[str, Any]]) -> Table | None:
    """A row for each rule, a column for each provider."""
    from rich.table import Table
    from rich.text import Text

    if not rules:
        return None
    providers = list(dict.fromkeys(rule["provider"] for rule in rules))
    rows: dict[str, dict[str, str]] = {}
    for rule in rules:
        rows.setdefault(rule["requirement"], {})[rule["provider"]] = _verdict(rule)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("BULK SENDERS' RULES", overflow="fold")
    for provider in providers:
        table.add_column(provider.upper(), justify="center")
    for requirement, by in rows.items():
        marks = [Text(*_MARKS[by[p]]) if p in by else Text("") for p in providers]
        table.add_row(requirement, *marks)
    return table


def _list_table(domains: list[dict[str, Any]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("", "DOMAIN", "FAULTS", "CHECKED", "CHANGED"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "DOMAIN")
    for domain in domains:
        mark, style = _MARKS.get(_verdict(domain), ("?", "dim"))
        bad = [c["code"] for c in domain.get("checks", []) if _verdict(c) in ("FAIL", "UNKNOWN")]
        table.add_row(
            Text(mark, style),
            domain["domainName"],
            ", ".join(bad),
            domain.get("checkTime") or "never",
            domain.get("driftTime") or "never",
        )
    return table


def _verdict(document: dict[str, Any]) -> str:
    word = str(document.get("verdict", "")).removeprefix("DOMAIN_VERDICT_")
    return word if word in _WORDS else "UNSPECIFIED"
