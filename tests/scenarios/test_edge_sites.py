"""Sites and path rules of an edge: each row of a rule does what its help says, purges reach all variants, a reload changes
hot objects at once and drops nothing."""

import json
import signal
import threading

import pytest
from cdn import Gate, Reply, in_parallel, poll
from test_edge_http import marks, ok, told

GA = ("Cookie", "_ga=GA1.2; _gid=3")
HTTPS = ("X-Forwarded-Proto", "https")

RULES = """
      - {path: /none/, key: {query: none}}
      - {path: /allow/, key: {query: allow, allow: [q, page]}}
      - {path: /sort/, key: {query: sort}}
      - {path: /ignore/, key: {query: ignore, ignore: ["utm_*", tracking]}}
      - {path: /lang/, key: {fields: [X-Lang]}}
      - {path: /cookie/, key: {cookies: [theme]}, cookies: {keep: [theme]}}
      - {path: /device/, key: {device: yes}}
      - {path: /account/, cookies: {keep: [sessionid, "wp_*"]}}
      - {path: /bare/, cookies: {keep: []}}
      - path: /fields/
        fields: {set: {X-Set: one, Cache-Control: "public, max-age=7"}, add: {X-Add: two, Link: "</a.css>"}, remove: [Server, X-Gone]}
      - {path: /request/, request: {set: {X-Secret: s3, Accept-Encoding: br, User-Agent: edge}, add: {X-Tag: two}, remove: [X-Noise, Authorization]}}
      - {path: /open/, cors: "*"}
      - {path: /listed/, cors: ["https://a.example", "https://b.example"]}
      - {path: /closed/, cors: "off"}
      - {path: /secure/, redirect: https}
      - {path: /read/, methods: [GET, HEAD]}
      - {path: /write/, methods: [POST]}
      - {path: /get/, methods: [GET]}
      - {path: /api/, pass: yes}
      - {path: /floor/, lifetime: {min: 1h}}
      - {path: /ceiling/, lifetime: {max: 1m}}
      - {path: /override/, lifetime: {override: 10m}}
      - {path: /status/, lifetime: {status: {200: 30s, 404: 5s}}}
      - {path: /swr/, stale: {while_revalidate: 1h}}
      - {path: /sie/, stale_if_error: 1h}
      - {path: /prefixed/, origins: ["%(tcp)s/bucket/x"]}
      - {path: /named/, origin_host: assets.example}
      - {path: /client/, origin_host: client}
      - {path: "/media/*.{jpg,PNG}", fields: {set: {X-Rule: media}}}
      - {path: /%%6dedia/, fields: {set: {X-Rule: other}}}
      - {path: "*.(css|js)", fields: {set: {X-Rule: code}}}
      - {path: /plain/}
"""

SITES = """
sites:
  shop:
    hosts: [shop.example, "*.shop.example"]
    origins: ["%(tcp)s"]
    rules:""" + RULES + """
  blog:
    hosts: [blog.example]
    origins: ["%(unix)s"]
"""


def echo(request):
    """Says what the origin was asked; each answer is its own."""
    return ok(f"{request.target} {request.connection}.{id(request)}".encode(), "max-age=60", ("X-Gone", "1"), ("X-Set", "0"))


class Shop:
    """An edge of two sites, and their origins."""

    def __init__(self, cdn, **settings):
        self.tcp = cdn.fake_origin()
        self.unix = cdn.fake_origin(path=cdn.folder() / "s")
        self.tcp.default = self.unix.default = echo
        self.file = cdn.config(self.sites())
        self.edge = cdn.edge(None, config=self.file, simulate=True, trusted_proxies="127.0.0.0/8", connect_timeout="60s",
                             threads=1, **settings)

    def sites(self, text=SITES):
        return text % {"tcp": self.tcp.url, "unix": self.unix.url}

    def get(self, target, *headers, host="shop.example", **kw):
        return self.edge.get(target, headers, host=host, **kw)

    def asked(self, prefix):
        return [r for r in self.tcp.seen() if r.target.startswith(prefix)]


@pytest.fixture(scope="module")
def shop(shared_cdn):
    yield (made := Shop(shared_cdn))
    assert not made.tcp.errors and not made.unix.errors, "the edge sent the origin something malformed"


