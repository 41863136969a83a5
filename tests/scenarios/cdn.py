"""The harness of the scenario tests: real programs, raw HTTP, a programmable origin.

    def test_hit(cdn):                                   # the fixture of conftest.py
        origin = cdn.fake_origin()
        origin.on("/a", Reply(body=b"hello", headers=[("Cache-Control", "max-age=60")]))
        edge = cdn.edge(origin=origin.url, memory="8MiB")  # waits for `event=ready`
        assert edge.get("/a").header("X-Cache") == "MISS"
        assert edge.get("/a").header("X-Cache") == "HIT"
        assert origin.count("/a") == 1
        edge.clock_advance("61s")

Every program gets ports chosen by the kernel and a folder of its own; all are ended by their process id when the test is over,
and their logs are printed when it failed. Nothing here sleeps for a fixed time: what has to happen is waited for by
poll(), an event or a log line, each with a limit.

    Process     a program under test: start, log lines, signals, exit code
    Daemon      a Process with a public and an admin listener: get(), metrics(), status(), faults(), clock_advance()
    Client      one TCP connection: exact bytes out, parsed answers in (keep-alive, pipelining, chunked, 1xx, trailers)
    Response    an answer: status, fields in order, body, trailers, interim answers, whether it was complete
    FakeOrigin  an HTTP server that does what the test says: Reply, Gate, recorded requests
    Cdn         what the fixture gives: origin(), edge(), router(), django(), cli(), fake_origin(), folder(), spawn()
"""

import contextlib
import fcntl
import http.client
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("CDN_BIN", SOURCE / "build" / "bin")).resolve()
SLOW = float(os.environ.get("CDN_TEST_SLOW", "1"))  # factor on every limit: sanitizers, valgrind, busy machines
LIMIT = 60.0 * SLOW  # ends a test that hangs; a busy machine must never reach it


def poll(condition, limit=LIMIT, what="", every=0.005):
    """Calls condition() until its value is true and returns that; AssertionError after `limit` seconds."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit:g} s: {what or condition} (last value {value!r})")
        time.sleep(every)


def parse_address(text):
    """'127.0.0.1:80' or '[::1]:80' -> ('127.0.0.1', 80)."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


# ---------------------------------------------------------------------------------------------------- log lines

_PAIR = re.compile(r'([A-Za-z_][\w.]*)=("(?:[^"\\]|\\.)*"|\S*)')


def parse_log_line(line):
    """A log line as a dict; key=value and JSON form. Lines that are neither give {'text': line}."""
    line = line.strip()
    if line.startswith("{"):
        with contextlib.suppress(ValueError):
            return {k: v if isinstance(v, str) else json.dumps(v) for k, v in json.loads(line).items()}
    fields = {}
    for key, value in _PAIR.findall(line):
        if value.startswith('"'):
            try:
                value = json.loads(value)
            except ValueError:
                value = value[1:-1]
        fields[key] = value
    return fields or {"text": line}


# ---------------------------------------------------------------------------------------------------- answers


class Response:
    """An answer as it came over the wire."""

    def __init__(self, status, reason, version, headers):
        self.status, self.reason, self.version = status, reason, version
        self.headers = headers  # [(name, value)] in order
        self.body = b""
        self.trailers = []
        self.interim = []  # the 1xx answers before it, Responses too
        self.complete = False  # the whole body came, as its framing said
        self.closed = False  # the body ended with the connection
        self.chunks = None  # sizes of the chunks, when chunked

    def header(self, name, default=None):
        """The value of a field; several lines are joined with ', '."""
        values = self.all(name)
        return ", ".join(values) if values else default

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def __contains__(self, name):
        return bool(self.all(name))

    def __getitem__(self, name):
        value = self.header(name)
        if value is None:
            raise KeyError(f"no field {name} in {self!r}")
        return value

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        head = "".join(f"\n  {n}: {v}" for n, v in self.headers)
        cut = self.body[:200]
        return f"<{self.version} {self.status} {self.reason}{head}\n  body {len(self.body)} bytes {cut!r} complete={self.complete}>"


class Closed(ConnectionError):
    """The peer closed the connection where an answer was expected."""


