"""pocketcdn-edge against the RFCs' smaller print: what an adversary with a scripted origin found."""

import hashlib
import os

import pytest
from cdn import Reply, poll
from test_edge_http import PAST, edge, marks, ok, origin, told  # noqa: F401 (edge and origin are fixtures)

MIB = 1 << 20


def ranged(body, *headers, cc="max-age=600"):
    """An origin that knows ranges and validators, as most file servers do."""
    fields = [("Cache-Control", cc), *headers]
    tag = dict(headers).get("ETag")

    def answer(request):
        if tag and tag in request.header("If-None-Match", ""):
            return Reply(304, headers=fields, date=False)
        if "Range" not in request:
            return Reply(200, body, fields, date=False)
        first, last = request["Range"].removeprefix("bytes=").split("-")
        if not first:
            first, last = max(0, len(body) - int(last)), ""
        first, last = int(first), min(int(last or len(body)), len(body) - 1)
        if first >= len(body):
            return Reply(416, b"", [("Content-Range", f"bytes */{len(body)}"), *fields], date=False)
        where = ("Content-Range", f"bytes {first}-{last}/{len(body)}")
        return Reply(206, body[first:last + 1], [*fields, where], date=False)
    return answer


def span(edge, path, first, last, *fields):  # noqa: F811
    return edge.get(path, [("Range", f"bytes={first}-{last}"), *fields])


# ---------------------------------------------------------------------------------------------------- bodies


@pytest.mark.parametrize("method, cc", [("GET", "no-store"), ("POST", "no-store"), ("GET", "max-age=60")])
def test_large_answers_that_nobody_keeps(cdn, origin, method, cc):
    """All of it may have come before the client's turn: nothing is dropped before its first reader has joined."""
    edge = cdn.edge(origin, threads=1, **({"disk": 0, "memory_object": "64KiB"} if cc != "no-store" else {}))
    body = os.urandom(3_000_000)
    for i in range(20):
        origin.on(f"/{i}", ok(body, cc))
        r = edge.request(method, f"/{i}")
        assert r.status == 200 and r.body == body, r


# ---------------------------------------------------------------------------------------------------- Vary


@pytest.mark.parametrize("field", ["Host", "Via", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
                                   "CDN-Loop", "Range", "If-None-Match", "TE", "Connection", "Cookie"])
def test_vary_on_what_the_edge_writes(edge, origin, field):  # noqa: F811
    """RFC 9111 4.1: the stored answer belongs to the request that the origin saw."""
    origin.on("/a", ok(b"x", "max-age=60", ("Vary", field)))
    edge.get("/a")
    assert edge.get("/a")["X-Cache"] == "HIT"
    assert edge.get("/a", [("If-None-Match", '"other"')])["X-Cache"] == "HIT"


def test_vary_on_a_field_of_the_hop(edge, origin):  # noqa: F811
    """A field named in Connection goes no further: the origin answered without it."""
    origin.on("/a", lambda r: ok(r.header("X-Kind", "none").encode(), "max-age=60", ("Vary", "X-Kind")))
    assert edge.get("/a", [("X-Kind", "1"), ("Connection", "X-Kind")]).body == b"none"
    r = edge.get("/a", [("X-Kind", "1")])
    assert told(r) == ("MISS", "vary") and r.body == b"1"
    assert edge.get("/a")["X-Cache"] == "HIT"


# ---------------------------------------------------------------------------------------------------- storing


@pytest.mark.parametrize("directive", ["private", "no-cache"])
def test_a_named_field_reaches_who_asked_and_nobody_else(edge, origin, directive):  # noqa: F811
    """RFC 9111 5.2.2.4 and 5.2.2.7: the field is not stored; it is not taken from the answer."""
    origin.on("/a", ok(b"x", f'max-age=60, {directive}="X-Mine"', ("X-Mine", "1"), ("X-All", "2")))
    first, second = edge.get("/a"), edge.get("/a")
    assert (first.header("X-Mine"), first["X-All"]) == ("1", "2")
    assert second["X-Cache"] == "HIT" and "X-Mine" not in second and second["X-All"] == "2"


