"""pocketcdn-edge, the real program: what it answers from its cache, what it asks its origin, and what it says about both."""

import hashlib
import os
import re
import signal
import time

import pytest
from cdn import Client, Gate, Reply, in_parallel, poll

DAY = 86400
PAST = "Sun, 13 Sep 2020 12:26:40 GMT"


def ok(body=b"hello", cc="max-age=60", *more, **kw):
    """An answer without Date: the edge writes its own, so that its clock alone counts."""
    headers = ([("Cache-Control", cc)] if cc else []) + list(more)
    return Reply(kw.pop("status", 200), body, headers, date=False, **kw)


def marks(response):
    """Cache-Status as a dict: {'fra': True, 'fwd': 'miss', 'detail': 'cold', ...}."""
    return {k: v.strip('"') if eq else True
            for k, eq, v in (part.strip().partition("=") for part in response["Cache-Status"].split(";"))}


def told(response):
    """(X-Cache, the cause of a non-hit)."""
    return response["X-Cache"], marks(response).get("detail")


@pytest.fixture
def origin(cdn):
    return cdn.fake_origin()


@pytest.fixture
def edge(cdn, origin):
    daemon = cdn.edge(origin, simulate=True, threads=1, memory="16MiB")
    yield daemon
    assert not origin.errors, "the edge sent the origin something malformed"


# ---------------------------------------------------------------------------------------------------- verdicts and causes


def test_miss_then_hit(edge, origin):
    origin.on("/a", ok(b"hello", "max-age=60", ("X-Own", "1")))
    first, second = edge.get("/a"), edge.get("/a")
    assert told(first) == ("MISS", "cold") and told(second) == ("HIT", None)
    assert marks(first) | {"ttl": None} == {"fra": True, "fwd": "miss", "fwd-status": "200", "stored": True, "ttl": None,
                                           "detail": "cold"}
    assert "hit" in marks(second) and int(marks(second)["ttl"]) <= 60
    assert second.body == b"hello" and second["X-Own"] == "1" and second["Age"] == "0"
    assert second["Via"] == "1.1 fra" and second["Content-Length"] == "5"
    assert origin.count("/a") == 1


def test_age_grows_and_ends(edge, origin):
    origin.on("/a", ok(b"one"), ok(b"two"))
    edge.get("/a")
    edge.clock_advance("59s")
    assert edge.get("/a")["Age"] == "59"
    edge.clock_advance("1s")
    r = edge.get("/a")
    assert told(r) == ("EXPIRED", "expired") and r.body == b"two"


def test_age_of_a_ready_answer_grows_in_length(edge, origin):
    origin.on("/a", ok(b"hello", "max-age=1100", ("ETag", '"v1"'), ("X-Own", "1"), ("X-Own", "2")))
    for _ in range(4):  # fetched, a first hit, made ready, answered from the table of ready ones
        first = edge.get("/a")
    assert edge.get("/a", headers=[("If-None-Match", '"v1"')]).status == 304
    assert edge.metric("hot_hit_total") >= 2
    age = 0
    for step in (1, 8, 1, 90, 901):  # 1, 9, 10, 100, 1001: the lifetime left gets shorter to write meanwhile
        edge.clock_advance(f"{step}s")
        age += step
        whole, same = edge.get("/a"), edge.get("/a", headers=[("If-None-Match", '"v1"')])
        assert whole.status == 200 and whole.body == b"hello" and same.status == 304
        for r in (whole, same):
            assert age <= int(r["Age"]) <= age + 30 and int(r["Age"]) + int(marks(r)["ttl"]) in (1099, 1100)
        changing = ("age", "cache-status")
        assert [f for f in whole.headers if f[0].lower() not in changing] == [
            f for f in first.headers if f[0].lower() not in changing]
    assert origin.count("/a") == 1 and edge.metric("hot_hit_total") >= 12


def test_confirmed(edge, origin):
    origin.on("/a", ok(b"one", "max-age=60", ("ETag", '"v1"')),
              Reply(304, headers=[("ETag", '"v1"'), ("Cache-Control", "max-age=10"), ("X-New", "1")], date=False))
    edge.get("/a")
    edge.clock_advance("61s")
    r = edge.get("/a")
    assert told(r) == ("REVALIDATED", "expired") and r.status == 200 and r.body == b"one"
    assert marks(r)["fwd-status"] == "304"
    assert origin.last("/a")["If-None-Match"] == '"v1"'
    assert r["X-New"] == "1" and edge.get("/a")["X-Cache"] == "HIT"
    edge.clock_advance("10s")
    assert edge.get("/a")["X-Cache"] == "REVALIDATED"  # the lifetime of the 304 counts


@pytest.mark.parametrize("cause, prepare, fields", [
    ("bypass-request", None, [("Cache-Control", "no-store")]),
    ("validation", "no-cache", []),
    ("bypass-response", "no-store", []),
    ("purged", "purge", []),
    ("vary", "vary", [("X-Kind", "other")]),
])
def test_causes(edge, origin, cause, prepare, fields):
    cc = prepare if prepare in ("no-cache", "no-store") else "max-age=60"
    origin.on("/a", ok(b"x", cc, ("ETag", '"1"'), *([("Vary", "X-Kind")] if prepare == "vary" else [])))
    edge.get("/a")
    if prepare == "purge":
        assert edge.request("PURGE", "/a").status == 200
    assert told(edge.get("/a", fields))[1] == cause


def test_method_is_a_cause(edge, origin):
    origin.on("/a", ok())
    r = edge.request("POST", "/a", body=b"x")
    assert told(r) == ("BYPASS", "bypass-method") and marks(r)["fwd"] == "method"


