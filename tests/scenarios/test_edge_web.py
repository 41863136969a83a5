"""What the web has agreed on since: cache groups (RFC 9875), Trace Context, request numbers, error pages."""

import json
import re

import pytest
from cdn import Gate, Reply, poll
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


# ---------------------------------------------------------------------------------------------------- tracing

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OURS = re.compile("[0-9a-f]{32}")


def lines(edge, path, count):  # noqa: F811
    """The access log, once it has so many lines."""
    poll(lambda: path.exists() and len(path.read_text().splitlines()) >= count, what=f"{count} lines")
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("sent, passed", [
    ([("traceparent", PARENT), ("tracestate", "a=1"), ("tracestate", "b=2")], (PARENT, "a=1, b=2")),
    ([("Traceparent", PARENT)], (PARENT, None)),
    ([("traceparent", PARENT.upper()), ("tracestate", "a=1")], (None, None)),
    ([("traceparent", PARENT), ("traceparent", PARENT), ("tracestate", "a=1")], (None, None)),
    ([("tracestate", "a=1")], (None, None)),
    ([], (None, None)),
])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_trace_context_goes_on_if_it_is_valid(shared_cdn, sent, passed, method):
    edge, origin, path = traced(shared_cdn)  # noqa: F811
    before = len(path.read_text().splitlines()) if path.exists() else 0
    target = f"/trace/{origin.count()}"
    edge.request(method, target, sent, b"x" if method == "POST" else b"")
    asked = origin.last(target)
    assert (asked.header("traceparent"), asked.header("tracestate")) == passed
    assert OURS.fullmatch(asked["X-Request-ID"])
    line = lines(edge, path, before + 1)[before]
    assert line.get("trace") == passed[0] and line["request_id"] == asked["X-Request-ID"]


def traced(shared_cdn):
    """One edge with an access log for all tests that only look."""
    if not hasattr(shared_cdn, "traced"):
        origin = shared_cdn.fake_origin()  # noqa: F811
        origin.default = ok(b"x", "max-age=600", ("Vary", "X-Request-ID"))
        path = shared_cdn.folder("log") / "access.log"
        edge = shared_cdn.edge(origin, name="traced", threads=1, access_log=path, trusted_proxies="127.0.0.20")  # noqa: F811
        shared_cdn.traced = (edge, origin, path)
    return shared_cdn.traced


@pytest.mark.parametrize("source, sent, goes_on", [
    ("127.0.0.1", "client-1", False), ("127.0.0.20", "proxy-1", True), ("127.0.0.20", "a b", False),
    ("127.0.0.20", "x" * 129, False), ("127.0.0.20", "x" * 128, True), ("127.0.0.20", None, False),
])
def test_whose_request_number_is_believed(shared_cdn, source, sent, goes_on):
    edge, origin, path = traced(shared_cdn)  # noqa: F811
    before = len(path.read_text().splitlines()) if path.exists() else 0
    target = f"/id/{origin.count()}"
    fields = [("X-Request-ID", sent)] if sent else []
    first = edge.get(target, fields, source=source)
    number = origin.last(target)["X-Request-ID"]
    assert number == sent if goes_on else OURS.fullmatch(number) and number != sent
    assert "X-Request-ID" not in first  # nobody asked for it
    for _ in range(3):  # the number is in no key, whatever Vary says
        assert edge.get(target, fields, source=source)["X-Cache"] == "HIT"
    logged = lines(edge, path, before + 4)[before:]
    assert [line.get("request_id") for line in logged] == [number] + [sent if goes_on else None] * 3


