"""The network under a mixture of everything: ends, half-closed connections, resets, slow readers, clients that leave, while
links are cut, delayed, lossy and mended. Every byte is compared; nothing half may pass for whole, and all is given back."""

import os
import random
import socket
import struct
import threading
import time

from cdn import LIMIT, poll, unused_port

SECONDS, WORKERS = (60, 24) if os.environ.get("CDN_LONG") == "yes" else (4, 12)
PLACES = ("Frankfurt", "Berlin", "Paris", "London", "fra", "Madrid")
FAULTS = ({"cut": True}, {"loss": 0.05}, {"delay": "20ms"}, {"rate": "300kB"}, {"loss": 0.3, "delay": "5ms"}, {"off": True})


def pattern(n, key):
    block = bytes((i * key + key) % 251 for i in range(251))
    return (block * (n // 251 + 1))[:n]


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Sender(threading.Thread):
    """Sends in the background; .broken tells that the connection ended meanwhile."""

    def __init__(self, sock, data, then_end=False):
        super().__init__(daemon=True)
        self.sock, self.data, self.then_end, self.broken = sock, data, then_end, False
        self.start()

    def run(self):
        try:
            self.sock.sendall(self.data)
            if self.then_end:
                self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.broken = True


class Target:
    """Reads a line 'how bytes key upload', sends the bytes, judges the upload: Y or N at the end. 'reset': half of them."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            head = b""
            while not head.endswith(b"\n"):
                byte = sock.recv(1)
                if not byte:
                    return sock.close()
                head += byte
            how, n, key, up = head.split()
            if how == b"reset":
                sock.sendall(pattern(int(n) // 2, int(key)))
                return reset(sock)
            sender, got = Sender(sock, pattern(int(n), int(key))), b""
            while len(got) < int(up) and (data := sock.recv(65536)):
                got += data
            sender.join()
            sock.sendall(b"Y" if got == pattern(int(up), int(key)) else b"N")
            while how == b"half" and sock.recv(65536):
                pass
            sock.close()
        except OSError:
            sock.close()


class Travellers:
    def __init__(self, network, links, port):
        self.network, self.links, self.port, self.wrong, self.done = network, links, port, [], 0

    def enter(self, rand):
        """A connection to the target, or None when the network refused it."""
        if rand.random() < 0.3:
            return socket.create_connection(("127.0.0.1", rand.choice(self.links)), LIMIT)
        user = rand.choice(PLACES).encode()
        sock = socket.create_connection(self.network.public, LIMIT)
        sock.sendall(b"\5\1\2\1" + bytes([len(user)]) + user + b"\0\5\1\0\1\x7f\0\0\1" + struct.pack(">H", self.port))
        answer = b""
        while rand.random() > 0.03 and len(answer) < 14 and (data := sock.recv(14 - len(answer))):
            answer += data
        if len(answer) == 14 and answer[5] == 0:
            return sock
        sock.close()
        return None

    def one(self, rand):
        sock = self.enter(rand)
        if not sock:
            return
        how = rand.choice(("plain", "plain", "half", "half", "reset", "leave", "rst"))
        n, up = rand.choice((0, 1, 14600, rand.randrange(500_000))), rand.choice((0, 10, rand.randrange(200_000)))
        key = rand.randrange(1, 250)
        asked = how if how in ("half", "reset") else "plain"
        sock.sendall(b"%s %d %d %d\n" % (asked.encode(), n, key, up))
        sender = Sender(sock, pattern(up, key), how == "half")
        if how in ("leave", "rst"):
            time.sleep(rand.random() * 0.1)
            return sock.close() if how == "leave" else reset(sock)
        if rand.random() < 0.2:
            time.sleep(rand.random() * 0.5)
        data, broken = b"", False
        try:
            while piece := sock.recv(rand.choice((100, 65536))):
                data += piece
        except ConnectionResetError:
            broken = True
        sender.join(LIMIT)
        if how == "reset":
            fine = (broken or sender.broken) and pattern(n, key).startswith(data)
        else:
            fine = data == pattern(n, key) + b"Y" and not broken
        self.done += 1
        if not fine:
            self.wrong.append((how, n, up, len(data), broken))
        sock.close()

    def run(self, seed):
        rand, end = random.Random(seed), time.monotonic() + SECONDS
        while time.monotonic() < end:
            try:
                self.one(rand)
            except OSError as error:
                self.wrong.append(repr(error))


def test_every_byte_or_a_reset(cdn):
    target = cdn.keep(Target())
    links = [unused_port(), unused_port()]
    config = cdn.config({"wan": {
        "memory": "2MiB", "allow": [f"127.0.0.1:{target.port}=Frankfurt"],
        "links": [{"listen": f"127.0.0.1:{links[0]}", "to": f"127.0.0.1:{target.port}"},
                  {"listen": f"127.0.0.1:{links[1]}", "to": f"127.0.0.1:{target.port}", "rtt": "3ms", "profile": "cable"}]}})
    network = cdn.wan(config, log_level="info")
    files = network.open_files()
    travellers = Travellers(network, links, target.port)
    threads = [threading.Thread(target=travellers.run, args=(i,)) for i in range(WORKERS)]
    for thread in threads:
        thread.start()
    rand, end = random.Random(0), time.monotonic() + SECONDS
    while time.monotonic() < end:
        time.sleep(rand.random() * 0.3)
        network.faults(link=rand.choice(("*-*", "Berlin-*", "Paris-Frankfurt", "fra-*")), **rand.choice(FAULTS),
                       direction=rand.choice(("both", "there", "back")))
        if rand.random() < 0.5:
            network.faults(off=True)
        assert network.status()["memory"]["used"] <= (2 << 20) + WORKERS * 8192
    network.faults(off=True)
    for thread in threads:
        thread.join(LIMIT)
    assert not travellers.wrong, travellers.wrong[:10]
    assert travellers.done > WORKERS
    poll(lambda: network.status()["connections"]["now"] == 0 and network.status()["memory"]["used"] == 0, what="all is over")
    poll(lambda: network.open_files() <= files + 1, what="descriptors are given back")