@pytest.fixture
def own_shop(cdn):
    return Shop(cdn)


# ---------------------------------------------------------------------------------------------------- sites and paths


def test_hosts_choose_the_site(shop):
    r = shop.get("/x/1", host="blog.example")
    assert r.status == 200 and shop.unix.last("/x/1")["Host"] == "blog.example"
    assert shop.get("/x/1", host="BLOG.example.:8080").status == 200 and shop.unix.count("/x/1") == 2  # another port, another key
    assert shop.get("/plain/1", host="eu.shop.example").status == 200 and shop.tcp.count("/plain/1") == 1
    assert shop.get("/plain/1", host="shop.example")["X-Cache"] == "MISS"  # hosts are apart
    assert shop.get("/x/1", host="shop.example").status == 404
    for stranger in ("example", "blog.example.net", "xshop.example"):
        assert shop.get("/x/1", host=stranger).status == 421


@pytest.mark.parametrize("path, rule", [
    ("/media/a.jpg", "media"), ("/media/a/b.png", "media"), ("/media/a.JPG", "media"), ("/%6Dedia/a.jpg", "media"),
    ("/x/../media/a.jpg", "media"), ("/media/a.gif", "other"), ("/media/a.jpg.css", "other"), ("/a.css", "code"), ("/a/b.js", "code"),
])
def test_the_first_rule_counts(shop, path, rule):
    for _ in range(3):
        assert shop.get(path)["X-Rule"] == rule


# ---------------------------------------------------------------------------------------------------- keys


@pytest.mark.parametrize("first, second, asked", [
    ("/none/a?x=1", "/none/a?y=2", "/none/a"), ("/none/b", "/none/b?utm_source=x", "/none/b"),
    ("/allow/a?z=1&q=2", "/allow/a?q=2&x=3", "/allow/a?q=2"), ("/allow/b?z=1", "/allow/b", "/allow/b"),
    ("/sort/a?b=2&a=1", "/sort/a?a=1&b=2", "/sort/a?a=1&b=2"), ("/ignore/a?utm_source=x&b=1&fbclid=9", "/ignore/a?b=1", "/ignore/a?b=1"),
])
def test_queries_that_are_one(shop, first, second, asked):
    a, b = shop.get(first), shop.get(second)
    assert (a["X-Cache"], b["X-Cache"], a.body) == ("MISS", "HIT", b.body)
    assert [r.target for r in shop.asked(asked.partition("?")[0])] == [asked]


@pytest.mark.parametrize("first, second", [
    ("/allow/c?q=1", "/allow/c?q=2"), ("/allow/c?page=1", "/allow/c?page=2"), ("/sort/c?a=1&a=2", "/sort/c?a=2&a=1"),
    ("/ignore/c?b=1&a=2", "/ignore/c?a=2&b=1"), ("/plain/c?x=1", "/plain/c?x=2"),
])
def test_queries_that_are_two(shop, first, second):
    assert shop.get(first).body != shop.get(second).body and shop.get(first)["X-Cache"] == "HIT"


@pytest.mark.parametrize("path, ways, sent", [
    ("/lang/a", [("X-Lang", "de"), ("X-Lang", "fr"), ("X-Other", "1")], ("X-Lang", ["de", "fr", None])),
    ("/cookie/a", [("Cookie", "theme=dark; _ga=1"), ("Cookie", "_gid=2; theme=light"), ("Cookie", "_ga=7")],
     ("Cookie", ["theme=dark", "theme=light", None])),
    ("/device/a", [("User-Agent", "Mozilla/5.0 (iPhone) Mobile"), ("User-Agent", "Mozilla/5.0 (iPad)"), ("User-Agent", "curl")],
     ("CDN-Device", ["mobile", "tablet", "desktop"])),
])
def test_parts_of_the_key_beside_the_url(shop, path, ways, sent):
    bodies = [shop.get(path, way).body for way in ways]
    assert len(set(bodies)) == 3
    for _ in range(3):  # also when the first is hot
        for way, body in zip(ways, bodies):
            r = shop.get(path, way)
            assert r["X-Cache"] == "HIT" and r.body == body
    assert [r.header(sent[0]) for r in shop.tcp.seen(path)] == sent[1]


