#!/usr/bin/python3
"""How much memory an edge takes under everything at once, against its `memory` setting.

    tests/bench/soak/run.py --bin build-release/bin                         a minute
    tests/bench/soak/run.py --bin build-release/bin --seconds 120 --memory 64MiB

Hits and misses of mixed sizes that walk over more objects than the RAM tier holds, connections that stay open, clients that
read slowly and clients that do not read at all, each on an object of its own. With --kind something harder takes their
place: bodies that the origin does not read, connections reset in the middle, TLS, tunnels, heads of 60 kB. The edge's
resident memory is read from the kernel ten times a second. Ends with 1 when it went beyond the setting and --rest.
"""
import argparse
import collections
import contextlib
import json
import os
import pathlib
import random
import selectors
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "edge"))
from measure import Tools, free_port  # noqa: E402

MIB = 1 << 20
SIZES = [(40, 300), (25, 4 << 10), (20, 16 << 10), (10, 100 << 10), (4, 700 << 10), (1, 3 << 20)]  # per cent, bytes
TURN_S = 6  # so long a client does not read; then another comes in its place


def size_of(text):
    units = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
    return int(text[:-3]) * units[text[-3:]] if text[-3:] in units else int(text)


def resident(pid):
    """Of the process, in bytes: all of it, and what is its own (anonymous)."""
    found = {}
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").split("\n"):
        if line.startswith(("VmRSS:", "RssAnon:")):
            found[line.split(":")[0]] = int(line.split()[1]) << 10
    return found["VmRSS"], found["RssAnon"]


class Samples(threading.Thread):
    """Reads the resident memory until the end."""

    def __init__(self, pid, show):
        super().__init__(daemon=True)
        self.pid, self.show = pid, show
        self.most, self.last, self.rows = 0, 0, []
        self.ended = threading.Event()

    def run(self):
        start = shown = time.monotonic()
        while not self.ended.wait(0.1):
            self.last, own = resident(self.pid)
            self.most = max(self.most, self.last)
            if self.show and time.monotonic() - shown >= 2:
                shown = time.monotonic()
                print(f"  {shown - start:5.0f} s  {self.last / MIB:7.1f} MiB, anonymous {own / MIB:7.1f}", flush=True)


def opened(port, path, receive=None):
    s = socket.socket()
    if receive:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    s.settimeout(20)
    s.connect(("127.0.0.1", port))
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: soak.test\r\n\r\n".encode())
    return s


def drawn_size(draw):
    at = draw.randrange(100)
    for share, size in SIZES:
        if at < share:
            return size
        at -= share
    return SIZES[0][1]


def fill(s, most):
    """Sends until nobody takes any more."""
    s.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        sent = 0
        while sent < most:
            sent += s.send(b"x" * min(65536, most - sent))
    return s


KINDS = ("uploads", "aborts", "tls", "tunnels", "heads")


def got_whole(stream, target):
    """None, or what was wrong with the answer: "closed" before its first byte, "cut", or its status line."""
    status = b""
    try:
        stream.write(f"GET {target} HTTP/1.1\r\nHost: soak.test\r\nAccept-Encoding: gzip\r\n\r\n".encode())
        stream.flush()
        status = stream.readline()
        if not status:
            return "closed"
        length = 0
        for line in iter(stream.readline, b"\r\n"):
            if not line:
                return "cut"
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        if len(stream.read(length)) != length:
            return "cut"
        return None if status.startswith(b"HTTP/1.1 200 ") else status.decode().strip()
    except (BrokenPipeError, ConnectionResetError):
        return "cut" if status else "closed"