def test_numbers_differ_and_are_given_back_when_asked_for(cdn, origin):  # noqa: F811
    edge = cdn.edge(origin, threads=1, simulate=True, send_request_id=True)  # noqa: F811
    origin.on("/own", ok(b"x", "max-age=5", ("X-Request-ID", "the-origins"), ("ETag", '"1"')),
              Reply(304, headers=[("ETag", '"1"'), ("Cache-Control", "max-age=600")]))
    seen = set()
    for i in range(20):
        origin.on(f"/{i}", ok(b"x", "max-age=60"))
        answer = edge.get(f"/{i}")
        assert answer.all("X-Request-ID") == [origin.last(f"/{i}")["X-Request-ID"]]
        seen.add(answer["X-Request-ID"])
    assert len(seen) == 20
    for _ in range(4):
        hit = edge.get("/1")
        assert hit["X-Cache"] == "HIT" and "X-Request-ID" not in hit
    assert edge.get("/own").all("X-Request-ID") == [origin.last("/own")["X-Request-ID"]]
    edge.clock_advance("6s")
    again = edge.get("/own")  # not that of the request whose answer is stored
    assert again["X-Cache"] == "REVALIDATED" and again.all("X-Request-ID") == [origin.last("/own")["X-Request-ID"]]
    assert OURS.fullmatch(edge.get("/%zz")["X-Request-ID"])  # an error of our own


# ---------------------------------------------------------------------------------------------------- error pages

BROWSER = ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
PAGE = """<!doctype html><title>{status} {reason}</title><style>body{color:red}</style>
<p>{detail}<p>Tell us {request_id}, {nothing} of {status}.{"""


@pytest.fixture(scope="module")
def paged(shared_cdn):
    """An edge with pages of its own for one site, and another for all else."""
    folder = shared_cdn.folder("pages", {"shop.html": PAGE.encode(), "all.html": b"<p>all {status}"})
    config = {"sites": {"shop": {"hosts": ["shop.example"], "error_page": "shop.html",
                                 "rules": [{"path": "/plain/", "origins": ["http://127.0.0.1:1"], "error_page": ""},
                                           {"path": "/", "origins": ["http://127.0.0.1:1"]}]},
                        "b": {"hosts": ["b.example"], "origins": ["http://127.0.0.1:1"]}}}
    (folder / "cdn.yaml").write_text(json.dumps(config))
    return shared_cdn.edge(None, "-c", folder / "cdn.yaml", name="paged", threads=1, error_page=folder / "all.html")


@pytest.mark.parametrize("accept, html", [
    (BROWSER, True), (("Accept", "text/html"), True), (("Accept", "text/html;q=0.5, application/json"), False), (None, False),
    (("Accept", "*/*"), False), (("Accept", "application/json, text/html;q=0.9"), False), (("Accept", "text/html;q=0"), False),
])
def test_an_own_page_for_who_asks_for_html(paged, accept, html):
    answer = paged.get("/x", [accept] if accept else [], host="shop.example")
    assert answer.status == 502 and answer["Cache-Control"] == "no-store" and "Cache-Status" in answer
    if not html:
        assert answer["Content-Type"] == "application/problem+json" and answer.json()["status"] == 502
        return
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    found = re.fullmatch(PAGE.replace("{request_id}", "([0-9a-f]{32})").replace("{status}", "502").replace("{reason}", "Bad Gateway")
                         .replace("{detail}", "([^<]+)").replace("{color:red}", r"\{color:red\}")
                         .replace("{nothing}", r"\{nothing\}").replace(".{", r"\.\{"), answer.text)
    assert found, answer.text
    head = paged.head("/x", [accept], host="shop.example")
    assert head.status == 502 and head["Content-Length"] == answer["Content-Length"]


def test_which_page(paged):
    def page(target, host):
        return paged.get(target, [BROWSER], host=host).text
    assert page("/x", "b.example") == "<p>all 502"
    assert page("/%zz", "shop.example") == "<p>all 400"  # of no rule
    assert "<title>502" in page("/x", "shop.example")
    assert page("/plain/x", "shop.example") == "<p>all 502"  # the rule wants no page of its site's


def test_a_page_says_nothing_that_a_stranger_wrote(paged):
    answer = paged.request("PURGE", "/<script>", [BROWSER, ("Surrogate-Key", ","), ("X-Url", "<b>")], host="shop.example")
    assert answer.status == 400 and "<b>" not in answer.text
    answer = paged.request("BAN", "/", [BROWSER, ("X-Url", "^/<b>'\"$&[")], host="shop.example")
    assert answer.status == 501 and "&lt;b&gt;&#39;&quot;$&amp;[" in answer.text, answer