@pytest.mark.parametrize("how", [{"url": "http://shop.example%s"}, {"prefix": "http://shop.example%s"}, {"tag": "t%s"}])
@pytest.mark.parametrize("path", ["/lang/p", "/cookie/p", "/device/p"])
def test_a_purge_reaches_all_variants(shop, path, how):
    shop.tcp.on(path, lambda r: ok(f"{id(r)}".encode(), "max-age=60", ("Surrogate-Key", f"t{path} u")))
    ways = [("X-Lang", "de"), ("Cookie", "theme=dark"), ("User-Agent", "iPhone"), ("X-Nothing", "1")]
    bodies = [shop.get(path, way).body for way in ways]
    assert len(set(bodies)) == 2
    assert shop.edge.admin_post("/purge", {k: v % path for k, v in how.items()})["purged"] >= 1
    assert not {shop.get(path, way).body for way in ways} & set(bodies)


def test_crowds_do_not_mix_variants(shop):
    """While the first answers are on their way, nobody joins one that is another's; sessions wait for nobody."""
    gate = Gate()
    shop.tcp.on("/lang/crowd", lambda r: ok(r.header("X-Lang", "-").encode(), "max-age=60", before=gate))
    shop.tcp.on("/account/crowd", lambda r: ok(r.header("Cookie", "-").encode(), "max-age=60", before=gate))
    ways = [("/lang/crowd", "X-Lang", v, v) for v in ("de", "fr", "nl")]
    ways += [("/account/crowd", "Cookie", f"_ga={i}; sessionid=s{i}", f"sessionid=s{i}") for i in range(3)]
    ways += [("/account/crowd", "Cookie", "_ga=9", "-")]
    asked = shop.tcp.count()
    opener = threading.Thread(target=lambda: (poll(lambda: shop.tcp.count() >= asked + 3, what="the fetches"), gate.open()))
    opener.start()
    answers = in_parallel(len(ways) * 3, lambda i: shop.get(ways[i % len(ways)][0], ways[i % len(ways)][1:3]))
    opener.join()
    for i, answer in enumerate(answers):
        assert answer.body.decode() == ways[i % len(ways)][3], (ways[i % len(ways)], answer)


def test_ranges_of_variants(shop):
    def part(request):
        body = request.header("X-Lang", "-").encode() * 5000
        if "Range" not in request:
            return ok(body, "max-age=60", ("ETag", f'"{body[:2].decode()}"'))
        a, b = (int(x) for x in request["Range"].removeprefix("bytes=").split("-"))
        b = min(b, len(body) - 1)
        return ok(body[a:b + 1], "max-age=60", ("ETag", f'"{body[:2].decode()}"'), ("Content-Range", f"bytes {a}-{b}/{len(body)}"),
                  status=206)
    shop.tcp.on("/lang/range", part)
    for _ in range(2):
        for lang in ("de", "fr"):
            r = shop.get("/lang/range", ("X-Lang", lang), ("Range", "bytes=4000-4003"))
            assert (r.status, r.body) == (206, lang.encode() * 2)
    assert shop.get("/lang/range", ("X-Lang", "fr")).body == b"fr" * 5000


# ---------------------------------------------------------------------------------------------------- cookies


@pytest.mark.parametrize("own", ["sessionid=s1", "wp_logged_in=1", "_ga=1; sessionid=s1; _gid=2"])
def test_a_visitor_with_a_session_gets_his_own_answer(shop, own):
    path = f"/account/{len(own)}"
    plain = shop.get(path)
    for _ in range(4):  # hot
        assert shop.get(path)["X-Cache"] == "HIT"
    for _ in range(2):
        r = shop.get(path, GA)
        assert r["X-Cache"] == "HIT" and r.body == plain.body
        mine = shop.get(path, ("Cookie", own))
        assert told(mine) == ("BYPASS", "bypass-cookie") and mine.body != plain.body
    assert shop.get(path).body == plain.body
    assert "Cookie" not in shop.tcp.seen(path)[0]
    assert shop.tcp.seen(path)[1]["Cookie"] == own.replace("_ga=1; ", "").replace("; _gid=2", "")


def test_cookies_of_other_lines_are_seen(shop):
    shop.get("/account/lines")
    assert told(shop.get("/account/lines", GA, ("Cookie", "sessionid=1")))[0] == "BYPASS"
    assert told(shop.get("/account/lines", ("Cookie", "xsessionid=1; SessionID=2")))[0] == "HIT"


