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
from tls import Pair, TlsSocket

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


class Front:
    """Edges for one kind of client: plain, or TLS of one version."""

    def __init__(self, cdn, version):
        self.cdn, self.version = cdn, version
        self.pair = Pair(cdn.folder("tls")) if version else None

    def edge(self, url, **settings):
        if self.version:
            settings.update(tls_certificate=self.pair.certificate, tls_key=self.pair.key)
        return self.cdn.edge(url, **settings)

    def connect(self, edge):
        client = edge.connect()
        if self.version:
            context = self.pair.client()
            context.minimum_version = context.maximum_version = self.version
            client.sock = TlsSocket(client.sock, context, "test.example")
        return client


@pytest.fixture(params=[None, ssl.TLSVersion.TLSv1_3], ids=["ws", "wss"])
def front(cdn, request):
    return Front(cdn, request.param)


all_versions = pytest.mark.parametrize("front", [None, ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2],
                                       ids=["ws", "wss", "wss-1.2"], indirect=True)


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


@all_versions
def test_handshake_and_frames_both_ways(front, origin):
    upstream = origin(echo)
    edge = front.edge(upstream.url)
    with front.connect(edge) as client:
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


def test_early_bytes_of_both_sides(front, origin):
    def serve(peer):
        peer.switch(early=b"first!")
        peer.sock.sendall(peer.read(len(bad)))

    bad = b"GET / HTTP/9.9\n\n\x00\xff junk that no HTTP server would take\r\n\r\n"
    edge = front.edge(origin(serve).url)
    with front.connect(edge) as client:
        assert upgrade(client, early=bad).status == 101
        assert client.read_exactly(6 + len(bad)) == b"first!" + bad
        assert client.at_eof()


@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden", "404 Not Found", "426 Upgrade Required", "500 Internal Server Error"])
def test_another_answer_is_passed_on_and_the_connection_stays(front, origin, status):
    edge = front.edge(origin(lambda peer: peer.answer(status, b"no socket here", "X-Own: 1\r\n")).url)
    with front.connect(edge) as client:
        for _ in range(2):
            client.send(b"GET /ws HTTP/1.1\r\nHost: a\r\n" + "".join(f"{n}: {v}\r\n" for n, v in ASK).encode() + b"\r\n")
            answer = client.response()
            assert (answer.status, answer.body, answer.header("X-Own")) == (int(status[:3]), b"no socket here", "1")
            assert answer.header("X-Cache") == "BYPASS"
        assert client.get("/ws").body == b"no socket here"
    assert edge.metric("tunnel_total") == 0


def test_bytes_behind_a_refused_handshake_are_no_request(front, origin):
    upstream = origin(lambda peer: peer.answer("403 Forbidden", b"no"))
    edge = front.edge(upstream.url)
    with front.connect(edge) as client:
        assert upgrade(client, early=b"GET /smuggled HTTP/1.1\r\nHost: test.example\r\n\r\n").status == 403
        assert client.read_exactly(2) == b"no"
        assert client.at_eof()
    assert [peer.line for peer in upstream.peers] == ["GET /ws HTTP/1.1"]


@pytest.mark.parametrize("fields", [
    replaced(Upgrade="h2c"), replaced(Upgrade="TLS/1.0"), replaced(Upgrade="websocketx"), replaced(Connection="close"),
    [f for f in ASK if f[0] != "Connection"], ASK + [("Upgrade", "h2c")], ASK + [("Content-Length", "0")],
], ids=str)
def test_what_is_no_request_for_websocket_is_an_ordinary_one(front, origin, fields):
    upstream = origin(lambda peer: peer.answer())
    edge = front.edge(upstream.url)
    with front.connect(edge) as client:
        answer = upgrade(client, fields=fields)
        assert answer.status == 200
        assert client.read_exactly(5) == b"plain"
    assert not upstream.peers[0].all("Upgrade")
    assert "Upgrade" not in upstream.peers[0].all("Connection")


def test_post_and_http10_are_not_upgraded(front, origin):
    upstream = origin(lambda peer: peer.answer())
    edge = front.edge(upstream.url)
    with front.connect(edge) as client:
        client.send_request("POST", "/ws", ASK, b"abc")
        assert client.response().body == b"plain"
    with front.connect(edge) as client:
        client.send_request("GET", "/ws", ASK, version="HTTP/1.0")
        assert client.response().body == b"plain"
    assert not any(peer.all("Upgrade") for peer in upstream.peers)


@pytest.mark.parametrize("keys", [[], [KEY, KEY], ["short"], [KEY + "AAAA"]], ids=str)
def test_a_handshake_has_one_key(front, origin, keys):
    upstream = origin(echo)
    edge = front.edge(upstream.url)
    with front.connect(edge) as client:
        assert upgrade(client, fields=ASK[:3] + [("Sec-WebSocket-Key", k) for k in keys]).status == 400
    assert not upstream.peers