@pytest.mark.parametrize("page, says", [
    ("missing.html", "No such file"), (".", "is not a file"), ("empty.html", "nothing in it"), ("large.html", "more than 256 KiB"),
])
def test_a_bad_page_is_refused(cdn, page, says):
    folder = cdn.folder("pages", {"empty.html": b"", "large.html": b"x" * (256 * 1024 + 1), "good.html": b"x" * (256 * 1024)})
    lines = ["sites:", "  shop:", "    hosts: [shop.example]", "    rules:",
             "      - path: /", "        origins: ['http://127.0.0.1:1']", f"        error_page: {page}"]
    (folder / "cdn.yaml").write_text("\n".join(lines) + "\n")
    edge = cdn.edge(None, "-c", folder / "cdn.yaml", wait=False)
    assert edge.wait() == 2
    assert "cdn.yaml:7: sites.shop.rules[1].error_page: " in edge.err[-1] and says in edge.err[-1], edge.err
    flags = cdn.edge("http://127.0.0.1:1", name="nrt", wait=False, error_page=folder / page)
    assert flags.wait() == 2 and "error_page: " in flags.err[-1] and says in flags.err[-1], flags.err


def test_a_reload_reads_pages_again(cdn):
    folder = cdn.folder("pages", {"page.html": b"old {status}"})
    edge = cdn.edge("http://127.0.0.1:1", threads=1, error_page=folder / "page.html")
    assert edge.get("/x", [BROWSER]).text == "old 502"
    (folder / "page.html").write_text("new {status}")
    edge.admin_post("/reload")
    assert edge.get("/x", [BROWSER]).text == "new 502"
    (folder / "page.html").unlink()
    assert edge.admin_request("POST", "/reload", {}).status == 400
    assert edge.get("/x", [BROWSER]).text == "new 502"


# ---------------------------------------------------------------------------------------------------- QUERY (RFC 10008)

SQL, JSON = ("Content-Type", "application/sql"), ("Content-Type", "application/json")


def ask(edge, body, *fields, path="/q", **kw):  # noqa: F811
    return edge.request("QUERY", path, [*(fields or [SQL])], body, **kw)


def answering(request):
    return ok(b"answer to " + request.body, "max-age=600", ("ETag", '"%d"' % len(request.body)), ("Accept-Query", '"application/sql"'))


def test_answers_to_query_are_stored_by_what_is_asked(edge, origin):  # noqa: F811
    origin.on("/q", answering)
    asked = 0
    for body, fields in ((b"select 1", [SQL]), (b"select 2", [SQL]), (b"select 1", [JSON]), (b"select 1", [SQL, ("Content-Language", "de")]),
                         (b"x" * 65536, [SQL])):
        first = ask(edge, body, *fields)
        asked += 1
        assert (first.status, first.body, first["X-Cache"]) == (200, b"answer to " + body, "MISS"), fields
        assert first["Accept-Query"] == '"application/sql"'
        seen = origin.last("/q")
        assert (seen.method, seen.body, seen["Content-Length"]) == ("QUERY", body, str(len(body)))
        assert seen["Content-Type"] == fields[0][1]
        for _ in range(2):
            again = ask(edge, body, *fields)
            assert (again.body, again["X-Cache"]) == (first.body, "HIT")
        assert origin.count("/q") == asked
    origin.on("/q", ok(b"a GET", "max-age=600"))
    assert edge.get("/q").body == b"a GET" and edge.get("/q")["X-Cache"] == "HIT"
    assert ask(edge, b"select 1")["X-Cache"] == "HIT"