def test_no_cookie_goes_on(shop):
    assert shop.get("/bare/a", ("Cookie", "sessionid=1"))["X-Cache"] == "MISS"
    assert shop.get("/bare/a", ("Cookie", "sessionid=2"))["X-Cache"] == "HIT"
    shop.edge.request("POST", "/bare/a", [GA], b"x", host="shop.example")
    assert not any("Cookie" in r for r in shop.tcp.seen("/bare/a"))


# ---------------------------------------------------------------------------------------------------- fields


def test_fields_of_answers(shop):
    shop.tcp.on("/fields/a", lambda r: Reply(304) if "If-None-Match" in r else
                ok(b"x", "max-age=60", ("ETag", '"1"'), ("X-Set", "0"), ("X-Set", "00"), ("X-Gone", "1"), ("Server", "s"),
                   ("X-Add", "own"), ("Link", "</b.js>")))
    answers = [shop.get("/fields/a") for _ in range(4)]
    answers.append(shop.get("/fields/a", ("If-None-Match", '"1"')))
    shop.edge.clock_advance("61s")
    answers.append(shop.get("/fields/a"))
    answers.append(shop.get("/fields/a", ("If-None-Match", '"1"')))
    assert [r["X-Cache"] for r in answers] == ["MISS", "HIT", "HIT", "HIT", "HIT", "REVALIDATED", "HIT"]
    assert [r.status for r in answers] == [200, 200, 200, 200, 304, 200, 304]
    for r in answers:
        assert r.all("X-Set") == ["one"] and r.all("Cache-Control") == ["public, max-age=7"], r
        assert "X-Gone" not in r and "Server" not in r
        if r.status == 200:
            assert r.all("X-Add") == ["own", "two"] and r.all("Link") == ["</b.js>", "</a.css>"]
    passed = shop.edge.request("POST", "/fields/b", [], b"x", host="shop.example")
    assert passed.all("X-Set") == ["one"] and "X-Gone" not in passed


def test_fields_of_requests(shop):
    headers = [("X-Secret", "mine"), ("X-Noise", "1"), ("X-Tag", "one"), ("Authorization", "Basic x"), ("User-Agent", "curl"), ("Accept-Encoding", "gzip")]
    assert shop.get("/request/a", *headers)["X-Cache"] == "MISS"
    sent = shop.tcp.last("/request/a")
    assert {n: sent.headers and [v for k, v in sent.headers if k == n] for n in ("X-Secret", "User-Agent", "Accept-Encoding")} == \
        {"X-Secret": ["s3"], "User-Agent": ["edge"], "Accept-Encoding": ["br"]}
    assert [v for k, v in sent.headers if k == "X-Tag"] == ["one", "two"]
    assert "X-Noise" not in sent and "Authorization" not in sent
    assert shop.get("/request/a", ("X-Secret", "other"))["X-Cache"] == "HIT"
    shop.edge.request("POST", "/request/b", headers, b"x", host="shop.example")
    sent = shop.tcp.last("/request/b")
    assert sent["X-Secret"] == "s3" and "X-Noise" not in sent and "Authorization" not in sent


# ---------------------------------------------------------------------------------------------------- CORS


def test_cors_for_all(shop):
    for _ in range(3):
        r = shop.get("/open/a", ("Origin", "https://x.example"))
        assert r["Access-Control-Allow-Origin"] == "*" and "Origin" not in r.header("Vary", "")


def test_cors_for_some(shop):
    for _ in range(2):
        for origin, allowed in (("https://a.example", "https://a.example"), ("https://x.example", None), (None, None),
                                ("https://b.example", "https://b.example"), ("null", None)):
            r = shop.get("/listed/a", *([("Origin", origin)] if origin else []))
            assert r.header("Access-Control-Allow-Origin") == allowed and r["Vary"] == "Origin", origin
    assert shop.tcp.count("/listed/a") == 1


@pytest.mark.parametrize("path, open_", [
    ("/plain/app.0123456789ab.woff2", True), ("/plain/app.woff2", False), ("/closed/app.0123456789ab.woff2", False),
])
def test_cors_by_default(shop, path, open_):
    shop.tcp.on(path, ok(b"x"))
    for _ in range(3):
        assert ("Access-Control-Allow-Origin" in shop.get(path, ("Origin", "https://x.example"))) == open_


