"""A service's place taken: says it is ready, and does what the test asks by files in a folder.

    python stand_in.py FOLDER MODULE

Writes FOLDER/MODULE.pid. FOLDER/MODULE.deaf makes it ignore SIGTERM, FOLDER/MODULE.broken end at
once.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path


async def answer(reader, writer):
    await reader.readline()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    writer.close()


async def main(folder, module):
    if (folder / f"{module}.broken").exists():
        sys.exit("it is broken")
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    deaf = (folder / f"{module}.deaf").exists()
    loop.add_signal_handler(signal.SIGTERM, (lambda: None) if deaf else ended.set)
    host, _, port = os.environ["PQ_METRICS_LISTEN"].rpartition(":")
    server = await asyncio.start_server(answer, host, int(port))
    (folder / f"{module}.pid").write_text(str(os.getpid()))
    async with server:
        await ended.wait()


asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
