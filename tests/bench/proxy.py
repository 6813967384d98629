"""A TCP proxy that makes a loopback port as far away as a round trip of some milliseconds.

Every byte is half a round trip on its way, and the real connection is opened a whole one after the client's, which is
what a handshake takes. What is on the way is bounded; a reader that is slow holds up the sender, as a network does.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import Thread
from typing import Any, TypeVar

_BLOCK = 65536
# Of at most _BLOCK bytes each, in each direction.
_BLOCKS_ON_THE_WAY = 128

_T = TypeVar("_T")


@contextmanager
def delaying(port: int, round_trip: float) -> Iterator[int]:
    """Give the port of a proxy to another loopback port; `round_trip` in seconds."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(coroutine: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    server = run(asyncio.start_server(partial(_carry, port, round_trip), "127.0.0.1", 0))
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        run(_end(server))
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _carry(port: int, round_trip: float, near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
    """Carry one connection until it is over, or the proxy is."""
    # asyncio itself stumbles over a connection's task that was cancelled.
    with suppress(asyncio.CancelledError):
        await _connect(port, round_trip, near, to_near)


async def _connect(port: int, round_trip: float, near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
    """Connect the client with the port until both have closed their ends, or one of them broke it off."""
    to_far: asyncio.StreamWriter | None = None
    try:
        await asyncio.sleep(round_trip)
        far, to_far = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.TaskGroup() as both:
            both.create_task(_pass_on(near, to_far, round_trip / 2))
            both.create_task(_pass_on(far, to_near, round_trip / 2))
    except* OSError:
        # What one end breaks off is broken off at the other.
        for writer in filter(None, (to_near, to_far)):
            writer.transport.abort()
    finally:
        for writer in filter(None, (to_near, to_far)):
            writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Pass on every byte, and then the end, `delay` seconds after it came."""
    now = asyncio.get_running_loop().time
    on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_BLOCKS_ON_THE_WAY)

    async def take() -> None:
        while block := await reader.read(_BLOCK):
            await on_the_way.put((now() + delay, block))
        await on_the_way.put((now() + delay, b""))

    async def give() -> None:
        while True:
            due, block = await on_the_way.get()
            await asyncio.sleep(due - now())
            if not block:
                writer.write_eof()
                return
            writer.write(block)
            await writer.drain()

    async with asyncio.TaskGroup() as ends:
        ends.create_task(take())
        ends.create_task(give())


async def _end(server: asyncio.Server) -> None:
    server.close()
    carried = asyncio.all_tasks() - {asyncio.current_task()}
    for task in carried:
        task.cancel()
    await asyncio.gather(*carried, return_exceptions=True)
