"""Purges as other caches' clients send them, byte by byte, at an edge and at a router that keeps a log.

What the clients send is from their sources: Wagtail's HTTPBackend (wagtail/contrib/frontend_cache/backends.py),
FOSHttpCache (src/ProxyClient/Varnish.php, Symfony.php, Fastly.php), Magento 2 (CacheInvalidate/Model/PurgeCache.php),
Fastly's API reference ("Purging"). What is refused is in tests/unit/common/http/syntax/test_http_purge.c.
"""

import pytest
from cdn import Client, Reply, poll

HOST = "shop.example"
OTHER = "b.example"
PAGES = {  # target: fields of the answer
    "/a": [("Surrogate-Key", "red")],
    "/a/b": [("xkey", "red blue")],
    "/a.css": [("X-Cache-Tags", "blue,l2")],
    "/p": [("X-Magento-Tags", "cat_p_1,cat_c")],
    "/p?b=1": [("Cache-Tag", "green shoes")],
}


def answer(request):
    return Reply(body=request.target.encode(), headers=[("Cache-Control", "max-age=3600"), *PAGES[request.target]])


@pytest.fixture(scope="module")
def origin(shared_cdn):
    origin = shared_cdn.fake_origin()
    origin.default = answer
    return origin


@pytest.fixture(scope="module")
def edge(shared_cdn, origin):
    return shared_cdn.edge(origin, threads=1)


@pytest.fixture(scope="module")
def followed(shared_cdn, origin):
    """A router with a log, and the edge that follows it."""
    router = shared_cdn.router(edge=["name=syd,url=http://127.0.0.1:1,admin=http://127.0.0.1:1"], admin_token="t0ken")
    edge = shared_cdn.edge(origin, name="syd", threads=1, control=router.admin_url, admin_token="t0ken")
    router.token = edge.token = "t0ken"
    poll(lambda: edge.status()["sync"]["synced"], what="synced")
    return router, edge


def fill(edge):
    for host in (HOST, OTHER):
        for target in PAGES:
            edge.get(target, host=host)


def gone(edge):
    """What is not there any more, as host/target; soft-purged answers are there."""
    objects = [o["key"].partition("//")[2] for o in edge.admin_get("/objects")["objects"]]
    return {host + target for host in (HOST, OTHER) for target in PAGES} - set(objects)


def on(*targets, hosts=(HOST, OTHER)):
    return {host + target for host in hosts for target in targets}