class Clients:
    """What runs beside one another until `ended`."""

    def __init__(self, port, options, tools, seed):
        self.port, self.options, self.tools, self.seed = port, options, tools, seed
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.count, self.bad = 0, 0
        self.faults = collections.Counter()
        self.threads = []

    def add(self, call, *arguments):
        t = threading.Thread(target=call, args=arguments, daemon=True)
        t.start()
        self.threads.append(t)

    def note(self, requests, bad):
        with self.lock:
            self.count += requests
            self.bad += bad

    def tool(self, *arguments):
        """Runs of the load client, one behind the other, each on other objects when it says {turn}."""
        turn = 0
        while not self.ended.is_set():
            turn += 1
            done = subprocess.run([self.tools.path("load"), *(str(a).replace("{turn}", str(turn)) for a in arguments)],
                                  capture_output=True, text=True, timeout=120, check=False)
            if done.returncode == 0:
                r = json.loads(done.stdout.strip().split("\n")[-1])
                self.note(r.get("requests", r.get("answers", 0)), r["bad"])

    def mixed(self, number):
        """One keep-alive connection over objects of all sizes, most of them often asked for, some never again. The edge
        may close it between two requests; then the request goes over a new one, once (RFC 9112 9.3.1)."""
        draw = random.Random(self.seed + number)
        stream = None
        while not self.ended.is_set():
            size = drawn_size(draw)
            name = int(draw.paretovariate(0.6)) % 4000 if draw.random() < 0.7 else draw.randrange(1 << 30)
            fault = got_whole(stream, f"/u/m{size}/{name}/{size}") if stream else "closed"
            if fault == "closed":
                stream = socket.create_connection(("127.0.0.1", self.port), timeout=20).makefile("rwb")
                fault = got_whole(stream, f"/u/m{size}/{name}/{size}")
            self.note(1, fault is not None)
            if fault:
                self.faults[fault] += 1
                stream = None

    def unread(self, count):
        """Clients that ask for a megabyte of their own and do not read, replaced in turn."""
        draw = random.Random(self.seed)
        held = []
        try:
            while not self.ended.is_set():
                held.append(opened(self.port, f"/u/n/{draw.randrange(1 << 40)}/{MIB}", 4096))
                self.note(1, 0)
                if len(held) >= count:
                    held.pop(0).close()
                    self.ended.wait(TURN_S / count)
        finally:
            for s in held:
                s.close()

    def slow(self, count):
        """Clients that take 8 KiB ten times a second of objects of some megabytes."""
        draw = random.Random(self.seed + 1)
        ready = selectors.DefaultSelector()

        def begin():
            s = opened(self.port, f"/u/s/{draw.randrange(1 << 40)}/{draw.choice([600, 1000, 5000]) << 10}", 8192)
            s.setblocking(False)
            ready.register(s, selectors.EVENT_READ)
            self.note(1, 0)

        for _ in range(count):
            begin()
        while not self.ended.wait(0.1):
            for key, _ in ready.select(0):
                try:
                    more = key.fileobj.recv(8192)
                except OSError:
                    more = b""
                if not more:
                    ready.unregister(key.fileobj)
                    key.fileobj.close()
                    begin()
        for key in list(ready.get_map().values()):
            key.fileobj.close()

    def idle(self, count):
        held = [opened(self.port, "/u/i/1/300") for _ in range(count)]
        self.note(count, 0)
        self.ended.wait()
        for s in held:
            s.close()

    # ---- --kind: each replaces its connections in turn ----

    def crowd(self, count, begin):
        """`count` connections made by begin(draw) at a time, each for TURN_S."""
        draw, held = random.Random(self.seed), []
        try:
            while not self.ended.is_set():
                try:
                    held.append(begin(draw))
                    self.note(1, 0)
                except OSError:  # refused, or cut off for another: memory has an end
                    self.ended.wait(0.005)
                if len(held) >= count:
                    held.pop(0).close()
                    self.ended.wait(TURN_S / count)
        finally:
            for s in held:
                s.close()

    def begin_upload(self, draw):
        s = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        s.sendall(b"POST /p/%d HTTP/1.1\r\nHost: soak.test\r\nContent-Length: %d\r\n\r\n" % (draw.randrange(1 << 40), 8 * MIB))
        return fill(s, 8 * MIB)

    def begin_tls(self, draw):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        s = context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), timeout=20))
        target = "/u/h/1/1024" if draw.random() < 0.3 else f"/u/n/{draw.randrange(1 << 40)}/{MIB}"
        s.sendall(f"GET {target} HTTP/1.1\r\nHost: soak.test\r\n\r\n".encode())
        return s

    def begin_tunnel(self, draw):
        s = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        s.sendall(b"GET /w/%d HTTP/1.1\r\nHost: soak.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c29ha3Nvc2Frc29ha3NvYQ==\r\n\r\n" % draw.randrange(1 << 40))
        if not s.recv(64).startswith(b"HTTP/1.1 101"):
            s.close()
            raise OSError("no tunnel")
        return fill(s, MIB)

    def begin_head(self, draw):
        """60 kB of fields; every third is never complete."""
        s = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        end = b"" if draw.random() < 0.3 else b"\r\n"
        s.sendall(b"GET /u/n/%d/%d HTTP/1.1\r\nHost: soak.test\r\n" % (draw.randrange(1 << 40), 4096)
                  + b"".join(b"X-%d: %s\r\n" % (i, b"x" * 3990) for i in range(15)) + end)
        return s

    def aborts(self, number):
        """Connections reset in the middle of an upload or a download."""
        draw = random.Random(self.seed + number)
        while not self.ended.is_set():
            with contextlib.suppress(OSError):
                if draw.random() < 0.5:
                    s = self.begin_upload(draw)
                else:
                    s = opened(self.port, f"/u/n/{draw.randrange(1 << 40)}/{5 * MIB}", 65536)
                    s.recv(draw.randrange(1, 1 << 20))
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                s.close()
                self.note(1, 0)

    def start_kind(self, kind, count):
        if kind == "aborts":
            for i in range(4):
                self.add(self.aborts, i)
            return
        begin = {"uploads": self.begin_upload, "tls": self.begin_tls, "tunnels": self.begin_tunnel, "heads": self.begin_head}
        self.add(self.crowd, count, begin[kind])

    def start(self):
        o = self.options
        self.add(self.idle, o.idle)
        self.add(self.unread, o.unread)
        self.add(self.slow, o.slow)
        for i in range(4):
            self.add(self.mixed, i)
        self.add(self.tool, "fetch", self.port, f"/u/c{self.seed}x{{turn}}/%d/16384", 16, 0, 2000)
        self.add(self.tool, "hits", self.port, "/u/h/%d/1024", 64, 2, 5000, 1)

    def stop(self):
        self.ended.set()
        for t in self.threads:
            t.join(30)


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("build-release/bin"), help="folder of the programs")
    p.add_argument("--seconds", type=int, default=60)
    p.add_argument("--memory", default="32MiB", help="the edge's setting")
    p.add_argument("--disk", default="2GiB", help="the edge's setting; 0: no disk tier")
    p.add_argument("--rest", default="32MiB", help="what it may take beyond that")
    p.add_argument("--unread", type=int, default=300, help="clients that do not read")
    p.add_argument("--slow", type=int, default=100, help="clients that read slowly")
    p.add_argument("--idle", type=int, default=300, help="connections that stay open")
    p.add_argument("--only-unread", action="store_true", help="no other clients")
    p.add_argument("--kind", choices=KINDS, help="only clients of this kind, as many as --unread says")
    p.add_argument("--seed", type=int, default=int(time.time()))
    p.add_argument("--quiet", action="store_true", help="the result only")
    return p.parse_args()