def test_evicted_is_a_cause(cdn, origin):
    edge = cdn.edge(origin, threads=1, memory="256KiB", disk=0, memory_policy="fifo")
    for i in range(40):
        origin.on(f"/{i}", ok(bytes(20000)))
        edge.get(f"/{i}")
    assert told(edge.get("/0")) == ("MISS", "evicted")


# ---------------------------------------------------------------------------------------------------- collapsing


@pytest.mark.parametrize("threads", [1, 2])
def test_waiters_share_one_fetch(cdn, origin, threads):
    gate, size = Gate(), 300_000
    body = os.urandom(size)
    origin.on("/a", ok(body, before=gate))
    edge = cdn.edge(origin, threads=threads)
    clients = [edge.connect() for _ in range(30)]
    for c in clients:
        c.send_request("GET", "/a")
    gate.wait_reached()
    poll(lambda: edge.status()["requests_under_way"] == 30, what="all wait")
    gate.open()
    answers = [c.response() for c in clients]
    assert all(r.body == body and r.complete for r in answers)
    assert origin.count("/a") == 1
    assert sum("collapsed" in marks(r) for r in answers) == 29


def test_second_waiter_streams_at_once(edge, origin):
    gate = Gate()
    origin.on("/a", ok([b"a" * 1000, gate, b"b" * 1000]))
    with edge.connect() as one, edge.connect() as two:
        one.send_request("GET", "/a")
        gate.wait_reached()
        two.send_request("GET", "/a")
        head = two.final_head()
        assert marks(head).get("collapsed") and two.read_exactly(1000) == b"a" * 1000  # the origin has not gone on yet
        gate.open()
        assert two.read_exactly(1000) == b"b" * 1000
        assert one.response().body == b"a" * 1000 + b"b" * 1000
    assert origin.count("/a") == 1


def test_late_waiter_of_a_large_body(edge, origin):
    gate, body = Gate(), os.urandom(4_000_000)
    origin.on("/a", ok([body[:3_000_000], gate, body[3_000_000:]]))
    with edge.connect() as one, edge.connect() as two:
        one.send_request("GET", "/a")
        head = one.final_head()
        assert one.read_exactly(3_000_000) == body[:3_000_000]
        two.send_request("GET", "/a")
        other = two.final_head()
        assert two.read_exactly(3_000_000) == body[:3_000_000]
        gate.open()
        assert one.read_exactly(1_000_000) == two.read_exactly(1_000_000) == body[3_000_000:]
        assert head["Content-Length"] == other["Content-Length"] == "4000000"
    assert origin.count("/a") == 1


def test_uncacheable_releases_the_waiters(edge, origin):
    """RFC 9111 5.2.2.5; they go out side by side, not one after the other."""
    first, rest = Gate(), Gate()
    origin.on("/a", ok(b"1", "no-store", before=first), ok(b"n", "no-store", before=rest))
    clients = [edge.connect() for _ in range(5)]
    for c in clients:
        c.send_request("GET", "/a")
    first.wait_reached()
    first.open()
    poll(lambda: origin.active == 4, what="four requests at the same time")
    rest.open()
    assert sorted(c.response().body for c in clients) == [b"1"] + [b"n"] * 4


def test_a_waiter_that_leaves_ends_nothing(edge, origin):
    gate = Gate()
    origin.on("/a", ok([b"a" * 1000, gate, b"b"]))
    one = edge.connect()
    one.send_request("GET", "/a")
    gate.wait_reached()
    with edge.connect() as two:
        two.send_request("GET", "/a")
        assert two.final_head().status == 200
        one.reset()
        gate.open()
        assert two.read_exactly(1001) == b"a" * 1000 + b"b"
    poll(lambda: edge.get("/a")["X-Cache"] == "HIT")
    assert origin.count("/a") == 1


# ---------------------------------------------------------------------------------------------------- stale


def test_stale_while_revalidate(edge, origin):
    """RFC 5861 3: the stale answer at once, one refresh behind it."""
    gate = Gate()
    origin.on("/a", ok(b"old", "max-age=10, stale-while-revalidate=60"), ok(b"new", "max-age=10", before=gate))
    edge.get("/a")
    edge.clock_advance("11s")
    answers = in_parallel(8, lambda _: edge.get("/a"))
    assert {(r.body, r["X-Cache"]) for r in answers} == {(b"old", "STALE")}
    gate.wait_reached()
    gate.open()
    poll(lambda: edge.get("/a").body == b"new")
    assert origin.count("/a") == 2


def test_stale_while_revalidate_has_an_end(edge, origin):
    origin.on("/a", ok(b"old", "max-age=10, stale-while-revalidate=60"), ok(b"new", "max-age=10"))
    edge.get("/a")
    edge.clock_advance("71s")
    assert edge.get("/a").body == b"new"


