"""WebSocket through an edge: the handshake, the tunnel, its limits and its ends."""

import base64
import hashlib
import json
import os
import signal
import socket
import ssl
import struct
import subprocess
import threading

import pytest
from cdn import LIMIT, poll

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ASK = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", KEY)]


def accept_of(key):
    return base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()


def text_frame(text):
    """A masked frame, as a client sends it (RFC 6455 5.2)."""
    mask, data = os.urandom(4), text.encode()
    return struct.pack("!BB", 0x81, 0x80 | len(data)) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data))


def read_text(client):
    _, n = client.read_exactly(2)
    return client.read_exactly(n).decode()


class Peer:
    """One connection of the origin's."""

    def __init__(self, sock):
        self.sock, self.rest = sock, b""
        sock.settimeout(LIMIT)
        head = b""
        while b"\r\n\r\n" not in head:
            piece = sock.recv(65536)
            if not piece:
                raise ConnectionError("no request")
            head += piece
        head, self.rest = head.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        self.line, self.fields = lines[0], [tuple(x.split(": ", 1)) for x in lines[1:]]

    def all(self, name):
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def read(self, n):
        while len(self.rest) < n:
            piece = self.sock.recv(65536)
            if not piece:
                break
            self.rest += piece
        got, self.rest = self.rest[:n], self.rest[n:]
        return got

    def read_text(self):
        _, n = self.read(2)
        mask, data = self.read(4), self.read(n & 0x7F)
        return bytes(b ^ mask[i % 4] for i, b in enumerate(data)).decode()

    def send_text(self, text):
        self.sock.sendall(struct.pack("!BB", 0x81, len(text)) + text.encode())

    def switch(self, early=b"", extra=""):
        key = self.all("Sec-WebSocket-Key")[0]
        self.sock.sendall((f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           f"Sec-WebSocket-Accept: {accept_of(key)}\r\n{extra}\r\n").encode() + early)

    def answer(self, status="200 OK", body=b"plain", fields=""):
        self.sock.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{fields}\r\n".encode() + body)


class Origin:
    """Listens; each connection is `serve(peer)` on a thread of its own, and closed behind it."""

    def __init__(self, serve, tls=None):
        self.serve, self.tls, self.peers, self.socks, self.ended = serve, tls, [], [], 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.socks.append(sock)
            threading.Thread(target=self._run, args=(sock,), daemon=True).start()

    def _run(self, sock):
        try:
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
                self.socks.append(sock)
            peer = Peer(sock)
            self.peers.append(peer)
            self.serve(peer)
        except (OSError, ValueError):
            pass
        finally:
            sock.close()
            self.ended += 1

    def close(self):
        self.listener.close()
        for sock in self.socks:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


@pytest.fixture
def origin():
    made = []

    def make(serve, **kw):
        made.append(Origin(serve, **kw))
        return made[-1]

    yield make
    for each in made:
        each.close()


def echo(peer):
    peer.switch()
    while True:
        peer.send_text(peer.read_text())


def raw_echo(peer):
    peer.switch()
    while data := peer.read(1) + peer.rest:
        peer.rest = b""
        peer.sock.sendall(data)


def quiet(peer):
    peer.switch()
    peer.read(1)


def upgrade(client, target="/ws", fields=ASK, method="GET", early=b"", **kw):
    head = f"{method} {target} HTTP/1.1\r\nHost: test.example\r\n" + "".join(f"{n}: {v}\r\n" for n, v in fields)
    client.send(head.encode() + b"\r\n" + early)
    return client.head()


def replaced(**values):
    return [(n, values.get(n.replace("-", "_"), v)) for n, v in ASK]


# ------------------------------------------------------------------------------------------------------------ handshake