def test_304_that_nobody_asked_for(edge, origin):  # noqa: F811
    origin.on("/a", Reply(304, headers=[("ETag", '"1"')]))
    assert edge.get("/a").status == 502
    assert edge.get("/a", [("If-None-Match", '"1"')]).status == 304
    assert edge.get("/a", [("Cache-Control", "no-store")]).status == 502
    origin.on("/a", ok())
    assert told(edge.get("/a")) == ("MISS", "cold")


# ---------------------------------------------------------------------------------------------------- stale answers


@pytest.mark.parametrize("directives, failure", [
    ("max-age=1, must-revalidate", "closed"), ("max-age=1, proxy-revalidate", "refused"), ("s-maxage=1", "refused")])
def test_must_revalidate_without_an_origin_is_504(edge, origin, directives, failure):  # noqa: F811
    """RFC 9111 5.2.2.2: an error, and it should be 504."""
    origin.on("/a", ok(b"x", directives), Reply(raw=b""))
    edge.get("/a")
    edge.clock_advance("2s")
    if failure == "refused":
        origin.refuse()
    assert edge.get("/a").status == 504


@pytest.mark.parametrize("status", [500, 503])
def test_errors_of_one_url_do_not_make_others_stale(edge, origin, status):  # noqa: F811
    """RFC 9111 4.2.4: an origin that answers is not disconnected; nobody allowed stale answers here."""
    origin.on("/bad", Reply(status, b"no"))
    origin.on("/a", ok(b"one", "max-age=1"), ok(b"two", "max-age=60"))
    edge.get("/a")
    edge.clock_advance("2s")
    for _ in range(5):
        edge.get("/bad")
    assert edge.get("/a").body == b"two"


# ---------------------------------------------------------------------------------------------------- answers of the edge's own


def test_refusals_are_no_representation(edge, origin):  # noqa: F811
    """A cache behind this one must not keep a 412 or 416 for as long as the answer they refuse."""
    origin.on("/a", ok(b"0123456789", "max-age=600", ("ETag", '"1"'), ("Content-Type", "text/css"), ("Last-Modified", PAST),
                       ("CDN-Cache-Control", "max-age=600"), ("Expires", "Sun, 13 Sep 2099 12:26:40 GMT"), ("X-Own", "1")))
    edge.get("/a")
    for status, field in ((412, ("If-Match", '"2"')), (416, ("Range", "bytes=20-"))):
        r = edge.get("/a", [field])
        assert r.status == status and r["X-Own"] == "1" and r["ETag"] == '"1"'
        for name in ("Cache-Control", "CDN-Cache-Control", "Expires", "Content-Type", "Last-Modified"):
            assert name not in r, name
    assert edge.get("/a", [("Range", "bytes=20-")])["Content-Range"] == "bytes */10"


@pytest.mark.parametrize("status", [412, 416])
def test_refusals_of_the_origin_keep_their_fields(edge, origin, status):  # noqa: F811
    origin.on("/a", Reply(status, b"no", [("Content-Type", "text/plain"), ("Cache-Control", "no-cache"),
                                          ("Content-Range", "bytes */10")]))
    r = edge.get("/a")
    assert (r.status, r["Content-Type"], r["Cache-Control"], r["Content-Range"]) == (status, "text/plain", "no-cache",
                                                                                     "bytes */10")


def test_options_for_the_server(edge, origin):  # noqa: F811
    """RFC 9110 9.3.7; the absolute form without a path means the same (RFC 9112 3.2.4)."""
    assert "GET" in edge.request("OPTIONS", "*")["Allow"]
    assert "GET" in edge.raw(b"OPTIONS http://h.example HTTP/1.1\r\nHost: h.example\r\n\r\n")["Allow"]
    assert not origin.requests
    assert edge.request("GET", "*").status == 400


def test_405_says_what_is_allowed(edge):  # noqa: F811
    r = edge.request("TRACE", "/a")
    assert r.status == 405 and "GET" in r["Allow"]


def test_what_was_not_forwarded_says_no_fwd(edge):  # noqa: F811
    """RFC 9211 2.2: fwd means that the request went on."""
    for r in (edge.request("TRACE", "/a"), edge.get("/a", [("Cache-Control", "only-if-cached")])):
        assert "fwd" not in marks(r) and "hit" not in marks(r)


