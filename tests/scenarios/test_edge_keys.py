"""pocketcdn-edge: what is asked of the origin is what is keyed. Whatever spelling a client finds, it fills no other place."""

import itertools

import pytest
from cdn import poll
from test_edge_http import edge, ok, origin, told  # noqa: F401 (edge and origin are fixtures)


def echo(request):
    """An origin whose answer shows all that it was asked by; stored for a minute."""
    shown = [request.target, *(request.header(n, "-") for n in ("X-Forwarded-Host", "X-Forwarded-Proto"))]
    return ok(" ".join(shown).encode(), "max-age=60", ("Location", f"http://{request['X-Forwarded-Host']}/next"))


def first_line(client, target, host, extra=""):
    client.send(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{extra}\r\n")
    return client.response()


# ---------------------------------------------------------------------------------------------------- the path


SPELLINGS = ["/app.css", "/%61pp.css", "/app%2ecss", "/%61%70%70%2E%63%73%73", "/x/../app.css", "/x/%2e%2e/app.css",
             "/x/.%2E/app.css", "/./app.css", "/%2e/app.css", "/../app.css", "/x/y/../../app.css", "/x/./../app.css",
             "http://a.example/app.css", "HTTP://A.example:80/x/%2e%2e/app.css", "http://a.example./%61pp.css"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_spelling_asks_for_what_it_fills(edge, origin, spelling):  # noqa: F811
    origin.default = echo
    with edge.connect() as c:
        filled = first_line(c, spelling, "a.example")
        plain = first_line(c, "/app.css", "a.example")
    assert filled.body == plain.body == b"/app.css a.example http" and plain["X-Cache"] == "HIT"
    assert [r.target for r in origin.requests] == ["/app.css"]


@pytest.mark.parametrize("spelling", SPELLINGS[1:])
def test_no_spelling_replaces_a_fresh_object(edge, origin, spelling):  # noqa: F811
    """With no-cache the origin is asked anew: for the same thing."""
    origin.on("/app.css", ok(b"the file"))
    edge.get("/app.css", host="a.example")
    with edge.connect() as c:
        assert first_line(c, spelling, "a.example", "Cache-Control: no-cache\r\n").status == 200
    r = edge.get("/app.css", host="a.example")
    assert (r.status, r.body) == (200, b"the file") and {r.target for r in origin.requests} == {"/app.css"}


@pytest.mark.parametrize("target", ["/100%", "/100%2", "/%zz", "/%", "/a?b=%", "/a?b=%4", "/%%34%31", "/a%2", "/a b",
                                    "/a#b", "/a\\x80".replace("\\x80", "\x80"), "ftp://a.example/", "http://u@a.example/"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PURGE"])
def test_what_is_no_url_is_refused(edge, origin, method, target):  # noqa: F811
    origin.default = echo
    with edge.connect() as c:
        c.send(f"{method} {target} HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n")
        assert c.response(method).status == 400
    assert origin.count() == 0


@pytest.mark.parametrize("a, b", [
    ("/a%2fb", "/a/b"), ("/a%5cb", "/a\\b"), ("/a%00", "/a"), ("/a//b", "/a/b"), ("/a?", "/a"), ("/a/", "/a"), ("/A", "/a"),
    ("/a%3fb", "/a?b"), ("/100%25", "/100"), ("/a;b", "/a"), ("/a%252e%252e/b", "/b"), ("/a?x=%2F", "/a?x=/"), ("/a+b", "/a%20b"),
])
def test_what_is_not_the_same_stays_apart(edge, origin, a, b):  # noqa: F811
    origin.default = echo
    bodies = [edge.get(t, host="a.example").body.split()[0] for t in (a, b, a, b)]
    asked = [r.target for r in origin.requests]
    assert bodies == [t.encode() for t in asked + asked] and len(set(asked)) == 2


def test_every_method_asks_by_the_same_form(edge, origin):  # noqa: F811
    origin.default = echo
    edge.get("/app.css", host="a.example")
    for method, body in (("POST", b"x"), ("PUT", b"x"), ("DELETE", b""), ("OPTIONS", b""), ("HEAD", b""), ("PATCH", b"x")):
        edge.request(method, "/x/%2e%2e/%61pp.css?%7e", body=body, host="A.example.", headers=[("Cache-Control", "no-cache")])
        assert (origin.last().method, origin.last().target, origin.last()["X-Forwarded-Host"]) == \
            (method, "/app.css?~", "a.example")
    edge.request("DELETE", "/x/%2e%2e/%61pp.css", host="A.example.")  # what it invalidates is what it asked for
    assert told(edge.get("/app.css", host="a.example")) == ("MISS", "purged")


def test_parts_and_refreshes_ask_by_the_same_form(cdn, origin):  # noqa: F811
    body = bytes(range(256)) * 64
    def part(r):
        if "Range" not in r:
            return ok(body, "max-age=10, stale-while-revalidate=60", ("ETag", '"1"'))
        a, b = (int(x) for x in r["Range"].removeprefix("bytes=").split("-"))
        b = min(b, len(body) - 1)
        return ok(body[a:b + 1], "max-age=10", ("ETag", '"1"'), ("Content-Range", f"bytes {a}-{b}/{len(body)}"), status=206)
    origin.default = part
    edge = cdn.edge(origin, simulate=True, threads=1, slice="4KiB")  # noqa: F811
    assert edge.get("/x/../%62ig", [("Range", "bytes=5000-5001")]).status == 206
    assert edge.get("/%61").status == 200
    edge.clock_advance("20s")
    assert edge.get("/x/%2e%2e/a")["X-Cache"] == "STALE"
    poll(lambda: origin.count("/a") == 2, what="the refresh")
    assert {r.target for r in origin.requests} == {"/big", "/a"}


def test_purge_and_why_use_the_same_form(edge, origin):  # noqa: F811
    origin.default = echo
    for purge in ({"url": "HTTP://A.example.:80/x/%2e%2e/%61pp.css"}, {"prefix": "http://A.EXAMPLE/%61pp"},
                  {"urls": ["http://a.example/%61pp.css#top"]}):
        edge.get("/app.css", host="a.example")
        assert edge.admin_get("/why?url=HTTP://A.example:080/x/../%2561pp.css")["key"] == "http://a.example/app.css"
        assert edge.admin_post("/purge", purge)["purged"] == 1, purge
    edge.get("/app.css", host="a.example")
    assert edge.request("PURGE", "/y/%2E%2e/app.css", host="a.example.").json()["purged"] == 1
    for bad in ("/100%", "http://u@a.example/", "/%zz"):
        assert edge.admin_request("POST", "/purge", {"url": bad}).status == 400
    assert edge.admin_request("GET", "/why?url=/100%25").status == 400


def test_objects_and_why_of_a_path_know_both_schemes(cdn, origin):  # noqa: F811
    origin.default = echo
    edge = cdn.edge(origin, threads=1, trusted_proxies="127.0.0.0/8")  # noqa: F811
    edge.get("/s", [("X-Forwarded-Proto", "https")], host="localhost")
    edge.get("/p", host="localhost")
    assert [o["key"].partition(":")[0] for o in edge.admin_get("/objects?prefix=/")["objects"]] == ["http", "https"]
    assert len(edge.admin_get("/why?url=/s")["stored"]) == len(edge.admin_get("/why?url=/p")["stored"]) == 1


# ---------------------------------------------------------------------------------------------------- host and scheme


@pytest.mark.parametrize("spelling", ["a.example.", "A.EXAMPLE", "a.example:80", "a.example:080", "a.example:", "A.example.:0080"])
@pytest.mark.parametrize("origin_host", ["origin", "client"])
def test_a_host_is_told_in_one_spelling(cdn, origin, origin_host, spelling):  # noqa: F811
    origin.default = echo
    edge = cdn.edge(origin, threads=1, origin_host=origin_host)  # noqa: F811
    r = edge.get("/a", host=spelling)
    assert r["Location"] == "http://a.example/next"
    sent = origin.last()
    assert sent["Host"] == ("a.example" if origin_host == "client" else "%s:%d" % origin.address)
    assert "host=a.example;" in sent["Forwarded"]
    assert edge.get("/a", host="a.example")["X-Cache"] == "HIT"


@pytest.mark.parametrize("spelling", ["localhost:6666", "127.0.0.1:6666", "127.9.9.9", "LOCALHOST.", "[::1]:1", "[0:0:0:0:0:0:0:1]",
                                      "[::ffff:127.0.0.1]:7"])
def test_this_machine_has_one_name(edge, origin, spelling):  # noqa: F811
    origin.default = echo
    own = "%s:%d" % edge.public
    assert edge.get("/a", host=spelling)["Location"] == f"http://{own}/next"
    r = edge.get("/a", host=own)
    assert r["X-Cache"] == "HIT" and r["Location"] == f"http://{own}/next"


def test_the_name_of_the_edge_is_that_of_its_url(cdn, origin):  # noqa: F811
    origin.default = echo
    edge = cdn.edge(origin, threads=1, url="http://cdn.example:8088")  # noqa: F811
    edge.get("/a", host="127.0.0.1")
    r = edge.get("/a", host="CDN.example:08088")
    assert r["X-Cache"] == "HIT" and r["Location"] == "http://cdn.example:8088/next"
    assert edge.admin_post("/purge", {"url": "/a"})["purged"] == 1


FORGED = [("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Proto", "https"), ("Forwarded", "for=1.2.3.4;host=evil.example;proto=https"),
          ("X_Forwarded_Host", "evil.example"), ("X-Forwarded-Port", "99"), ("X-Host", "evil.example")]


@pytest.mark.parametrize("field", FORGED)
@pytest.mark.parametrize("trusted", ["", "127.0.0.0/8"])
def test_nothing_forged_reaches_what_others_get(cdn, origin, trusted, field):  # noqa: F811
    """From a stranger: not believed. From a trusted proxy: it is another key, or it is not believed."""
    origin.default = lambda r: ok(" ".join(f"{n}={v}" for n, v in r.headers if n != "CDN-Loop").encode())
    edge = cdn.edge(origin, threads=1, **({"trusted_proxies": trusted} if trusted else {}))  # noqa: F811
    for _ in range(3):  # the third is answered from the table of ready answers
        edge.get("/a", [field], host="a.example")
    for _ in range(3):
        r = edge.get("/a", host="a.example")
        assert b"evil" not in r.body and b"https" not in r.body and b"=99" not in r.body


def test_a_trusted_proxy_names_scheme_and_host(cdn, origin):  # noqa: F811
    origin.default = echo
    edge = cdn.edge(origin, threads=1, trusted_proxies="127.0.0.0/8", memory="8MiB")  # noqa: F811
    fields = [("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Host", "Shop.Example.:443"), ("X-Forwarded-Proto", "https")]
    for _ in range(4):
        r = edge.get("/a", fields, host="internal:8080")
        assert r.body == b"/a shop.example https"
        assert edge.get("/a", host="internal:8080").body == b"/a internal:8080 http"
    assert r["X-Cache"] == "HIT" and origin.count() == 2
    assert {o["key"] for o in edge.admin_get("/objects")["objects"]} == {"https://shop.example/a", "http://internal:8080/a"}
    for _ in range(4):  # one key alone: two that alternate may share a place among those asked for once
        edge.get("/a", host="internal:8080")
    assert edge.metric("hot_hit_total") > 0
    for host in ("a b", "a/b", "u@a", "", "a..b:x"):  # what is no host is not believed
        assert edge.get("/a", [("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Host", host)], host="internal:8080").body == \
            b"/a internal:8080 http"


def test_forwarded_when_that_is_the_field(cdn, origin):  # noqa: F811
    origin.default = echo
    edge = cdn.edge(origin, threads=1, trusted_proxies="127.0.0.0/8", client_field="forwarded")  # noqa: F811
    for _ in range(3):
        r = edge.get("/a", [("Forwarded", 'for=192.0.2.1;host="Shop.example:8443";proto=https'), ("X-Forwarded-Host", "evil.example")])
        assert r.body == b"/a shop.example:8443 https"
    assert "evil" not in str(origin.last().headers) and origin.count() == 1


# ---------------------------------------------------------------------------------------------------- the query


@pytest.mark.parametrize("settings, sent, asked", [
    ({"query": "none"}, ["/a?x=1", "/a?x=2", "/a"], ["/a"]),
    ({"query": "allow", "query_allow": "v"}, ["/a?x=1&v=1", "/a?v=1&x=2", "/a?%76=1"], ["/a?v=1"]),
    ({"query": "sort"}, ["/a?b=1&a=2", "/a?a=2&b=1"], ["/a?a=2&b=1"]),
    ({"query_ignore": "tracking"}, ["/a?b=1&utm_source=x&a=%2f", "/a?fbclid=1&b=1&a=%2F&_ga=3", "/a?b=1&a=%2f"], ["/a?b=1&a=%2F"]),
    ({"query_ignore": ["s*", "tracking", "t"]}, ["/a?s=1", "/a?sid=1&t=2&gclid=1", "/a"], ["/a"]),
    ({}, ["/a?utm_source=x", "/a?b=1&&a", "/a?"], ["/a?utm_source=x", "/a?b=1&&a", "/a?"]),
])
def test_what_the_key_leaves_out_is_not_asked(cdn, origin, settings, sent, asked):  # noqa: F811
    origin.default = echo
    edge = cdn.edge(origin, threads=1, **settings)  # noqa: F811
    for target in sent:
        edge.get(target)
    assert [r.target for r in origin.requests] == asked


# ---------------------------------------------------------------------------------------------------- fields in no key


UNKEYED = ["X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Host",
           "X-Forwarded-Server", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Scheme", "X-Forwarded-Ssl",
           "X-Original-Host", "Front-End-Https", "X_Original_URL", "X_Forwarded_For", "Transfer_Encoding", "Accept_Language",
           "If_None_Match", "Content_Length"]


@pytest.mark.parametrize("name", UNKEYED)
def test_fields_in_no_key_stay_here(edge, origin, name):  # noqa: F811
    origin.default = lambda r: ok(str([v for n, v in r.headers]).encode(), "max-age=60", ("Vary", name))
    for method in ("GET", "HEAD"):
        edge.request(method, f"/{method}", [(name, "evil"), ("Cache-Control", "no-store")])
        edge.request(method, f"/{method}", [(name, "evil")])
        assert not any("evil" in v for r in origin.requests for _, v in r.headers)
    assert edge.get("/GET")["X-Cache"] == "HIT"


def test_other_methods_keep_them_and_a_setting_lets_them_through(cdn, origin):  # noqa: F811
    origin.default = lambda r: ok(b"x", "max-age=60", ("Content-Location", "/a"))
    edge = cdn.edge(origin, threads=1, forward_fields=["X-Forwarded-Prefix", "x_tenant"])  # noqa: F811
    edge.get("/b", [("X-Forwarded-Prefix", "/p"), ("X_Tenant", "1"), ("X-Host", "h")])
    sent = origin.last()
    assert sent["X-Forwarded-Prefix"] == "/p" and sent["X_Tenant"] == "1" and "X-Host" not in sent
    edge.request("POST", "/a", [("X-HTTP-Method-Override", "PATCH"), ("Transfer_Encoding", "chunked"), ("X_Forwarded_For", "1")], b"x")
    sent = origin.last()
    assert sent["X-HTTP-Method-Override"] == "PATCH" and not {"Transfer_Encoding", "X_Forwarded_For"} & {n for n, _ in sent.headers}
    assert edge.get("/a")["X-Cache"] == "MISS"  # its answer names /a, but was made by more than /a


# ---------------------------------------------------------------------------------------------------- Accept-*


def coded(request):
    accepts = request.header("Accept-Encoding", "")
    words = [w.strip() for w in accepts.split(",")]
    coding = next((c for c in ("br", "gzip") if c in words), None)
    return ok(str(coding).encode(), "max-age=60", ("Vary", "Accept-Encoding"), *([("Content-Encoding", coding)] if coding else []))


CODINGS = ["gzip", "br", "deflate", "zstd", "gzip, deflate", "gzip,deflate", "GZIP", "x-gzip", "gzip;q=1.0", "gzip, deflate, br",
           "gzip, deflate, br, zstd", "br, gzip", "br,gzip;q=0.9", "br;q=1.0, gzip;q=0.8, *;q=0.1", "*", "", "identity", "br;q=0, gzip",
           "gzip;q=0, br", "br;q=0,gzip;q=0", "*;q=0.5", "identity;q=1, *;q=0", "deflate, gzip;q=1.0, *;q=0.5", "compress, gzip",
           "gzip;q=0.0000, br", "br;x=1;q=0, gzip", None]


def refused(value):
    """Codings that the value refuses, read as a careful client means it."""
    zero = {w.split(";")[0].strip() for w in (value or "").lower().split(",") if ";q=0" in w and not w.strip("0. ").endswith(tuple("123456789"))}
    named = {w.split(";")[0].strip().replace("x-gzip", "gzip") for w in (value or "").lower().split(",")}
    return {c for c in ("br", "gzip") if c in zero or (c not in named and "*" not in named - zero)}


def test_accept_encoding_makes_few_variants(edge, origin):  # noqa: F811
    origin.default = coded
    for value in CODINGS * 2:
        r = edge.get("/a", [] if value is None else [("Accept-Encoding", value)])
        assert r.header("Content-Encoding") not in refused(value), value
    asked = [r["Accept-Encoding"] for r in origin.requests]
    assert sorted(asked) == sorted({"br, gzip", "gzip", "br", "identity", "identity;q=0"} & set(asked)) and len(asked) <= 5


def test_accept_encoding_as_the_client_has_it(cdn, origin):  # noqa: F811
    origin.default = coded
    edge = cdn.edge(origin, threads=1, accept_encoding="client")  # noqa: F811
    edge.get("/a", [("Accept-Encoding", "zstd, gzip;q=0.5")])
    edge.get("/b")
    assert origin.last("/a")["Accept-Encoding"] == "zstd, gzip;q=0.5" and "Accept-Encoding" not in origin.last("/b")


def test_accept_language_is_one_of_the_list(cdn, origin):  # noqa: F811
    origin.default = lambda r: ok(r.header("Accept-Language", "none").encode(), "max-age=60", ("Vary", "Accept-Language"))
    edge = cdn.edge(origin, threads=1, accept_language=["en", "de"])  # noqa: F811
    wishes = {"de": "de", "de-AT,de;q=0.9,en;q=0.8": "de", "DE": "de", "en-US,en;q=0.5": "en", "fr, de;q=0.1": "de", "fr": "none",
              "en;q=0, *": "de", "": "none", "de-CH": "de", "en-GB;q=0.8,de;q=0.9": "de"}
    for _, (wish, want) in itertools.product(range(2), wishes.items()):
        assert edge.get("/a", [("Accept-Language", wish)]).text == want
    assert edge.get("/a").text == "none" and origin.count() == 3


def test_a_list_that_is_none_is_refused(cdn, origin):  # noqa: F811
    for setting, value in (("accept_encoding", "snappy"), ("accept_language", "e n"), ("url", "cdn.example")):
        edge = cdn.edge(origin, wait=False, **{setting: value})  # noqa: F811
        assert edge.wait() == 2 and value in "\n".join(edge.err) and setting.replace("_", "-") in "\n".join(edge.err).replace("_", "-")
