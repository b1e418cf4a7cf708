"""Small documents over verified HTTPS, from addresses that were checked before."""

from __future__ import annotations

from datetime import timedelta

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import RequestError

MAX_SIZE = 65_536
_DEADLINE = timedelta(seconds=5)


class Fetcher:
    """Gets documents; its client is made when it is first needed."""

    def __init__(self) -> None:
        self._client: Client | None = None

    async def get(self, url: str) -> bytes:
        """The document. Raises OSError where there is none, or it is too large."""
        if self._client is None:
            builder = ClientBuilder().follow_redirects(enable=False).min_tls_version("TLSv1.2")
            self._client = builder.https_only(enable=True).build()
        request = self._client.get(url).timeout(_DEADLINE).build()
        try:
            response = await request.send()
            data = bytes(await response.bytes())
        except RequestError as error:
            raise OSError(f"{url} cannot be had: {type(error).__name__}") from error
        if response.status != 200 or len(data) > MAX_SIZE:
            raise OSError(f"{url} answered {response.status} with {len(data)} bytes")
        return data
