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


# ---------------------------------------------------------------------------------------------------- cookies

PERSONAL = ["Set-Cookie", "set-cookie", "SET-COOKIE", "Authentication-Info"]


@pytest.mark.parametrize("name", PERSONAL)
def test_a_personal_field_reaches_one_client(edge, origin, name):  # noqa: F811
    """The one whose request it was: not later ones, not those who wait with it, not the ready answers."""
    gate = Gate()
    origin.on("/a", ok(b"x", "max-age=60", (name, "sessionid=1"), ("X-All", "1"), before=gate))
    clients = waiters(edge, gate, 3)
    gate.open()
    assert [c.response().header(name) for c in clients] == ["sessionid=1", None, None]
    for _ in range(5):
        r = edge.get("/a")
        assert r["X-Cache"] == "HIT" and name not in r and r["X-All"] == "1"
    assert name not in edge.head("/a") and origin.count("/a") == 1


@pytest.mark.parametrize("name", PERSONAL)
def test_personal_fields_of_a_304(edge, origin, name):  # noqa: F811
    origin.on("/a", ok(b"x", "max-age=1", ("ETag", '"1"')),
              Reply(304, headers=[("ETag", '"1"'), (name, "a=1"), ("Cache-Control", "max-age=60"), ("X-New", "1")], date=False))
    edge.get("/a")
    edge.clock_advance("2s")
    r = edge.get("/a")
    assert told(r) == ("REVALIDATED", "expired") and r[name] == "a=1"
    r = edge.get("/a")
    assert r["X-Cache"] == "HIT" and name not in r and r["X-New"] == "1"


def test_a_session_that_begins_is_not_stored(edge, origin):  # noqa: F811
    """Django's own rule: Set-Cookie and Vary: Cookie to a request without cookies."""
    origin.on("/a", ok(b"mine", "max-age=60", ("Set-Cookie", "s=1"), ("Vary", "Accept-Language, Cookie")))
    for _ in range(2):
        r = edge.get("/a")
        assert told(r) == ("BYPASS", "set-cookie") and r["Set-Cookie"] == "s=1"
    edge.get("/a", [("Cookie", "s=1")])
    r = edge.get("/a", [("Cookie", "s=1")])
    assert r["X-Cache"] == "HIT" and "Set-Cookie" not in r


def test_cookies_may_be_replayed(cdn, origin):
    edge = cdn.edge(origin, cache_set_cookie="replay")  # noqa: F811
    origin.on("/a", ok(b"x", "max-age=60", ("Set-Cookie", "a=b")))
    assert all(edge.get("/a")["Set-Cookie"] == "a=b" for _ in range(4)) and origin.count("/a") == 1


# ---------------------------------------------------------------------------------------------------- one request speaks for itself

CONTROL = {"no-store": "no-store", "private": "private", "vary": None}


@pytest.mark.parametrize("what", ["authorized", "cookie", "no-store", "private", "vary-any", "nothing said"])
def test_one_answer_does_not_switch_the_cache_off(edge, origin, what):  # noqa: F811
    """The next storable answer is stored at once."""
    odd = {"cookie": ok(b"x", None, ("Set-Cookie", "a=b"), ("Last-Modified", PAST)), "vary-any": ok(b"x", "max-age=60", ("Vary", "*")),
           "nothing said": ok(b"x", None)}.get(what, ok(b"x", CONTROL.get(what, "max-age=60")))
    origin.on("/a", odd, ok(b"y"))
    r = edge.get("/a", [("Authorization", "Basic eDp5")] if what == "authorized" else [])
    assert r["X-Cache"] == "BYPASS"
    assert told(edge.get("/a")) == ("MISS", "cold")
    assert edge.get("/a")["X-Cache"] == "HIT" and origin.count("/a") == 2


@pytest.mark.parametrize("fields, answer", [
    ([("Authorization", "Basic eDp5"), ("Cache-Control", "no-cache")], ok(b"mine", "max-age=60")),
    ([("Cache-Control", "no-cache")], ok(b"mine", "no-store")), ([("Cache-Control", "max-age=0")], ok(b"mine", "private")),
    ([("Pragma", "no-cache")], Reply(404, b"no")), ([("Cache-Control", "no-cache")], Reply(500, b"no")),
    ([("Cache-Control", "no-store")], ok(b"mine", "private")), ([("Cache-Control", "no-cache")], ok(b"mine", "max-age=60", ("Vary", "*"))),
])
def test_what_is_fresh_stays(edge, origin, fields, answer):  # noqa: F811
    """What one client forced the origin to say ends nothing for the others."""
    origin.on("/a", ok(b"all", "max-age=600", ("ETag", '"1"')), answer)
    edge.get("/a")
    edge.get("/a", fields)
    r = edge.get("/a")
    assert r["X-Cache"] == "HIT" and r.body == b"all"