class Client:
    """One connection. Bytes go out exactly as given; answers are parsed strictly (a malformed one is an AssertionError)."""

    def __init__(self, address, timeout=LIMIT, source=None, tls=None, server_hostname=None):
        self.sock = socket.create_connection(address, timeout, (source, 0) if source else None)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname=server_hostname)
        self.address = address
        self._buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- out
    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))
        return self

    def send_request(self, method, target, headers=(), body=b"", host="test.example", version="HTTP/1.1"):
        lines = [f"{method} {target} {version}"]
        headers = list(headers.items()) if isinstance(headers, dict) else list(headers)
        names = {n.lower() for n, _ in headers}
        if host is not None and "host" not in names:
            lines.append(f"Host: {host}")
        if body and not names & {"content-length", "transfer-encoding"}:
            lines.append(f"Content-Length: {len(body)}")
        lines += [f"{n}: {v}" for n, v in headers]
        return self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

    def request(self, method, target, headers=(), body=b"", **kw):
        """Sends one request and reads its whole answer."""
        self.send_request(method, target, headers, body, **kw)
        return self.response(method)

    def get(self, target, headers=(), **kw):
        return self.request("GET", target, headers, **kw)

    # -- in
    def _more(self):
        data = self.sock.recv(65536)
        self._buffer += data
        return bool(data)

    def read_line(self):
        while b"\n" not in self._buffer:
            if not self._more():
                raise Closed(f"closed after {self._buffer!r}")
        line, self._buffer = self._buffer.split(b"\n", 1)
        assert line.endswith(b"\r"), f"bare LF: {line!r}"
        return line[:-1]

    def read_exactly(self, n):
        """n bytes, or fewer when the peer closes first."""
        parts, have = [self._buffer[:n]], min(n, len(self._buffer))
        self._buffer = self._buffer[n:]
        while have < n:
            try:
                data = self.sock.recv(min(1 << 20, n - have))
            except ConnectionResetError:
                break
            if not data:
                break
            parts.append(data)
            have += len(data)
        return b"".join(parts)

    def _fields(self):
        fields = []
        while True:
            line = self.read_line().decode("latin-1")
            if not line:
                return fields
            name, colon, value = line.partition(":")
            assert colon and re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name), f"bad field line {line!r}"
            fields.append((name, value.strip(" \t")))

    def head(self):
        """The next head, 1xx included, without its body."""
        line = self.read_line().decode("latin-1")
        match = re.fullmatch(r"(HTTP/1\.[01]) (\d{3}) (.*)", line)
        assert match, f"bad status line {line!r}"
        return Response(int(match[2]), match[3], match[1], self._fields())

    def final_head(self):
        """The next final head; the 1xx before it are in .interim."""
        interim = []
        while True:
            response = self.head()
            if response.status >= 200 or response.status == 101:
                response.interim = interim
                return response
            interim.append(response)

    def response(self, method="GET"):
        """The next answer with its body. A body cut short leaves complete=False (no exception)."""
        return self.body(self.final_head(), method)

    def body(self, response, method="GET"):
        """Reads the body of a head that was read with final_head()."""
        if method == "HEAD" or response.status in (204, 304) or response.status < 200:
            response.complete = True
        elif "chunked" in response.header("Transfer-Encoding", "").lower():
            self._chunked(response)
        elif "Content-Length" in response:
            lengths = set(response.all("Content-Length"))
            assert len(lengths) == 1, f"several lengths: {lengths}"
            want = int(lengths.pop())
            response.body = self.read_exactly(want)
            response.complete = len(response.body) == want
        else:
            response.body = self.read_until_close()
            response.complete = response.closed = True
        return response

    def read_chunk(self):
        """One chunk's data; b'' for the last one (the trailers are left in the stream)."""
        size = int(self.read_line().split(b";")[0], 16)
        if size == 0:
            return b""
        data = self.read_exactly(size)
        if len(data) < size:
            raise Closed("closed inside a chunk")
        assert self.read_line() == b"", "no line end behind a chunk"
        return data

    def _chunked(self, response):
        response.chunks, parts = [], []
        try:
            while True:
                data = self.read_chunk()
                if not data:
                    break
                response.chunks.append(len(data))
                parts.append(data)
            response.trailers = self._fields()
            response.complete = True
        except (Closed, ConnectionResetError):
            pass
        response.body = b"".join(parts)

    def read_until_close(self):
        parts = [self._buffer]
        self._buffer = b""
        with contextlib.suppress(ConnectionResetError):
            while data := self.sock.recv(1 << 20):
                parts.append(data)
        return b"".join(parts)

    def at_eof(self):
        """True when the peer has closed (waits for it up to the time-out); False when bytes came instead."""
        if self._buffer:
            return False
        try:
            return not self._more()
        except ConnectionResetError:
            return True

    def is_silent(self, seconds=0.05):
        """True when nothing arrives for a moment. For 'must not answer yet'; keep it short."""
        old = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            if not self._buffer:
                self._more()
            return False
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(old)

    # -- end
    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """Goes away with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()


# ---------------------------------------------------------------------------------------------------- programs


class Process:
    """A program under test. stdout and stderr are read by a thread each, so that a full pipe never stops it."""

    def __init__(self, program, args=(), env=None, cwd=None, stdin=subprocess.DEVNULL, name=None):
        path = pathlib.Path(program)
        self.argv = [str(path if path.is_absolute() else BIN / program), *map(str, args)]
        self.name = name or pathlib.Path(program).name
        clean = {k: v for k, v in os.environ.items()
                 if not k.startswith("POCKETCDN_") and not k.lower().endswith("_proxy")}
        clean.update(env or {})
        self.out, self.err = [], []  # lines
        self._changed = threading.Condition()
        self.process = subprocess.Popen(self.argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=clean, cwd=cwd, start_new_session=True)
        self.pid = self.process.pid
        self._readers = [threading.Thread(target=self._read, args=pair, daemon=True)
                         for pair in ((self.process.stdout, self.out), (self.process.stderr, self.err))]
        for reader in self._readers:
            reader.start()

    def _read(self, pipe, lines):
        for raw in pipe:
            with self._changed:
                lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    @property
    def log(self):
        """The log lines so far, as dicts."""
        return [parse_log_line(line) for line in list(self.err)]

    def wait_log(self, event, limit=LIMIT, after=0, **fields):
        """The first log line (from index `after` of .err) with this event and these fields; waits for it."""
        end = time.monotonic() + limit
        seen = after
        while True:
            with self._changed:
                while seen >= len(self.err):
                    left = end - time.monotonic()
                    dead = self.process.poll() is not None and not any(r.is_alive() for r in self._readers)
                    if dead or left <= 0:
                        why = f"ended with {self.process.returncode}" if dead else f"not within {limit:g} s"
                        raise AssertionError(f"{self.name}: no event={event} {fields or ''}: {why}\n{self.dump()}")
                    self._changed.wait(min(left, 0.1))
                line = parse_log_line(self.err[seen])
            seen += 1
            if line.get("event") == event and all(line.get(k) == str(v) for k, v in fields.items()):
                return line

    def running(self):
        return self.process.poll() is None

    def signal(self, number):
        if self.running():
            os.kill(self.pid, number)

    def wait(self, limit=LIMIT):
        """Its exit code (negative: the signal that ended it)."""
        code = self.process.wait(limit)
        for reader in self._readers:
            reader.join(limit)
        return code

    def terminate(self, limit=LIMIT):
        """SIGTERM, then its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(limit)

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.wait()

    def stop(self):
        """For teardown: SIGTERM, after a while SIGKILL; also for a stopped process."""
        if self.running():
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(5 * SLOW)
            except subprocess.TimeoutExpired:
                self.process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(5)

    def rss_kib(self):
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s*(\d+)", text)[1])

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def dump(self):
        lines = [f"---- {self.name} (pid {self.pid}, exit {self.process.poll()}): {shlex.join(self.argv)}"]
        lines += [f"  out| {line}" for line in self.out[-200:]]
        lines += [f"  err| {line}" for line in self.err[-400:]]
        return "\n".join(lines)