@pytest.mark.parametrize("head", [
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 3\r\n\r\nabc",
    "HTTP/1.0 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
])
def test_a_101_for_something_else_is_an_error(front, origin, head):
    edge = front.edge(origin(lambda peer: peer.sock.sendall(head.encode())).url)
    with front.connect(edge) as client:
        assert upgrade(client).status == 502


def test_an_unasked_101_stays_an_error(front, origin):
    def serve(peer):
        peer.sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")

    edge = front.edge(origin(serve).url)
    with front.connect(edge) as client:
        assert client.get("/page").status == 502


# --------------------------------------------------------------------------------------------------------------- bytes


@all_versions
def test_five_megabytes_each_way_past_a_slow_reader(front, origin):
    data = os.urandom(5 << 20)
    go = threading.Event()

    def serve(peer):
        peer.switch()
        peer.sock.sendall(data)
        go.wait(LIMIT)
        got = peer.read(len(data))
        peer.sock.sendall(hashlib.sha256(got).digest())

    edge = front.edge(origin(serve).url)
    before = edge.rss_kib()
    with front.connect(edge) as client:
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


def test_a_side_that_does_not_read_stops_the_other(front, origin):
    sent = []

    def serve(peer):
        peer.switch()
        while True:
            sent.append(peer.sock.send(bytes(65536)))

    edge = front.edge(origin(serve).url)
    before = edge.rss_kib()
    with front.connect(edge) as client:
        assert upgrade(client).status == 101
        poll(lambda: len(sent) > 4, what="bytes of the origin")
        last = [-1]

        def stopped():
            same, last[0] = last[0] == len(sent), len(sent)
            return same

        poll(stopped, every=0.3, what="the origin to be held up")
        assert edge.rss_kib() - before < 32 * 1024


def test_over_tls_to_the_origin(front, origin):
    pair = Pair(front.cdn.folder("origin"))
    upstream = origin(raw_echo, tls=pair.server())
    edge = front.edge(upstream.url, origin_ca=pair.certificate)
    data = os.urandom(1 << 20)
    with front.connect(edge) as client:
        assert upgrade(client, early=b"early").status == 101
        assert client.read_exactly(5) == b"early"
        for at in range(0, len(data), 8192):
            client.send(data[at:at + 8192])
            assert client.read_exactly(8192) == data[at:at + 8192]
    poll(lambda: upstream.ended == 1, what="the origin's side to end")
    poll(lambda: edge.metric("tunnels") == 0, what="the tunnel's end")


@all_versions
@pytest.mark.parametrize("size", [1, 125, 126, 16383, 16384, 16385, 65536, 300000])
def test_every_size_of_a_message_arrives_at_once(front, origin, size):
    """Nothing stays behind in a buffer of the edge's, however the records of TLS are cut."""
    edge = front.edge(origin(raw_echo).url, threads=1)
    with front.connect(edge) as client:
        assert upgrade(client).status == 101
        for turn in range(3):
            data = bytes([turn]) * size
            client.send(data)
            assert client.read_exactly(size) == data


def test_many_tunnels_at_once(front, origin):
    edge = front.edge(origin(raw_echo).url, threads=1)
    clients = [front.connect(edge) for _ in range(40)]
    for client in clients:
        assert upgrade(client).status == 101
    for number, client in enumerate(clients):
        client.send(b"%05d" % number * 4000)
    for number, client in enumerate(clients):
        assert client.read_exactly(20000) == b"%05d" % number * 4000
    assert edge.metric("tunnels") == 40
    for client in clients:
        client.close()
    poll(lambda: edge.metric("tunnels") == 0, what="the tunnels' end")


def test_a_long_head_of_the_origins(front, origin):
    extra = "".join(f"X-{i}: {'v' * 1000}\r\n" for i in range(40))
    edge = front.edge(origin(lambda peer: peer.switch(early=b"after", extra=extra)).url)
    with front.connect(edge) as client:
        answer = upgrade(client)
        assert answer.status == 101 and answer.header("X-39") == "v" * 1000
        assert len(answer.all("Date")) == 1
        assert client.read_exactly(5) == b"after"


# ---------------------------------------------------------------------------------------------------------------- ends


@all_versions
def test_the_clients_half_is_closed_alone(front, origin):
    def serve(peer):
        peer.switch()
        got = peer.read(1 << 20)
        peer.sock.sendall(b"after the end: " + got)

    edge = front.edge(origin(serve).url)
    with front.connect(edge) as client:
        assert upgrade(client).status == 101
        client.send(b"last words")
        client.half_close()
        assert client.read_until_close() == b"after the end: last words"
        assert not front.version or client.sock.notified


