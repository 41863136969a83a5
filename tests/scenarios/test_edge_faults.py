"""pocketcdn-edge under hostile circumstances: what a second adversary found, with load, restarts and tight limits."""

import os

import pytest
from cdn import BIN, Gate, Reply, poll
from test_edge_http import edge, ok, origin, told  # noqa: F401 (edge and origin are fixtures)

MIB = 1 << 20

# ---------------------------------------------------------------------------------------------------- framing


def test_head_of_a_length_nobody_knows(edge, origin):  # noqa: F811
    """libmicrohttpd sends the last chunk behind the head: the client took it for the next answer."""
    for path, cc in (("/a", "max-age=60"), ("/b", "no-store")):
        origin.on(path, ok([b"hello ", b"world"], cc, chunked=True))
        with edge.connect() as client:
            r = client.request("HEAD", path)
            assert r.status == 200 and "Content-Length" not in r
            assert client.at_eof()
        assert edge.get(path).body == b"hello world"


# ---------------------------------------------------------------------------------------------------- what may not be stored


@pytest.mark.parametrize("cc, word", [("no-store", "no-store"), ("private", "private"), (None, "no-freshness")])
def test_why_knows_what_may_not_be_stored(edge, origin, cc, word):  # noqa: F811
    origin.on("/a", ok(b"x", cc))
    assert told(edge.get("/a")) == ("BYPASS", "bypass-response")
    story = edge.admin_get("/why?url=http://test.example/a")
    assert (story["missing"], story["unstorable"], "passing" in story) == ("bypass-response", word, True)
    edge.clock_advance("10s")
    story = edge.admin_get("/why?url=http://test.example/a")
    assert (story["missing"], "passing" in story) == ("bypass-response", False)
    origin.on("/a", ok(b"x"))
    assert told(edge.get("/a")) == ("MISS", "cold")
    assert "unstorable" not in edge.admin_get("/why?url=http://test.example/a")


def test_what_may_not_be_stored_is_asked_for_in_parallel(edge, origin):  # noqa: F811
    """Nobody waits for another's fetch, though the key was not in use for a moment."""
    gate = Gate()
    origin.on("/a", ok(b"x", "no-store"), ok(b"y", "no-store", before=gate))
    edge.get("/a")
    clients = [edge.connect() for _ in range(5)]
    for client in clients:
        client.send_request("GET", "/a")
    poll(lambda: origin.active == 5, what="five requests at the origin")
    gate.open()
    assert all(client.response().body == b"y" for client in clients)


# ---------------------------------------------------------------------------------------------------- purges


def many_rows(cdn, origin, keys=3000, **settings):  # noqa: F811
    """An edge that was killed with so many objects on disk; started again it is loading them."""
    def answer(request):
        return ok(request.path.encode(), "max-age=600", ("Surrogate-Key", "all"))
    for i in range(keys):
        origin.on(f"/d/{i}", answer)
    folder = cdn.folder("cache")
    settings = {"cache_dir": folder, "threads": 1, **settings}
    first = cdn.edge(origin, **settings)
    with first.connect() as client:
        for i in range(keys):
            assert client.get(f"/d/{i}").status == 200
    first.terminate()
    return settings


@pytest.mark.parametrize("how", ["tag", "all", "prefix", "url", "PURGE", "PURGE tag"])
def test_purge_while_the_disk_tier_is_loading(cdn, origin, how):  # noqa: F811
    """Rows that come later are hit as well, and do not come back with the next start."""
    settings = many_rows(cdn, origin)
    edge = cdn.edge(origin, **settings)  # noqa: F811
    site = "http://test.example/d/"
    if how == "PURGE":
        assert edge.request("PURGE", "/d/2999").json()["purged"] == 1
    elif how == "PURGE tag":
        assert edge.request("PURGE", "/", [("Surrogate-Key", "all")]).json()["purged"] == 3000
    else:
        what = {"tag": "all", "all": True, "prefix": site, "url": site + "2999"}[how]
        assert edge.admin_post("/purge", {how: what})["purged"] == (1 if how == "url" else 3000)
    edge.kill()
    edge = cdn.edge(origin, **settings)
    assert told(edge.get("/d/2999"))[0] == "MISS"


def test_a_change_while_the_disk_tier_is_loading(cdn, origin):  # noqa: F811
    """RFC 9111 4.4: the row that comes later is invalid too."""
    settings = many_rows(cdn, origin)
    origin.on("/d/2999", Reply(204))
    edge = cdn.edge(origin, **settings)  # noqa: F811
    assert edge.request("POST", "/d/2999", body=b"x").status == 204
    origin.on("/d/2999", ok(b"new"))
    assert edge.get("/d/2999").body == b"new"


