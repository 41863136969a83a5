"""The router as a proxy (`mode: proxy`): what goes to an edge and back, what is not handed on, and edges that fail.

Some tests have real edges in front of a fake origin; those about failures have fake edges, which do as they are told.
"""

import json
import signal
import socket

import pytest
from cdn import Client, Gate, Reply, parse_address, poll, unused_port
from test_edge_upgrade import ASK, Origin, read_text, text_frame
from test_router import FAST, FRA, NRT, PLACES, Edges, overrides

CALM = {"probe_interval": "60s", "probe_down": "100"}  # nothing is known of an edge but what requests show


@pytest.fixture
def edges(cdn):
    return Edges(cdn, fra="Frankfurt", nrt="Tokyo")


def proxy(cdn, edges, **settings):
    settings = {"mode": "proxy", "edge": edges.flags(), "overrides": overrides(), **FAST, **settings}
    router = cdn.router(**settings)
    first = 1 if settings["probe_interval"] == CALM["probe_interval"] else None  # the others are probed later
    poll(lambda: all(e["health"]["known"] for e in router.admin_get("/edges")["edges"][:first]), what="first probes")
    return router


class World:
    """An origin, real edges that trust the router, and the router."""

    def __init__(self, cdn, origin=None, edge=None, **settings):
        self.origin = origin or cdn.fake_origin()
        places = {"fra": "Frankfurt", "nrt": "Tokyo"}
        self.edges = {n: cdn.edge(self.origin, name=n, **{"trusted_proxies": "127.0.0.1", **(edge or {})}) for n in places}
        flags = [f"name={n},place={places[n]},url={e.url},admin={e.admin_url}" for n, e in self.edges.items()]
        settings = {"mode": "proxy", "edge": flags, "overrides": overrides(), **FAST, **settings}
        self.router = cdn.router(**settings)

    def __getitem__(self, name):
        return self.edges[name]


# ---------------------------------------------------------------------------------------------------- a whole site


def login(request):
    if b"password=right" not in request.body:
        return Reply(403, b"no")
    return Reply(302, headers=[("Location", "/admin/"), ("Set-Cookie", "sessionid=s1; HttpOnly; Path=/"),
                               ("Set-Cookie", "csrftoken=t1; Path=/"), ("Cache-Control", "private")])


def admin(request):
    known = "sessionid=s1" in request.header("Cookie", "")
    return Reply(200 if known else 302, b"welcome" if known else b"", {"Cache-Control": "private", "Vary": "Cookie"})


def test_a_session_from_login_to_upload(cdn):
    world = World(cdn)
    origin, router = world.origin, world.router
    origin.on("/login", login).on("/admin/", admin)
    origin.on("/upload", lambda r: Reply(201, str(len(r.body)).encode()))
    with router.connect(source=FRA) as client:
        assert client.get("/admin/", host="shop.example").status == 302
        form = [("Content-Type", "application/x-www-form-urlencoded"), ("Origin", "http://shop.example")]
        entered = client.request("POST", "/login", form, b"user=me&password=right", host="shop.example")
        assert (entered.status, entered["Location"]) == (302, "/admin/")
        assert entered.all("Set-Cookie") == ["sessionid=s1; HttpOnly; Path=/", "csrftoken=t1; Path=/"]
        assert client.get("/admin/", {"Cookie": "sessionid=s1"}, host="shop.example").text == "welcome"
        sent = origin.last("/login")
        assert (sent["X-Forwarded-Host"], sent["X-Forwarded-Proto"]) == ("shop.example", "http")
        assert (sent["Origin"], sent["Content-Type"]) == ("http://shop.example", form[0][1])
        assert sent["X-Forwarded-For"].split(", ")[0] == FRA
        assert sent["Via"] == "1.1 router, 1.1 fra"
        data = bytes(range(256)) * 20000
        assert client.request("POST", "/upload", body=data).text == str(len(data))
        assert origin.last("/upload").body == data
    assert router.metric("proxied_total") == 4 and router.metric("proxied_failed_total") == 0


