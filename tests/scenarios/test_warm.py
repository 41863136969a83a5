"""`pocketcdn warm`: lists, manifests and sitemaps, asked of edges that run; what is warm afterwards, and what is told."""

import gzip
import json

import pytest
from cdn import Reply

KEPT = [("Cache-Control", "max-age=600")]
NAMES = ["fra", "nrt"]


class Edges:
    """Two edges and a router in front of an origin, found through the router."""

    def __init__(self, cdn):
        self.cdn = cdn
        self.origin = cdn.fake_origin()
        self.edges = {n: cdn.edge(self.origin, name=n, trusted_proxies="127.0.0.0/8") for n in NAMES}
        self.router = cdn.router({"edges": [
            {"name": n, "place": p, "listen": "%s:%d" % self.edges[n].public, "admin": "%s:%d" % self.edges[n].admin}
            for n, p in zip(NAMES, ["Frankfurt", "Tokyo"])]})

    def warm(self, *args, **kw):
        return self.cdn.cli("warm", *args, "--router", self.router.admin_url, **kw)

    def told(self, *args, **kw):
        result = self.warm(*args, "--json", **kw)
        assert result.stdout, result.stderr
        return json.loads(result.stdout)


@pytest.fixture
def edges(cdn):
    return Edges(cdn)


def test_a_list_is_warm_afterwards(edges):
    for path in ("/a.css", "/b.css"):
        edges.origin.on(path, Reply(body=b"x" * 1000, headers=KEPT + [("ETag", '"1"')]))
    result = edges.warm("-", stdin="# of the page\n/a.css\nb.css\n")
    assert result.returncode == 0, result.stderr
    assert "2 URLs at 2 edges" in result.stdout and "4 warmed, 0 were hits already" in result.stdout
    for edge in edges.edges.values():
        assert edge.get("/a.css", host="%s:%d" % edge.public).header("X-Cache") == "HIT"
    again = edges.told("-", stdin="/a.css\n/b.css\n")
    assert (again["warmed"], again["hits"], again["failed"], again["bytes"]) == (0, 4, 0, 4000)
    assert edges.origin.count("/a.css") == 2


def test_the_form_that_browsers_ask_for(edges):
    edges.origin.on("/a.css", lambda r: Reply(body=b"br" if "br" in r["Accept-Encoding"] else b"plain", headers=KEPT + [
        ("Vary", "Accept-Encoding")] + ([("Content-Encoding", "br")] if "br" in r["Accept-Encoding"] else [])))
    assert edges.told("-", "--edge", "fra", stdin="/a.css")["bytes"] == 2
    assert edges.told("-", "--edge", "fra", "-H", "Accept-Encoding: identity", stdin="/a.css")["bytes"] == 5
    assert edges.told("-", "--edge", "fra", stdin="/a.css")["hits"] == 1
    assert edges.edges["nrt"].metric("request_total") == 0


def test_a_manifest_of_staticfiles(edges):
    paths = {"a.css": "a.0123456789ab.css", "img/b c.png": "img/b c.0123456789ab.png"}
    manifest = edges.cdn.folder("m", {"staticfiles.json": json.dumps({"paths": paths, "version": "1.1"})})
    edges.origin.default = Reply(body=b"x", headers=KEPT)
    edges.told(manifest / "staticfiles.json", "--base", "http://shop.example/assets/", "--edge", "nrt")
    seen = {(r.target, r["X-Forwarded-Host"]) for r in edges.origin.requests}
    assert seen == {("/assets/a.0123456789ab.css", "shop.example"), ("/assets/img/b%20c.0123456789ab.png", "shop.example")}


def test_sitemaps_are_fetched_through_an_edge(edges):
    space = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
    pages = "".join(f"<url><loc>https://shop.example/p/{i}?a=1&amp;b=2</loc></url>" for i in range(20))
    index = f"<sitemapindex {space}><sitemap><loc>https://shop.example/1.xml.gz</loc></sitemap></sitemapindex>"
    edges.origin.on("/sitemap.xml", Reply(body=index.encode()))
    edges.origin.on("/1.xml.gz", Reply(body=gzip.compress(f"<urlset {space}>{pages}</urlset>".encode()) ))
    for i in range(20):
        edges.origin.on(f"/p/{i}", Reply(body=b"page", headers=KEPT))
    told = edges.told("https://shop.example/sitemap.xml")
    assert (told["urls"], told["warmed"], told["failed"]) == (20, 40, 0)
    assert edges.origin.last("/1.xml.gz")["X-Forwarded-Host"] == "shop.example"
    assert edges.origin.last("/p/7?a=1&b=2")["X-Forwarded-Proto"] == "https"
    fra = edges.edges["fra"]
    assert fra.get("/p/3?a=1&b=2", {"X-Forwarded-Proto": "https"}, host="shop.example").header("X-Cache") == "HIT"


