"""What was said to one client, or because of one request, in every place where it might be kept for others."""

import itertools

import pytest
from cdn import Gate
from test_edge_http import edge, ok, origin, told  # noqa: F401 (edge and origin are fixtures)

ODD = ("X-Odd", "1")


def unless_odd(odd, plain):
    return lambda request: odd if request.header("X-Odd") else plain


@pytest.mark.parametrize("status", [428, 429, 431, 511, 406, 408, 415, 417, 421, 425])
@pytest.mark.parametrize("cc", ["max-age=600", "public, s-maxage=600"])
def test_a_status_about_the_request_is_for_nobody_else(edge, origin, status, cc):  # noqa: F811
    """RFC 6585 3 to 6, RFC 9110 15.5: too many requests of one client are not everybody's."""
    origin.on("/a", unless_odd(ok(b"odd", cc, status=status), ok(b"plain", "max-age=60")))
    for turn in range(2):  # cold, then over a stored copy
        r = edge.get("/a", [ODD, ("Cache-Control", "no-cache")])
        assert (r.status, r.body) == (status, b"odd") and r["X-Cache"] == "BYPASS"
        assert edge.get("/a").body == b"plain" and told(edge.get("/a")) == ("HIT", None)
    assert origin.count("/a") == (3 if status != 408 else 4)  # 408 is asked again, once


NO_STORE = ["no-store", "No-Store", "max-age=60, no-store", "max-age=60,no-store", "no-store=1", "no-store=\"\"", "max-age=60, no-store ,",
            ", no-store", "private", "PRIVATE", "private, max-age=60", "max-age=60;no-store", "max-age=60 no-store", "no-store;",
            "no-store, public, s-maxage=60", "private=, max-age=60", "private=\"\", max-age=60", "\tno-store\t"]


@pytest.mark.parametrize("cc", NO_STORE)
def test_no_store_by_any_spelling(edge, origin, cc):  # noqa: F811
    bodies = itertools.count()
    origin.on("/a", lambda r: ok(b"%d" % next(bodies), cc, ("Last-Modified", "Sun, 13 Sep 2020 12:26:40 GMT")))
    assert len({edge.get("/a").body for _ in range(4)}) == 4


@pytest.mark.parametrize("split", [["max-age=60", "no-store"], ["no-store", "max-age=60"], ["private", "public, max-age=60"]])
def test_no_store_on_a_line_of_its_own(edge, origin, split):  # noqa: F811
    bodies = itertools.count()
    origin.on("/a", lambda r: ok(b"%d" % next(bodies), None, *[("Cache-Control", cc) for cc in split]))
    assert len({edge.get("/a").body for _ in range(4)}) == 4


@pytest.mark.parametrize("name", ["Set-Cookie", "set-cookie", "Authentication-Info", "Proxy-Authenticate", "Proxy-Authentication-Info"])
@pytest.mark.parametrize("status", [200, 203, 301, 302, 308, 404, 410, 500])
def test_a_personal_field_of_any_status(edge, origin, status, name):  # noqa: F811
    seen = itertools.count()
    origin.on("/a", lambda r: ok(b"x", "max-age=60", (name, f"id={next(seen)}"), ("Location", "/b"), status=status))
    answers = [edge.get("/a") for _ in range(4)]
    given = [v for r in answers for v in r.all(name)]
    assert len(given) == len(set(given)) and {r.status for r in answers} == {status}
    assert [r["X-Cache"] for r in answers[1:]] == ["HIT"] * 3 and not answers[-1].all(name)


