"""A TCP proxy that holds back what passes, for a chaos run: ``python -m benchmarks.chaos_proc_proxy PORT HOST:PORT``.

Reads delays in ms from its standard input, one a line; each holds for what comes from then on, in both directions.
Order is kept. It says ``proxy`` once it listens.
"""

from __future__ import annotations

import asyncio
import sys

DELAY_MS = [0.0]
CHUNK = 65536


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(1024)
    loop = asyncio.get_running_loop()

    async def deliver() -> None:
        while True:
            due_s, data = await waiting.get()
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            writer.write(data)
            await writer.drain()
            if not data:
                writer.write_eof()
                return

    delivering = asyncio.ensure_future(deliver())
    try:
        while not delivering.done():
            data = await reader.read(CHUNK)
            await waiting.put((loop.time() + DELAY_MS[0] / 1000, data))
            if not data:
                break
        await delivering
    finally:
        delivering.cancel()


async def _serve(near: asyncio.StreamReader, back: asyncio.StreamWriter, target: str) -> None:
    host, _, port = target.rpartition(":")
    far_writer = None
    try:
        far, far_writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), 3)
        pipes = [asyncio.ensure_future(_pipe(near, far_writer)), asyncio.ensure_future(_pipe(far, back))]
        _, pending = await asyncio.wait(pipes, return_when=asyncio.FIRST_EXCEPTION)
        for pipe in pending:
            pipe.cancel()
        await asyncio.gather(*pipes, return_exceptions=True)
    except OSError:
        pass  # whoever is connected sees the end of the connection
    finally:
        for writer in (back, far_writer):
            if writer is not None:
                writer.close()


async def main() -> None:
    port, target = int(sys.argv[1]), sys.argv[2]
    server = await asyncio.start_server(lambda r, w: _serve(r, w, target), "127.0.0.1", port)
    print("proxy", flush=True)
    told = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), sys.stdin)
    async with server:
        while line := await told.readline():
            DELAY_MS[0] = float(line)


if __name__ == "__main__":
    asyncio.run(main())