def test_cors_of_the_origin_stands(shop):
    shop.tcp.on("/plain/b.0123456789ab.css", ok(b"x", "max-age=60", ("Access-Control-Allow-Origin", "https://a.example")))
    assert shop.get("/plain/b.0123456789ab.css").all("Access-Control-Allow-Origin") == ["https://a.example"]


@pytest.mark.parametrize("path, origin, method, allowed", [
    ("/open/pre1", "https://x.example", "PUT", "*"), ("/listed/pre2", "https://a.example", "POST", "https://a.example"),
    ("/listed/pre3", "https://x.example", "GET", None),
])
def test_preflights_are_answered_here(shop, path, origin, method, allowed):
    asks = [("Origin", origin), ("Access-Control-Request-Method", method), ("Access-Control-Request-Headers", "x-a, x-b")]
    r = shop.edge.request("OPTIONS", path, asks, host="shop.example")
    assert (r.status, r.header("Access-Control-Allow-Origin")) == (204, allowed)
    if allowed:
        assert (r["Access-Control-Allow-Methods"], r["Access-Control-Allow-Headers"]) == (method, "x-a, x-b")
    assert not shop.asked(path)
    shop.edge.request("OPTIONS", path, [("Origin", origin)], host="shop.example")  # no preflight: the origin's to answer
    assert len(shop.asked(path)) == 1


# ---------------------------------------------------------------------------------------------------- redirect, methods, pass


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_redirect_to_https(shop, method):
    r = shop.edge.request(method, "/secure/a/../b?x=1", body=b"x" if method == "POST" else b"", host="shop.example:8080")
    assert (r.status, r["Location"]) == (308, "https://shop.example/secure/b?x=1")
    assert shop.get("/secure/b?x=1", HTTPS).status == 200 and len(shop.asked("/secure/")) <= 3


@pytest.mark.parametrize("method, path, status", [
    ("GET", "/read/a", 200), ("HEAD", "/read/a", 200), ("POST", "/read/a", 405), ("DELETE", "/read/a", 405), ("OPTIONS", "/read/a", 405),
    ("GET", "/get/a", 200), ("HEAD", "/get/a", 200), ("POST", "/get/a", 405),
    ("GET", "/write/a", 405), ("HEAD", "/write/a", 405), ("POST", "/write/a", 200), ("GET", "/write/a", 405), ("TRACE", "/plain/a", 405),
])
def test_methods(shop, method, path, status):
    with shop.edge.connect() as c:  # the body of what is refused does not become the next request
        body = b"x" * 10000 if method in ("POST", "DELETE") else b""
        r = c.request(method, path, body=body, host="shop.example")
        assert r.status == status, r
        if status == 405 and method != "TRACE":
            assert r["Allow"] == {"read": "GET, HEAD", "get": "GET", "write": "POST"}[path.split("/")[1]]
        if not r.header("Connection", "") == "close":
            assert c.get("/plain/a", host="shop.example").status == 200


def test_pass(shop):
    for _ in range(3):
        assert told(shop.get("/api/a")) == ("BYPASS", "bypass-rule")
    assert shop.tcp.count("/api/a") == 3


# ---------------------------------------------------------------------------------------------------- lifetimes


@pytest.mark.parametrize("path, cc, status, ttl", [
    ("/floor/a", "max-age=5", 200, 3600), ("/floor/b", None, 200, 3600), ("/floor/c", "max-age=7200", 200, 7200),
    ("/floor/d", "no-store", 200, None), ("/floor/e", "private, max-age=9", 200, None), ("/floor/f", None, 500, None),
    ("/ceiling/a", "max-age=7200", 200, 60), ("/ceiling/b", "max-age=5", 200, 5),
    ("/override/a", "max-age=5", 200, 600), ("/override/b", "max-age=7200", 200, 600), ("/override/c", "private", 200, None),
    ("/status/a", None, 200, 30), ("/status/b", None, 404, 5), ("/status/c", "max-age=9", 404, 9), ("/status/d", "no-store", 404, None),
])
def test_lifetimes(shop, path, cc, status, ttl):
    shop.tcp.on(path, ok(b"x", cc, status=status))
    shop.get(path)
    r = shop.get(path)
    assert (int(marks(r)["ttl"]) if "hit" in marks(r) else None) == ttl