EVERY = "X-Host: .*\r\nX-Url: .*\r\nX-Content-Type: .*\r\n"
ALL = on(*PAGES)
ROWS = [
    # Wagtail's HTTPBackend: to each edge's address, with the site's name as Host
    (f"PURGE /a HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: Wagtail-frontendcache/2.15\r\nConnection: close\r\n\r\n",
     on("/a", hosts=[HOST])),
    # FOSHttpCache, Varnish: purge(), ban() by path, by host, by tags; tag_mode purgekeys
    (f"PURGE /p?b=1 HTTP/1.1\r\nHost: {HOST}\r\n\r\n", on("/p?b=1", hosts=[HOST])),
    (f"BAN / HTTP/1.1\r\nHost: {HOST}\r\nX-Host: .*\r\nX-Url: ^/a$\r\nX-Content-Type: .*\r\n\r\n", on("/a")),
    (f"BAN / HTTP/1.1\r\nHost: {HOST}\r\nX-Host: .*\r\nX-Url: ^/p\r\nX-Content-Type: .*\r\n\r\n", on("/p", "/p?b=1")),
    (f"BAN / HTTP/1.1\r\nHost: {HOST}\r\nX-Host: ^({OTHER}|c.example)$\r\nX-Url: ^/a/.*\r\nX-Content-Type: .*\r\n\r\n",
     on("/a/b", hosts=[OTHER])),
    (f"BAN / HTTP/1.1\r\nHost: {HOST}\r\nX-Host: ^({OTHER})$\r\nX-Url: .*\r\nX-Content-Type: .*\r\n\r\n",
     on(*PAGES, hosts=[OTHER])),
    (f"BAN / HTTP/1.1\r\nHost: {HOST}\r\n{EVERY}X-Cache-Tags: (^|,)(l2|none\\-such)(,|$)\r\n\r\n", on("/a.css")),
    (f"BAN / HTTP/1.1\r\nHost: {HOST}\r\n{EVERY}\r\n", ALL),
    (f"PURGEKEYS / HTTP/1.1\r\nHost: {HOST}\r\nxkey-purge: red l2\r\n\r\n", on("/a", "/a/b", "/a.css")),
    # FOSHttpCache, Symfony
    (f"PURGETAGS / HTTP/1.1\r\nHost: {HOST}\r\nX-Cache-Tags: green shoes,l2\r\n\r\n", on("/p?b=1", "/a.css")),
    (f"PURGE / HTTP/1.1\r\nHost: {HOST}\r\nClear-Cache: true\r\n\r\n", ALL),
    # Magento 2
    (f"PURGE / HTTP/1.1\r\nHost: {HOST}\r\nX-Magento-Tags-Pattern: ((^|,)cat_p_1(,|$))|((^|,)cat_p_9(,|$))\r\n"
     "Connection: close\r\n\r\n", on("/p")),
    (f"PURGE / HTTP/1.1\r\nHost: {HOST}\r\nX-Magento-Tags-Pattern: .*\r\n\r\n", ALL),
    # varnish-modules' xkey, as its documentation has it; Fastly's PURGE
    (f"PURGE / HTTP/1.1\r\nHost: {HOST}\r\nxkey: blue\r\n\r\n", on("/a/b", "/a.css")),
    (f"PURGE / HTTP/1.1\r\nHost: {HOST}\r\nSurrogate-Key: red\r\n\r\n", on("/a", "/a/b")),
]


@pytest.mark.parametrize("request_bytes, hits", ROWS)
def test_at_an_edge(edge, request_bytes, hits):
    fill(edge)
    reply = edge.raw(request_bytes.encode())
    assert reply.status == 200 and reply.json()["purged"] == len(hits), reply
    assert gone(edge) == hits


@pytest.mark.parametrize("request_bytes, hits", ROWS)
def test_at_a_router(followed, request_bytes, hits):
    """The same bytes to the admin listener go into the log, with the token as a field more."""
    router, edge = followed
    fill(edge)
    with Client(router.admin) as client:
        client.send(request_bytes.replace("\r\nHost:", "\r\nAuthorization: Bearer t0ken\r\nHost:").encode())
        reply = client.response("PURGE")
    assert reply.status == 200, reply
    poll(lambda: router.admin_get(f"/purges/{reply.json()['id']}")["edges"][0]["acknowledged"])
    assert gone(edge) == hits


@pytest.mark.parametrize("form", ["PURGEKEYS / HTTP/1.1\r\nHost: x\r\nxkey-softpurge: red\r\n\r\n",
                                  "PURGE / HTTP/1.1\r\nHost: x\r\nFastly-Soft-Purge: 1\r\nSurrogate-Key: red\r\n\r\n"])
def test_soft(edge, form):
    fill(edge)
    reply = edge.raw(form.encode())
    assert reply.json() == {"status": "ok", "purged": 4, "soft": True}, reply
    assert gone(edge) == set()
    assert edge.get("/a", host=HOST).header("X-Cache") != "HIT"
    assert edge.get("/a.css", host=HOST).header("X-Cache") == "HIT"


FASTLY = [
    ("/service/SU1Z0isxPaozGVKXdv0eY/purge/red", [], None, on("/a", "/a/b"), {"status", "id"}),
    ("/service/SU1Z0isxPaozGVKXdv0eY/purge/green%20shoes", [], None, on("/p?b=1"), {"status", "id"}),
    ("/service/SU1Z0isxPaozGVKXdv0eY/purge", [("Surrogate-Key", "blue l2")], None, on("/a/b", "/a.css"), {"blue", "l2"}),
    ("/service/SU1Z0isxPaozGVKXdv0eY/purge", [("Accept", "application/json")], b'{"surrogate_keys":["l2"]}', on("/a.css"),
     {"l2"}),
    ("/service/SU1Z0isxPaozGVKXdv0eY/purge_all", [("Accept", "application/json")], None, ALL, {"status", "id"}),
    (f"/purge/{HOST}/a", [], None, on("/a", hosts=[HOST]), {"status", "id"}),
]


