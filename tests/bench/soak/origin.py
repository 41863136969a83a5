#!/usr/bin/python3
"""The origin of the soak's hard kinds: `origin.py PORT`. It takes heads of any size, reads no bodies of requests, and sends
what a tunnel's client does not read.

`GET /.../BYTES` is answered with so many bytes, cacheable for a year; POST with 200 after three seconds; a WebSocket
handshake with 101 and a megabyte.
"""
import asyncio
import base64
import hashlib
import resource
import sys

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
BODY = bytes(range(97, 123)) * ((8 << 20) // 26 + 1)


def fields(head):
    return {k.strip().lower(): v.strip() for k, _, v in (line.partition(b":") for line in head.split(b"\r\n")[1:])}


async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n", 1)[0].split(b" ")
            if method == b"POST":
                await asyncio.sleep(3)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
                break
            key = fields(head).get(b"sec-websocket-key")
            if key:
                accept = base64.b64encode(hashlib.sha1(key + MAGIC).digest())
                writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
                writer.write(BODY[:1 << 20])
                await writer.drain()
                await asyncio.sleep(3600)
            n = int(target.rsplit(b"/", 1)[1])
            writer.write(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=31536000\r\nContent-Length: %d\r\n\r\n" % n)
            writer.write(BODY[:n])
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main():
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), limit=1 << 18, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