def test_handshake_and_frames_both_ways(cdn, origin):
    upstream = origin(echo)
    edge = cdn.edge(upstream.url)
    with edge.connect() as client:
        answer = upgrade(client, "/ws?room=1", ASK + [("Sec-WebSocket-Protocol", "chat"), ("Origin", "http://test.example")])
        assert answer.status == 101
        assert answer.header("Upgrade") == "websocket" and answer.header("Connection").lower() == "upgrade"
        assert answer.header("Sec-WebSocket-Accept") == accept_of(KEY)
        assert answer.header("X-Cache") == "BYPASS"
        assert "Content-Length" not in answer and "Transfer-Encoding" not in answer
        for text in ("one", "two", "three" * 20):
            client.send(text_frame(text))
            assert read_text(client) == text
        assert edge.metric("tunnels") == 1
    peer = upstream.peers[0]
    assert peer.line == "GET /ws?room=1 HTTP/1.1"
    assert peer.all("Connection") == ["Upgrade"] and peer.all("Upgrade") == ["websocket"]
    assert peer.all("Sec-WebSocket-Key") == [KEY] and peer.all("Sec-WebSocket-Protocol") == ["chat"]
    assert not peer.all("Transfer-Encoding") and not peer.all("Content-Length") and not peer.all("Expect")
    assert peer.all("Via") and peer.all("CDN-Loop") and peer.all("X-Forwarded-For") == ["127.0.0.1"]
    poll(lambda: edge.metric("tunnels") == 0, what="the tunnel's end")


def test_early_bytes_of_both_sides(cdn, origin):
    def serve(peer):
        peer.switch(early=b"first!")
        peer.sock.sendall(peer.read(len(bad)))

    bad = b"GET / HTTP/9.9\n\n\x00\xff junk that no HTTP server would take\r\n\r\n"
    edge = cdn.edge(origin(serve).url)
    with edge.connect() as client:
        assert upgrade(client, early=bad).status == 101
        assert client.read_exactly(6 + len(bad)) == b"first!" + bad
        assert client.at_eof()


@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden", "404 Not Found", "426 Upgrade Required", "500 Internal Server Error"])
def test_another_answer_is_passed_on_and_the_connection_stays(cdn, origin, status):
    edge = cdn.edge(origin(lambda peer: peer.answer(status, b"no socket here", "X-Own: 1\r\n")).url)
    with edge.connect() as client:
        for _ in range(2):
            client.send(b"GET /ws HTTP/1.1\r\nHost: a\r\n" + "".join(f"{n}: {v}\r\n" for n, v in ASK).encode() + b"\r\n")
            answer = client.response()
            assert (answer.status, answer.body, answer.header("X-Own")) == (int(status[:3]), b"no socket here", "1")
            assert answer.header("X-Cache") == "BYPASS"
        assert client.get("/ws").body == b"no socket here"
    assert edge.metric("tunnel_total") == 0


def test_bytes_behind_a_refused_handshake_are_no_request(cdn, origin):
    upstream = origin(lambda peer: peer.answer("403 Forbidden", b"no"))
    edge = cdn.edge(upstream.url)
    with edge.connect() as client:
        assert upgrade(client, early=b"GET /smuggled HTTP/1.1\r\nHost: test.example\r\n\r\n").status == 403
        assert client.read_exactly(2) == b"no"
        assert client.at_eof()
    assert [peer.line for peer in upstream.peers] == ["GET /ws HTTP/1.1"]


@pytest.mark.parametrize("fields", [
    replaced(Upgrade="h2c"), replaced(Upgrade="TLS/1.0"), replaced(Upgrade="websocketx"), replaced(Connection="close"),
    [f for f in ASK if f[0] != "Connection"], ASK + [("Upgrade", "h2c")], ASK + [("Content-Length", "0")],
], ids=str)
def test_what_is_no_request_for_websocket_is_an_ordinary_one(cdn, origin, fields):
    upstream = origin(lambda peer: peer.answer())
    edge = cdn.edge(upstream.url)
    with edge.connect() as client:
        answer = upgrade(client, fields=fields)
        assert answer.status == 200
        assert client.read_exactly(5) == b"plain"
    assert not upstream.peers[0].all("Upgrade")
    assert "Upgrade" not in upstream.peers[0].all("Connection")


def test_post_and_http10_are_not_upgraded(cdn, origin):
    upstream = origin(lambda peer: peer.answer())
    edge = cdn.edge(upstream.url)
    with edge.connect() as client:
        client.send_request("POST", "/ws", ASK, b"abc")
        assert client.response().body == b"plain"
    with edge.connect() as client:
        client.send_request("GET", "/ws", ASK, version="HTTP/1.0")
        assert client.response().body == b"plain"
    assert not any(peer.all("Upgrade") for peer in upstream.peers)