def test_nobody_waits_for_an_authorised_request(edge, origin):  # noqa: F811
    gate = Gate()
    origin.on("/a", ok(b"mine", "max-age=60", before=gate), ok(b"all"))
    with edge.connect() as one:
        one.send_request("GET", "/a", [("Authorization", "Basic eDp5")])
        gate.wait_reached()
        assert edge.get("/a").body == b"all"
        gate.open()
        assert one.response().body == b"mine"
    r = edge.get("/a")
    assert r["X-Cache"] == "HIT" and r.body == b"all"


def test_those_who_waited_try_to_store(edge, origin):  # noqa: F811
    """A first visit leads; the others are released side by side, and theirs is stored."""
    gate = Gate()
    origin.on("/a", ok(b"1", "private", before=gate), ok(b"n"))
    clients = waiters(edge, gate, 5)
    gate.open()
    assert sorted(c.response().body for c in clients) == [b"1"] + [b"n"] * 4
    assert edge.get("/a")["X-Cache"] == "HIT"


def test_a_stale_answer_is_not_given_for_what_became_private(edge, origin):  # noqa: F811
    """stale-while-revalidate ends when the refresh says so; what is gone is gone."""
    for path, answer in (("/p", ok(b"new", "private")), ("/g", Reply(404, b"gone"))):
        origin.on(path, ok(b"old", "max-age=1, stale-while-revalidate=600"), answer)
        edge.get(path)
    edge.clock_advance("2s")
    for path, body in (("/p", b"new"), ("/g", b"gone")):
        poll(lambda p=path, b=body: edge.get(p).body == b)


# ---------------------------------------------------------------------------------------------------- Vary of a 304


@pytest.mark.parametrize("vary, other", [
    (None, True), ("Accept-Language", True), ("x-kind, accept-language", True), ("X-New", False), ("*", False)])
def test_a_304_with_another_vary(edge, origin, vary, other):  # noqa: F811
    """It is taken for the variant asked about; names that it adds count from then on."""
    fields = [("ETag", '"1"'), ("Cache-Control", "max-age=60")] + ([("Vary", vary)] if vary else [])
    origin.on("/a", ok(b"long", "max-age=1", ("ETag", '"1"'), ("Vary", "Accept-Language, X-Kind")),
              Reply(304, headers=fields, date=False))
    edge.get("/a", [("X-Kind", "1")])
    edge.clock_advance("2s")
    r = edge.get("/a", [("X-Kind", "1")])
    assert told(r) == ("REVALIDATED", "expired") and r.body == b"long" and origin.count("/a") == 2
    assert (edge.get("/a", [("X-Kind", "1")])["X-Cache"] == "HIT") == (vary != "*")
    assert (edge.get("/a", [("X-Kind", "1"), ("X-New", "2")])["X-Cache"] == "HIT") == other


# ---------------------------------------------------------------------------------------------------- codings


def one_tag(body=b"plain!", vary=True, tag='"one"', cc="max-age=60"):
    """An origin with one entity tag for its br, gzip and plain forms, which confirms any of them."""
    def answer(request):
        accepts = request.header("Accept-Encoding", "")
        coding = next((c for c in ("br", "gzip") if c in accepts), None)
        fields = [("ETag", tag), *([("Vary", "Accept-Encoding")] if vary else [])]
        if request.header("If-None-Match"):
            return Reply(304, headers=[*fields, ("Cache-Control", cc)], date=False)
        return ok(coding.upper().encode() + body if coding else body, cc, *fields,
                  *([("Content-Encoding", coding)] if coding else []))
    return answer


ASKS = ["br", "gzip", "gzip, br", None, "identity", "br;q=0, gzip", "gzip;q=0", "*;q=0, identity", ""]


