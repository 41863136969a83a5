"""What was said to one client, or because of one request, in every place where it might be kept for others."""

import itertools

import pytest
from test_edge_http import edge, ok, origin, told  # noqa: F811, F401 (edge and origin are fixtures)

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
