"""HTTP clients, one a receiver's address: each connects there and nowhere else.

A client costs 7 ms and 170 kB, so they are kept, and built on a thread of their own.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.proxy import ProxyBuilder

from services.delivery.domain.addresses import Address
from services.delivery.domain.urls import WebhookUrl

USER_AGENT = "pq-webhooks/1 (+https://pq.dev/docs/webhooks)"
# Shorter than the idle time of common servers (5 s), so that no request meets a closing socket.
_IDLE = timedelta(seconds=4)
_KEPT = 256

_Key = tuple[str, str, int, Address | None]
_THE_PROXY: _Key = ("", "", 0, None)


class Clients:
    """Keeps the clients that were used last. `root` is one more certificate to trust, in PEM.
    `proxy` is the URL of one through which everything goes; it resolves names itself, so it has to
    refuse what it must not connect to."""

    def __init__(
        self, *, kept: int = _KEPT, root: bytes | None = None, proxy: str | None = None
    ) -> None:
        self._kept = kept
        self._root = root
        self.proxy = proxy
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="http-client")
        self._clients: OrderedDict[_Key, asyncio.Future[Client]] = OrderedDict()

    async def client(self, url: WebhookUrl, address: Address | None) -> Client:
        """The client that reaches `url` at `address`, or through the proxy."""
        key = (url.scheme, url.host, url.port, address) if self.proxy is None else _THE_PROXY
        future = self._clients.get(key)
        if future is None:
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(self._thread, self._build, url, address)
            self._clients[key] = future
            if len(self._clients) > self._kept:
                # Exchanges under way keep what they need of it.
                self._clients.popitem(last=False)
        else:
            self._clients.move_to_end(key)
        if future.done():
            return future.result()
        # Others wait for it too: one of them giving up must not take it away.
        return await asyncio.shield(future)

    async def close(self) -> None:
        """Closes all connections."""
        for future in self._clients.values():
            await (await future).close()
        self._clients.clear()
        self._thread.shutdown(wait=False)

    def _build(self, url: WebhookUrl, address: Address | None) -> Client:
        builder = (
            ClientBuilder()
            .user_agent(USER_AGENT)
            .no_proxy()  # none of the environment's
            .follow_redirects(enable=False)
            .referer(enable=False)
            .http1_only()
            # Bodies are kept as they came: what is not unpacked cannot be a bomb.
            .gzip(enable=False)
            .brotli(enable=False)
            .zstd(enable=False)
            .deflate(enable=False)
            .pool_idle_timeout(_IDLE)
            .min_tls_version("TLSv1.2")
        )
        if self.proxy is not None:
            builder = builder.proxy(ProxyBuilder.all(self.proxy))
        elif url.address is None:
            builder = builder.resolve(url.host, str(address), url.port)
        if self._root is not None:
            builder = builder.add_root_certificate_pem(self._root)
        return builder.build()