class Daemon(Process):
    """One of the servers. After the constructor it is ready: .public and .admin are (host, port)."""

    def __init__(self, program, args=(), wait=True, **kw):
        super().__init__(program, args, **kw)
        self.public = self.admin = None
        self.token = None  # bearer token for the admin listener
        self.wait_ready() if wait else None

    def wait_ready(self, limit=LIMIT):
        try:
            line = self.wait_log("ready", limit)
        except AssertionError:
            self.stop()
            raise
        self.public = parse_address(line["public"]) if line.get("public") else None
        self.admin = parse_address(line["admin"]) if line.get("admin") else None
        self.ready = line
        return self

    @property
    def url(self):
        return f"http://{self.public[0]}:{self.public[1]}"

    @property
    def admin_url(self):
        return f"http://{self.admin[0]}:{self.admin[1]}"

    # -- public listener
    def connect(self, **kw):
        return Client(self.public, **kw)

    def request(self, method, target, headers=(), body=b"", source=None, **kw):
        """One request on a connection of its own."""
        with self.connect(source=source) as client:
            return client.request(method, target, headers, body, **kw)

    def get(self, target, headers=(), **kw):
        return self.request("GET", target, headers, **kw)

    def head(self, target, headers=(), **kw):
        return self.request("HEAD", target, headers, **kw)

    def raw(self, data, method="GET"):
        """Sends exactly these bytes on a new connection; the answer, or None when it was closed without one."""
        with self.connect() as client:
            client.send(data)
            try:
                return client.response(method)
            except (Closed, ConnectionResetError):
                return None

    def http(self):
        """The standard library's client on the public listener."""
        return http.client.HTTPConnection(*self.public, timeout=LIMIT)

    # -- admin listener
    def admin_request(self, method, path, body=None, headers=()):
        headers = list(headers)
        if self.token:
            headers.append(("Authorization", f"Bearer {self.token}"))
        data = b""
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers.append(("Content-Type", "application/json"))
        with Client(self.admin) as client:
            return client.request(method, path, headers, data, host="%s:%d" % self.admin)

    def admin_get(self, path):
        """The JSON of an admin page; an error answer is an AssertionError."""
        response = self.admin_request("GET", path)
        assert response.status == 200, response
        return response.json()

    def admin_post(self, path, body=None):
        response = self.admin_request("POST", path, {} if body is None else body)
        assert 200 <= response.status < 300, response
        return response.json() if response.body else None

    def status(self):
        return self.admin_get("/status")

    def metrics(self):
        """{'name{label="x"}': value} of the Prometheus page; the page is checked for well-formed lines."""
        response = self.admin_request("GET", "/metrics")
        assert response.status == 200, response
        values = {}
        for line in response.text.splitlines():
            if line and not line.startswith("#"):
                match = re.fullmatch(r'([a-zA-Z_:][\w:]*(?:\{[^{}]*\})?) (\S+)', line)
                assert match, f"bad metrics line {line!r}"
                values[match[1]] = float(match[2])
        return values

    def metric(self, name):
        """One metric: by its full name, or without the 'pocketcdn_<program>_' prefix; label sets are summed."""
        program = next(pathlib.Path(arg).name.rpartition("-")[2] for arg in self.argv if "pocketcdn-" in arg)
        wanted = {name, f"pocketcdn_{program}_{name}"}
        found = [v for k, v in self.metrics().items() if k in wanted or k.partition("{")[0] in wanted]
        assert found, f"no metric {name}"
        return sum(found)

    def clock_advance(self, duration):
        """Moves the cache clock ('61s', '30d'); needs simulate=True."""
        return self.admin_post("/clock", {"advance": duration})

    def faults(self, **rules):
        return self.admin_post("/faults", rules)

    def reload(self):
        return self.admin_request("POST", "/reload")


