"""Signatures, checked by the independent `standardwebhooks` package and nothing of ours."""

from __future__ import annotations

from binascii import Error
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError
from standardwebhooks.webhooks import EmptyWebhookSecretError


class Verifier:
    """Checks deliveries against secrets; any one of them will do, as while one is rotated."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._hooks = [_webhook(secret) for secret in secrets]

    def fault(self, headers: Mapping[str, str], body: bytes) -> str:
        """Why a delivery is not genuine; empty where it is."""
        fault = "no secret is known"
        for hook in self._hooks:
            try:
                hook.verify(body, dict(headers), json_parse=False)
            except WebhookVerificationError as error:
                fault = str(error).lower()
            except ValueError as error:
                # What the package's own parsing raises for headers and bodies that cannot be.
                fault = f"malformed: {error}"
            else:
                return ""
        return fault


def _webhook(secret: str) -> Any:
    hook = None
    if secret.startswith("whsec_"):  # the package takes whatever looks like base64
        with suppress(Error, EmptyWebhookSecretError, ValueError):
            hook = Webhook(secret)
    if hook is None:
        raise ValueError("a secret looks like whsec_ and base64 after it")
    return hook