@pytest.mark.parametrize("keys", [[], [KEY, KEY], ["short"], [KEY + "AAAA"]], ids=str)
def test_a_handshake_has_one_key(cdn, origin, keys):
    upstream = origin(echo)
    edge = cdn.edge(upstream.url)
    with edge.connect() as client:
        assert upgrade(client, fields=ASK[:3] + [("Sec-WebSocket-Key", k) for k in keys]).status == 400
    assert not upstream.peers


@pytest.mark.parametrize("head", [
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 3\r\n\r\nabc",
    "HTTP/1.0 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
])
def test_a_101_for_something_else_is_an_error(cdn, origin, head):
    edge = cdn.edge(origin(lambda peer: peer.sock.sendall(head.encode())).url)
    with edge.connect() as client:
        assert upgrade(client).status == 502


def test_an_unasked_101_stays_an_error(cdn, origin):
    def serve(peer):
        peer.sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")

    assert cdn.edge(origin(serve).url).get("/page").status == 502


# --------------------------------------------------------------------------------------------------------------- bytes


def test_five_megabytes_each_way_past_a_slow_reader(cdn, origin):
    data = os.urandom(5 << 20)
    go = threading.Event()

    def serve(peer):
        peer.switch()
        peer.sock.sendall(data)
        go.wait(LIMIT)
        got = peer.read(len(data))
        peer.sock.sendall(hashlib.sha256(got).digest())

    edge = cdn.edge(origin(serve).url)
    before = edge.rss_kib()
    with edge.connect() as client:
        assert upgrade(client).status == 101
        sender = threading.Thread(target=client.send, args=(data,), daemon=True)
        sender.start()
        poll(lambda: edge.metric("tunnel_up_bytes_total") > 0, what="bytes on their way")
        assert client.read_exactly(len(data)) == data
        go.set()
        assert client.read_exactly(32) == hashlib.sha256(data).digest()
        sender.join(LIMIT)
    assert edge.rss_kib() - before < 64 * 1024
    poll(lambda: edge.metric("tunnels") == 0, what="the tunnel's end")
    assert edge.metric("tunnel_up_bytes_total") == len(data)
    assert edge.metric("tunnel_down_bytes_total") == len(data) + 32


def test_a_side_that_does_not_read_stops_the_other(cdn, origin):
    sent = []

    def serve(peer):
        peer.switch()
        while True:
            sent.append(peer.sock.send(bytes(65536)))

    edge = cdn.edge(origin(serve).url)
    before = edge.rss_kib()
    with edge.connect() as client:
        assert upgrade(client).status == 101
        poll(lambda: len(sent) > 4, what="bytes of the origin")
        last = [-1]

        def stopped():
            same, last[0] = last[0] == len(sent), len(sent)
            return same

        poll(stopped, every=0.3, what="the origin to be held up")
        assert edge.rss_kib() - before < 32 * 1024


def test_over_tls_to_the_origin(cdn, origin):
    folder = cdn.folder("tls")
    certificate, key = folder / "tls.crt", folder / "tls.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=test.example", "-addext", "subjectAltName=DNS:test.example,IP:127.0.0.1", "-out", certificate,
                    "-keyout", key], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    upstream = origin(raw_echo, tls=context)
    edge = cdn.edge(upstream.url, origin_ca=certificate)
    data = os.urandom(1 << 20)
    with edge.connect() as client:
        assert upgrade(client, early=b"early").status == 101
        assert client.read_exactly(5) == b"early"
        for at in range(0, len(data), 8192):
            client.send(data[at:at + 8192])
            assert client.read_exactly(8192) == data[at:at + 8192]
    poll(lambda: upstream.ended == 1, what="the origin's side to end")
    poll(lambda: edge.metric("tunnels") == 0, what="the tunnel's end")
    plain = origin(lambda peer: peer.answer())
    edge = cdn.edge(plain.url, name="tls", tls_certificate=certificate, tls_key=key)
    with edge.connect(tls=ssl.create_default_context(cafile=certificate), server_hostname="test.example") as client:
        assert upgrade(client).status == 200  # an ordinary request there
        assert client.read_exactly(5) == b"plain"
    assert not plain.peers[0].all("Upgrade")