def flags(settings):
    """{'cache_dir': 'x', 'simulate': True, 'via': ['a', 'b']} -> command-line flags; None is left out."""
    result = []
    for key, value in settings.items():
        flag = "--" + key.replace("_", "-")
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if item is None:
                continue
            result.append(flag if item is True else f"{flag}={'no' if item is False else item}")
    return result


# ---------------------------------------------------------------------------------------------------- fake origin


class Gate:
    """Something a Reply waits for until the test opens it; .reached tells that somebody waits there."""

    def __init__(self):
        self._open, self.reached = threading.Event(), threading.Event()

    def open(self):
        self._open.set()

    def wait_reached(self, limit=LIMIT):
        assert self.reached.wait(limit), f"nobody came to the gate within {limit:g} s"

    def _pass(self):
        self.reached.set()
        self._open.wait(60 * SLOW)


class Reply:
    """What the fake origin answers.

    body         bytes, or a list of bytes, Gates (wait until opened) and callables (called); a list is sent piece by piece
    length       Content-Length to claim: None = the true one (chunked for a list with chunked=True), a number = lie,
                 False = no length at all (the body ends with the connection)
    chunked      send chunked; then `trailers` may follow
    close_after  stop after this many bytes of the body and close the connection
    reset        close with RST instead of FIN
    interim      [(status, [(name, value)])] sent before the head
    before       a Gate in front of the head
    raw          exactly these bytes in place of everything (or a list as for body); the connection is closed then
    """

    def __init__(self, status=200, body=b"", headers=(), reason=None, length=None, chunked=False, trailers=(),
                 close_after=None, reset=False, interim=(), before=None, raw=None, close=False, date=True):
        self.status, self.reason = status, reason or http.client.responses.get(status, "Unknown")
        self.pieces = body if isinstance(body, (list, tuple)) else [body]
        self.headers = list(headers.items()) if isinstance(headers, dict) else list(headers)
        self.length, self.chunked, self.trailers = length, chunked, list(trailers)
        self.close_after, self.reset, self.interim, self.before = close_after, reset, list(interim), before
        self.raw, self.close, self.date = raw, close, date

    def size(self):
        return sum(len(p) for p in self.pieces if isinstance(p, bytes))