def test_interim_fields_of_the_hop(edge, origin):  # noqa: F811
    origin.on("/a", Reply(200, b"x", interim=[(103, [("Link", "</a.css>"), ("Connection", "X-Hop"), ("X-Hop", "1")])]))
    hints = edge.get("/a").interim[0]
    assert hints["Link"] == "</a.css>" and "X-Hop" not in hints


def test_metrics_are_told_once(edge):  # noqa: F811
    lines = [line for line in edge.admin_request("GET", "/metrics").text.splitlines() if line]
    assert len(lines) == len(set(lines))
    series = [line.rpartition(" ")[0] for line in lines if not line.startswith("#")]
    assert len(series) == len(set(series))


# ---------------------------------------------------------------------------------------------------- ranges


def test_a_range_behind_the_end_spoils_nothing(edge, origin):  # noqa: F811
    """A 416 says something of its request, not of the URL."""
    body = os.urandom(2 * MIB + 5)
    origin.on("/a", ranged(body, ("ETag", '"1"')))
    assert span(edge, "/a", 0, 9).status == 206
    assert span(edge, "/a", 9 * MIB, "").status == 416
    assert span(edge, "/a", 0, 9)["X-Cache"] == "HIT"
    assert edge.get("/a").body == body
    assert edge.get("/a")["X-Cache"] == "HIT"


@pytest.mark.parametrize("validator", [("ETag", 'W/"1"'), ("X-None", "1")])
def test_parts_that_cannot_be_combined(edge, origin, validator):  # noqa: F811
    """RFC 9111 3.4 wants a strong validator: without one a stretch over two slices is asked for as it is."""
    body = os.urandom(3 * MIB)
    origin.on("/a", ranged(body, validator))
    for _ in range(2):
        r = span(edge, "/a", 5, 2 * MIB)
        assert r.status == 206 and r.complete and r.body == body[5:2 * MIB + 1]
    for cache in ("MISS", "HIT"):
        r = span(edge, "/a", 2 * MIB + 10, 2 * MIB + 19)
        assert r["X-Cache"] == cache and r.body == body[2 * MIB + 10:2 * MIB + 20]
    assert edge.get("/a").body == body
    assert edge.get("/a")["X-Cache"] == "HIT"


def test_a_part_that_was_confirmed_says_so(edge, origin):  # noqa: F811
    origin.on("/a", ranged(os.urandom(2 * MIB), ("ETag", '"1"'), cc="max-age=10"))
    origin.on("/b", ranged(os.urandom(2 * MIB), ("ETag", '"1"'), cc="no-cache"))
    span(edge, "/a", 0, 9)
    span(edge, "/b", 0, 9)
    edge.clock_advance("11s")
    assert told(span(edge, "/a", 0, 9)) == ("REVALIDATED", "expired")
    assert told(span(edge, "/a", 0, 9)) == ("HIT", None)
    assert told(span(edge, "/b", 0, 9)) == ("REVALIDATED", "validation")


@pytest.mark.parametrize("failure", [Reply(503, b"no"), Reply(raw=b"")], ids=["503", "closed"])
def test_a_stale_part_stands_in(edge, origin, failure):  # noqa: F811
    """RFC 5861 4 for parts; what is not stored cannot stand in."""
    body = os.urandom(2 * MIB)
    origin.on("/a", ranged(body, ("ETag", '"1"'), cc="max-age=10, stale-if-error=60"))
    span(edge, "/a", 0, 9)
    edge.clock_advance("11s")
    origin.on("/a", failure)
    r = span(edge, "/a", 0, 9)
    assert told(r) == ("STALE", "expired") and r.status == 206 and r.body == body[:10]
    assert span(edge, "/a", 0, MIB + 5).status in (502, 503)
    edge.clock_advance("61s")
    origin.on("/a", Reply(503, b"no"))
    assert span(edge, "/a", 0, 9).status == 503


def test_only_if_cached_from_parts(edge, origin):  # noqa: F811
    """RFC 9111 5.2.1.7."""
    body = os.urandom(2 * MIB)
    origin.on("/a", ranged(body, ("ETag", '"1"')))
    only = ("Cache-Control", "only-if-cached")
    assert span(edge, "/a", 0, 9, only).status == 504
    span(edge, "/a", 0, 9)
    assert span(edge, "/a", 0, 9, only).body == body[:10]
    assert span(edge, "/a", 0, MIB, only).status == 504
    assert edge.get("/a", [only]).status == 504
    assert origin.count("/a") == 1