@pytest.mark.parametrize("ranges", [["bytes=0-9", "bytes=0-9"], ["bytes=0-9", "bytes=5-30"], ["bytes=0-9", None], ["bytes=-5", "bytes=-7"]])
def test_a_personal_field_of_a_part(edge, origin, ranges):  # noqa: F811
    body, seen = bytes(range(100)), itertools.count()

    def answer(request):
        first, _, last = request.header("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        first, last = (100 - int(last), 99) if not first else (int(first), min(int(last or 99), 99))
        return ok(body[first:last + 1], "max-age=60", ("ETag", '"1"'), ("Set-Cookie", f"id={next(seen)}"),
                  ("Content-Range", f"bytes {first}-{last}/100"), status=206)
    origin.on("/a", answer)
    given = []
    for range_ in ranges * 2:
        given += edge.get("/a", [("Range", range_)] if range_ else []).all("Set-Cookie")
    assert len(given) == len(set(given)) <= origin.count("/a")


ASKS_ANEW = ("Cache-Control", "no-cache")
MINE = [("Authorization", "Basic YTpi"), ASKS_ANEW]


@pytest.mark.parametrize("etag", ['"v1"', '"v2"', None])
@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("cc", ["max-age=600", "private", "no-store"])
def test_what_is_told_to_someone_authorised_changes_nothing(edge, origin, method, etag, cc):  # noqa: F811
    """RFC 9111 3.5, of 200, 304 and HEAD alike."""
    own = [("X-User", "alice"), *([("ETag", etag)] if etag else [])]

    def answer(request):
        if not request.header("Authorization"):
            return ok(b"for all", "max-age=60", ("ETag", '"v1"'))
        if method == "GET" and etag == '"v1"' and request.header("If-None-Match"):
            return ok(b"", cc, *own, status=304)
        return ok(b"for alice", cc, *own)
    origin.on("/a", answer)
    edge.get("/a")
    assert edge.request(method, "/a", MINE).header("X-User") == "alice"
    r = edge.get("/a")
    assert told(r) == ("HIT", None) and r.body == b"for all" and "X-User" not in r and r["ETag"] == '"v1"'
    assert origin.count("/a") == 2


# fields that say how the bytes of one message are to be read: a 304 or a HEAD has none of the stored ones
FRAMING = [("Content-Encoding", "br"), ("Content-Encoding", "gzip"), ("Content-Length", "5"), ("Content-Range", "bytes 0-4/10"),
           ("Transfer-Encoding", "chunked"), ("Connection", "X-Foo"), ("Trailer", "X"), ("Set-Cookie", "a=1")]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("name, value", FRAMING)
def test_an_update_does_not_change_how_the_body_is_read(edge, origin, name, value, method):  # noqa: F811
    """RFC 9111 3.2: servers with one entity tag for all codings send the fields of another one."""
    body = bytes(range(97, 123)) * 100

    def answer(request):
        if request.header("If-None-Match"):
            return ok(b"", "max-age=60", ("ETag", '"1"'), (name, value), status=304)
        more = [(name, value)] if request.method == "HEAD" else []
        return ok(body, "max-age=60" if more else "max-age=1", ("ETag", '"1"'), *more, length=len(body))
    origin.on("/a", answer)
    edge.get("/a")
    edge.clock_advance("2s")
    if method == "HEAD":
        edge.head("/a")
    edge.get("/a")  # what is personal is its own
    r = edge.get("/a")
    assert (r.status, r.body, r.complete) == (200, body, True) and value not in r.all(name)


LANGUAGES = {"de": b"de", "de, en;q=0.5": b"de", "en, de": b"en", "de;q=0, en;q=0.5": b"en", "*;q=0, en": b"en",
             "de-AT, de;q=0.9": b"de", "de;q=0.5, en": b"en", "de-CH;q=0, de": b"de", "en;q=0.1, de;q=0.05": b"en"}


@pytest.mark.parametrize("first", ["de", "de, en;q=0.5", "en"])
def test_nobody_gets_a_language_that_he_likes_less(edge, origin, first):  # noqa: F811
    """A stored answer in the language wanted most is given, whoever brought it; no other."""
    origin.on("/a", lambda r: ok(LANGUAGES[r["Accept-Language"]] if r.header("Accept-Language") in LANGUAGES else b"en", "max-age=60",
                                 ("Vary", "Accept-Language"),
                                 ("Content-Language", LANGUAGES.get(r.header("Accept-Language"), b"en").decode())))
    edge.get("/a", [("Accept-Language", first)])
    for asks, wanted in LANGUAGES.items():
        assert edge.get("/a", [("Accept-Language", asks)]).body == wanted, asks


@pytest.mark.parametrize("waiter", [[("Cookie", "a=2")], [], [("Authorization", "x")]], ids=str)
@pytest.mark.parametrize("leader", [[("Cookie", "a=1")], [], [("Authorization", "y")]], ids=str)
@pytest.mark.parametrize("cc, vary", [("max-age=60", "Cookie, Authorization"), ("private", None), ("max-age=60, private", None), ("no-store", None),
                                      ("max-age=60", "*")])
def test_those_who_wait_get_answers_of_their_own(edge, origin, leader, waiter, cc, vary):  # noqa: F811
    gate, count = Gate(), itertools.count()

    def who(fields):
        return (fields[0][1] if fields else "nobody").encode()

    def answer(request):
        number = next(count)
        if number == 0:
            gate._pass()
        name = request.header("Cookie") or request.header("Authorization") or "nobody"
        return ok(name.encode(), cc, *([("Vary", vary)] if vary else []), ("Set-Cookie", f"s={number}"))
    origin.on("/a", answer)
    clients = [edge.connect() for _ in range(4)]
    for number, client in enumerate(clients):
        client.send_request("GET", "/a", waiter if number else leader)
        if not number:
            gate.wait_reached()
    edge.get("/nothing-else")
    gate.open()
    answers = [client.response() for client in clients]
    assert [r.body for r in answers] == [who(leader)] + [who(waiter)] * 3
    cookies = [c for r in answers for c in r.all("Set-Cookie")]
    assert len(cookies) == len(set(cookies))