def test_a_purge_is_on_disk_when_it_is_answered(cdn, origin):  # noqa: F811
    folder = cdn.folder("cache")
    for i in range(5):
        edge = cdn.edge(origin, cache_dir=folder, threads=1)  # noqa: F811
        origin.on(f"/{i}", ok(b"old", "max-age=600"))
        edge.get(f"/{i}")  # its body still waits for company
        assert edge.request("PURGE", f"/{i}").status == 200
        edge.kill()
        edge = cdn.edge(origin, cache_dir=folder, threads=1)
        poll(lambda: not edge.status()["loading"])
        assert told(edge.get(f"/{i}"))[0] == "MISS"
        edge.kill()


@pytest.mark.parametrize("prefix", ["/a/..", "/a/../", "/a/.", "/%2e%2E/", "http://test.example/a/b/../.."])
def test_a_prefix_with_dots_is_refused(cdn, edge, origin, prefix):  # noqa: F811
    """Normalised it would purge more than it says."""
    origin.on("/a", ok(b"x"))
    edge.get("/a")
    r = edge.admin_request("POST", "/purge", {"prefix": prefix})
    assert r.status == 400 and "segment" in r.text, r
    assert edge.get("/a")["X-Cache"] == "HIT"
    assert edge.admin_post("/purge", {"prefix": "http://test.example/..a"})["purged"] == 0
    router = cdn.router({"edges": [{"name": "fra", "at": [50, 8], "url": edge.url}]})
    r = router.admin_request("POST", "/purge", {"prefix": prefix})
    assert r.status == 400 and "segment" in r.text, r


# ---------------------------------------------------------------------------------------------------- the origin


@pytest.mark.parametrize("field", [None, ("Cache-Control", "no-store"), ("Authorization", "Basic eDp5")])
def test_a_part_that_nobody_asked_for(edge, origin, field):  # noqa: F811
    """RFC 9110 15.3.7: 206 answers a range request."""
    origin.on("/a", Reply(206, b"12345", [("Content-Range", "bytes 0-4/10"), ("Cache-Control", "max-age=60")]))
    r = edge.get("/a", [field] if field else [])
    assert r.status == 502, r
    origin.on("/a", ok(b"1234567890"))
    assert edge.get("/a").body == b"1234567890"


def test_via_says_how_the_answer_came(edge, origin):  # noqa: F811
    """RFC 9110 7.6.3: the received protocol version; also when it comes from the cache."""
    origin.on("/a", Reply(raw=b"HTTP/1.0 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1\r\n\r\nx"))
    origin.on("/b", ok())
    for _ in range(3):
        assert edge.get("/a")["Via"] == "1.0 fra"
        assert edge.get("/b")["Via"] == "1.1 fra"


@pytest.mark.parametrize("failure", [Reply(500, b"no"), Reply(503, b"no"), Reply(raw=b"")], ids=["500", "503", "closed"])
def test_failing_refreshes_are_not_repeated_at_once(edge, origin, failure):  # noqa: F811
    """RFC 5861 3 allows the stale answer; the origin in trouble is not asked once a hit."""
    origin.on("/a", ok(b"one", "max-age=1, stale-while-revalidate=600"), failure)
    edge.get("/a")
    edge.clock_advance("2s")
    for asks, pause in ((True, "1s"), (False, "2s"), (True, "2s"), (False, "3s"), (True, "1s")):
        before, failures = origin.count("/a"), edge.metric("origin_error_total")
        edge.get("/a")
        if asks:
            poll(lambda n=failures: edge.metric("origin_error_total") > n)
        assert all(told(edge.get("/a")) == ("STALE", "expired") for _ in range(5))
        more = origin.count("/a") - before  # a closed connection is tried twice
        assert 1 <= more <= 2 if asks else more == 0, pause
        edge.clock_advance(pause)
    edge.clock_advance("10s")
    origin.on("/a", ok(b"two"))
    poll(lambda: edge.get("/a").body == b"two")


# ---------------------------------------------------------------------------------------------------- limits


def limited(cdn, origin, files, **settings):  # noqa: F811
    """An edge that may open so many files."""
    flags = [f"--{k.replace('_', '-')}={v}" for k, v in {
        "name": "fra", "origin": origin.url, "listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "threads": 1,
        "cache_dir": cdn.folder("cache"), **settings}.items()]
    script = f"ulimit -n {files}; exec {BIN / 'pocketcdn-edge'} {' '.join(flags)}"
    return cdn.daemon("/bin/sh", ["-c", script], name="edge fra")


def test_clients_do_not_take_every_descriptor(cdn, origin):  # noqa: F811
    edge = limited(cdn, origin, 64)  # noqa: F811
    edge.wait_log("descriptors")
    body = os.urandom(2 * MIB)
    idle = [edge.connect() for _ in range(100)]
    for i in range(6):
        origin.on(f"/{i}", ok(body, "max-age=60"))
    for i in range(6):
        with idle.pop() as client:  # the oldest have made room for it
            assert client.get(f"/{i}").body == body
    for client in idle:
        client.close()
    assert poll(lambda: edge.get("/0")["X-Cache"] == "HIT")
    assert not [line for line in edge.log if line.get("event") == "origin_failed"]
