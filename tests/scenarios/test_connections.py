"""Clients' connections: how they end, how long they may take, how many there may be; over sockets, at each daemon."""
import pytest
from cdn import Gate, Reply, poll
from test_edge_extras import Pair, tls_edge
from test_edge_http import ok, told

TAGS = ("Surrogate-Key", "Cache-Tag", "xkey")


@pytest.fixture
def origin(cdn):
    return cdn.fake_origin()


@pytest.fixture(params=["plain", "tls"])
def start(request, cdn, origin):
    """Starts an edge that speaks plain HTTP or TLS; both speak it through a Client with the fitting `tls`."""
    def of(**settings):
        if request.param == "plain":
            return cdn.edge(origin.url, **settings), {}
        pair = Pair(cdn.folder("tls"))
        return tls_edge(cdn, origin.url, pair, **settings), {"tls": pair.client(), "server_hostname": pair.name}
    return of


def open_connections(edge):
    return edge.status()["connections"]


# ---------------------------------------------------------------------------------------------------- purge tags


def tagged(status=200, body=b"0123456789", cc="max-age=600"):
    fields = [("ETag", '"1"'), ("surrogate-key", "a b"), ("CACHE-TAG", "c"), ("XKey", "d")]
    return Reply(status, body, [*fields, ("Cache-Control", cc)])


@pytest.mark.parametrize("name, method, fields, cc, status", [
    ("plain", "GET", [], "max-age=600", 200),
    ("head", "HEAD", [], "max-age=600", 200),
    ("not modified", "GET", [("If-None-Match", '"1"')], "max-age=600", 304),
    ("range", "GET", [("Range", "bytes=2-4")], "max-age=600", 206),
    ("ranges", "GET", [("Range", "bytes=0-1,4-5")], "max-age=600", 206),
    ("unsatisfiable", "GET", [("Range", "bytes=99-")], "max-age=600", 416),
    ("failed condition", "GET", [("If-Match", '"2"')], "max-age=600", 412),
    ("passed", "GET", [], "no-store", 200),
    ("passed post", "POST", [], "max-age=600", 200),
])
@pytest.mark.parametrize("sent", [False, True])
def test_tags_are_not_sent(cdn, origin, name, method, fields, cc, status, sent):  # noqa: ARG001
    edge = cdn.edge(origin.url, send_tags="yes" if sent else "no")
    origin.on("/a", tagged(cc=cc))
    if cc != "no-store":
        edge.get("/a")
    for _ in range(4):  # from the hot path, too
        r = edge.request(method, "/a", fields, body=b"x" if method == "POST" else b"")
        assert r.status == status
        assert sent or not [tag for tag in TAGS if tag in r]
        assert not sent or status in (412, 416) or all(tag in r for tag in TAGS)


def test_tags_from_disk_and_purge_by_tag(cdn, origin):
    folder = cdn.folder("cache")
    origin.on("/a", tagged())
    edge = cdn.edge(origin.url, cache_dir=folder)
    edge.get("/a")
    edge.stop()
    edge = cdn.edge(origin.url, cache_dir=folder)
    r = edge.get("/a")
    assert r["X-Cache"] == "HIT" and not [tag for tag in TAGS if tag in r]
    for tag in "abcd":
        assert edge.admin_post("/purge", {"tag": tag})["purged"] == 1, tag
        assert told(edge.get("/a"))[0] == "MISS"


# ---------------------------------------------------------------------------------------------------- time