def test_a_stale_part_is_refreshed_behind(edge, origin):  # noqa: F811
    """RFC 5861 3 for parts: served at once, and confirmed once."""
    body = os.urandom(2 * MIB)
    origin.on("/a", ranged(body, ("ETag", '"1"'), cc="max-age=10, stale-while-revalidate=60"))
    span(edge, "/a", 0, 9)
    edge.clock_advance("11s")
    assert told(span(edge, "/a", 0, 9)) == ("STALE", "expired")
    origin.wait_count(2, "/a")
    poll(lambda: span(edge, "/a", 0, 9)["X-Cache"] == "HIT")
    assert origin.count("/a") == 2


def test_parts_outlive_a_restart(cdn, origin):  # noqa: F811
    body = os.urandom(4 * MIB)
    folder = cdn.folder("parts")
    origin.on("/a", ranged(body, ("ETag", '"1"')))
    first = cdn.edge(origin, cache_dir=folder, memory="1MiB")
    assert span(first, "/a", 0, 9)["X-Cache"] == "MISS"
    assert span(first, "/a", 3 * MIB, 3 * MIB + 9)["X-Cache"] == "MISS"
    first.terminate()
    second = cdn.edge(origin, cache_dir=folder, memory="1MiB")
    r = span(second, "/a", 3 * MIB, 3 * MIB + 9)
    assert r["X-Cache"] == "HIT" and r.body == body[3 * MIB:3 * MIB + 10]
    assert second.get("/a").body == body


# ---------------------------------------------------------------------------------------------------- HEAD, variants


@pytest.mark.parametrize("cc, failure", [("max-age=1, stale-if-error=60", Reply(503)), ("max-age=1", None)])
def test_stale_if_error_for_head(edge, origin, cc, failure):  # noqa: F811
    origin.on("/a", ok(b"hello", cc), *[failure] if failure else [])
    edge.get("/a")
    edge.clock_advance("2s")
    if not failure:
        origin.refuse()
    r = edge.head("/a")
    assert told(r) == ("STALE", "expired") and r.status == 200 and r["Content-Length"] == "5"


def test_head_of_a_hashed_name_outlives_404(edge, origin):  # noqa: F811
    path = f"/app.{hashlib.md5(b'body').hexdigest()[:12]}.js"
    origin.on(path, ok(b"body", "max-age=1"), Reply(404))
    edge.get(path)
    edge.clock_advance("2s")
    assert edge.head(path).status == 200 and edge.get(path).status == 200


def test_304_chooses_another_variant(edge, origin):  # noqa: F811
    """RFC 9111 4.3.1 and 4.3.3: the origin says which stored answer suits a request that matches none."""
    fields = [("Vary", "X-Kind"), ("Cache-Control", "max-age=5")]

    def first(kind):
        return Reply(200, kind.encode(), [*fields, ("ETag", f'"{kind}"')], date=False)
    for kind in "ab":
        origin.on("/a", first(kind))
        edge.get("/a", [("X-Kind", kind)])
    origin.on("/a", lambda request: Reply(304, headers=[*fields, ("ETag", '"b"')], date=False))
    asked = origin.count("/a")
    r = edge.get("/a", [("X-Kind", "d")])
    assert told(r) == ("REVALIDATED", "vary") and r.body == b"b"
    assert origin.count("/a") == asked + 1


# ---------------------------------------------------------------------------------------------------- PURGE


def test_purge_by_tags_of_several_lines(edge, origin):  # noqa: F811
    for tag in ("a", "b", "c"):
        origin.on(f"/{tag}", ok(b"x", "max-age=60", ("Surrogate-Key", tag)))
        edge.get(f"/{tag}")
    r = edge.request("PURGE", "/", [("Surrogate-Key", "a"), ("Surrogate-Key", "zz"), ("xkey", "c")])
    assert r.json()["purged"] == 2
    assert [edge.get(f"/{tag}")["X-Cache"] for tag in "abc"] == ["MISS", "HIT", "MISS"]