def fastly(daemon, path, headers, body, key):
    """As its clients send it: the body without a type, the token as Fastly-Key."""
    with Client(daemon.admin) as client:
        return client.request("POST", path, [*headers, ("Fastly-Key", key)], body or b"", host="%s:%d" % daemon.admin)


@pytest.mark.parametrize("path, headers, body, hits, says", FASTLY)
def test_fastly_at_an_edge(edge, path, headers, body, hits, says):
    fill(edge)
    reply = fastly(edge, path, headers, body, "anything: no token is set")
    assert reply.status == 200 and set(reply.json()) == says, reply
    assert gone(edge) == hits


@pytest.mark.parametrize("path, headers, body, hits, says", FASTLY)
def test_fastly_at_a_router(followed, path, headers, body, hits, says):
    router, edge = followed
    fill(edge)
    assert fastly(router, path, headers, body, "wrong").status == 401
    reply = fastly(router, path, headers, body, "t0ken")
    assert reply.status == 200 and set(reply.json()) == says, reply
    last = router.admin_get("/purges")["last"]
    poll(lambda: router.admin_get(f"/purges/{last}")["edges"][0]["acknowledged"])
    assert gone(edge) == hits


def test_what_cannot_be_done_whole_is_refused(edge, followed):
    router, _ = followed
    fill(edge)
    last = router.admin_get("/purges")["last"]
    for fields, status in ((["X-Url: .*png$"], 501), (["X-Url: .*", "X-Content-Type: text/html"], 501), ([], 400),
                           (["X-Url: ^/%zz$"], 400)):
        lines = "".join(f"{line}\r\n" for line in [f"Host: {HOST}", "Authorization: Bearer t0ken", *fields])
        for daemon in (edge, router):
            with Client(daemon.public if daemon is edge else daemon.admin) as client:
                reply = client.send(f"BAN / HTTP/1.1\r\n{lines}\r\n").response("BAN")
            assert reply.status == status and reply.json()["status"] == status, (fields, reply)
    assert gone(edge) == set() and router.admin_get("/purges")["last"] == last


@pytest.mark.parametrize("method", ["PURGE", "BAN", "PURGEKEYS", "PURGETAGS"])
def test_all_forms_obey_who_may(cdn, method):
    edge = cdn.edge(cdn.fake_origin(), threads=1, purge_allow="198.51.100.1", purge_token="s3cret")
    fields = [("X-Url", "^/a$") if method == "BAN" else ("xkey-purge", "a")]
    assert edge.request(method, "/a", fields).status == 403
    assert edge.request(method, "/a", [*fields, ("Fastly-Key", "wrong")]).status == 403
    for token in (("Authorization", "Bearer s3cret"), ("Fastly-Key", "s3cret")):
        assert edge.request(method, "/a", [*fields, token]).status == 200
    open_edge = cdn.edge(cdn.fake_origin(), name="nrt", threads=1)
    assert open_edge.request(method, "/a", [*fields, ("Origin", "http://evil.example")]).status == 403
    with Client(open_edge.admin) as client:  # what a page can send unasked is refused at the admin listener
        assert client.request("POST", "/service/s/purge", [("Content-Type", "text/plain")], b'{"surrogate_keys":["a"]}',
                              host="%s:%d" % open_edge.admin).status == 415


def test_every_host(edge, followed):
    """The URL form for it, which the log has, is open to people, too."""
    router, follower = followed
    for daemon, node in ((edge, edge), (router, follower)):
        fill(node)
        reply = daemon.admin_post("/purge?wait=10s", {"prefix": "http://*/a", "url": "http://*/p"})
        assert reply.get("acknowledged", True)
        assert gone(node) == on("/a", "/a/b", "/a.css", "/p")
    assert edge.admin_request("POST", "/purge", {"url": "http://*/%zz"}).status == 400