@pytest.mark.parametrize("fields", [[SQL], [SQL, ("Expect", "100-continue")], [SQL, ("Transfer-Encoding", "chunked")]])
def test_the_way_a_body_comes_is_not_asked(edge, origin, fields):  # noqa: F811
    origin.on("/q", answering)
    body = b"select 1"
    if len(fields) > 1 and "Expect" not in fields[1]:
        body = b"3\r\nsel\r\n5\r\nect 1\r\n0\r\n\r\n"
    assert ask(edge, body, *fields).body == b"answer to select 1"
    assert ask(edge, b"select 1")["X-Cache"] == "HIT"


def test_conditions_and_ranges_of_a_query(edge, origin):  # noqa: F811
    origin.on("/q", answering)
    ask(edge, b"select 1")
    assert ask(edge, b"select 1", SQL, ("If-None-Match", '"8"')).status == 304
    whole = ask(edge, b"select 1", SQL, ("Range", "bytes=0-3"))
    assert (whole.status, whole.body, whole["X-Cache"]) == (200, b"answer to select 1", "HIT")


def test_a_stale_answer_to_a_query_is_confirmed(edge, origin):  # noqa: F811
    def confirming(request):
        if request.header("If-None-Match") == '"1"':
            return Reply(304, headers=[("ETag", '"1"'), ("Cache-Control", "max-age=60")])
        return ok(b"answer", "max-age=5", ("ETag", '"1"'))
    origin.on("/q", confirming)
    ask(edge, b"select 1")
    edge.clock_advance("6s")
    again = ask(edge, b"select 1")
    assert again["X-Cache"] == "REVALIDATED" and again.body == b"answer"
    assert (origin.last("/q").method, origin.last("/q").body) == ("QUERY", b"select 1")


def test_one_fetch_for_all_who_ask_the_same(edge, origin):  # noqa: F811
    gate = Gate()
    origin.on("/q", ok(b"answer", "max-age=60", before=gate))
    clients = [edge.connect() for _ in range(8)]
    for client in clients:
        client.send_request("QUERY", "/q", [SQL], b"select 1")
    gate.wait_reached()
    poll(lambda: edge.status()["requests_under_way"] == 8, what="all wait")
    clients.pop(0).close()  # the first one's going costs the others nothing
    gate.open()
    assert {client.response("QUERY").body for client in clients} == {b"answer"} and origin.count("/q") == 1


@pytest.mark.parametrize("why, body, fields, settings", [
    ("too long", b"x" * 65537, [SQL], {}),
    ("too long, in chunks", b"10001\r\n" + b"x" * 65537 + b"\r\n0\r\n\r\n", [SQL, ("Transfer-Encoding", "chunked")], {}),
    ("off", b"select 1", [SQL], {"query_body": "0"}),
    ("no-store", b"select 1", [SQL, ("Cache-Control", "no-store")], {}),
])
def test_what_passes(cdn, origin, why, body, fields, settings):  # noqa: F811
    edge = cdn.edge(origin, threads=1, **settings)  # noqa: F811
    origin.on("/q", answering)
    for n in range(1, 4):
        answer = ask(edge, body, *fields)
        plain = body if "chunked" not in str(fields) else b"x" * 65537
        assert (answer.body, answer["X-Cache"], origin.count("/q")) == (b"answer to " + plain, "BYPASS", n), why


def test_purges_reach_queries(edge, origin):  # noqa: F811
    origin.on("/q", lambda request: ok(b"x", "max-age=600", ("Surrogate-Key", "t")))
    origin.on("/q/more", ok(b"x", "max-age=600"))
    origin.on("/post", ok(b"", "no-store", ("Location", "/q")))
    for purge in (lambda: edge.request("PURGE", "/q"), lambda: edge.request("PURGE", "/", [("Surrogate-Key", "t")]),
                  lambda: edge.admin_post("/purge", {"prefix": "http://test.example/q"}),
                  lambda: edge.request("BAN", "/", [("X-Url", "^/q$")]), lambda: edge.request("POST", "/post", body=b"x"),
                  lambda: edge.request("POST", "/q", body=b"x")):
        for body in (b"1", b"2"):
            ask(edge, body)
            assert ask(edge, body)["X-Cache"] == "HIT"
        purge()
        assert [ask(edge, body)["X-Cache"] for body in (b"1", b"2")] == ["MISS", "MISS"]
    ask(edge, b"1", path="/q/more")
    ask(edge, b"1")
    edge.request("PURGE", "/q")
    assert ask(edge, b"1", path="/q/more")["X-Cache"] == "HIT"


