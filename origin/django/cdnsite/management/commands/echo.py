"""manage.py echo [HOST:PORT]: a WebSocket that says what it hears (RFC 6455), on a port of its own, as WSGI has none.

A path rule leads there (docs/django.md). Port 0 lets the kernel choose, as for `serve`. Messages of one frame, up to 64 KiB."""

import asyncio
import base64
import contextlib
import hashlib
import signal
import struct
import sys

from django.core.management.base import BaseCommand, CommandError

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
FINAL, CLOSE, PING, PONG = 0x80, 8, 9, 10


async def shake_hands(reader, writer):
    """True when it is a WebSocket from now on."""
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    key = next((value for name, value in fields.items() if name.lower() == b"sec-websocket-key"), None)
    if key is None:
        writer.write(b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\nContent-Length: 0\r\n\r\n")
        return False
    accept = base64.b64encode(hashlib.sha1(key.strip() + GUID).digest())
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
    return True


async def read_frame(reader):
    """(first byte, data): whether it is the last of its message, what it is, and what it says."""
    first, n = await reader.readexactly(2)
    n &= 0x7F
    if n == 127:
        raise ValueError("too long")
    if n == 126:
        n = struct.unpack("!H", await reader.readexactly(2))[0]
    mask = await reader.readexactly(4)
    data = await reader.readexactly(n)
    return first, bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))


def frame(first, data):
    length = struct.pack("!B", len(data)) if len(data) < 126 else struct.pack("!BH", 126, len(data))
    return bytes([first]) + length + data


async def visit(reader, writer):
    with contextlib.suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
        talks = await shake_hands(reader, writer)
        while talks:
            first, data = await read_frame(reader)
            talks = first & 0xF != CLOSE
            writer.write(frame(FINAL | PONG if first & 0xF == PING else first, data))
            await writer.drain()
    writer.close()


async def listen(host, port):
    server = await asyncio.start_server(visit, host, port)
    host, port = server.sockets[0].getsockname()[:2]
    print(f"level=info program=echo event=ready public={host}:{port}", file=sys.stderr, flush=True)
    await server.serve_forever()


class Command(BaseCommand):
    help = "Serves a WebSocket that echoes."
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("address", nargs="?", default="127.0.0.1:8001", help="HOST:PORT")

    def handle(self, *args, **options):
        host, _, port = options["address"].rpartition(":")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        try:
            asyncio.run(listen(host, int(port)))
        except (OSError, ValueError) as error:
            raise CommandError(f"cannot listen on {options['address']}: {error}") from None
