"""Sends the files of a folder in turn, whatever is asked for.

    python image_server.py FOLDER

Prints its port. It holds the files in memory, so that it is seldom what a
download waits for.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path


async def serve(answers: Iterator[bytes]) -> None:
    """Answers on a free port of this machine until the process ends."""

    async def talk(reader, writer) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                writer.write(next(answers))
                await writer.drain()
                if b"connection: close" in head.lower():
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


def main(folder: str) -> None:
    """Reads the files and serves them."""
    answers = []
    for path in sorted(Path(folder).iterdir()):
        data = path.read_bytes()
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n"
            f"Content-Length: {len(data)}\r\n\r\n"
        )
        answers.append(head.encode() + data)
    asyncio.run(serve(itertools.cycle(answers)))


if __name__ == "__main__":
    main(sys.argv[1])
