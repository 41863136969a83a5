"""What the web has agreed on since: cache groups (RFC 9875), Trace Context, request numbers, error pages."""

import pytest
from cdn import Reply
from test_edge_http import edge, ok, origin, told  # noqa: F401 (edge and origin are fixtures)

# ---------------------------------------------------------------------------------------------------- cache groups


def grouped(origin, **groups):  # noqa: F811
    for name, value in groups.items():
        origin.on(f"/{name}", ok(name.encode(), "max-age=600", *([("Cache-Groups", value)] if value else [])))


def fill(edge, *paths, **kw):  # noqa: F811
    for path in paths:
        edge.get(path, **kw)
        assert edge.get(path, **kw)["X-Cache"] == "HIT", path


def verdicts(edge, *paths, **kw):  # noqa: F811
    return [edge.get(path, **kw)["X-Cache"] for path in paths]


@pytest.mark.parametrize("value, gone", [
    ('"blog"', "ab"), ('"blog", "shop"', "abc"), ('"none"', ""), ('"BLOG"', ""), ('"blog";x=1', "ab"),
    ("blog", ""), ('"blog", 1', ""), ('"a\\"b"', "d"), ("", ""),
])
def test_an_unsafe_request_invalidates_groups(edge, origin, value, gone):  # noqa: F811
    grouped(origin, a='"blog"', b='"news", "blog";p', c='"shop"', d='"a\\"b"', e=None)
    origin.on("/comment", ok(b"done", "no-store", ("Cache-Group-Invalidation", value)))
    fill(edge, "/a", "/b", "/c", "/d", "/e")
    answer = edge.request("POST", "/comment", body=b"x=1")
    assert answer.status == 200 and answer.header("Cache-Group-Invalidation", "") == value
    assert verdicts(edge, "/a", "/b", "/c", "/d", "/e") == ["MISS" if name in gone else "HIT" for name in "abcde"]


def test_groups_are_of_one_origin(edge, origin):  # noqa: F811
    grouped(origin, a='"g"')
    origin.on("/go", ok(b"done", "no-store", ("Cache-Group-Invalidation", '"g"')))
    for host in ("one.example", "two.example"):
        fill(edge, "/a", host=host)
    edge.request("POST", "/go", body=b"x", host="one.example")
    assert verdicts(edge, "/a", host="one.example") == ["MISS"]
    assert verdicts(edge, "/a", host="two.example") == ["HIT"]


@pytest.mark.parametrize("method, status", [("GET", 200), ("POST", 500), ("POST", 404)])
def test_safe_and_failed_requests_invalidate_nothing(edge, origin, method, status):  # noqa: F811
    grouped(origin, a='"g"')
    origin.on("/go", ok(b"done", "no-store", ("Cache-Group-Invalidation", '"g"'), status=status))
    fill(edge, "/a")
    edge.request(method, "/go", body=b"x" if method == "POST" else b"")
    assert verdicts(edge, "/a") == ["HIT"]


def test_groups_do_not_spread(edge, origin):  # noqa: F811
    """RFC 9875 2.2.1: what goes with a group takes no other group of its own with it, nor does a changed URL."""
    grouped(origin, a='"one", "two"', b='"two"')
    origin.on("/go", ok(b"done", "no-store", ("Cache-Group-Invalidation", '"one"')))
    fill(edge, "/a", "/b")
    edge.request("POST", "/go", body=b"x")
    assert verdicts(edge, "/a", "/b") == ["MISS", "HIT"]


def test_groups_outlive_a_restart_and_change_with_a_304(cdn, origin):  # noqa: F811
    cache = cdn.folder("cache")
    edge = cdn.edge(origin, cache_dir=cache, threads=1, simulate=True)  # noqa: F811
    fields = [("ETag", '"1"')]
    origin.on("/a", ok(b"a", "max-age=5", ("Cache-Groups", '"old"'), *fields),
              Reply(304, headers=[("Cache-Control", "max-age=600"), ("Cache-Groups", '"new"'), *fields]))
    for name in ("old", "new"):
        origin.on(f"/{name}", ok(b"done", "no-store", ("Cache-Group-Invalidation", f'"{name}"')))
    edge.get("/a")
    edge.clock_advance("6s")
    assert edge.get("/a")["X-Cache"] == "REVALIDATED"
    assert edge.terminate() == 0
    edge = cdn.edge(origin, cache_dir=cache, threads=1, simulate=True)
    edge.clock_advance("6s")
    assert edge.get("/a")["X-Cache"] == "HIT"
    edge.request("POST", "/old", body=b"x")
    assert edge.get("/a")["X-Cache"] == "HIT"
    edge.request("POST", "/new", body=b"x")
    assert edge.get("/a")["X-Cache"] == "MISS"