class Recorded:
    """A request as the fake origin got it."""

    def __init__(self, method, target, version, headers, body, connection):
        self.method, self.target, self.version, self.headers, self.body = method, target, version, headers, body
        self.connection = connection  # number of the TCP connection, from 1
        self.path = target.partition("?")[0]

    header, all = Response.header, Response.all
    __contains__, __getitem__ = Response.__contains__, Response.__getitem__

    def __repr__(self):
        return f"<{self.method} {self.target} {dict(self.headers)} body {len(self.body)}>"


class FakeOrigin:
    """An HTTP/1.1 server with a thread per connection that answers what the test scripted.

        origin.on("/a", Reply(...), Reply(...))      one after the other, the last one for ever
        origin.on("/a", lambda request: Reply(...))  worked out per request
        origin.default = Reply(404)                  for everything else

    It listens on a port, or on the Unix socket `path`. Targets are matched with the query first, then by path. All requests are in .requests; those still being answered count
    in .active and the most at a time in .most_active.
    """

    def __init__(self, tls=None, host="127.0.0.1", path=None):
        self._host, self._path = host, path
        self._scripts, self._lock = {}, threading.Condition()
        self.default = Reply(404, b"not scripted\n")
        self.requests, self.active, self.most_active, self.connections = [], 0, 0, 0
        self.errors = []  # malformed requests: a proxy must never send one
        self._open, self._gates, self._stopped = set(), set(), False
        self._tls = tls
        self._listen()

    def _listen(self, port=0):
        if self._path:
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.bind(str(self._path))
        else:
            self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind((self._host, port))
        self._listener.listen(1024)
        self.address = self._listener.getsockname()
        self._accepter = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
        self._accepter.start()

    @property
    def url(self):
        if self._path:
            return f"unix:{self._path}"
        return f"{'https' if self._tls else 'http'}://{self.address[0]}:{self.address[1]}"

    # -- script
    def on(self, target, *replies):
        with self._lock:
            self._scripts[target] = list(replies)
        return self

    def _next(self, request):
        with self._lock:
            script = self._scripts.get(request.target) or self._scripts.get(request.path) or [self.default]
            reply = script.pop(0) if len(script) > 1 else script[0]
        return reply(request) if callable(reply) else reply

    # -- record
    def count(self, target=None, method=None):
        return len(self.seen(target, method))

    def seen(self, target=None, method=None):
        with self._lock:
            return [r for r in self.requests if (target is None or target in (r.target, r.path))
                    and (method is None or r.method == method)]

    def last(self, target=None):
        seen = self.seen(target)
        assert seen, f"no request for {target}"
        return seen[-1]

    def wait_count(self, n, target=None, limit=LIMIT):
        return poll(lambda: self.count(target) >= n and self.seen(target), limit, f"{n} requests for {target}")

    def forget(self):
        with self._lock:
            self.requests.clear()

    # -- serve
    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                number = self.connections
                self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, raw_sock, number):
        sock = raw_sock
        try:
            if not self._path:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
            stream = sock.makefile("rb")
            while self._one(sock, stream, number):
                pass
        except (OSError, ssl.SSLError):
            pass
        finally:
            with self._lock:
                self._open.discard(raw_sock)
            with contextlib.suppress(OSError):
                sock.close()

    def _one(self, sock, stream, number):
        line = stream.readline(1 << 16)
        if not line:
            return False
        request = self._read(sock, stream, line, number)
        if request is None:
            return False
        with self._lock:
            self.requests.append(request)
            self.active += 1
            self.most_active = max(self.most_active, self.active)
        try:
            return self._answer(sock, self._next(request), request)
        finally:
            with self._lock:
                self.active -= 1

    def _read(self, sock, stream, line, number):
        match = re.fullmatch(rb"([!-~]+) ([!-~]+) (HTTP/1\.[01])\r\n", line)
        if not match:
            self.errors.append(line)
            return None
        method, target, version = (part.decode("latin-1") for part in match.groups())
        headers = []
        while (line := stream.readline(1 << 16)) not in (b"\r\n", b""):
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon or not value.endswith("\r\n") or name != name.strip():
                self.errors.append(line)
                return None
            headers.append((name, value.strip(" \t\r\n")))
        request = Recorded(method, target, version, headers, b"", number)
        if "100-continue" in request.header("Expect", "").lower():
            sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in request.header("Transfer-Encoding", "").lower():
            while (line := stream.readline()) and (size := int(line.split(b";")[0], 16)):
                request.body += stream.read(size)
                stream.readline()
            if not line:
                return None
            while stream.readline() not in (b"\r\n", b""):
                pass
        elif "Content-Length" in request:
            request.body = stream.read(int(request["Content-Length"]))
        return request

    def _answer(self, sock, reply, request):
        if reply is None:
            return False
        if reply.before:
            self._pass(reply.before)
        if reply.raw is not None:
            self._send(sock, reply, reply.raw if isinstance(reply.raw, (list, tuple)) else [reply.raw], False)
            return False
        for status, fields in reply.interim:
            reason = http.client.responses.get(status, "Early Hints" if status == 103 else "Interim")
            sock.sendall(self._head(status, reason, fields))
        keep = self._framing(reply, request)
        headers = keep[1] + reply.headers
        names = {n.lower() for n, _ in headers}
        if reply.date and "date" not in names:
            headers.append(("Date", time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())))
        sock.sendall(self._head(reply.status, reply.reason, headers))
        no_body = request.method == "HEAD" or reply.status in (204, 304)
        if not no_body and not self._send(sock, reply, reply.pieces, reply.chunked):
            return False
        return keep[0] and "close" not in request.header("Connection", "").lower()

    @staticmethod
    def _framing(reply, request):
        """(whether the connection stays, header fields of the framing)."""
        if reply.chunked and request.version == "HTTP/1.1":
            return not reply.close, [("Transfer-Encoding", "chunked")]
        if reply.length is False:
            return False, [("Connection", "close")]
        if reply.status in (204, 304) and reply.length is None:
            return not reply.close, []
        length = reply.size() if reply.length is None else reply.length
        fields = [("Content-Length", str(length))] + ([("Connection", "close")] if reply.close else [])
        return not reply.close and length == reply.size(), fields

    @staticmethod
    def _head(status, reason, fields):
        lines = [f"HTTP/1.1 {status} {reason}"] + [f"{n}: {v}" for n, v in fields]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"

    def _pass(self, gate):
        with self._lock:
            self._gates.add(gate)
            if self._stopped:
                gate.open()
        gate._pass()

    def _send(self, sock, reply, pieces, chunked):
        """True when the whole body went out and the connection may be used again."""
        left = reply.close_after
        for piece in pieces:
            if isinstance(piece, Gate):
                self._pass(piece)
                continue
            if callable(piece):
                piece()
                continue
            cut = piece if left is None else piece[:left]
            if cut:
                sock.sendall(b"%x\r\n%b\r\n" % (len(cut), cut) if chunked else cut)
            if left is not None:
                left -= len(cut)
                if left == 0:
                    break
        if left is not None or (reply.reset and not chunked):
            if reply.reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if chunked:
            sock.sendall(b"0\r\n" + "".join(f"{n}: {v}\r\n" for n, v in reply.trailers).encode("latin-1") + b"\r\n")
        return True

    # -- life
    def refuse(self):
        """Stops listening and drops every connection: clients get 'connection refused'."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepter.join(LIMIT)
        self.drop_connections()

    def listen_again(self):
        """After refuse(): the same port again."""
        self._listen(self.address[1])

    def drop_connections(self):
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def stop(self):
        with self._lock:
            self._stopped = True
            for gate in self._gates:
                gate.open()
        self.refuse()


# ---------------------------------------------------------------------------------------------------- the fixture


class Cdn:
    """What a test starts its CDN with; close() ends everything in reverse order."""

    _sites = {}  # with static files or without: the folder of a Django site that is set up

    def __init__(self):
        self._things = []
        self._tmp = tempfile.TemporaryDirectory(prefix="pocketcdn-test-")
        self.tmp = pathlib.Path(self._tmp.name)

    def folder(self, name="", files=None):
        """A new folder below the test's own, filled with {relative name: bytes or text}."""
        path = pathlib.Path(tempfile.mkdtemp(prefix=(name or "folder") + "-", dir=self.tmp))
        for relative, content in (files or {}).items():
            target = path / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def keep(self, thing):
        """Registers anything with stop() for the teardown."""
        self._things.append(thing)
        return thing

    def fake_origin(self, **kw):
        return self.keep(FakeOrigin(**kw))

    def spawn(self, program, *args, **kw):
        """Any program, not waited for."""
        return self.keep(Process(program, args, **kw))

    def daemon(self, program, args, wait=True, files=None, **kw):
        """`files`: how many it may open (ulimit -n)."""
        if files:
            args, kw["name"] = ["-c", f'ulimit -n {files}; exec "$0" "$@"', BIN / program, *args], kw.get("name", program)
            program = "/bin/sh"
        daemon = self.keep(Daemon(program, args, wait=False, **kw))
        return daemon.wait_ready() if wait else daemon

    def origin(self, root=None, *args, wait=True, env=None, listen="127.0.0.1:0", admin="127.0.0.1:0", **settings):
        settings = {"root": root, "listen": listen, "admin": admin, **settings}
        return self.daemon("pocketcdn-origin", [*flags(settings), *args], wait, env=env)

    def edge(self, origin=None, *args, name="fra", wait=True, env=None, listen="127.0.0.1:0", admin="127.0.0.1:0",
             files=None, **settings):
        if "cache_dir" not in settings:
            settings["cache_dir"] = self.folder(f"cache-{name}")
        url = origin if origin is None or isinstance(origin, str) else origin.url
        settings = {"name": name, "origin": url, "listen": listen, "admin": admin, **settings}
        if url and not files and "connect_timeout" not in settings:
            settings["connect_timeout"] = "60s"  # a handshake on a busy machine takes its time
        return self.daemon("pocketcdn-edge", [*flags(settings), *args], wait, files, env=env, name=f"edge {name}")

    def router(self, config=None, *args, wait=True, env=None, listen="127.0.0.1:0", admin="127.0.0.1:0",
               dns_listen="127.0.0.1:0", files=None, **settings):
        """`config` is the text of a cdn.yaml, or a dict (written as JSON, which is YAML), or a path."""
        if config is not None:
            settings["config"] = self.config(config)
        settings = {"listen": listen, "admin": admin, "dns_listen": dns_listen, **settings}
        return self.daemon("pocketcdn-router", [*flags(settings), *args], wait, files, env=env)

    def wan(self, config=None, *args, wait=True, env=None, listen="127.0.0.1:0", admin="127.0.0.1:0", files=None, **settings):
        """The network between the places; `config` as for a router."""
        if config is not None:
            settings["config"] = self.config(config)
        settings = {"listen": listen, "admin": admin, "log_level": "debug", **settings}
        return self.daemon("pocketcdn-wan", [*flags(settings), *args], wait, files, env=env)

    def django(self, static=True, **env):
        """The site of origin/django on a database of its own; `env` goes to its settings (DJANGO_STATIC_HOST=...)."""
        manage = SOURCE / "origin" / "django" / "manage.py"
        state = self.folder("django")
        env = {"DJANGO_STATE": str(state), "PYTHONDONTWRITEBYTECODE": "1", **env}
        if static not in Cdn._sites:  # set up once; every test has a copy of its own
            setup = self.spawn("/usr/bin/python3", manage, "setup", *([] if static else ["--no-static"]), env=env)
            assert setup.wait(60 * SLOW) == 0, setup.dump()
            Cdn._sites[static] = tempfile.TemporaryDirectory(prefix="cdn-django-")
            shutil.copytree(state, Cdn._sites[static].name, dirs_exist_ok=True)
        else:
            shutil.copytree(Cdn._sites[static].name, state, dirs_exist_ok=True)
        site = self.daemon("/usr/bin/python3", [manage, "serve", "127.0.0.1:0"], env=env, name="django")
        site.state = pathlib.Path(env["DJANGO_STATE"])
        return site

    def config(self, config):
        """A cdn.yaml with this content; its path."""
        if isinstance(config, pathlib.Path):
            return config
        path = self.folder("config") / "cdn.yaml"
        path.write_text(config if isinstance(config, str) else json.dumps(config, indent=1))
        return path

    def cli(self, *args, stdin=None, limit=60 * SLOW, program="pocketcdn", env=None, cwd=None):
        """Runs a command to its end: CompletedProcess with .returncode, .stdout, .stderr as text."""
        return subprocess.run([str(BIN / program), *map(str, args)], input=stdin, text=True, capture_output=True,
                              timeout=limit, env=clean_environment(env), cwd=cwd or self.tmp, check=False)

    def cli_started(self, *args):
        """The same, running: a Popen, for commands side by side."""
        return subprocess.Popen([str(BIN / "pocketcdn"), *map(str, args)], text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env=clean_environment(), cwd=self.tmp)

    def dump(self):
        return "\n".join(t.dump() for t in self._things if isinstance(t, Process))

    def close(self):
        for thing in reversed(self._things):
            thing.stop()
        problems = [f"{t.name}: {line}" for t in self._things if isinstance(t, Process)
                    for line in t.err if "Sanitizer" in line or "runtime error:" in line]
        self._tmp.cleanup()
        return problems