@pytest.mark.parametrize("vary", [True, False])
@pytest.mark.parametrize("first", ["br", "gzip", None])
def test_no_coding_that_the_request_refuses(edge, origin, first, vary):  # noqa: F811
    """Fresh, stale and confirmed; an ETag does not tell the codings apart."""
    origin.on("/a", one_tag(vary=vary, cc="max-age=60, stale-while-revalidate=60"))
    edge.get("/a", [("Accept-Encoding", first)] if first else [])
    for step in ("0s", "61s", "1s", "200s"):
        edge.clock_advance(step)
        for ask in ASKS:
            r = edge.get("/a", [("Accept-Encoding", ask)] if ask is not None else [])
            coding = r.header("Content-Encoding")
            assert r.status == 200 and r.body == (coding.upper().encode() if coding else b"") + b"plain!"
            assert not coding or (coding in (ask or "") and f"{coding};q=0" not in ask), (ask, coding)


def test_waiters_get_a_coding_that_they_accept(edge, origin):  # noqa: F811
    gate = Gate()
    answer = one_tag(vary=False)
    origin.on("/a", lambda r: (gate._pass() if "br" in r.header("Accept-Encoding", "") else None, answer(r))[1])
    clients = waiters(edge, gate, 3, headers=lambda i: [("Accept-Encoding", "br")] if i == 0 else [])
    gate.open()
    assert [c.response().body for c in clients] == [b"BRplain!", b"plain!", b"plain!"]


def test_an_origin_with_one_form_only_is_not_asked_for_ever(edge, origin):  # noqa: F811
    """It was told that the client cannot decode it, and sent it all the same."""
    origin.on("/a", ok(b"GZ", "max-age=60", ("Content-Encoding", "gzip")))
    edge.get("/a", [("Accept-Encoding", "gzip")])
    assert [edge.get("/a")["X-Cache"] for _ in range(4)] == ["MISS", "HIT", "HIT", "HIT"]
    assert edge.get("/a", [("Accept-Encoding", "gzip")])["X-Cache"] == "HIT" and origin.count("/a") == 2


# ---------------------------------------------------------------------------------------------------- fetches that nobody wants


@pytest.mark.parametrize("size, cc, goes_on", [(2 * MIB, "max-age=60", True), (24 * MIB, "max-age=60", False),
                                               (24 * MIB, "max-age=60, stale-while-revalidate=1", False)])
def test_a_large_fetch_that_nobody_waits_for_stops(edge, origin, size, cc, goes_on):  # noqa: F811
    gate, piece = Gate(), b"x" * (size // 8)
    origin.on("/a", ok([piece, gate, *[piece] * 7], cc), ok(b"second"))
    with edge.connect() as one:
        one.send_request("GET", "/a")
        one.final_head()
        gate.wait_reached()
        one.reset()
    edge.get("/nothing-else")
    gate.open()
    if goes_on:
        poll(lambda: edge.get("/a")["X-Cache"] == "HIT")
        assert origin.count("/a") == 1
    else:
        poll(lambda: origin.active == 0)
        assert edge.metric("origin_bytes_total") < size
        assert edge.get("/a").body == b"second"


def test_an_origin_that_ignores_ranges_sends_its_whole_once(edge, origin):  # noqa: F811
    body = b"0123456789" * (2 * MIB)
    origin.on("/a", ok(body, "max-age=60", ("ETag", '"1"')))
    for at in (0, 5 * MIB + 3, 19 * MIB):
        r = edge.get("/a", [("Range", f"bytes={at}-{at}")])
        assert r.status == 206 and r.body == body[at:at + 1]
    assert origin.count("/a") == 1


@pytest.mark.parametrize("cc, etag", [("max-age=60", '"1"'), ("max-age=60", None), ("no-store", '"1"'),
                                      ("private", None)])
def test_many_ranges_of_an_origin_that_ignores_them(edge, origin, cc, etag):  # noqa: F811
    """50 single bytes near the start: no more is read of an answer that cannot be stored than they need."""
    size = 20 * MIB
    body = b"0123456789" * (size // 10)
    origin.on("/a", ok(body, cc, *([("ETag", etag)] if etag else [])))
    for at in range(0, 5000, 100):
        r = edge.get("/a", [("Range", f"bytes={at}-{at}")])
        assert r.status == 206 and r.body == body[at:at + 1]
    assert edge.metric("origin_bytes_total") <= 2.5 * size
