"""The keys that a process is configured with, and what is made from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from libs.api.idempotency import Recall
from libs.api.paging import PageTokens
from libs.auth.keys import KeyFileError, PublicKeys, SigningKey
from libs.auth.tokens import CallerTokens, Minter, Verifier
from libs.clock import Clock
from libs.config import ConfigError
from libs.runtime.config import ServiceConfig

_PAGE_TOKEN_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this process is, and how it knows others."""

    minter: Minter
    tokens: CallerTokens
    verifier: Verifier
    page_tokens: PageTokens
    recall: Recall

    @classmethod
    def load(cls, config: ServiceConfig, clock: Clock) -> Identity:
        """Reads the key files. Raises ConfigError with a line for each fault."""
        faults: list[str] = []
        signing: SigningKey | None = None
        try:
            signing = SigningKey.load(config.signing_key)
        except KeyFileError as error:
            faults.append(f"PQ_SIGNING_KEY: {error}")
        page_key = _page_token_key(config.page_token_key, faults)
        if not config.auth_keys.is_dir():
            faults.append(f"PQ_AUTH_KEYS: {config.auth_keys}: no such folder")
        if faults or signing is None:
            raise ConfigError(faults)
        minter = Minter(signing)
        return cls(
            minter,
            CallerTokens(minter, clock),
            Verifier(PublicKeys(config.auth_keys, clock), clock),
            PageTokens(page_key, clock),
            Recall(page_key),
        )


def _page_token_key(path: Path, faults: list[str]) -> bytes:
    try:
        key = path.read_bytes()
    except OSError as error:
        faults.append(f"PQ_PAGE_TOKEN_KEY: {path}: {error.strerror}")
        return b""
    if len(key) < _PAGE_TOKEN_KEY_BYTES:
        faults.append(f"PQ_PAGE_TOKEN_KEY: {path}: fewer than {_PAGE_TOKEN_KEY_BYTES} bytes")
    return key