def clean_environment(more=None):
    """This process's environment without anybody's settings and proxies."""
    clean = {k: v for k, v in os.environ.items()
             if not k.startswith("POCKETCDN_") and not k.lower().endswith("_proxy")}
    return clean | (more or {})


class Ports:
    """Ports for programs that have to know them before they listen. The kernel gives out those from 32768 by itself, to
    whoever connects; these lie below. A process takes blocks of them, which a locked file each keeps from others."""

    FIRST, BLOCK, BLOCKS = 12000, 64, 320

    def __init__(self):
        self.folder = pathlib.Path(tempfile.gettempdir()) / f"pocketcdn-test-ports-{os.getuid()}"
        self.locks, self.left = [], []

    def take_block(self):
        self.folder.mkdir(exist_ok=True)
        for i in range(self.BLOCKS):
            number = (os.getpid() + i) % self.BLOCKS
            lock = open(self.folder / str(number), "w")  # noqa: SIM115  (open as long as this process lives)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.close()
                continue
            self.locks.append(lock)
            return list(range(self.FIRST + number * self.BLOCK, self.FIRST + (number + 1) * self.BLOCK))
        raise AssertionError("no block of ports is left")

    def one(self):
        while True:
            self.left = self.left or self.take_block()
            port = self.left.pop()
            with socket.socket() as sock, contextlib.suppress(OSError):
                sock.bind(("127.0.0.1", port))
                return port


PORTS = Ports()


def unused_port():
    """A port that nobody listens on, and that no other test is given; never the same again."""
    return PORTS.one()


def in_parallel(n, action):
    """Runs action(i) for i < n at the same time; the results in order; the first exception is raised again."""
    results, errors = [None] * n, []

    def run(i):
        try:
            results[i] = action(i)
        except BaseException as error:  # carried to the caller's thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60 * SLOW)
    if errors:
        raise errors[0]
    assert not any(t.is_alive() for t in threads), "still running"
    return results
