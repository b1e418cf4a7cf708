"""Breaks the relay on purpose: it marks events as sent, and only then appends them.

On PYTHONPATH of a product under test it shows that the test of nothing lost can fail. The pause
is where a kill takes what was marked and not appended.
"""

import asyncio
import importlib.abc
import importlib.util
import sys

NAME = "libs.events.relay"


def sabotage(module):
    async def send(self, connection, producer, start):
        rows = await connection.fetch(module._UNSENT, start, module.BATCH, module.BATCH_BYTES)
        if not rows:
            return 0
        await connection.execute(module._SENT, [row["id"] for row in rows])
        await asyncio.sleep(0.5)
        await producer.append(
            [module.record_of(row, row["topic"], row["partition"]) for row in rows]
        )
        return rows[-1]["id"]

    module.Relay.send = send


class Finder(importlib.abc.MetaPathFinder):
    """Waits for the relay to be imported."""

    def find_spec(self, name, path, target=None):
        if name != NAME:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            sabotage(module)

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder())