def test_methods_ranges_conditions_and_hints(cdn):
    world = World(cdn)
    origin, router = world.origin, world.router
    body = bytes(range(256)) * 1000
    fields = {"Cache-Control": "max-age=60", "ETag": '"e"'}
    origin.on("/file", Reply(200, body, fields))
    origin.on("/any", lambda r: Reply(200, f"{r.method} {len(r.body)}".encode()))
    origin.on("/hints", Reply(200, b"page", interim=[(103, [("Link", "</a.css>; rel=preload")])]))
    origin.on("/gone", Reply(204)).on("/pieces", Reply(200, [b"a" * 70000, b"b"], chunked=True, trailers=[("X-T", "1")]))
    with router.connect(source=NRT) as client:
        assert client.get("/file").body == body
        part = client.get("/file", {"Range": "bytes=256-511"})
        assert (part.status, part.body, part["Content-Range"]) == (206, body[:256], f"bytes 256-511/{len(body)}")
        assert client.get("/file", {"Range": f"bytes={len(body)}-"}).status == 416
        same = client.get("/file", {"If-None-Match": '"e"'})
        assert (same.status, same.body, same["Via"]) == (304, b"", "1.1 nrt, 1.1 router")
        assert same.header("Content-Length") in (None, str(len(body)))
        head = client.request("HEAD", "/file")
        assert (head.status, head["Content-Length"], head["X-Cache"]) == (200, str(len(body)), "HIT")
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "QUERY"):
            answer = client.request(method, "/any", body=b"x" * 10)
            assert answer.text == f"{method} 10", method
        assert client.request("POST", "/any").text == "POST 0"
        hints = client.get("/hints")
        assert [i.status for i in hints.interim] == [103] and hints.interim[0]["Link"] == "</a.css>; rel=preload"
        assert client.get("/gone").status == 204
        pieces = client.get("/pieces")
        assert pieces.body == b"a" * 70000 + b"b" and pieces.complete
    old = router.raw(b"GET /pieces HTTP/1.0\r\n\r\n")
    assert old.body == pieces.body and old["Connection"] == "close"
    assert not origin.errors


def test_connections_to_edges_are_kept(cdn, edges):
    edges["fra"].on("/x", Reply(200, b"x"))
    router = proxy(cdn, edges, threads="1", **CALM)
    with router.connect(source=FRA) as client:
        assert all(client.get("/x").body == b"x" for _ in range(30))
    assert len({r.connection for r in edges["fra"].seen("/x")}) == 1
    assert router.admin_get("/edges/fra")["answers"] == 30
    assert router.admin_get(f"/route?ip={FRA}")["edge"] == "fra" and router.status()["mode"] == "proxy"


@pytest.mark.parametrize("framing", ["sized", "chunked"])
def test_a_slow_origin_slows_the_upload(cdn, framing):
    """What the origin does not read stays with the client: the router holds a window of it."""
    total = 40_000_000
    with socket.create_server(("127.0.0.1", 0)) as listener:
        edge = f"http://127.0.0.1:{listener.getsockname()[1]}"
        router = cdn.router(mode="proxy", edge=[f"name=fra,place=Frankfurt,url={edge},admin={edge}"], **CALM)
        client = router.connect()
        client.send_request("PUT", "/up", [("Content-Length", str(total))] if framing == "sized"
                            else [("Transfer-Encoding", "chunked")])
        chunk = b"u" * 100_000
        client.sock.settimeout(1)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < total:
                client.send(chunk if framing == "sized" else b"186a0\r\n" + chunk + b"\r\n")
                sent += len(chunk)
        assert sent < total / 2 and router.rss_kib() < 100_000
        assert 0 < router.metric("proxied_up_bytes_total") < total / 2
        client.reset()
        assert router.metric("proxied_total") == 1


def test_a_slow_uploader_is_passed_on_as_it_comes(cdn):
    world = World(cdn)
    world.origin.on("/slow", lambda r: Reply(200, r.body))
    with world.router.connect() as client:
        client.send_request("POST", "/slow", [("Content-Length", "6")])
        for i, letter in enumerate(b"abcdef"):
            client.send(bytes([letter]))
            poll(lambda n=i + 1: world.router.metric("proxied_up_bytes_total") == n)
        assert client.response().text == "abcdef"