FAILURES = {
    "500": lambda o: o.on("/a", ok(b"bad", None, status=500)),
    "503": lambda o: o.on("/a", ok(b"bad", None, status=503)),
    "refused": lambda o: o.refuse(),
    "closed": lambda o: o.on("/a", Reply(raw=b"")),
    "garbage": lambda o: o.on("/a", Reply(raw=b"SSH-2.0-x\r\n")),
    "silent": lambda o: o.on("/a", ok(before=Gate())),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_stale_if_error(cdn, origin, failure):
    """RFC 5861 4."""
    edge = cdn.edge(origin, simulate=True, threads=1, first_byte_timeout="300ms", stale_if_disconnected="0s")
    origin.on("/a", ok(b"good", "max-age=10, stale-if-error=60"))
    edge.get("/a")
    edge.clock_advance("11s")
    FAILURES[failure](origin)
    r = edge.get("/a")
    assert told(r) == ("STALE", "expired") and r.status == 200 and r.body == b"good" and r["Age"] == "11"
    edge.clock_advance("60s")
    r = edge.get("/a")
    assert r.status == {"500": 500, "503": 503, "silent": 504}.get(failure, 502)
    assert marks(r)["detail"] == "expired"


@pytest.mark.parametrize("directive", ["must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=2"])
def test_never_stale_when_forbidden(edge, origin, directive):
    """RFC 9111 4.2.4: not even without a connection."""
    origin.on("/a", ok(b"good", f"max-age=2, {directive}", ("ETag", '"1"')))
    edge.get("/a")
    edge.clock_advance("3s")
    origin.refuse()
    r = edge.get("/a")
    assert r.status == (502 if directive == "no-cache" else 504) and b"good" not in r.body
    assert r["X-Cache"] == "MISS" and "hit" not in r["Cache-Status"]


def test_disconnected_origin_is_not_asked_for_ever(edge, origin):
    """RFC 9111 4.2.4 allows stale answers then; the circuit breaker spares the wait."""
    origin.on("/a", ok(b"good", "max-age=2"))
    edge.get("/a")
    edge.clock_advance("3s")
    origin.refuse()
    for _ in range(12):
        assert edge.get("/a").body == b"good"
    origin.on("/a", ok(b"back", "max-age=2"))
    origin.listen_again()
    poll(lambda: edge.get("/a").body == b"back")


# ---------------------------------------------------------------------------------------------------- purge, invalidation


def test_purge_and_tags(edge, origin):
    for path, tag in (("/a", "red blue"), ("/b", "blue"), ("/c", "green")):
        origin.on(path, ok(b"x", "max-age=600", ("Surrogate-Key", tag)))
        edge.get(path)
    answer = edge.admin_post("/purge", {"tag": "blue"})
    assert answer["purged"] == 2
    assert [edge.get(p)["X-Cache"] for p in ("/a", "/b", "/c")] == ["MISS", "MISS", "HIT"]
    assert edge.request("PURGE", "/c").json()["purged"] == 1
    assert told(edge.get("/c")) == ("MISS", "purged")


def test_soft_purge(edge, origin):
    origin.on("/a", ok(b"x", "max-age=600", ("ETag", '"1"')), Reply(304, headers=[("ETag", '"1"')], date=False))
    edge.get("/a")
    assert edge.request("PURGE", "/a", [("Fastly-Soft-Purge", "1")]).json()["purged"] == 1
    assert edge.get("/a")["X-Cache"] == "REVALIDATED"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "FROBNICATE"])
def test_unsafe_methods_invalidate(edge, origin, method):
    """RFC 9111 4.4: the target, Location and Content-Location on the same host; a failure ends nothing."""
    for path in ("/a", "/l", "/cl"):
        origin.on(path, ok(b"x", "max-age=600"))
        edge.get(path)
    origin.on("/a", ok(b"no", None, status=500), Reply(201, b"done", [("Location", "/l"), ("Content-Location", "cl")]),
              ok(b"x", "max-age=600"))
    assert edge.request(method, "/a", body=b"z").status == 500
    assert edge.get("/a")["X-Cache"] == "HIT"
    assert edge.request(method, "/a", body=b"z").status == 201
    assert [told(edge.get(p))[1] for p in ("/a", "/l", "/cl")] == ["purged"] * 3


def test_other_hosts_are_not_invalidated(edge, origin):
    origin.on("/l", ok(b"x", "max-age=600"))
    edge.get("/l")
    origin.on("/a", Reply(200, b"done", [("Location", "http://elsewhere.example/l")]))
    edge.request("POST", "/a", body=b"z")
    assert edge.get("/l")["X-Cache"] == "HIT"


def test_post_that_names_itself(edge, origin):
    """RFC 9110 9.3.3: explicit freshness and a Content-Location of its own; it takes the place of what was stored."""
    origin.on("/a", ok(b"old", "max-age=600"), ok(b"posted", "max-age=600", ("Content-Location", "/a")), ok(b"asked", None))
    edge.get("/a")
    assert edge.request("POST", "/a", body=b"z").body == b"posted"
    r = edge.get("/a")
    assert r["X-Cache"] == "HIT" and r.body == b"posted"
    origin.on("/a", ok(b"again", "max-age=600", ("Content-Location", "/b")), ok(b"asked", None))
    edge.request("POST", "/a", body=b"z")
    assert edge.get("/a").body == b"asked"
    assert edge.get("/a")["X-Cache"] == "MISS" or told(edge.get("/a"))[1] == "bypass-response"


# ---------------------------------------------------------------------------------------------------- HEAD, conditions


def test_head_from_get(edge, origin):
    origin.on("/a", ok(b"hello"))
    edge.get("/a")
    r = edge.head("/a")
    assert r["X-Cache"] == "HIT" and r["Content-Length"] == "5" and r.body == b""
    assert origin.count("/a") == 1


def test_head_updates_the_stored_get(edge, origin):
    """RFC 9111 4.3.5."""
    origin.on("/a", ok(b"hello", "max-age=10", ("ETag", '"1"'), ("X-A", "1")),
              ok(b"hello", "max-age=100", ("ETag", '"1"'), ("X-A", "2")))
    edge.get("/a")
    edge.clock_advance("11s")
    assert edge.head("/a")["X-A"] == "2"
    r = edge.get("/a")
    assert r["X-Cache"] == "HIT" and r["X-A"] == "2" and r.body == b"hello"
    assert [x.method for x in origin.seen("/a")] == ["GET", "HEAD"]