@all_versions
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_leaves_ends_the_origins_side(front, origin, how):
    upstream = origin(raw_echo)
    edge = front.edge(upstream.url)
    client = front.connect(edge)
    assert upgrade(client).status == 101
    client.send(b"x")
    assert client.read_exactly(1) == b"x"
    getattr(client, how)()
    poll(lambda: upstream.ended == 1, what="the origin's side to end")
    poll(lambda: edge.metric("tunnels") == 0, what="the tunnel's end")


@all_versions
def test_an_origin_that_leaves_ends_the_clients_side(front, origin):
    def serve(peer):
        peer.switch()
        peer.sock.sendall(peer.read(3))

    edge = front.edge(origin(serve).url)
    with front.connect(edge) as client:
        assert upgrade(client).status == 101
        client.send(b"bye")
        assert client.read_until_close() == b"bye"
        assert not front.version or client.sock.notified
    poll(lambda: edge.metric("tunnels") == 0, what="the tunnel's end")
    assert edge.status()


@all_versions
def test_an_origin_that_breaks_off_does_not_look_like_one_that_ends(front, origin):
    def serve(peer):
        peer.switch()
        peer.sock.sendall(peer.read(3))
        peer.read(1)
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    edge = front.edge(origin(serve).url)
    with front.connect(edge) as client:
        assert upgrade(client).status == 101
        client.send(b"bye")
        assert client.read_exactly(3) == b"bye"
        client.send(b"!")
        with pytest.raises(ConnectionResetError):
            client.sock.recv(1)
    poll(lambda: edge.metric("tunnels") == 0, what="the tunnel's end")


@all_versions
def test_last_words_reach_a_client_that_is_sending(front, origin):
    def serve(peer):
        peer.switch()
        peer.read(1 << 16)
        peer.sock.sendall(b"enough" * 10000)
        peer.sock.shutdown(socket.SHUT_WR)
        peer.read(1 << 30)

    edge = front.edge(origin(serve).url)
    with front.connect(edge) as client:
        assert upgrade(client).status == 101
        client.send(bytes(1 << 18))
        assert client.read_exactly(60000) == b"enough" * 10000
        assert client.at_eof()
        assert not front.version or client.sock.notified


def test_an_idle_tunnel_is_closed(front, origin):
    upstream = origin(quiet)
    edge = front.edge(upstream.url, upgrade_idle="1s")
    with front.connect(edge) as client:
        assert upgrade(client).status == 101
        assert client.at_eof()
    poll(lambda: upstream.ended == 1, what="the origin's side to end")


def test_a_terminated_edge_waits_for_tunnels_and_then_closes_them(front, origin):
    edge = front.edge(origin(echo).url)
    with front.connect(edge) as client:
        assert upgrade(client).status == 101
        edge.signal(signal.SIGTERM)
        edge.wait_log("draining")
        client.send(text_frame("still here"))
        assert read_text(client) == "still here"
        edge.signal(signal.SIGTERM)  # who asks twice does not want to wait
        assert client.at_eof()
        assert edge.wait() == 0


# -------------------------------------------------------------------------------------------------------------- limits


def test_at_the_limit_503_and_room_again(front, origin):
    edge = front.edge(origin(echo).url, upgrade_connections=1, threads=1)
    with front.connect(edge) as first, front.connect(edge) as second:
        assert upgrade(first).status == 101
        assert upgrade(second).status == 503
        first.close()
        poll(lambda: edge.metric("tunnels") == 0, what="the tunnel's end")
    with front.connect(edge) as third:
        assert upgrade(third).status == 101
    assert edge.metric("tunnel_refused_total") == 1


def test_refused_by_setting(front, origin):
    upstream = origin(echo)
    edge = front.edge(upstream.url, upgrade="refuse")
    with front.connect(edge) as client:
        assert upgrade(client).status == 501
    assert not upstream.peers


def test_the_access_log_has_one_line_at_the_end(front, origin):
    path = front.cdn.folder("log") / "access.log"
    edge = front.edge(origin(echo).url, access_log=path)
    with front.connect(edge) as client:
        assert upgrade(client, "/ws?a").status == 101
        client.send(text_frame("hello"))
        assert read_text(client) == "hello"
        assert not [x for x in path.read_text().splitlines() if '"/ws?a"' in x]
    poll(lambda: '"/ws?a"' in path.read_text(), what="the line")
    line, = [json.loads(x) for x in path.read_text().splitlines() if '"/ws?a"' in x]
    assert line["status"] == 101 and line["bytes"] == 7 and "BYPASS" in line.values()