def test_whether_a_body_is_wanted_is_the_origins_to_say(cdn):
    world = World(cdn)
    world.origin.on("/ok", lambda r: Reply(200, str(len(r.body)).encode()))
    with world.router.connect() as client:
        client.send_request("POST", "/ok", [("Content-Length", "5"), ("Expect", "100-continue")])
        assert client.head().status == 100
        assert client.send(b"12345").response().text == "5"
    world["fra"].kill(), world["nrt"].kill()
    with world.router.connect() as client:
        client.send_request("POST", "/ok", [("Content-Length", "5"), ("Expect", "100-continue")])
        assert client.head().status == 502, "no 100 before it"


def test_a_slow_reader_holds_up_the_edge(cdn, edges):
    """The edge is read no faster than the client reads; what lies between is bounded."""
    sent, piece, count = [], b"d" * 500_000, 80
    edges["fra"].on("/big", Reply(200, [x for _ in range(count) for x in (piece, lambda: sent.append(1))], chunked=True))
    router = proxy(cdn, edges, **CALM)
    with router.connect(source=FRA) as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.send_request("GET", "/big")
        assert client.final_head().status == 200
        poll(lambda: router.metric("proxied_down_bytes_total") > 100_000)
        assert client.read_chunk()
        assert len(sent) < count / 2 and router.rss_kib() < 100_000
        got = 0
        while data := client.read_chunk():
            got += len(data)
        assert got > len(piece) * count * 0.9
    assert len(sent) == count


def test_a_client_that_leaves_is_told_to_the_edge(cdn, edges):
    gate = Gate()
    edges["fra"].on("/big", Reply(200, [b"x" * 200_000, gate, b"y" * 5_000_000], length=5_200_000))
    router = proxy(cdn, edges, **CALM)
    client = router.connect(source=FRA)
    client.send_request("GET", "/big")
    assert client.final_head().status == 200
    gate.wait_reached()
    client.reset()
    gate.open()
    poll(lambda: edges["fra"].active == 0, what="the edge's connection is closed in the middle")
    client = router.connect(source=FRA)
    client.send_request("POST", "/upload", [("Content-Length", "1000")], b"half")
    poll(lambda: router.metric("proxied_up_bytes_total") == 4)
    client.reset()
    assert router.get("/other", source=FRA).status == 404, "the router lives"
    assert edges["fra"].wait_count(1, "/upload")[0].body == b"half", "and then the end"


# ---------------------------------------------------------------------------------------------------- what is believed