@pytest.mark.parametrize("change", [("ETag", '"2"'), ("Last-Modified", "Mon, 14 Sep 2020 12:26:40 GMT"), ("Content-Length", "6")])
def test_head_makes_the_stored_get_stale(edge, origin, change):
    same = {"ETag": '"1"', "Last-Modified": PAST}
    origin.on("/a", ok(b"hello", "max-age=10", *same.items()),
              ok(b"hello!" if change[0] == "Content-Length" else b"hello", "max-age=100",
                 *(same | ({} if change[0] == "Content-Length" else dict([change]))).items()),
              ok(b"new", "max-age=100"))
    edge.get("/a")
    edge.clock_advance("11s")
    edge.head("/a")
    assert edge.get("/a").body == b"new"


def test_head_with_a_condition_of_the_client(edge, origin):
    origin.on("/a", ok(b"hello", "max-age=10", ("ETag", '"1"')), Reply(304, headers=[("ETag", '"1"')]))
    edge.get("/a")
    edge.clock_advance("11s")
    assert edge.head("/a", [("If-None-Match", '"1"')]).status == 304


@pytest.mark.parametrize("field, value, status", [
    ("If-None-Match", '"1"', 304), ("If-None-Match", 'W/"1"', 304), ("If-None-Match", '"0", "1"', 304),
    ("If-None-Match", "*", 304), ("If-None-Match", '"2"', 200), ("If-Modified-Since", PAST, 304),
    ("If-Modified-Since", "Sunday, 13-Sep-20 12:26:40 GMT", 304), ("If-Modified-Since", "Sun, 13 Sep 2020 12:26:39 GMT", 200),
    ("If-Match", '"2"', 412), ("If-Match", '"1"', 200), ("If-Unmodified-Since", "Sat, 12 Sep 2020 12:26:39 GMT", 412),
])
def test_conditions_of_clients(edge, origin, field, value, status):
    """RFC 9110 13: answered from the cache, with the fields of 15.4.5."""
    origin.on("/a", ok(b"hello", "max-age=60", ("ETag", '"1"'), ("Last-Modified", PAST), ("Vary", "X")))
    edge.get("/a")
    r = edge.get("/a", [(field, value)])
    assert r.status == status and r["X-Cache"] == "HIT" and origin.count("/a") == 1
    if status == 304:
        assert r["ETag"] == '"1"' and r["Vary"] == "X" and r["Cache-Control"] == "max-age=60" and "Date" in r
        assert r.body == b"" and "Content-Type" not in r


def test_conditions_of_clients_stay_here(edge, origin):
    """What one client has must not shape the answer that all get."""
    origin.on("/a", ok(b"hello", "max-age=60", ("ETag", '"1"')))
    assert edge.get("/a", [("If-None-Match", '"1"')]).status == 304
    assert "If-None-Match" not in origin.last("/a")
    assert edge.get("/a").body == b"hello" and origin.count("/a") == 1


def test_304_that_forbids_storing(edge, origin):
    """RFC 9111 3.2: what a 304 says is for the one it was said to, who gets the stored body; nothing new is stored."""
    origin.on("/a", ok(b"one", "max-age=10", ("ETag", '"1"')),
              Reply(304, headers=[("ETag", '"1"'), ("Cache-Control", "private")], date=False),
              ok(b"two", "private"))
    edge.get("/a")
    edge.clock_advance("11s")
    r = edge.get("/a")
    assert r.body == b"one" and r["Cache-Control"] == "private" and origin.count("/a") == 2
    assert told(edge.get("/a"))[0] == "BYPASS" and origin.last("/a")["If-None-Match"] == '"1"'


def test_304_about_something_else(edge, origin):
    """RFC 9111 4.3.3: a 304 whose validator is no stored one's; the body is asked for."""
    origin.on("/a", ok(b"one", "max-age=10", ("ETag", '"1"')), Reply(304, headers=[("ETag", '"2"')]),
              ok(b"two", "max-age=10", ("ETag", '"2"')))
    edge.get("/a")
    edge.clock_advance("11s")
    r = edge.get("/a")
    assert r.status == 200 and r.body == b"two"


# ---------------------------------------------------------------------------------------------------- ranges

DIGITS = b"0123456789" * 100


@pytest.mark.parametrize("spec, status, body, content_range", [
    ("bytes=0-4", 206, DIGITS[:5], "bytes 0-4/1000"),
    ("bytes=995-", 206, DIGITS[995:], "bytes 995-999/1000"),
    ("bytes=-3", 206, DIGITS[-3:], "bytes 997-999/1000"),
    ("bytes=990-2000", 206, DIGITS[990:], "bytes 990-999/1000"),
    ("bytes=1000-", 416, b"", "bytes */1000"),
    ("bytes=5-4", 200, DIGITS, None),
    ("lines=1-2", 200, DIGITS, None),
])
def test_ranges(edge, origin, spec, status, body, content_range):
    """RFC 9110 14."""
    origin.on("/a", ok(DIGITS, "max-age=60"))
    edge.get("/a")
    r = edge.get("/a", [("Range", spec)])
    assert (r.status, r.body, r.header("Content-Range")) == (status, body, content_range)
    assert r["X-Cache"] == "HIT"


@pytest.mark.parametrize("spec, first, last", [("bytes=0-4", 0, 4), ("bytes=1500000-1500999", 1500000, 1500999),
                                               ("bytes=-3", 1999997, 1999999)])
