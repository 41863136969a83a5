"""Clients' connections: how they end, how long they may take, how many there may be; over sockets, at each daemon."""
import pytest
from cdn import Reply
from test_edge_http import ok, told

TAGS = ("Surrogate-Key", "Cache-Tag", "xkey")


@pytest.fixture
def origin(cdn):
    return cdn.fake_origin()


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