def test_stale_windows(shop):
    shop.tcp.on("/swr/a", ok(b"1"), ok(b"2"))
    shop.tcp.on("/sie/a", ok(b"1"), Reply(503))
    shop.get("/swr/a"), shop.get("/sie/a")
    shop.edge.clock_advance("2m")
    assert told(shop.get("/swr/a"))[0] == told(shop.get("/sie/a"))[0] == "STALE"
    poll(lambda: shop.get("/swr/a").body == b"2", what="the refresh")
    shop.edge.clock_advance("2h")
    assert shop.get("/sie/a").status == 503


# ---------------------------------------------------------------------------------------------------- origins


def test_what_origins_are_asked_and_told(shop):
    assert shop.get("/prefixed/a?b=c").status == 200
    assert shop.tcp.last().target == "/bucket/x/prefixed/a?b=c" and shop.tcp.last()["Host"] == "%s:%d" % shop.tcp.address
    shop.get("/named/a"), shop.get("/client/a")
    assert shop.tcp.last("/named/a")["Host"] == "assets.example" and shop.tcp.last("/client/a")["Host"] == "shop.example"


# ---------------------------------------------------------------------------------------------------- reload


def test_a_reload_changes_hot_objects_at_once_and_drops_nothing(own_shop):
    shop, stop, bad = own_shop, threading.Event(), []
    for _ in range(4):
        assert "X-New" not in shop.get("/plain/a")

    def load(_):
        with shop.edge.connect() as c:
            while not stop.is_set():
                r = c.get("/plain/a", host="shop.example")
                bad.extend([r] if r.status != 200 or not r.complete else [])

    worker = threading.Thread(target=in_parallel, args=(4, load))
    worker.start()
    try:
        for i in range(5):
            text = SITES.replace("{path: /plain/}", f"{{path: /plain/, fields: {{set: {{X-New: '{i}'}}}}}}")
            shop.file.write_text(shop.sites(text))
            shop.edge.signal(signal.SIGHUP) if i % 2 else shop.edge.reload()
            poll(lambda i=i: shop.get("/plain/a").header("X-New") == str(i), what="the new rule")
            r = shop.get("/plain/a")
            assert r["X-Cache"] == "HIT" and r.all("X-New") == [str(i)]
        shop.file.write_text(shop.sites(SITES.replace("{path: /plain/}", "{path: /plain/, methods: [POST]}")))
        stop.set(), worker.join()
        assert shop.edge.reload().status == 200 and shop.get("/plain/a").status == 405
    finally:
        stop.set(), worker.join()
    assert not bad


@pytest.mark.parametrize("old, new, said", [
    ("{path: /plain/}", "{path: /plain/, cros: x}", 'unknown key "cros" in sites.shop.rules[32]; did you mean "cors"?'),
    ("{path: /plain/}", "{path: /allow/x/}", '"/allow/x/" is never reached'),
    ("hosts: [blog.example]", "hosts: [SHOP.example]", '"shop.example" is there twice (also in shop, '),
])
def test_a_bad_file_changes_nothing_and_says_why(cdn, own_shop, old, new, said):
    shop = own_shop
    shop.file.write_text(shop.sites(SITES.replace(old, new).replace("{path: /none/", "{path: /none/, fields: {set: {X-New: 1}}")))
    line = 1 + shop.file.read_text()[:shop.file.read_text().index(new)].count("\n")
    r = shop.edge.reload()
    assert r.status == 400 and f"{shop.file}:{line}: " in r.json()["detail"] and said in r.json()["detail"], r.body
    shop.edge.signal(signal.SIGHUP)
    poll(lambda: any(said in json.dumps(e).replace('\\"', '"').replace("\\\\", "\\") or said.replace('"', '\\"') in str(e)
                     for e in shop.edge.log), what="the log line")
    assert shop.get("/plain/a", host="shop.example").status == 200 and "X-New" not in shop.get("/none/a")
    check = cdn.cli("-c", shop.file, "--name", "fra", "--check", program="pocketcdn-edge")
    assert check.returncode == 2 and f"{shop.file}:{line}: " in check.stderr and said in check.stderr and not check.stdout