def test_ranges_of_a_body_on_disk(edge, origin, spec, first, last):
    whole = os.urandom(2_000_000)
    origin.on("/a", ok(whole))
    edge.get("/a")
    r = edge.get("/a", [("Range", spec)])
    assert r.status == 206 and r.body == whole[first:last + 1] and r["X-Cache"] == "HIT"
    assert r["Content-Range"] == f"bytes {first}-{last}/2000000"


def test_several_ranges(edge, origin):
    """RFC 9110 14.6."""
    origin.on("/a", ok(DIGITS, "max-age=60", ("Content-Type", "text/x-digits")))
    edge.get("/a")
    r = edge.get("/a", [("Range", "bytes=0-4, 500-504, -2")])
    assert r.status == 206 and "Content-Range" not in r
    boundary = re.fullmatch(r'multipart/byteranges; ?boundary="?([^"]+)"?', r["Content-Type"])[1].encode()
    parts = r.body.split(b"--" + boundary)
    assert len(parts) == 5 and parts[-1].strip() == b"--"
    for part, (bounds, data) in zip(parts[1:4], [(b"0-4", b"01234"), (b"500-504", b"01234"), (b"998-999", b"89")]):
        head, _, body = part.partition(b"\r\n\r\n")
        assert b"bytes " + bounds + b"/1000" in head and b"text/x-digits" in head and body == data + b"\r\n"


@pytest.mark.parametrize("if_range, status", [('"1"', 206), ('"2"', 200), ('W/"1"', 200), (PAST, 206)])
def test_if_range(edge, origin, if_range, status):
    origin.on("/a", ok(DIGITS, "max-age=60", ("ETag", '"1"'), ("Last-Modified", PAST)))
    edge.get("/a")
    assert edge.get("/a", [("Range", "bytes=0-4"), ("If-Range", if_range)]).status == status


def test_range_and_head_on_a_stream_under_way(edge, origin):
    gate = Gate()
    origin.on("/a", ok([DIGITS[:500], gate, DIGITS[500:]], "max-age=60", ("ETag", '"1"')))
    with edge.connect() as one, edge.connect() as two, edge.connect() as three:
        one.send_request("GET", "/a")
        gate.wait_reached()
        two.send_request("GET", "/a", [("Range", "bytes=100-199")])
        r = two.response()
        assert r.status == 206 and r.body == DIGITS[100:200] and r["Content-Range"] == "bytes 100-199/1000"
        three.send_request("GET", "/a", [("If-None-Match", '"1"')])
        assert three.response().status == 304
        gate.open()
        assert one.response().body == DIGITS
    assert origin.count("/a", "GET") == 1


# ---------------------------------------------------------------------------------------------------- bodies


def test_large_body_right_after_its_fetch(edge, origin):
    """Between its fetch and the disk a large body is in no tier; whoever asks then must not lose it."""
    for i in range(10):
        origin.on(f"/{i}", ok(bytes(2_000_000)))
        with edge.connect() as c:
            c.send_request("GET", f"/{i}")
            c.send_request("GET", f"/{i}")
            assert c.response().complete and c.response().complete
        assert edge.get(f"/{i}")["X-Cache"] == "HIT" and origin.count(f"/{i}") == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("size", [0, 1, 70_000, 5_000_000])
def test_request_bodies(edge, origin, method, size):
    body = os.urandom(size)
    origin.on("/a", lambda r: Reply(200, hashlib.sha256(r.body).hexdigest().encode()))
    fields = [("Content-Length", "0")] if not size else []
    assert edge.request(method, "/a", fields, body).text == hashlib.sha256(body).hexdigest()
    assert origin.last("/a").method == method and origin.last("/a")["Content-Length"] == str(size)


def test_chunked_request_body(edge, origin):
    origin.on("/a", lambda r: Reply(200, r.body))
    pieces = [b"a" * 10, b"b" * 50_000, b"c"]
    data = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\nX-Trailer: dropped\r\n\r\n"
    r = edge.request("POST", "/a", [("Transfer-Encoding", "chunked")], data)
    assert r.body == b"".join(pieces)
    assert "X-Trailer" not in origin.last("/a")


def test_body_limit(cdn, origin):
    edge = cdn.edge(origin, max_body="10KiB")
    assert edge.request("POST", "/a", body=bytes(20_000)).status == 413