FORGED = [
    [("X-Forwarded-For", "203.0.113.9")], [("X-Forwarded-For", "127.0.0.1, 203.0.113.9")],
    [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-For", "127.0.0.1")], [("X_Forwarded_For", "203.0.113.9")],
    [("Forwarded", "for=203.0.113.9;host=evil.example;proto=https")], [("Forwarded", "for=127.0.0.1")],
    [("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Port", "99")],
    [("x-forwarded-server", "evil.example"), ("X-FORWARDED-PREFIX", "/evil")],
    [("Connection", "X-Forwarded-For, Forwarded, Via, CDN-Loop")], [("CDN-Loop", "elsewhere"), ("Via", "1.1 before")],
    [("CDN-Shield-For", "evil"), ("CDN-Loop", "pocketcdn-nrt")], [("cdn_shield_for", "evil")],
    [("X-Request-ID", "evil")], [("CDN-Client-Country", "evil")],
]


def test_a_stranger_cannot_say_who_he_is(cdn):
    world = World(cdn)
    origin, router = world.origin, world.router
    origin.default = Reply(200, b"ok")
    for i, forged in enumerate(FORGED):
        for method in ("GET", "POST"):
            answer = router.request(method, f"/{method}{i}", forged, source=FRA, host="shop.example")
            assert answer.status == 200 and "CDN-Shield-State" not in answer, "an edge's privilege"
            told = origin.last(f"/{method}{i}")
            assert told["X-Forwarded-For"] == f"{FRA}, 127.0.0.1"
            assert (told["X-Forwarded-Host"], told["X-Forwarded-Proto"]) == ("shop.example", "http")
            assert told["Forwarded"].startswith(f"for={FRA};host=shop.example;proto=http, ")
            text = str(told.headers).lower()
            assert "evil" not in text and "203.0.113.9" not in text and "'99'" not in text, (forged, told)
            assert told["Via"].endswith("1.1 router, 1.1 fra") and told["CDN-Loop"].endswith("pocketcdn.router, pocketcdn-fra")


def test_a_trusted_proxy_is_believed(cdn):
    world = World(cdn, edge={"trusted_proxies": ["127.0.0.1", FRA]}, trusted_proxies=FRA)
    world.origin.default = Reply(200, b"ok")
    fields = [("X-Forwarded-For", f"6.6.6.6, {NRT}"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "shop.example")]
    answer = world.router.get("/x", fields, source=FRA, host="inner.example")
    assert answer["Via"] == "1.1 nrt, 1.1 router", "it is the client's place that counts"
    told = world.origin.last("/x")
    assert told["X-Forwarded-For"] == f"{NRT}, {FRA}, 127.0.0.1" and told["X-Forwarded-Proto"] == "https"
    assert told["X-Forwarded-Host"] == "shop.example"


@pytest.mark.parametrize("trusts", [True, False])
def test_nobody_purges_through_the_router(cdn, trusts):
    """The edges let loopback purge, and the router's connections come from there."""
    world = World(cdn, edge={} if trusts else {"trusted_proxies": None})
    world.origin.on("/kept", Reply(200, b"kept", {"Cache-Control": "max-age=600", "Surrogate-Key": "k"}))
    router = world.router
    assert [router.get("/kept", source=FRA)["X-Cache"] for _ in range(2)] == ["MISS", "HIT"]
    for method in ("PURGE", "purge", "Purge", "PURGEKEYS", "PURGEALL", "BAN", "BANURL", "REFRESH", "TRACE"):
        for fields in ((), [("X-Forwarded-For", "127.0.0.1")], [("Surrogate-Key", "k")]):
            answer = router.request(method, "/kept", fields, source=FRA)
            assert answer.status == 405 and "GET" in answer["Allow"], method
    with router.connect(source=FRA) as client:  # with a body, and hidden behind one
        assert client.request("PURGE", "/kept", body=b"x" * 100).status == 405
    with router.connect(source=FRA) as client:
        inner = b"PURGE /kept HTTP/1.1\r\nHost: x\r\n\r\n"
        assert client.request("POST", "/other", body=inner).status == 404
    assert router.get("/kept", source=FRA)["X-Cache"] == "HIT"
    assert world["fra"].metric("purged_total") == 0


def test_a_direct_purge_that_came_through_a_proxy_is_not_the_proxys(cdn):
    """Some proxy of the user's on the edge's machine: who asked it is not on loopback."""
    origin = cdn.fake_origin().on("/k", Reply(200, b"k", {"Cache-Control": "max-age=600"}))
    edge = cdn.edge(origin)
    assert edge.get("/k").status == 200
    for fields in ([("Via", "1.1 somebody")], [("X-Forwarded-For", "203.0.113.1")], [("Forwarded", "for=203.0.113.1")],
                   [("CDN-Loop", "some-cdn")]):
        assert edge.request("PURGE", "/k", fields).status == 403, fields
    assert edge.request("PURGE", "/k").status == 200


def test_loops_and_what_is_for_the_router_itself(cdn):
    port = unused_port()
    own = f"http://127.0.0.1:{port}"
    router = cdn.router(mode="proxy", listen=f"127.0.0.1:{port}", edge=[f"name=me,place=Rome,url={own},admin={own}"], **CALM)
    assert router.get("/").status == 508
    assert router.request("POST", "/", body=b"x").status == 508
    for method, target, fields in (("OPTIONS", "*", ()), ("OPTIONS", "/x", [("Max-Forwards", "0")])):
        answer = router.request(method, target, fields)
        assert answer.status == 204 and "POST" in answer["Allow"]


# ---------------------------------------------------------------------------------------------------- edges that fail


def test_a_killed_edge_costs_no_request(cdn):
    world = World(cdn)
    world.origin.default = Reply(200, b"b" * 3000, {"Cache-Control": "max-age=60"})
    answers = []
    with world.router.connect(source=FRA) as client:
        for i in range(300):
            if i == 100:
                world["fra"].kill()
            answers.append(client.get(f"/f{i % 7}"))
    assert [a.status for a in answers] == [200] * 300 and all(len(a.body) == 3000 for a in answers)
    assert {a["Via"] for a in answers[:100]} == {"1.1 fra, 1.1 router"}
    assert {a["Via"] for a in answers[100:]} == {"1.1 nrt, 1.1 router"}
    assert world.router.metric("proxied_failed_total") == 0
    poll(lambda: not world.router.admin_get("/edges/fra")["healthy"])


def test_an_edge_that_failed_is_passed_by_for_a_while(cdn, edges):
    edges["nrt"].on("/x", Reply(200, b"x"))
    router = proxy(cdn, edges, **CALM)
    edges["fra"].refuse()
    assert all(router.get("/x", source=FRA).body == b"x" for _ in range(5))
    assert router.metric("proxied_retry_total") == 1, "the next ones did not try it"
    router.wait_log("edge_failed", edge="fra", error="connection_refused")
    edges["fra"].listen_again()
    edges["fra"].on("/x", Reply(200, b"y"))
    edges["nrt"].refuse()
    assert router.get("/x", source=FRA).body == b"y", "with no other left it is tried all the same"


@pytest.mark.parametrize("reply", [None, Reply(raw=b""), Reply(raw=b"HTTP/1.1 200 O"), Reply(raw=b"\x16\x03rubbish\r\n\r\n"),
                                   Reply(200, b"h" * 5000, close_after=4000)], ids=["fin", "empty", "cut", "rubbish", "body"])
def test_a_safe_request_goes_to_the_next_edge_and_no_other(cdn, edges, reply):
    edges["fra"].default = reply or (lambda r: None)
    edges["nrt"].default = Reply(200, b"from nrt")
    router = proxy(cdn, edges, proxy_avoid="0s", **CALM)
    before = {n: edges[n].count() for n in ("fra", "nrt")}
    assert router.get("/safe", source=FRA).text == "from nrt"
    for method in ("POST", "PATCH"):
        answer = router.request(method, "/unsafe", body=b"pay", source=FRA)
        assert answer.status == 502 or not answer.complete, "it may have been done"
    assert edges["nrt"].count() - before["nrt"] == 1
    assert edges["nrt"].count("/unsafe") == 0


def test_an_unsafe_request_is_repeated_when_nothing_was_sent(cdn, edges):
    edges["nrt"].on("/pay", lambda r: Reply(200, r.body))
    router = proxy(cdn, edges, **CALM)
    edges["fra"].refuse()
    assert router.request("POST", "/pay", body=b"p" * 300_000, source=FRA).body == b"p" * 300_000
    assert router.metric("proxied_retry_total") == 1 and edges["nrt"].count("/pay") == 1


def test_a_large_answer_that_breaks_off_is_not_whole(cdn, edges):
    edges["fra"].on("/sized", Reply(200, b"s" * 200_000, close_after=150_000))
    edges["fra"].on("/chunked", Reply(200, b"c" * 200_000, chunked=True, close_after=150_000))
    router = proxy(cdn, edges, **CALM)
    for target in ("/sized", "/chunked"):
        assert not router.get(target, source=FRA).complete
    assert router.metric("proxied_broken_total") == 2


def rest_of(data, tag, **more):
    """An edge that gives the rest that it is asked for."""
    def reply(request):
        first = int(request["Range"].removeprefix("bytes=").removesuffix("-"))
        assert request["If-Range"] == '"t"' and "If-None-Match" not in request
        fields = [("ETag", tag), ("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")]
        return Reply(**{"status": 206, "body": data[first:], "headers": fields, **more})
    return reply


@pytest.mark.parametrize("tag, other, whole", [('"t"', {}, True), ('"u"', {}, False), ('W/"t"', {}, False),
                                               ('"t"', {"status": 200}, False), ('"t"', {"body": b"short"}, False),
                                               ('"t"', {"headers": [("ETag", '"t"')]}, False)])
def test_another_edge_goes_on_with_a_large_answer_if_it_is_the_same(cdn, edges, tag, other, whole):
    body = bytes(range(256)) * 2000
    edges["fra"].on("/big", Reply(200, body, {"ETag": '"t"'}, close_after=300_001))
    edges["nrt"].on("/big", rest_of(body, tag, **other))
    router = proxy(cdn, edges, **CALM)
    answer = router.get("/big", {"If-None-Match": '"old"'}, source=FRA)
    assert answer.status == 200 and answer.complete == whole and body.startswith(answer.body)
    assert router.metric("proxied_resumed_total") == whole and router.metric("proxied_broken_total") == (not whole)


def test_a_killed_edge_costs_no_download(cdn):
    """Real edges, in the middle of a large stored file."""
    world = World(cdn)
    body = bytes(range(251)) * 160_000  # more than the kernel takes in on the way
    world.origin.on("/big", lambda r: Reply(200, body, {"ETag": '"t"', "Cache-Control": "max-age=600"}))
    for source in (FRA, NRT):
        assert world.router.get("/big", source=source).body == body
    with world.router.connect(source=FRA) as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        head = client.send_request("GET", "/big").final_head()
        begin = client.read_exactly(500_000)
        world["fra"].kill()
        assert begin + client.read_exactly(int(head["Content-Length"]) - len(begin)) == body
    assert world.router.metric("proxied_resumed_total") == 1


def test_an_edge_that_hangs_is_left_when_the_probes_notice(cdn, edges):
    gate = Gate()
    edges["fra"].on("/x", Reply(200, b"late", before=gate))
    edges["nrt"].on("/x", Reply(200, b"other"))
    router = proxy(cdn, edges)
    with router.connect(source=FRA) as client:
        client.send_request("GET", "/x")
        gate.wait_reached()
        edges["fra"].on("/health", Reply(500))
        assert client.response().text == "other"
    gate.open()


def test_nobody_left(cdn, edges):
    router = proxy(cdn, edges, **CALM)
    edges["fra"].refuse(), edges["nrt"].refuse()
    answer = router.get("/x", {"Accept": "application/json"}, source=FRA)
    assert answer.status == 502 and answer["Content-Type"] == "application/problem+json"
    assert answer["Proxy-Status"] == "router; error=connection_refused; next-hop=nrt"
    assert answer.json()["detail"] == "no edge gave an answer: fra: connection_refused, nrt: connection_refused"


def test_an_edge_that_does_not_answer_in_time(cdn):
    edges = Edges(cdn, fra="Frankfurt")
    gate = Gate()
    edges["fra"].on("/slow", Reply(before=gate))
    router = proxy(cdn, edges, proxy_first_byte_timeout="200ms", **CALM)
    answer = router.get("/slow", source=FRA)
    assert answer.status == 504 and "http_response_timeout" in answer["Proxy-Status"]
    edges["fra"].on("/next", Reply(200, b"next"))
    assert router.get("/next", source=FRA).body == b"next"
    gate.open()


def test_edges_of_one_place_stand_in_for_each_other(cdn):
    edges = Edges(cdn, fra1="Frankfurt", fra2="Frankfurt")
    for name in ("fra1", "fra2"):
        edges[name].default = Reply(200, name.encode())
    router = proxy(cdn, edges, **CALM)
    home = {f"/{i}": router.get(f"/{i}", source=FRA).text for i in range(16)}
    assert set(home.values()) == {"fra1", "fra2"}
    assert home == {path: router.get(path, source=FRA).text for path in home}, "each file has one home"
    edges["fra1"].refuse()
    assert {router.get(path, source=FRA).text for path in home} == {"fra2"}


def test_limits(cdn, edges):
    edges["fra"].default = Reply(200, b"ok")
    router = proxy(cdn, edges, max_body="1000", **CALM)
    assert router.request("POST", "/x", body=b"b" * 1000, source=FRA).status == 200
    with router.connect(source=FRA) as client:
        client.send_request("POST", "/x", [("Content-Length", "1001")])
        assert client.final_head().status == 413
    with router.connect(source=FRA) as client:
        client.send_request("POST", "/x", [("Transfer-Encoding", "chunked")])
        client.send(b"3e9\r\n" + b"c" * 1001 + b"\r\n0\r\n\r\n")
        assert client.response().status == 413
    with router.connect(source=FRA) as client:
        client.send_request("POST", "/x", [("Transfer-Encoding", "chunked")])
        with pytest.raises((ConnectionError, BrokenPipeError)):
            while True:
                client.send(b"10000\r\n" + b"c" * 65536 + b"\r\n")
    assert router.get("/" + "a" * 8100, source=FRA).status == 414
    edges["fra"].on("/heads", Reply(200, b"", [(f"X-{i}", "v" * 1000) for i in range(200)]))
    assert router.get("/heads", source=FRA).status == 502


def test_the_mode_changes_at_a_reload(cdn, edges):
    edges["fra"].on("/x", Reply(200, b"x"))
    config = {"router": {"mode": "redirect", "overrides": PLACES, "probe_interval": "60s"},
              "edges": [{"name": n, "place": p, "url": edges[n].url, "admin": edges[n].url} for n, p in edges.places.items()]}
    path = cdn.config(config)
    router = cdn.router(path)
    assert router.get("/x", source=FRA).status == 307
    config["router"]["mode"] = "proxy"
    path.write_text(json.dumps(config))
    assert router.reload().status == 200
    poll(lambda: router.get("/x", source=FRA).body == b"x")


def test_a_site_has_its_own_mode(cdn, edges):
    edges["fra"].default = Reply(200, b"handed over")
    config = {"router": {"overrides": PLACES}, "sites": {
        "shop": {"hosts": ["shop.example", "*.shop.example"], "mode": "proxy", "origins": "http://127.0.0.1:1",
                 "rules": [{"path": "/", "pass": True}]},
        "files": {"hosts": ["files.shop.example"], "mode": "redirect", "origins": "http://127.0.0.1:1"},
        "rest": {"hosts": ["rest.example"], "origins": "http://127.0.0.1:1"}}}
    config["edges"] = [{"name": n, "place": p, "url": edges[n].url, "admin": edges[n].url} for n, p in edges.places.items()]
    router = cdn.router(config, trusted_proxies=NRT)
    for host, status in (("shop.example", 200), ("WWW.shop.example:8080", 200), ("files.shop.example", 307),
                         ("rest.example", 307), ("elsewhere.example", 307)):
        assert router.get("/x", source=FRA, host=host).status == status, host
        assert router.request("POST", "/x", body=b"b", source=FRA, host=host).status == status, host
    said = {"X-Forwarded-Host": "shop.example", "X-Forwarded-For": FRA}
    assert router.get("/x", said, source=NRT, host="inner.example").status == 200, "a trusted proxy's word"
    assert router.get("/x", said, source=FRA, host="inner.example").status == 307, "nobody else's"


# ---------------------------------------------------------------------------------------------------- WebSocket


def echo(peer):
    peer.switch()
    while text := peer.read_text():
        peer.send_text(text)


@pytest.fixture
def sockets(cdn):
    made = []

    def make(serve, **settings):
        made.append(Origin(serve))
        world = World(cdn, made[-1].url, **settings)
        return world.router, made[-1]

    yield make
    for origin in made:
        origin.close()


def test_websocket_there_and_back(sockets):
    router, origin = sockets(echo)
    with router.connect(source=FRA) as client:
        answer = client.send_request("GET", "/ws", [*ASK, ("Cookie", "a=b")], host="shop.example").final_head()
        assert (answer.status, answer["Upgrade"]) == (101, "websocket") and answer["Sec-WebSocket-Accept"]
        for text in ("hello", "x" * 100, "end"):
            client.send(text_frame(text))
            assert read_text(client) == text
        assert origin.peers[0].all("Cookie") == ["a=b"]
        assert origin.peers[0].all("X-Forwarded-For") == [f"{FRA}, 127.0.0.1"]
        assert router.metric("tunnels") == 1
    poll(lambda: origin.ended == 1 and router.metric("tunnels") == 0)
    assert router.metric("tunnel_total") == 1 and router.metric("tunnel_up_bytes_total") > 100


def test_websocket_ends_limits_and_refusals(sockets):
    router, origin = sockets(lambda peer: (peer.switch(), peer.send_text("bye")), threads="1", upgrade_connections="1")
    with router.connect(source=FRA) as client:
        assert client.send_request("GET", "/ws", ASK).final_head().status == 101
        assert read_text(client) == "bye" and client.at_eof(), "what was sent comes before the end"
    poll(lambda: router.metric("tunnels") == 0)
    held = Gate()
    origin.serve = lambda peer: (peer.switch(), held._pass())
    with router.connect(source=FRA) as client:
        assert client.send_request("GET", "/ws", ASK).final_head().status == 101
        assert router.get("/ws", ASK, source=FRA).status == 503
    held.open()
    poll(lambda: router.metric("tunnels") == 0)
    origin.serve = lambda peer: peer.answer("403 Forbidden", b"no")
    answer = router.get("/ws", ASK, source=FRA)
    assert (answer.status, answer.body) == (403, b"no")
    assert router.get("/ws", ASK[:3], source=FRA).status == 400, "the edge's word on a handshake without a key"


def test_websocket_idle_and_switched_off(sockets, cdn, edges):
    router, _ = sockets(lambda peer: (peer.switch(), peer.read(1)), upgrade_idle="1s")
    with router.connect(source=FRA) as client:
        assert client.send_request("GET", "/ws", ASK).final_head().status == 101
        assert client.at_eof()
    off = proxy(cdn, edges, upgrade="refuse", **CALM)
    assert off.get("/ws", ASK, source=FRA).status == 501


def test_the_end_of_the_router_ends_what_is_open(sockets):
    router, origin = sockets(echo)
    client = router.connect(source=FRA)
    assert client.send_request("GET", "/ws", ASK).final_head().status == 101
    router.signal(signal.SIGTERM)
    router.wait_log("draining")
    router.signal(signal.SIGTERM)  # who asks twice does not want to wait
    assert client.at_eof() and router.wait() == 0


# ---------------------------------------------------------------------------------------------------- pocketcdn up


def test_up_has_edges_trust_the_router_and_name_it(cdn):
    """What the origin is told: the client that asked the router, and the router's name, whichever edge it was."""
    origin = cdn.fake_origin()
    origin.default = Reply(200, b"ok")
    state = cdn.folder("state")
    started = cdn.cli("up", "--origin", origin.url, "--mode", "proxy", "--port", "0", "--state", state, "--detach")
    try:
        assert started.returncode == 0, started
        url = json.loads((state / "up.json").read_text())["router"]
        name = url.removeprefix("http://")
        with Client(parse_address(name), source=NRT) as client:
            assert client.request("POST", "/form", body=b"a=b", host=name).text == "ok"
            assert client.get("/page", host=name).text == "ok"
        for target in ("/form", "/page"):
            told = origin.last(target)
            assert told["X-Forwarded-For"] == f"{NRT}, 127.0.0.1" and told["X-Forwarded-Host"] == name
    finally:
        cdn.cli("down", "--state", state)


@pytest.mark.parametrize("args, config, error", [
    (["--mode", "both"], None, "--mode: 'both' is neither redirect nor proxy"),
    ([], {"cdn": {"trusted_proxies": ["10.0.0.0/8"]}, "router": {"mode": "proxy"}},
     "trusted_proxies: with mode proxy they need 127.0.0.1, where the router comes from"),
    ([], {"cdn": {"trusted_proxies": ["10.0.0.0/8"]}, "sites": {"s": {"hosts": ["s.example"], "mode": "proxy"}}},
     "where the router comes from"),
    ([], {"router": {"mode": "proxies"}}, "mode"),
])
def test_up_refuses(cdn, args, config, error):
    files = ["--config", cdn.config(config)] if config else ["--port", "0"]
    result = cdn.cli("up", "--origin", "http://127.0.0.1:1", "--state", cdn.folder("state"), *files, *args)
    assert result.returncode != 0 and error in result.stderr, result
