"""Many travellers at once: idle ones, slow readers, a fair share for the others; memory and descriptors stay within bounds.
`make test-long` does it with 5,000 (CDN_LONG=yes)."""

import os
import resource
import selectors
import socket
import struct
import time

import pytest

from cdn import LIMIT, SLOW, poll

LONG = os.environ.get("CDN_LONG") == "yes"
IDLE, SLOW_READERS = (4000, 1000) if LONG else (300, 60)
MEMORY = 32 << 20


@pytest.fixture(scope="module")
def source(shared_cdn):
    """A target that sends for as long as it is read from, and the network before it."""
    if LONG:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        if hard < 2 * (IDLE + SLOW_READERS) + 1000:
            pytest.skip(f"{hard} descriptors are too few for {IDLE + SLOW_READERS} travellers")
    server = shared_cdn.spawn("/usr/bin/python3", "-c", SERVER, name="source")
    port = int(poll(lambda: server.out and server.out[0]))
    network = shared_cdn.wan(allow=f"127.0.0.1:{port}=Sydney", memory="32MiB", log_level="info")
    network.port = port
    return network


SERVER = """
import asyncio, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
async def serve(reader, writer):
    try:
        wanted = int((await reader.readline()).strip() or b"0")
        block = bytes(range(256)) * 256
        while wanted > 0:
            writer.write(block[:min(wanted, len(block))])
            await writer.drain()
            wanted -= len(block)
        await reader.read()
    except (OSError, ValueError):
        pass
    writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


def open_all(network, n, user=b"Berlin", first=b""):
    """n connections that are open, without waiting for one after the other."""
    request = (b"\5\1\2\1" + bytes([len(user)]) + user + b"\0\5\1\0\1\x7f\0\0\1" + struct.pack(">H", network.port) + first)
    waiting, ready, socks = selectors.DefaultSelector(), [], {}
    for at in range(0, n, 500):
        for _ in range(min(500, n - at)):
            sock = socket.create_connection(network.public, LIMIT)
            sock.sendall(request)
            sock.setblocking(False)
            waiting.register(sock, selectors.EVENT_READ)
            socks[sock] = b""
        end = time.monotonic() + LIMIT
        while waiting.get_map() and time.monotonic() < end:
            for key, _ in waiting.select(1):
                data = key.fileobj.recv(14 - len(socks[key.fileobj]))
                assert data, "refused"
                socks[key.fileobj] += data
                if len(socks[key.fileobj]) == 14:
                    assert socks[key.fileobj][5] == 0
                    waiting.unregister(key.fileobj)
                    ready.append(key.fileobj)
    assert len(ready) == n
    return ready


def test_idle_travellers_and_slow_readers_are_bounded(source):
    before = source.rss_kib()
    idle = open_all(source, IDLE)
    assert source.status()["connections"]["now"] == IDLE
    assert SLOW > 1 or source.rss_kib() - before < 8192 + 8 * IDLE, "more than 8 KiB for one who does nothing"
    slow = open_all(source, SLOW_READERS, first=b"10000000\n")
    poll(lambda: source.status()["memory"]["used"] > MEMORY // 4, what="memory fills")
    time.sleep(1)
    assert source.status()["memory"]["used"] < MEMORY + SLOW_READERS * 4096
    assert SLOW > 1 or source.rss_kib() - before < 8192 + 8 * (IDLE + SLOW_READERS) + MEMORY // 1024 * 1.25

    fresh = open_all(source, 1, first=b"200000\n")[0]  # who comes now is served
    fresh.settimeout(LIMIT)
    got = 0
    while got < 200000:
        got += len(fresh.recv(65536))
    for sock in idle + slow + [fresh]:
        sock.close()
    poll(lambda: source.status()["memory"]["used"] == 0 and source.status()["connections"]["now"] == 0, what="all is given back")
    assert source.open_files() < 40


def test_bytes_are_in_time(source):
    """Under load of others on this machine the median is a matter of luck; that most are within some ms is not."""
    idle = open_all(source, 200, first=b"20000\n")
    for sock in idle:
        sock.settimeout(LIMIT)
        got = 0
        while got < 20000:
            got += len(sock.recv(65536))
    metrics = source.metrics()
    buckets = {key: value for key, value in metrics.items() if key.startswith("pocketcdn_wan_late_seconds_bucket")}
    total = metrics["pocketcdn_wan_late_seconds_count"]
    assert total > 400 and max(buckets.values()) == total
    for sock in idle:
        sock.close()
