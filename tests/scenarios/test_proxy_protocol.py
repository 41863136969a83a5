"""PROXY protocol: who the client is, as a trusted proxy says before all else (docs/proxies.md). The header's own
grammar has its rows in tests/unit/common/test_proxy_protocol.c; here is what a listener does with it."""
import json
import socket
import struct
import time

import pytest
from cdn import Closed, Client, LIMIT, Reply, in_parallel, poll
from tls import Pair

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOOPBACK = "127.0.0.0/8"
ELSEWHERE = "127.0.0.21/32"  # the tests' own connections come from 127.0.0.1


def v1(source="192.0.2.7", port=4321):
    family, to = ("TCP6", "::1") if ":" in source else ("TCP4", "127.0.0.1")
    return f"PROXY {family} {source} {to} {port} 80\r\n".encode()


def v2(source="192.0.2.7", port=4321, fields=b"", command=1):
    six = ":" in source
    family = socket.AF_INET6 if six else socket.AF_INET
    ends = socket.inet_pton(family, source) + socket.inet_pton(family, "::1" if six else "127.0.0.1")
    block = ends + struct.pack(">HH", port, 80) + fields
    return SIGNATURE + bytes([0x20 | command, 0x21 if six else 0x11]) + struct.pack(">H", len(block)) + block


def ask(daemon, header, target="/a", **kw):
    """One request behind these bytes; None: the connection was closed without an answer."""
    with daemon.connect() as client:
        client.send(header)
        try:
            return client.get(target, **kw)
        except (Closed, ConnectionResetError):
            return None


def seen(origin):
    """Whom the edge told the origin of."""
    return origin.last().header("X-Forwarded-For")


@pytest.fixture
def origin(cdn):
    origin = cdn.fake_origin()
    for target in ("/a", "/b", "/0", "/1", "/2"):
        origin.on(target, Reply(body=b"hello", headers=[("Cache-Control", "no-store")]))
    return origin


def edge_for(cdn, origin, how="yes", trusted=LOOPBACK, **settings):
    return cdn.edge(origin, proxy_protocol=how, trusted_proxies=trusted, threads=1, **settings)