def test_upload_answered_early(edge, origin):
    origin.on("/a", Reply(raw=b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"))
    with edge.connect() as c:
        c.send(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
        c.send(b"67890")
        assert c.response().status in (403, 502)


@pytest.mark.parametrize("reply, body", [
    (ok([b"ab", b"cde"], chunked=True, trailers=[("X-Trailer", "1")]), b"abcde"),
    (ok(b"to the end", length=False), b"to the end"),
    (ok(b""), b""),
    (ok(b"x"), b"x"),
])
def test_framings_of_answers(edge, origin, reply, body):
    origin.on("/a", reply)
    for verdict in ("MISS", "HIT"):
        r = edge.get("/a")
        assert r.body == body and r.complete and r["X-Cache"] == verdict and not r.trailers


def test_lying_length_is_never_a_torn_200(edge, origin):
    origin.on("/a", ok(b"short", length=100), ok(b"whole"))
    r = edge.get("/a")
    assert not r.complete and len(r.body) <= 5
    r = edge.get("/a")
    assert r["X-Cache"] == "MISS" and r.body == b"whole"


def test_broken_chunked_answer(edge, origin):
    origin.on("/a", Reply(raw=b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
              ok(b"whole"))
    assert not edge.get("/a").complete
    assert edge.get("/a").body == b"whole"


@pytest.mark.parametrize("head", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    b"HTTP/1.1 99 Odd\r\n\r\n", b"", b"nonsense\r\n\r\n",
])
def test_unusable_answers_are_502(edge, origin, head):
    origin.on("/a", Reply(raw=head))
    assert edge.get("/a").status == 502


def test_errors_stream_and_are_not_kept(edge, origin):
    gate = Gate()
    origin.on("/a", ok([b"x" * 100, gate, b"y"], None, status=500), ok(b"good"))
    with edge.connect() as c:
        c.send_request("GET", "/a")
        assert c.final_head().status == 500 and c.read_exactly(100) == b"x" * 100
        gate.open()
        assert c.read_exactly(1) == b"y"
    assert edge.get("/a").body == b"good"


# ---------------------------------------------------------------------------------------------------- the hop


def test_fields_of_the_hop(edge, origin):
    """RFC 9110 7.6.1."""
    origin.on("/a", ok(b"x", "max-age=60", ("Connection", "X-Mine"), ("X-Mine", "1"), ("Keep-Alive", "timeout=5"),
                       ("Proxy-Authenticate", "Basic"), ("X-Kept", "1")))
    fields = [("Connection", "X-Hop"), ("X-Hop", "1"), ("TE", "gzip"), ("Proxy-Authorization", "Basic eDp5"),
              ("Upgrade", "websocket"), ("X-Kept", "1")]
    for _ in range(2):
        r = edge.get("/a", fields)
        assert r["X-Kept"] == "1"
        assert not {"X-Mine", "Keep-Alive", "Proxy-Authenticate"} & {n for n, _ in r.headers}
    sent = origin.last("/a")
    assert sent["X-Kept"] == "1"
    assert not {"X-Hop", "TE", "Proxy-Authorization", "Upgrade"} & {n for n, _ in sent.headers}


def test_what_the_origin_is_told(edge, origin):
    origin.on("/a", ok())
    edge.get("/a", [("Via", "1.0 other"), ("X-Forwarded-For", "6.6.6.6"), ("CDN-Loop", "elsewhere")], host="site.example")
    sent = origin.last("/a")
    assert sent["Via"] == "1.0 other, 1.1 fra"
    assert sent["X-Forwarded-For"].endswith("127.0.0.1") and sent["X-Forwarded-Host"] == "site.example"
    assert sent["X-Forwarded-Proto"] == "http" and "for=127.0.0.1" in sent["Forwarded"]
    assert sent["CDN-Loop"].startswith("elsewhere, ")


def test_loops_end(edge, origin):
    """RFC 8586."""
    origin.on("/a", ok())
    edge.get("/a")
    mark = origin.last("/a")["CDN-Loop"]
    r = edge.get("/b", [("CDN-Loop", f"x, {mark}")])
    assert r.status == 508 and origin.count("/b") == 0


def test_trace_and_max_forwards(edge, origin):
    origin.on("/a", ok())
    assert edge.request("TRACE", "/a").status == 405
    assert edge.request("OPTIONS", "/a", [("Max-Forwards", "0")]).status == 204 and origin.count() == 0
    edge.request("OPTIONS", "/a", [("Max-Forwards", "3")])
    assert origin.last("/a")["Max-Forwards"] == "2"


def test_interim_answers(edge, origin):
    """RFC 9110 15.2, RFC 8297: passed on, never stored."""
    link = ("Link", "</a.css>; rel=preload")
    origin.on("/a", ok(b"x", interim=[(102, []), (103, [link])]))
    r = edge.get("/a")
    assert [(i.status, i.header("Link")) for i in r.interim] == [(102, None), (103, link[1])]
    assert "Link" not in r
    r = edge.get("/a")
    assert r["X-Cache"] == "HIT" and not r.interim and "Link" not in r


SMUGGLED = [
    b"GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /a HTTP/1.1\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost : a\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: a b\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
    b"GET /a HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
    b"GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
]


@pytest.mark.parametrize("request_", SMUGGLED)
def test_smuggling_is_refused(edge, origin, request_):
    """RFC 9112 3.2, 5.1, 6.3: refused, and nothing behind it is read as a request."""
    origin.on("/a", ok())
    with edge.connect() as c:
        c.send(request_ + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"HTTP/1.1 4" in c.read_until_close()[:12]
    assert origin.count() == 0


def test_nothing_unnormalised_reaches_the_origin(edge, origin):
    origin.on("/a", ok())
    with edge.connect() as c:
        c.send(b"GET /a HTTP/1.1\nHost: a\nX-Fold: a\r\n b\r\n\r\n")
        c.response()
    assert not origin.errors


# ---------------------------------------------------------------------------------------------------- requests' wishes


@pytest.mark.parametrize("stored, wish, verdict", [
    ("max-age=60", "no-cache", "EXPIRED"), ("max-age=60", "max-age=5", "EXPIRED"), ("max-age=60", "max-age=15", "HIT"),
    ("max-age=60", "min-fresh=55", "EXPIRED"), ("max-age=60", "min-fresh=40", "HIT"), ("max-age=5", "max-stale=30", "STALE"),
    ("max-age=5", "max-stale=3", "EXPIRED"), ("max-age=5, must-revalidate", "max-stale=30", "EXPIRED"),
    ("max-age=60", "only-if-cached", "HIT"),
])
def test_request_directives(edge, origin, stored, wish, verdict):
    """RFC 9111 5.2.1."""
    origin.on("/a", ok(b"x", stored))
    edge.get("/a")
    edge.clock_advance("10s")
    assert edge.get("/a", [("Cache-Control", wish)])["X-Cache"] == verdict


def test_only_if_cached(edge, origin):
    r = edge.get("/a", [("Cache-Control", "only-if-cached")])
    assert r.status == 504 and origin.count() == 0
    assert marks(r) == {"fra": True, "detail": "cold"}


# ---------------------------------------------------------------------------------------------------- variants


def test_variants(edge, origin):
    origin.on("/a", lambda r: ok(r.header("X-Kind", "none").encode(), "max-age=60", ("Vary", "X-Kind, Accept-Language")))
    for kind in ("1", "2"):
        assert edge.get("/a", [("X-Kind", kind)]).body == kind.encode()
    assert edge.get("/a").body == b"none"
    assert edge.get("/a", [("X-Kind", "1")])["X-Cache"] == "HIT" and edge.get("/a")["X-Cache"] == "HIT"
    assert origin.count("/a") == 3


@pytest.mark.parametrize("first, second, verdict", [
    ([("Accept-Language", "en, de")], [("Accept-Language", " DE ,en")], "HIT"),
    ([("Accept-Language", "en, fr")], [("Accept-Language", "fr;q=0.1, de")], "HIT"),  # the stored answer is in German
    ([("Accept-Language", "en, fr")], [("Accept-Language", "de;q=0.1, fr")], "MISS"),
    ([("X-List", "1, 2")], [("X-List", "1"), ("X-List", "2 ")], "HIT"),
    ([("X-List", "1, 2")], [("X-List", "2, 1")], "MISS"),
])
def test_variants_that_are_the_same(edge, origin, first, second, verdict):
    origin.on("/a", ok(b"x", "max-age=60", ("Vary", "X-List, Accept-Language"), ("Content-Language", "de")))
    edge.get("/a", first)
    assert edge.get("/a", second)["X-Cache"] == verdict


def test_several_variants_validated_at_once(edge, origin):
    """RFC 9111 4.3.1: all entity tags in one question."""
    origin.on("/a", lambda r: Reply(304, headers=[("ETag", '"1"'), ("Vary", "X-Kind"), ("Cache-Control", "max-age=60")], date=False)
              if f'"{r["X-Kind"]}"' in r.header("If-None-Match", "") else ok(r["X-Kind"].encode(), "max-age=60", ("Vary", "X-Kind"), ("ETag", f'"{r["X-Kind"]}"')))
    for kind in ("1", "2"):
        edge.get("/a", [("X-Kind", kind)])
    edge.clock_advance("61s")
    assert edge.get("/a", [("X-Kind", "1")])["X-Cache"] == "REVALIDATED"
    assert sorted(origin.last("/a")["If-None-Match"].split(", ")) == ['"1"', '"2"']


@pytest.mark.parametrize("vary", ["*", "X, *"])
def test_vary_star(edge, origin, vary):
    origin.on("/a", ok(b"x", "max-age=60", ("Vary", vary)))
    edge.get("/a")
    assert edge.get("/a")["X-Cache"] != "HIT"


# ---------------------------------------------------------------------------------------------------- cookies


def test_set_cookie(edge, origin):
    """RFC 9111 7.3: it hinders nothing where a lifetime is said; but nobody else gets the cookie."""
    origin.on("/said", ok(b"x", "max-age=60", ("Set-Cookie", "a=b")))
    origin.on("/unsaid", ok(b"x", None, ("Set-Cookie", "a=b"), ("Last-Modified", PAST)))
    for path, verdict, cookie in (("/said", ("HIT", None), None), ("/unsaid", ("BYPASS", "set-cookie"), "a=b")):
        assert edge.get(path)["Set-Cookie"] == "a=b"
        r = edge.get(path)
        assert told(r) == verdict and r.header("Set-Cookie") == cookie


def test_an_uncacheable_variant_ends_no_other(edge, origin):
    origin.on("/a", lambda r: ok(b"x", "no-store" if r["X-Kind"] == "2" else "max-age=60", ("Vary", "X-Kind"), ("ETag", '"1"')))
    for kind, verdict in (("1", "MISS"), ("2", "BYPASS"), ("1", "HIT")):
        assert edge.get("/a", [("X-Kind", kind)])["X-Cache"] == verdict


def test_set_cookie_refused(cdn, origin):
    edge = cdn.edge(origin, cache_set_cookie=False)
    origin.on("/a", ok(b"x", "max-age=60", ("Set-Cookie", "a=b")))
    origin.on("/b", ok(b"x", "public, max-age=60", ("Set-Cookie", "a=b")))
    for path, verdict in (("/a", "BYPASS"), ("/b", "HIT")):
        edge.get(path)
        assert edge.get(path)["X-Cache"] == verdict


# ---------------------------------------------------------------------------------------------------- hashed names

JS = b"console.log(1)\n"
NAME = f"/app.{hashlib.md5(JS).hexdigest()[:12]}.js"


@pytest.mark.parametrize("status", [404, 410, 500])
def test_hashed_name_outlives_errors(edge, origin, status):
    origin.on(NAME, ok(JS, "max-age=60"), ok(b"gone", "max-age=600", status=status))
    edge.get(NAME)
    edge.clock_advance("61s")
    for _ in range(2):
        r = edge.get(NAME)
        assert r.status == 200 and r.body == JS and r["X-Cache"] == "STALE"


def test_404_of_a_hashed_name_is_not_stored(edge, origin):
    origin.on(NAME, ok(b"not yet", "max-age=600", status=404), ok(JS, "max-age=60"))
    assert edge.get(NAME).status == 404
    assert edge.get(NAME).body == JS


def test_hashed_name_is_verified(edge, origin):
    """What the name promises is not replaced by something else."""
    origin.on(NAME, ok(JS, "max-age=1"), ok(b"something else", "max-age=600"), ok(JS, "max-age=600"))
    edge.get(NAME)
    edge.clock_advance("2s")
    edge.get(NAME)
    assert edge.get(NAME).body == JS
    assert told(edge.get(NAME)) == ("HIT", None)


@pytest.mark.parametrize("size", [1000, 9 << 20])
def test_hashed_name_is_verified_wherever_the_body_is(cdn, size):
    """In memory, or (the second, over memory_object) in a file from its first bytes on."""
    origin = cdn.fake_origin()
    good = (bytes(range(251)) * (size // 251 + 1))[:size]
    name = f"/big.{hashlib.md5(good).hexdigest()[:12]}.bin"
    bad = good[:-1] + b"!"
    origin.on(name, ok(bad, "max-age=60"))
    renewed = "/renewed" + name[1:]
    origin.on(renewed, ok(good, "max-age=1"), ok(bad, "max-age=600"), ok(good, "max-age=600"))
    edge = cdn.edge(origin, memory="32MiB", disk="64MiB", memory_object="1MiB", simulate=True)
    edge.get(name)
    poll(lambda: told(edge.get(name)) == ("HIT", "hash-mismatch"), what="the mark")
    edge.get(renewed)
    poll(lambda: told(edge.get(renewed)) == ("HIT", None), what="a hit")
    edge.clock_advance("2s")
    edge.get(renewed)
    assert edge.get(renewed).body == good
    assert told(edge.get(renewed)) == ("HIT", None)


def test_a_name_that_only_looks_hashed(edge, origin):
    """[contenthash:12] of a bundler: a file as any other, errors too; why it is said."""
    origin.on(NAME, ok(b"bundled", "max-age=60"), ok(b"gone", "max-age=60", status=404))
    assert "stored" in marks(edge.get(NAME))
    for _ in range(4):
        assert told(edge.get(NAME)) == ("HIT", "hash-mismatch") and edge.get(NAME).body == b"bundled"
        edge.clock_advance("2s")
    edge.clock_advance("61s")
    assert edge.get(NAME).status == 404
    assert told(edge.get(NAME)) == ("HIT", None) and origin.count(NAME) == 2


@pytest.mark.parametrize("pieces", [1, 5])
@pytest.mark.parametrize("good", [True, False])
@pytest.mark.parametrize("size", [0, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_large_bodies_of_hashed_names_are_verified(edge, origin, size, good, pieces):
    """In RAM or in a file, with its length or in chunks."""
    body = b"x" * size
    name = f"/big.{hashlib.md5(body if good else body + b'y').hexdigest()[:12]}.js"
    sent = body if pieces == 1 else [body[i * size // pieces:(i + 1) * size // pieces] for i in range(pieces)]
    origin.on(name, ok(sent, "max-age=60"))
    assert edge.get(name).body == body
    poll(lambda: told(edge.get(name)) == ("HIT", None if good else "hash-mismatch"))
    assert edge.get(name).body == body and edge.metric("mismatch_total") == (0 if good else 1)


def test_a_large_hashed_file_is_not_replaced_by_another(edge, origin):
    body = b"x" * (2 << 20)
    name = f"/big.{hashlib.md5(body).hexdigest()[:12]}.js"
    origin.on(name, ok(body, "max-age=1"), ok(b"y" * (2 << 20), "max-age=600"), ok(body, "max-age=600"))
    edge.get(name)
    edge.clock_advance("2s")
    edge.get(name)
    assert edge.get(name).body == body


# ---------------------------------------------------------------------------------------------------- restarts


@pytest.mark.parametrize("how", ["orderly", "killed"])
def test_restart_keeps_the_cache(cdn, origin, how):
    folder = cdn.folder("kept")
    bodies = {f"/{i}": os.urandom(size) for i, size in enumerate([0, 1, 5000, 200_000, 3_000_000])}
    edge = cdn.edge(origin, cache_dir=folder)
    for path, body in bodies.items():
        origin.on(path, ok(body, f"max-age={DAY}"))
        assert edge.get(path).body == body
    if how == "orderly":
        assert edge.terminate() == 0
    else:
        poll(lambda: edge.metric("disk_objects") == len(bodies), what="all on disk")
        time.sleep(2)  # what is promised: at most so much is lost
        edge.kill()
    origin.forget()
    edge = cdn.edge(origin, cache_dir=folder)
    for path, body in bodies.items():
        r = edge.get(path)
        assert r["X-Cache"] == "HIT" and r.body == body
    assert origin.count() == 0


def test_drains_on_sigterm(edge, origin):
    gate = Gate()
    origin.on("/a", ok([b"a", gate, b"b"]))
    with edge.connect() as c:
        c.send_request("GET", "/a")
        gate.wait_reached()
        edge.signal(signal.SIGTERM)
        edge.wait_log("draining")
        gate.open()
        assert c.response().body == b"ab"
    assert edge.wait() == 0


def test_two_requests_in_one_packet(edge, origin):
    origin.on("/a", ok(b"a"))
    origin.on("/b", ok(b"b"))
    with Client(edge.public) as c:
        c.send(b"".join(b"GET /%c HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in b"abab"))
        assert [c.response().body for _ in range(4)] == [b"a", b"b", b"a", b"b"]