def test_what_fails_is_named_and_what_may_not_be_kept_is_told_apart(edges):
    edges.origin.on("/good", Reply(body=b"x", headers=KEPT))
    edges.origin.on("/moved", Reply(301, headers=KEPT + [("Location", "/good")]))
    edges.origin.on("/private", Reply(body=b"x", headers=[("Cache-Control", "no-store")]))
    edges.origin.on("/short", Reply(body=b"x" * 1000, length=2000, headers=KEPT))
    result = edges.warm("-", "--edge", "fra", stdin="/good\n/moved\n/private\n/short\n/none\n")
    assert result.returncode == 1 and "3 of 5 requests failed" in result.stderr
    for line in ("/moved  301 to /good", "/none  404", "/private  not kept: bypass-response"):
        assert line in result.stdout, result.stdout
    told = edges.told("-", "--edge", "fra", stdin="/good\n/short\n")
    assert (told["hits"], told["failed"]) == (1, 1)
    assert told["notes"][0]["url"] == "/short" and told["notes"][0]["failed"]


def test_an_edge_that_is_away_is_given_up(edges):
    edges.origin.default = Reply(body=b"x", headers=KEPT)
    edges.edges["nrt"].terminate()
    told = edges.told("-", "-n", "1", stdin="".join(f"/{i}\n" for i in range(10)))
    assert told["edges"]["fra"]["warmed"] == 10 and told["edges"]["nrt"]["failed"] == 10
    assert told["notes"][-1]["why"] == "not asked: the edge refuses connections"


def test_different_versions_are_told(edges):
    edges.origin.on("/a", Reply(body=b"1", headers=KEPT + [("ETag", '"1"')]), Reply(body=b"2", headers=KEPT + [("ETag", '"2"')]))
    result = edges.warm("-", stdin="/a")
    assert result.returncode == 0 and "different versions (ETag) of 1 URLs" in result.stdout, result.stdout


@pytest.mark.parametrize("args, stdin, code, says", [
    ([], "", 2, "warm what?"),
    (["-"], "# nothing\n", 2, "-: names no URL"),
    (["-"], "/a\nhttp://x y/\n", 2, "-: line 2: 'http://x y/' is no URL"),
    (["-", "--base", "x"], "/a", 2, "--base: 'x' is neither"),
    (["-", "-n", "257"], "/a", 2, "--concurrency: '257' is not a number from 1 to 256"),
    (["-", "--rate", "0"], "/a", 2, "--rate: '0'"),
    (["-", "-H", "Host: x"], "/a", 2, "the host comes from the URLs"),
    (["-", "--edge", "fra", "--all"], "/a", 2, "only one of --edge and --all"),
    (["-", "--edge", "lhr"], "/a", 1, "no edge 'lhr' runs here; there are: fra, nrt"),
    (["/nonexistent/list"], "", 3, "/nonexistent/list: No such file"),
    (["-"], "\x1f\x8b\x08 no gzip", 2, "control character"),
    (["http://shop.example/none.xml"], "", 1, "fra answered 404"),
])
def test_refusals(shared_cdn, args, stdin, code, says):
    if not hasattr(shared_cdn, "warm_edges"):
        shared_cdn.warm_edges = Edges(shared_cdn)
    result = shared_cdn.warm_edges.warm(*args, stdin=stdin)
    assert result.returncode == code and says in result.stderr, result


def test_a_damaged_gzip_is_refused(edges):
    path = edges.cdn.folder("m", {"s.xml.gz": gzip.compress(b"<urlset></urlset>" * 1000)[:-9]}) / "s.xml.gz"
    result = edges.warm(path)
    assert result.returncode == 3 and "gzip form is damaged or cut off" in result.stderr