HEADS = [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a.test\r\nX: "]
BODIES = [b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhalf",
          b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
          b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5"]


@pytest.mark.parametrize("sent", HEADS + BODIES)
def test_slow_requests_get_408(start, origin, sent):
    edge, tls = start(head_timeout="1s", body_timeout="100ms")  # of the handshake, too
    origin.on("/", ok(b"x"))
    with edge.connect(**tls) as client:
        client.send(sent)
        r = client.response()
        assert r.status == 408 and r["Content-Type"] == "application/problem+json"
        assert client.at_eof()
    poll(lambda: open_connections(edge) == 0)


@pytest.mark.parametrize("program", ["origin", "router"])
@pytest.mark.parametrize("sent", HEADS)
def test_slow_heads_at_the_others(cdn, program, sent):
    if program == "origin":
        daemon = cdn.origin(cdn.folder("site", {"a": b"x"}), head_timeout="100ms")
    else:
        daemon = cdn.router(None, "--edge=name=fra,place=Frankfurt,url=http://127.0.0.1:1,admin=http://127.0.0.1:1",
                            head_timeout="100ms")
    with daemon.connect() as client:
        client.send(sent)
        assert client.response().status == 408 and client.at_eof()


def test_a_body_that_keeps_its_rate_is_waited_for(cdn, origin):
    """body_timeout alone would end it: what has come extends it."""
    edge = cdn.edge(origin.url, body_timeout="100ms", body_rate=1)
    origin.on("/", ok(b"done", None))
    with edge.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5001\r\n\r\n" + b"x" * 5000)
        assert client.is_silent(0.3)
        client.send(b"x")
        assert client.response().body == b"done"


# ---------------------------------------------------------------------------------------------------- ends

PIECES = [b"G", b"GET / HTTP/1.1\r\nHost: a.test\r\n", *BODIES]


@pytest.mark.parametrize("sent", PIECES)
def test_an_end_that_comes_with_bytes_is_seen(start, origin, sent):
    """The idle time-out and the deadlines are far away."""
    edge, tls = start(keepalive="1h", head_timeout="1h", body_timeout="1h")
    origin.on("/", ok(b"x", None))
    for _ in range(20):
        client = edge.connect(**tls)
        client.send(sent)
        client.close()
    poll(lambda: open_connections(edge) == 0)


@pytest.mark.parametrize("sent", BODIES)
def test_an_aborted_upload_frees_the_origin(start, origin, sent):
    edge, tls = start(keepalive="1h", body_timeout="1h", first_byte_timeout="1h", origin_connections=2)
    origin.on("/", ok(b"x", None))
    for _ in range(6):
        client = edge.connect(**tls)
        client.send(sent)
        client.close()
    with edge.connect(**tls) as client:
        assert client.request("POST", "/", body=b"whole").body == b"x"


def test_half_closed_clients_get_their_answer(cdn, origin):
    edge = cdn.edge(origin.url)
    gate = Gate()
    origin.on("/", Reply(200, b"answer", before=gate))
    with edge.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        client.half_close()
        gate.wait_reached()
        gate.open()
        assert client.response().body == b"answer" and client.at_eof()


def test_many_half_closed_clients_get_their_answers(cdn, origin):
    """Whose requests wait side by side: libmicrohttpd reads from those that are resumed."""
    edge = cdn.edge(origin.url, threads=1)
    gate = Gate()
    clients = [edge.connect() for _ in range(20)]
    for i, client in enumerate(clients):
        origin.on(f"/{i}", Reply(200, f"answer {i}".encode(), before=gate))
        client.send_request("GET", f"/{i}")
        client.half_close()
    poll(lambda: edge.status()["requests_under_way"] == 20)
    gate.open()
    for i, client in enumerate(clients):
        assert client.response().body == f"answer {i}".encode() and client.at_eof()
        client.close()


# ---------------------------------------------------------------------------------------------------- count


def test_the_longest_idle_makes_room(cdn, origin):
    edge = cdn.edge(origin.url, threads=1, max_connections=16)
    origin.on("/", ok(b"x"))
    edge.get("/")
    clients = []
    for _ in range(16):
        clients.append(edge.connect())
        clients[-1].get("/")
    clients[0].get("/")  # now the second has been idle for longest
    with edge.connect() as late:
        assert late.get("/").status == 200
        assert clients[1].at_eof()
        assert clients[0].get("/").status == 200
    for client in clients:
        client.close()


def test_health_answers_at_the_limit(cdn, origin):
    edge = cdn.edge(origin.url, threads=1, max_connections=16)
    gate = Gate()
    origin.on("/slow", Reply(200, b"x", before=gate))
    origin.on("/health", ok(b"well", None))
    clients = [edge.connect() for _ in range(16)]
    for client in clients:
        client.send(b"GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n")
    poll(lambda: edge.status()["requests_under_way"] == 16)
    with edge.connect() as late:
        assert late.get("/health").status == 200
    with edge.connect() as late:
        assert late.get("/other").status == 503
    spare = [edge.connect() for _ in range(3)]  # they don't make room for one another
    assert [client.get("/health").status for client in spare] == [200] * 3
    poll(lambda: open_connections(edge) == 16 + 3)
    spare += [edge.connect() for _ in range(40)]  # but for the newest
    with edge.connect() as late:
        assert late.get("/health").status == 200
    for client in spare:
        client.close()
    gate.open()
    assert [client.response().body for client in clients] == [b"x"] * 16
    for client in clients:
        client.close()