def test_a_query_invalidates_nothing_and_is_asked_of_the_next_origin(cdn, origin):  # noqa: F811
    config = {"sites": {"s": {"hosts": ["test.example"], "rules": [{"path": "/", "origins": ["http://127.0.0.1:1", origin.url]}]}}}
    folder = cdn.folder("conf")
    (folder / "cdn.yaml").write_text(json.dumps(config))
    edge = cdn.edge(None, "-c", folder / "cdn.yaml", threads=1)  # noqa: F811
    origin.on("/q", answering)
    edge.get("/q")
    assert ask(edge, b"select 1").body == b"answer to select 1"
    assert edge.get("/q")["X-Cache"] == "HIT"


def test_answers_to_query_outlive_a_restart(cdn, origin):  # noqa: F811
    cache = cdn.folder("cache")
    edge = cdn.edge(origin, cache_dir=cache, threads=1)  # noqa: F811
    origin.on("/q", answering)
    ask(edge, b"select 1")
    assert edge.terminate() == 0
    edge = cdn.edge(origin, cache_dir=cache, threads=1)
    assert ask(edge, b"select 1")["X-Cache"] == "HIT" and ask(edge, b"select 2")["X-Cache"] == "MISS"
    assert edge.admin_get("/why?url=http://test.example/q")


# ---------------------------------------------------------------------------------------------------- No-Vary-Search

SAME = [  # the field, the query that is stored, another one, whether it finds that
    ('params=("utm" "fbclid")', "a=1&utm=x", "a=1&utm=y", True),
    ('params=("utm" "fbclid")', "a=1&utm=x", "a=1", True),
    ('params=("utm" "fbclid")', "a=1", "fbclid=7&a=1&utm=y", True),
    ('params=("utm" "fbclid")', "a=1&utm=x", "a=2&utm=x", False),
    ('params=("utm")', "a=1&b=2", "b=2&a=1", False),
    ('params=("utm"), key-order', "a=1&b=2&utm=3", "b=2&a=1", True),
    ("key-order", "a=1&b=2&a=3", "b=2&a=1&a=3", True),
    ("key-order", "a=1&b=2&a=3", "b=2&a=3&a=1", False),
    ("params", "a=1", "b=2", True),
    ("params", "a=1", None, True),
    ('params, except=("id")', "id=1&x=1", "y=2&id=1", True),
    ('params, except=("id")', "id=1", "id=2", False),
    ('params=("a b")', "x=1&a%20b=2", "x=1&a+b=3", True),
    ('params=("a%20b")', "x=1&a%20b=2", "x=1", True),
    ('params=("u")', "x=a%20b&u=1", "x=a+b&u=2", True),
    ('params=("u")', "x&u=1", "x=&u=2", True),
    ("params=?0", "a=1", "a=2", False),
    ("params=(utm)", "a=1&utm=x", "a=1&utm=y", False),  # tokens: invalid as a whole
    ('params=("utm"', "a=1&utm=x", "a=1&utm=y", False),
    ('except=("id")', "id=1&x=1", "id=1&x=2", False),
    ('params=("utm"), unknown=1', "a=1&utm=x", "a=1&utm=y", True),
    (None, "a=1&utm=x", "a=1&utm=y", False),
]


def url(query):
    return "/s" if query is None else f"/s?{query}"