def told(admin):
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/status", timeout=10) as answer:
        return json.load(answer)


def main():
    o = arguments()
    with tempfile.TemporaryDirectory(prefix="pocketcdn-soak-") as folder:
        tools = Tools(folder)
        port, admin, origin_port = free_port(), free_port(), free_port()
        hard = o.kind in KINDS and o.kind != "tls"
        origin = subprocess.Popen([sys.executable, str(HERE / "origin.py"), str(origin_port)] if hard else
                                  [tools.path("waiting_origin"), str(origin_port)])
        more = []
        if o.kind == "tls":
            more = ["--tls-certificate", f"{folder}/c.pem", "--tls-key", f"{folder}/k.pem"]
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                            "-days", "2", "-subj", "/CN=soak.test", "-keyout", more[3], "-out", more[1]],
                           check=True, capture_output=True)
        with open(pathlib.Path(folder) / "edge.log", "wb") as log:
            edge = subprocess.Popen([o.bin.resolve() / "pocketcdn-edge", "--name", "soak", "--origin",
                                     f"http://127.0.0.1:{origin_port}", "--listen", f"127.0.0.1:{port}", "--admin",
                                     f"127.0.0.1:{admin}", "--cache-dir", f"{folder}/cache", "--memory", o.memory,
                                     "--disk", o.disk, *more], stderr=log, stdout=log)
        samples = Samples(edge.pid, not o.quiet)
        clients = Clients(port, o, tools, o.seed)
        try:
            while True:
                try:
                    told(admin)
                    break
                except OSError:
                    if edge.poll() is not None:
                        print("the edge did not start", file=sys.stderr)
                        return 3
                    time.sleep(0.05)
            idle = resident(edge.pid)[0]
            samples.start()
            if o.kind:
                clients.start_kind(o.kind, o.unread)
            elif o.only_unread:
                clients.add(clients.unread, o.unread)
            else:
                clients.start()
            time.sleep(o.seconds)
            state = told(admin)
            clients.stop()
            time.sleep(5)
            samples.ended.set()
            limit = size_of(o.memory) + size_of(o.rest)
            if not o.quiet:
                print(json.dumps({k: v for k, v in state.items() if k in ("memory", "cache", "tiers")}, indent=1))
            print(f"seed {o.seed}: {clients.count} requests, {clients.bad} bad {dict(clients.faults) or ''}; idle {idle / MIB:.1f} MiB, at most "
                  f"{samples.most / MIB:.1f}, five seconds after the end {samples.last / MIB:.1f}; allowed "
                  f"{limit / MIB:.0f} MiB (--memory {o.memory} and {o.rest})")
            return 1 if samples.most > limit or clients.bad or edge.poll() is not None else 0
        finally:
            for process in (edge, origin):
                process.terminate()
                process.wait(20)


if __name__ == "__main__":
    sys.exit(main())