# ---------------------------------------------------------------------------------------------------------------- ends


def test_the_clients_half_is_closed_alone(cdn, origin):
    def serve(peer):
        peer.switch()
        got = peer.read(1 << 20)
        peer.sock.sendall(b"after the end: " + got)

    edge = cdn.edge(origin(serve).url)
    with edge.connect() as client:
        assert upgrade(client).status == 101
        client.send(b"last words")
        client.half_close()
        assert client.read_until_close() == b"after the end: last words"


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_leaves_ends_the_origins_side(cdn, origin, how):
    upstream = origin(raw_echo)
    edge = cdn.edge(upstream.url)
    client = edge.connect()
    assert upgrade(client).status == 101
    client.send(b"x")
    assert client.read_exactly(1) == b"x"
    getattr(client, how)()
    poll(lambda: upstream.ended == 1, what="the origin's side to end")
    poll(lambda: edge.metric("tunnels") == 0, what="the tunnel's end")


def test_an_origin_that_leaves_ends_the_clients_side(cdn, origin):
    def serve(peer):
        peer.switch()
        peer.sock.sendall(peer.read(3))

    edge = cdn.edge(origin(serve).url)
    with edge.connect() as client:
        assert upgrade(client).status == 101
        client.send(b"bye")
        assert client.read_until_close() == b"bye"
    poll(lambda: edge.metric("tunnels") == 0, what="the tunnel's end")
    assert edge.status()


def test_an_idle_tunnel_is_closed(cdn, origin):
    upstream = origin(quiet)
    edge = cdn.edge(upstream.url, upgrade_idle="1s")
    with edge.connect() as client:
        assert upgrade(client).status == 101
        assert client.at_eof()
    poll(lambda: upstream.ended == 1, what="the origin's side to end")


def test_a_terminated_edge_waits_for_tunnels_and_then_closes_them(cdn, origin):
    edge = cdn.edge(origin(echo).url)
    with edge.connect() as client:
        assert upgrade(client).status == 101
        edge.signal(signal.SIGTERM)
        edge.wait_log("draining")
        client.send(text_frame("still here"))
        assert read_text(client) == "still here"
        edge.signal(signal.SIGTERM)  # who asks twice does not want to wait
        assert client.at_eof()
        assert edge.wait() == 0


# -------------------------------------------------------------------------------------------------------------- limits


def test_at_the_limit_503_and_room_again(cdn, origin):
    edge = cdn.edge(origin(echo).url, upgrade_connections=1, threads=1)
    with edge.connect() as first, edge.connect() as second:
        assert upgrade(first).status == 101
        assert upgrade(second).status == 503
        first.close()
        poll(lambda: edge.metric("tunnels") == 0, what="the tunnel's end")
    with edge.connect() as third:
        assert upgrade(third).status == 101
    assert edge.metric("tunnel_refused_total") == 1


def test_refused_by_setting(cdn, origin):
    upstream = origin(echo)
    edge = cdn.edge(upstream.url, upgrade="refuse")
    with edge.connect() as client:
        assert upgrade(client).status == 501
    assert not upstream.peers


def test_the_access_log_has_one_line_at_the_end(cdn, origin):
    path = cdn.folder("log") / "access.log"
    edge = cdn.edge(origin(echo).url, access_log=path)
    with edge.connect() as client:
        assert upgrade(client, "/ws?a").status == 101
        client.send(text_frame("hello"))
        assert read_text(client) == "hello"
        assert not [x for x in path.read_text().splitlines() if '"/ws?a"' in x]
    poll(lambda: '"/ws?a"' in path.read_text(), what="the line")
    line, = [json.loads(x) for x in path.read_text().splitlines() if '"/ws?a"' in x]
    assert line["status"] == 101 and line["bytes"] == 7 and "BYPASS" in line.values()