@pytest.mark.parametrize("value, stored, other, same", SAME)
def test_a_query_that_differs_in_what_does_not_matter(edge, origin, value, stored, other, same):  # noqa: F811
    origin.default = lambda r: ok(r.target.encode(), "max-age=600", *([("No-Vary-Search", value)] if value else []))
    first = edge.get(url(stored))
    assert first["X-Cache"] == "MISS" and first.header("No-Vary-Search") == value
    for _ in range(3):  # the long way, then the ready answer
        answer = edge.get(url(other))
        if same:
            assert (answer["X-Cache"], answer.body) == ("HIT", url(stored).encode())
        else:
            assert answer.body == url(other).encode()
    assert origin.count() == (1 if same else 2)
    assert edge.get("/t?" + (other or ""))["X-Cache"] == "MISS"  # another path


@pytest.mark.parametrize("how", ["PURGE", "url", "soft", "POST", "BAN"])
def test_purges_by_any_spelling(edge, origin, how):  # noqa: F811
    origin.default = lambda r: ok(r.target.encode(), "max-age=600", ("No-Vary-Search", 'params=("utm")'))
    for stored, named in (("a=1&utm=x", "a=1&utm=y"), ("a=1&utm=x", "a=1"), ("a=1", "utm=z&a=1"), ("a=1&utm=x", "a=1&utm=x")):
        edge.get(url(stored))
        edge.get(url("a=2&utm=x"))
        assert edge.get(url("a=1&utm=q"))["X-Cache"] == "HIT"
        assert edge.get(url("a=1&utm=q"))["X-Cache"] == "HIT"
        if how == "PURGE":
            edge.request("PURGE", url(named))
        elif how == "POST":
            edge.request("POST", url(named), body=b"x")
        elif how == "BAN":
            edge.request("BAN", "/", [("X-Url", "^/s\\?" + named + "$")])
        else:
            edge.admin_post("/purge", {"url": "http://test.example" + url(named), "soft": how == "soft"})
        assert edge.get(url("a=1&utm=r"))["X-Cache"] != "HIT", (stored, named)
        assert edge.get(url("a=2&utm=y"))["X-Cache"] == "HIT"


def test_what_is_not_fresh_is_asked_for_as_it_was_asked(edge, origin):  # noqa: F811
    origin.default = lambda r: ok(r.target.encode(), "max-age=5, stale-while-revalidate=60", ("No-Vary-Search", 'params=("utm")'))
    edge.get(url("a=1&utm=x"))
    edge.clock_advance("6s")
    assert edge.get(url("a=1&utm=y")).body == url("a=1&utm=y").encode()
    assert edge.get(url("a=1&utm=z")).body == url("a=1&utm=y").encode()  # the newer of the two


def test_variants_and_rules_that_change(edge, origin):  # noqa: F811
    rule = ['params=("utm")']
    origin.default = lambda r: ok((r.header("X-Kind", "") + r.target).encode(), "max-age=600", ("Vary", "X-Kind"),
                                  ("No-Vary-Search", rule[0]))
    edge.get(url("utm=1"), [("X-Kind", "a")])
    edge.clock_advance("1s")
    assert edge.get(url("utm=2"), [("X-Kind", "b")])["X-Cache"] == "MISS"  # which is newer
    assert edge.get(url("utm=3"), [("X-Kind", "a")]).body == b"a/s?utm=1"
    rule[0] = 'params=("other")'
    assert edge.get(url("x=1&other=1"))["X-Cache"] == "MISS"
    assert edge.get(url("x=1&other=2"))["X-Cache"] == "HIT" and edge.get(url("x=1&other=2&utm=1"))["X-Cache"] == "MISS"


def test_spellings_outlive_a_restart(cdn, origin):  # noqa: F811
    cache = cdn.folder("cache")
    edge = cdn.edge(origin, cache_dir=cache, threads=1)  # noqa: F811
    origin.default = lambda r: ok(r.target.encode(), "max-age=600", ("No-Vary-Search", "key-order"))
    edge.get(url("a=1&b=2"))
    assert edge.terminate() == 0
    edge = cdn.edge(origin, cache_dir=cache, threads=1)
    edge.wait_log("cache_loaded")
    assert edge.get(url("b=2&a=1")).body == url("a=1&b=2").encode()
    assert edge.request("PURGE", url("b=2&a=1")).json()["purged"] == 1