HEADERS = [
    (v1(), "192.0.2.7"),
    (v1("2001:db8::7"), "2001:db8::7"),
    (v1("::ffff:192.0.2.7"), "192.0.2.7"),
    (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    (v2(), "192.0.2.7"),
    (v2("2001:db8::7"), "2001:db8::7"),
    (v2(fields=b"\x04\0\x10" + bytes(16)), "192.0.2.7"),
    (v2(command=0), "127.0.0.1"),
    (SIGNATURE + b"\x20\0\0\0", "127.0.0.1"),
    (SIGNATURE + b"\x21\x31\0\xd8" + bytes(216), "127.0.0.1"),
]


@pytest.mark.parametrize("how", ["yes", "optional"])
def test_the_header_names_the_client(cdn, origin, how):
    log = cdn.tmp / f"access-{how}.log"
    edge = edge_for(cdn, origin, how, access_log=log)
    for header, client in HEADERS:
        answer = ask(edge, header)
        assert answer.status == 200, (header, answer)
        assert seen(origin) == client, header
        assert f"for={client}" in origin.last().header("Forwarded").replace('"', "").replace("[", "").replace("]", "")
    assert edge.metric("proxy_header_total") == len(HEADERS) and edge.metric("proxy_header_refused_total") == 0
    lines = poll(lambda: len(found := log.read_text().splitlines()) == len(HEADERS) and found)
    assert [json.loads(line)["client"] for line in lines] == [client for _, client in HEADERS]


def test_every_split(cdn, origin):
    edge = edge_for(cdn, origin)
    for header in (v1(), v2(fields=b"\x04\0\x02ab")):
        for cut in range(1, len(header) + 1):
            with edge.connect() as client:
                client.send(header[:cut])
                client.send(header[cut:] + b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
                assert client.response().status == 200 and seen(origin) == "192.0.2.7"
    with edge.connect() as client:  # byte by byte, each in a turn of its own
        for byte in v2():
            client.send(bytes([byte]))
            assert client.is_silent(0.002)
        assert client.get("/a").status == 200


def test_keep_alive_and_pipelines_behind_it(cdn, origin):
    edge = edge_for(cdn, origin)
    with edge.connect() as client:
        client.send(v2("198.51.100.1") + b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n")
        assert [client.response().status for _ in range(2)] == [200, 200]
        for n in range(3):
            assert client.get(f"/{n}").status == 200 and seen(origin) == "198.51.100.1"
        client.send(v2("203.0.113.9"))  # a second one is no request
        assert client.response().status == 400


BROKEN = [
    (b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n", "no_header"),
    (b"\x16\x03\x01\x02\x00\x01", "no_header"),
    (b"PROXY TCP4 192.0.2.7 127.0.0.1 1\r\n", "port"),
    (b"PROXY TCP4 192.0.2.777 127.0.0.1 1 2\r\n", "address"),
    (b"PROXY TCP4 2001:db8::1 ::1 1 2\r\n", "address"),
    (b"PROXY TCP5 192.0.2.7 127.0.0.1 1 2\r\n", "line"),
    (b"PROXY TCP4 192.0.2.7 127.0.0.1 1 2\n", "line"),
    (b"PROXY " + b"x" * 200, "line"),
    (SIGNATURE + b"\x11\x11\0\x0c" + bytes(12), "version"),
    (SIGNATURE + b"\x2a\x11\0\x0c" + bytes(12), "command"),
    (SIGNATURE + b"\x21\x51\0\x0c" + bytes(12), "family"),
    (SIGNATURE + b"\x21\x11\0\x03abc", "length"),
    (SIGNATURE + b"\x21\x11\xff\xff", "length"),
    (v2(fields=b"\x04\0"), "tlv"),
    (v2(fields=b"\x03\0\x04\0\0\0\0"), "checksum"),
]


@pytest.mark.parametrize("how", ["yes", "optional"])
def test_broken_headers_are_refused_and_counted(cdn, origin, how):
    edge = edge_for(cdn, origin, how)
    broken = [row for row in BROKEN if how == "yes" or row[1] != "no_header"]
    for header, reason in broken:
        with edge.connect() as client:
            client.send(header)
            answer = client.response()
            assert answer.status == 400 and answer.header("Connection") == "close", header
            assert client.at_eof(), header
    for cut in (3, 8, 14, 20):  # the proxy leaves in the middle of it
        with edge.connect() as client:
            client.send(v2()[:cut]).half_close()
            assert client.at_eof()
    poll(lambda: edge.metric("proxy_header_refused_total") == len(broken) + 4)
    line = edge.wait_log("proxy_header_refused")
    assert line["peer"].startswith("127.0.0.1:") and line["reason"] == broken[0][1]
    assert not origin.count() and edge.metric("proxy_header_total") == 0
    with edge.connect():  # who only looks whether the port is open is no fault of anybody
        pass
    assert ask(edge, v2()).status == 200
    assert edge.metric("proxy_header_refused_total") == len(broken) + 4


@pytest.mark.parametrize("how", ["no", "yes", "optional"])
def test_strangers_are_never_believed(cdn, origin, how):
    edge = edge_for(cdn, origin, how, trusted=ELSEWHERE)
    assert ask(edge, b"").status == 200 and seen(origin) == "127.0.0.1"
    for header in (v1(), v2(), v2(command=0)):
        assert ask(edge, header).status == 400  # bytes of a bad request
    assert origin.count() == 1 and edge.metric("proxy_header_refused_total") == 0
    with Client(edge.public, source="127.0.0.21") as client:
        if how != "no":
            client.send(v2())
        assert client.get("/a").status == 200
    assert seen(origin) == ("127.0.0.21" if how == "no" else "192.0.2.7")


@pytest.mark.parametrize("listen,source", [("[::1]:0", "::1"), ("[::]:0", "127.0.0.1")])
def test_listeners_of_the_other_family(cdn, origin, listen, source):
    edge = edge_for(cdn, origin, trusted=[source], listen=listen, admin="127.0.0.1:0")
    for header, client in ((v1(), "192.0.2.7"), (v2("2001:db8::7"), "2001:db8::7"), (v2(command=0), source)):
        with Client(("::1" if source == "::1" else "127.0.0.1", edge.public[1])) as wire:
            assert wire.send(header).get("/a").status == 200
        assert seen(origin) == (f"[{client}]" if ":" in client and "[" in seen(origin) else client)


def test_trust_may_change_at_a_reload(cdn, origin):
    path = cdn.folder() / "cdn.yaml"
    path.write_text("cdn:\n  trusted_proxies: [127.0.0.21]\n  proxy_protocol: yes\n")
    edge = cdn.edge(origin, config=path, threads=1)
    assert ask(edge, v2()).status == 400
    path.write_text("cdn:\n  trusted_proxies: [127.0.0.1]\n  proxy_protocol: yes\n")
    assert edge.reload().status == 200
    assert ask(edge, v2()).status == 200 and seen(origin) == "192.0.2.7"


def test_optional_without_a_header(cdn, origin):
    edge = edge_for(cdn, origin, "optional")
    for start in (b"", b"\r\n", b"\r\n\r\n"):  # empty lines before a request may begin a header, too
        with edge.connect() as client:
            client.send(start)
            assert client.get("/a").status == 200 and seen(origin) == "127.0.0.1"
    with edge.connect() as client:
        client.send(b"P")
        assert client.is_silent(0.01)
        client.send(b"URGE /a HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.response("PURGE").status in (200, 404)
    assert edge.metric("proxy_header_total") == edge.metric("proxy_header_refused_total") == 0


def test_optional_and_long_silent(cdn, origin):
    """Who connects early and asks late is no fault: the idle time-out is for such."""
    edge = edge_for(cdn, origin, "optional", head_timeout="100ms", name="late")
    with edge.connect() as client:
        assert client.is_silent(0.5)
        assert client.get("/a").status == 200
    assert edge.metric("proxy_header_refused_total") == 0


@pytest.mark.parametrize("how,begun", [("yes", b""), ("yes", v2()[:20]), ("optional", v2()[:20]), ("yes", b"PROXY TCP4")])
def test_a_slow_header_is_refused(cdn, origin, how, begun):
    edge = edge_for(cdn, origin, how, head_timeout="150ms")
    with edge.connect() as client:
        client.send(begun)
        assert client.response().status == 400 and client.at_eof()
    assert edge.wait_log("proxy_header_refused")["reason"] == "timeout"
    assert edge.metric("proxy_header_refused_total") == 1 and not origin.count()


def test_the_address_may_be_a_trusted_proxy_again(cdn, origin):
    edge = edge_for(cdn, origin, "yes", trusted=[LOOPBACK, "192.0.2.0/24"])
    forwarded = [("X-Forwarded-For", "203.0.113.1, 198.51.100.9")]
    assert ask(edge, v2("192.0.2.7"), headers=forwarded).status == 200
    assert seen(origin) == "198.51.100.9, 192.0.2.7"
    assert ask(edge, v2("198.51.100.50"), headers=forwarded).status == 200  # a client who names others
    assert seen(origin) == "198.51.100.50"
    assert ask(edge, v2(command=0), headers=forwarded).status == 200  # the proxy's own word
    assert seen(origin) == "198.51.100.9, 127.0.0.1"


def test_purge_is_the_clients_right_not_the_proxys(cdn, origin):
    edge = edge_for(cdn, origin, "yes", purge_allow=[LOOPBACK, "192.0.2.7"])
    for source, status in (("192.0.2.7", 200), ("192.0.2.8", 403)):
        with edge.connect() as client:
            client.send(v2(source))
            assert client.request("PURGE", "/a").status in ((200, 404) if status == 200 else (403,))


def test_tls_comes_behind_the_header(cdn, origin):
    pair = Pair(cdn.folder())
    edge = edge_for(cdn, origin, "optional", tls_certificate=pair.certificate, tls_key=pair.key)
    context = pair.client()
    for header, client in ((v1(), "192.0.2.7"), (v2("2001:db8::7"), "2001:db8::7"), (b"", "127.0.0.1")):
        raw = socket.create_connection(edge.public, LIMIT)
        raw.sendall(header)
        with context.wrap_socket(raw, server_hostname="test.example") as sock:
            sock.sendall(b"GET /a HTTP/1.1\r\nHost: test.example\r\n\r\n" * 2)
            answers = b""
            while answers.count(b"hello") < 2:
                assert (more := sock.recv(65536)), answers
                answers += more
            assert answers.count(b"HTTP/1.1 200") == 2
        assert seen(origin) == client and origin.last().header("X-Forwarded-Proto") == "https"
    with edge.connect() as client:  # no answer in plain text
        client.send(b"PROXY TCP9 x\r\n")
        assert client.at_eof()


def test_a_proxy_that_ended_tls_says_so(cdn, origin):
    """PP2_TYPE_SSL: then the request was for https, and is keyed so."""
    edge = edge_for(cdn, origin)
    for used, scheme in ((1, "https"), (0, "http")):
        assert ask(edge, v2(fields=b"\x20\0\x05" + bytes([used]) + bytes(4)), host="www.example").status == 200
        assert origin.last().header("X-Forwarded-Proto") == scheme


def test_thousands_that_wait_count_and_make_room(cdn, origin):
    edge = edge_for(cdn, origin, "yes", max_connections=200, files=4096, head_timeout="60s")
    waiting = [socket.create_connection(edge.public, LIMIT) for _ in range(1500)]
    for n, sock in enumerate(waiting):
        if n % 3:
            try:
                sock.sendall(v2()[:16])
            except OSError:
                pass  # had to go
    assert ask(edge, v2()).status == 200  # room is made for who speaks
    assert edge.open_files() < 400
    poll(lambda: sum(ended(sock) for sock in waiting) >= 1500 - 270, what="the longest waiting to be closed")
    for sock in waiting:
        sock.close()
    poll(lambda: edge.open_files() < 150)
    assert ask(edge, v2()).status == 200


def ended(sock):
    sock.setblocking(False)
    try:
        return sock.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_waiting_costs_little_and_ends(cdn, origin):
    edge = edge_for(cdn, origin, "yes", head_timeout="2s", memory="8MiB")
    before = edge.rss_kib()
    waiting = in_parallel(8, lambda _: [socket.create_connection(edge.public, LIMIT) for _ in range(250)])
    assert edge.rss_kib() - before < 4096
    waiting = [sock for group in waiting for sock in group]
    refused = sum(sock.recv(4096).startswith(b"HTTP/1.1 400") for sock in waiting)
    assert 0 < refused == edge.metric("proxy_header_refused_total")  # the others made room in `memory`
    for sock in waiting:
        sock.close()
    poll(lambda: edge.open_files() < 150)


def test_drain_ends_those_that_wait(cdn, origin):
    edge = edge_for(cdn, origin, "yes", head_timeout="600s")
    waiting, speaks = edge.connect(), edge.connect()
    speaks.send(v2())
    assert speaks.get("/a").status == 200
    begun = time.monotonic()
    edge.signal(15)
    assert waiting.at_eof() and speaks.at_eof()
    assert edge.wait() == 0 and time.monotonic() - begun < 60
    waiting.close()
    speaks.close()


def test_router(cdn):
    health = cdn.fake_origin()
    health.on("/health", Reply(body=b"{}"))
    admin = health.url.removeprefix("http://")
    router = cdn.router(edge=[f"name=nrt,place=Tokyo,url=http://nrt.test,admin={admin}",
                              f"name=gru,place=Sao Paulo,url=http://gru.test,admin={admin}"],
                        overrides=["192.0.2.0/24=Tokyo", "2001:db8::/32=Sao Paulo"], state="none", threads=1,
                        proxy_protocol="yes", trusted_proxies=LOOPBACK)
    for header, edge in ((v1(), "nrt"), (v2("2001:db8::7"), "gru"), (v2("192.0.2.99"), "nrt")):
        answer = ask(router, header)
        assert answer.status == 307 and answer["Location"].startswith(f"http://{edge}.test"), answer
    assert ask(router, b"").status == 400
    assert router.metric("proxy_header_total") == 3 and router.metric("proxy_header_refused_total") == 1


def test_origin(cdn):
    origin = cdn.origin(cdn.folder(files={"a": "hello"}), proxy_protocol="optional", trusted_proxies=LOOPBACK,
                        access_log=True)
    assert ask(origin, v2()).body == b"hello" and ask(origin, b"").body == b"hello"
    assert origin.wait_log("request")["client"] == "192.0.2.7"
    assert origin.wait_log("request", client="127.0.0.1")
    assert ask(origin, b"PROXY nonsense\r\n").status == 400
    assert origin.metric("proxy_header_total") == 1 and origin.metric("proxy_header_refused_total") == 1


def test_the_setting_is_checked(cdn):
    for program in ("edge", "router", "origin"):
        path = cdn.config({program: {"proxy_protocol": "maybe"}})
        bad = cdn.cli("--config", path, program=f"pocketcdn-{program}")
        assert bad.returncode == 2 and "proxy_protocol" in bad.stderr and "no, yes" in bad.stderr, bad.stderr
