"""pocketcdn-edge: what one client, or one URL, gets must not become what others get."""

import pytest
from cdn import Gate, Reply, poll, unused_port
from test_edge_http import edge, marks, ok, origin, told  # noqa: F401 (edge and origin are fixtures)

MIB = 1 << 20
PAST = "Sun, 13 Sep 2020 12:26:40 GMT"


def waiters(edge, gate, n, path="/a", headers=lambda i: ()):  # noqa: F811
    """n connections that ask for `path` behind one whose request the origin holds at `gate`; the first one leads."""
    clients = []
    for i in range(n):
        clients.append(edge.connect())
        clients[-1].send_request("GET", path, headers(i))
        if i == 0:
            gate.wait_reached()
    with edge.connect() as probe:  # one thread: whoever was sent before was read before
        probe.get("/nothing-else")
    return clients


# ---------------------------------------------------------------------------------------------------- a disconnected origin

TROUBLE = {
    "500": Reply(500, b"no"), "503": Reply(503, b"no"), "closed": Reply(raw=b""), "garbage": Reply(raw=b"SSH-2.0-x\r\n"),
    "reset in the body": Reply(200, b"x" * 1000, close_after=10, reset=True),
    "half a head": Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Le"),
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_trouble_of_one_url_makes_nothing_else_stale(edge, origin, trouble):  # noqa: F811
    """RFC 9111 4.2.4: only an origin that cannot be reached is disconnected."""
    origin.on("/bad", TROUBLE[trouble])
    origin.on("/a", ok(b"one", "max-age=1"), ok(b"two", "max-age=1"))
    origin.on("/b", ok(b"one", "max-age=1, stale-if-error=600"), ok(b"two", "max-age=1"))
    edge.get("/a"), edge.get("/b")
    edge.clock_advance("2s")
    for _ in range(6):
        edge.get("/bad")
    assert edge.get("/a").body == b"two" and edge.get("/b").body == b"two"


@pytest.mark.parametrize("trouble", TROUBLE)
def test_a_crashing_url_is_not_a_disconnected_origin(edge, origin, trouble):  # noqa: F811
    """Nobody gave leave for a stale answer, and the origin is there."""
    origin.on("/a", ok(b"one", "max-age=1"), TROUBLE[trouble])
    edge.get("/a")
    edge.clock_advance("2s")
    for _ in range(4):
        r = edge.get("/a")
        assert r.body != b"one" and r["X-Cache"] != "STALE"


def test_a_refused_connection_is_a_disconnected_origin(edge, origin):  # noqa: F811
    origin.on("/a", ok(b"one", "max-age=1"))
    edge.get("/a")
    edge.clock_advance("2s")
    origin.refuse()
    assert all(told(edge.get("/a")) == ("STALE", "expired") for _ in range(6))


def test_a_url_in_trouble_is_not_waited_for(cdn, origin):  # noqa: F811
    """RFC 5861 4: after a failure the stale answer comes at once; what is well is asked for."""
    edge = cdn.edge(origin, simulate=True, threads=1, first_byte_timeout="200ms")  # noqa: F811
    origin.on("/a", ok(b"one", "max-age=1, stale-if-error=600"), ok(before=Gate()))
    origin.on("/b", ok(b"one", "max-age=1, stale-if-error=600"), ok(b"two"))
    edge.get("/a"), edge.get("/b")
    edge.clock_advance("2s")
    assert told(edge.get("/a")) == ("STALE", "expired")
    asked = origin.count("/a")
    assert all(edge.get("/a").body == b"one" for _ in range(5)) and origin.count("/a") == asked
    assert edge.get("/b").body == b"two"


# ---------------------------------------------------------------------------------------------------- interim answers


def test_early_hints_go_to_the_one_whose_request_it_was(edge, origin):  # noqa: F811
    """RFC 8297 2: they come before it is known whether the answer may be shared, and may set cookies."""
    gate = Gate()
    hints = [(103, [("Link", "</a.css>; rel=preload"), ("Set-Cookie", "sessionid=1")])]
    origin.on("/a", ok([gate, b"x"], "max-age=60", interim=hints))
    clients = waiters(edge, gate, 4)
    gate.open()
    answers = [c.response() for c in clients]
    assert [len(r.interim) for r in answers] == [1, 0, 0, 0] and answers[0].interim[0]["Set-Cookie"] == "sessionid=1"
    assert all(r.body == b"x" for r in answers) and origin.count("/a") == 1


def test_early_hints_before_the_head_go_to_one(edge, origin):  # noqa: F811
    """While nothing is known of the answer yet."""
    first, rest = Gate(), Gate()

    def reply(_):
        return Reply(raw=[b"HTTP/1.1 103 Early Hints\r\n", first, b"Set-Cookie: a=b\r\n\r\n", rest,
                          b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1\r\n\r\nx"])
    origin.on("/a", reply)
    clients = waiters(edge, first, 3)
    first.open()
    assert clients[0].head().status == 103
    rest.open()
    assert [len(c.response().interim) for c in clients] == [0, 0, 0]
