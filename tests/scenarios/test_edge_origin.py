"""pocketcdn-edge and its connections to the origin: which are used again, which are kept, what is asked twice."""

import socket
import threading
import time

import pytest
from cdn import Reply, poll
from test_edge_extras import Pair
from test_edge_http import edge, ok, origin  # noqa: F401 (edge and origin are fixtures)

POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nCache-Control: max-age=600\r\n\r\npoison"
LATE = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Talker:
    """An origin that sends `stray` behind each of its answers: in the same segment, or once it was told to."""

    def __init__(self, stray, when, tls=None):
        self.stray, self.when, self.tls, self.connections, self.now = stray, when, tls, 0, threading.Event()
        self.sent = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.address[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock = self.listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock = self.tls.wrap_socket(sock, server_side=True) if self.tls else sock
            data = b""
            while more := sock.recv(65536):
                data += more
                while b"\r\n\r\n" in data:
                    head, _, data = data.partition(b"\r\n\r\n")
                    body = head.split(b" ")[1]
                    answer = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
                    if self.when == "chunked":
                        answer = (b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
                    if self.when != "later":
                        sock.sendall(answer + self.stray)
                        continue
                    sock.sendall(answer)
                    self.now.wait(60)
                    self.now.clear()
                    if self.stray:
                        sock.sendall(self.stray)
                    self.sent.set()
        except OSError:
            pass

    def close(self):
        self.listener.close()


@pytest.fixture
def talker():
    made = []

    def make(*args):
        made.append(Talker(*args))
        return made[-1]
    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("when", ["with", "chunked", "later"])
@pytest.mark.parametrize("stray", [POISON, LATE, b"x"], ids=["answer", "408", "byte"])
def test_what_nobody_asked_for_answers_nobody(cdn, talker, stray, when, secure):
    """Bytes on a connection without a request under way are no answer to the next one (RFC 9112 9.2)."""
    pair = Pair(cdn.folder("tls")) if secure else None
    source = talker(stray, when, pair.server() if secure else None)
    more = {"origin_ca": pair.certificate} if secure else {}
    edge = cdn.edge(source.url, threads=1, connect_timeout="60s", first_byte_timeout="60s", **more)  # noqa: F811
    for i in range(4):
        if i and when == "later":
            source.now.set()
            assert source.sent.wait(30)
            source.sent.clear()
        r = edge.get(f"/{i}")
        assert (r.status, r.body) == (200, f"/{i}".encode())
        assert edge.get(f"/{i}").body == f"/{i}".encode()


def test_a_tls_connection_is_used_again(cdn, talker):
    """The server's session tickets are no reason to give it up."""
    pair = Pair(cdn.folder("tls"))
    source = talker(b"", "with", pair.server())
    edge = cdn.edge(source.url, threads=1, origin_ca=pair.certificate)  # noqa: F811
    for i in range(5):
        assert edge.get(f"/{i}").body == f"/{i}".encode()
        time.sleep(0.02)  # whatever follows an answer has come
    assert source.connections == 1


def test_posts_leave_no_heap_of_connections(edge, origin):  # noqa: F811
    origin.on("/p", Reply(200, b"ok"))
    for _ in range(40):
        assert edge.request("POST", "/p", body=b"x").status == 200
    poll(lambda: len(origin._open) <= 1, what="POST connections closed")


def test_idle_connections_are_closed(cdn, origin):  # noqa: F811
    edge = cdn.edge(origin, threads=1, origin_keepalive="1s")  # noqa: F811
    origin.on("/a", ok(b"a"))
    assert edge.get("/a").status == 200
    assert len(origin._open) == 1
    poll(lambda: not origin._open, what="the idle connection closed")


def test_a_restarting_origin_is_waited_for(cdn, origin):  # noqa: F811
    edge = cdn.edge(origin, threads=1, origin_retry="60s")  # noqa: F811
    origin.on("/a", ok(b"a"))
    origin.on("/p", Reply(200, b"posted"))
    origin.refuse()
    answers = []
    asking = [threading.Thread(target=lambda m=m, p=p: answers.append(edge.request(m, p, body=b"x" if m == "POST" else b"")))
              for m, p in (("GET", "/a"), ("POST", "/p"))]
    for thread in asking:
        thread.start()
    poll(lambda: edge.metric("origin_request_total") >= 2, what="both asked")
    origin.listen_again()
    for thread in asking:
        thread.join(60)
    assert sorted((r.status, r.body) for r in answers) == [(200, b"a"), (200, b"posted")]
    assert origin.count("/p") == 1


def test_an_origin_that_stays_away_is_told_of(cdn, origin):  # noqa: F811
    edge = cdn.edge(origin, threads=1, origin_retry="100ms")  # noqa: F811
    origin.refuse()
    assert edge.get("/a").status == 502


def test_an_unsafe_request_is_not_sent_twice(edge, origin):  # noqa: F811
    origin.on("/a", ok(b"a"))
    edge.get("/a")
    origin.on("/p", None, Reply(200, b"posted"))
    assert edge.request("POST", "/p", body=b"x").status == 502
    assert origin.count("/p") == 1
    origin.on("/g", None, ok(b"g"))
    assert edge.get("/g").body == b"g"
    assert origin.count("/g") == 2


@pytest.mark.parametrize("cut", [b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Le",
                                 b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"])
def test_a_head_that_breaks_off_is_asked_for_again_once(edge, origin, cut):  # noqa: F811
    """A server that is stopped writes its head line by line, and not all of it."""
    for method in ("GET", "HEAD", "OPTIONS"):
        target = f"/{method}"
        origin.on(target, Reply(raw=cut), ok(b"whole"))
        answer = edge.request(method, target)
        assert answer.status == 200 and answer.body == (b"" if method == "HEAD" else b"whole")
        assert origin.count(target) == 2
    origin.on("/never", Reply(raw=cut))
    assert edge.get("/never").status == 502 and 2 <= origin.count("/never") <= 3  # one more on a used connection
    origin.on("/p", Reply(raw=cut), Reply(200, b"posted"))
    assert edge.request("POST", "/p", body=b"x").status == 502 and origin.count("/p") == 1


# ---------------------------------------------------------------------------------------------------- Expect: 100-continue

EXPECTING = (b"POST /up HTTP/1.1\r\nHost: test.example\r\nContent-Length: 20000000\r\nExpect: 100-continue\r\n\r\n",
             b"POST /up HTTP/1.1\r\nHost: test.example\r\nTransfer-Encoding: chunked\r\nExpect: 100-Continue\r\n\r\n")
SMALL = EXPECTING[0].replace(b"20000000", b"5")


class Asker:
    """An origin that says `first` to the head of a request with Expect once `gate` is open, then takes `size` bytes."""

    def __init__(self, first, size=5, after=b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone"):
        self.first, self.size, self.after, self.gate = first, size, after, threading.Event()
        self.heads, self.body, self.ended = [], b"", threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        try:
            while True:
                sock = self.listener.accept()[0]
                data = b""
                while b"\r\n\r\n" not in data and (more := sock.recv(65536)):
                    data += more
                head, _, self.body = data.partition(b"\r\n\r\n")
                self.heads.append(head)
                self.gate.wait(60)
                sock.sendall(self.first(head) if callable(self.first) else self.first)
                while len(self.body) < self.size and (more := sock.recv(65536)):
                    self.body += more
                sock.sendall(self.after if len(self.body) >= self.size else b"")
                if len(self.body) < self.size:
                    self.ended.set()
                sock.close()
        except OSError:
            pass

    def stop(self):
        self.gate.set()
        self.listener.close()


@pytest.mark.parametrize("head", EXPECTING, ids=["length", "chunked"])
@pytest.mark.parametrize("status", [413, 401, 200])
def test_a_refusal_comes_before_the_body(cdn, head, status):
    asker = cdn.keep(Asker(b"HTTP/1.1 %d X\r\nContent-Length: 3\r\n\r\nno\n" % status, size=1 << 30))
    edge = cdn.edge(asker.url, threads=1)  # noqa: F811
    with edge.connect() as client:
        client.send(head)
        poll(lambda: asker.heads, what="the head at the origin")
        assert b"\r\nexpect: 100-continue" in asker.heads[0].lower()
        assert client.is_silent()
        asker.gate.set()
        r = client.head()  # no 100 before it
        assert r.status == status
        assert client.body(r, "POST").body == b"no\n" and client.at_eof()
    assert asker.body.strip(b"0\r\n") == b"" and len(asker.heads) == 1


def test_the_body_is_sent_when_the_origin_asks_for_it(cdn):
    asker = cdn.keep(Asker(b"HTTP/1.1 100 Continue\r\n\r\n"))
    edge = cdn.edge(asker.url, threads=1, first_byte_timeout="60s")  # noqa: F811
    with edge.connect() as client:
        client.send(SMALL)
        poll(lambda: asker.heads, what="the head at the origin")
        asker.gate.set()
        assert client.head().status == 100
        client.send(b"12345")
        assert client.response("POST").body == b"done"
        assert asker.body == b"12345"


def test_417_is_asked_again_without_expect(cdn):
    refusal = b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n"
    asker = cdn.keep(Asker(lambda head: refusal if b"xpect" in head else b"", size=5))
    asker.gate.set()
    edge = cdn.edge(asker.url, threads=1)  # noqa: F811
    with edge.connect() as client:
        client.send(SMALL)
        assert client.head().status == 100
        client.send(b"12345")
        assert client.response("POST").body == b"done"
    assert len(asker.heads) == 2 and asker.body == b"12345"


def test_an_origin_that_knows_no_expect_gets_the_body(cdn):
    asker = cdn.keep(Asker(b""))
    edge = cdn.edge(asker.url, threads=1)  # noqa: F811
    with edge.connect() as client:
        client.send(SMALL)
        asker.gate.set()
        assert client.head().status == 100
        client.send(b"12345")
        assert client.response("POST").body == b"done"


def test_a_client_that_does_not_wait_is_served(cdn):
    asker = cdn.keep(Asker(b"HTTP/1.1 100 Continue\r\n\r\n"))
    edge = cdn.edge(asker.url, threads=1)  # noqa: F811
    asker.gate.set()
    with edge.connect() as client:
        client.send(SMALL + b"12345")
        assert client.final_head().status == 200


def test_an_expecting_client_that_leaves_frees_the_origin(cdn):
    asker = cdn.keep(Asker(b"HTTP/1.1 100 Continue\r\n\r\n"))
    edge = cdn.edge(asker.url, threads=1)  # noqa: F811
    asker.gate.set()
    client = edge.connect()
    client.send(SMALL)
    assert client.head().status == 100
    client.close()
    assert asker.ended.wait(30)


def test_expect_without_an_origin_is_answered(cdn, origin):  # noqa: F811
    origin.refuse()
    edge = cdn.edge(origin, threads=1, origin_retry="0s")  # noqa: F811
    with edge.connect() as client:
        client.send(EXPECTING[0])
        assert client.head().status == 502


@pytest.mark.parametrize("protocol", ["h2c", "websocketx", "TLS/1.0"])  # websocket: test_edge_upgrade.py
def test_an_upgrade_is_not_passed_on(edge, origin, protocol):  # noqa: F811
    """RFC 9110 7.8: it may be ignored. The origin must not switch to what the edge does not speak."""
    origin.on("/a", ok(b"a"))
    with edge.connect() as client:
        for _ in range(2):
            r = client.get("/a", [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", protocol),
                                  ("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA")])
            assert (r.status, r.body) == (200, b"a")
        assert client.get("/a").body == b"a"
    seen = origin.last("/a")
    assert "Upgrade" not in seen and "HTTP2-Settings" not in seen and "upgrade" not in seen.header("Connection", "").lower()
