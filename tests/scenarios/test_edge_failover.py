"""Several origins behind a rule: which is asked, what happens when one fails, and when it is back."""

import http.server
import os
import signal
import socketserver
import sys
import threading

import pytest
from cdn import Reply, poll
from test_edge_http import ok


def site(*rules, **more):
    return {"sites": {"shop": {"hosts": ["shop.example"], "rules": list(rules), **more}}}


def edge_of(cdn, config, **settings):
    return cdn.edge(None, config=cdn.config(config), connect_timeout="60s", **settings)


def get(edge, path, **more):
    return edge.get(path, [("Host", "shop.example")], **more)


def origins(edge):
    return {o["url"]: o for o in edge.status()["origins"]}


def test_the_next_origin_is_asked(cdn):
    """Refused, broken off and the chosen statuses go on to the next; others are the answer."""
    first, second = cdn.fake_origin(), cdn.fake_origin()
    edge = edge_of(cdn, site({"path": "/", "origins": [first.url, second.url], "failover": [502, 503, 504, 404]}), threads=1)
    for path, reply in (("/502", Reply(502)), ("/503", Reply(503)), ("/404", Reply(404)), ("/cut", Reply(raw=b""))):
        first.on(path, reply)
        second.on(path, ok(b"second"))
        assert get(edge, path).body == b"second", path
        assert (first.count(path), second.count(path)) == (1, 1)
    for path, status in (("/500", 500), ("/410", 410)):
        first.on(path, Reply(status))
        assert get(edge, path).status == status
        assert second.count(path) == 0
    second.on("/both", Reply(503, b"second too"))
    first.on("/both", Reply(503, b"first"))
    assert (get(edge, "/both").status, first.count("/both"), second.count("/both")) == (503, 1, 1)
    assert edge.metric("failover_total") == 5
    assert {r["Host"] for r in second.seen()} == {second.url.removeprefix("http://")}


def test_a_rule_without_origins_asks_the_application(cdn):
    """Those of the rule for "/", wherever that stands; a site's own come before them."""
    app, own = cdn.fake_origin(), cdn.fake_origin()
    app.default, own.default = ok(b"app"), ok(b"own")
    rules = [{"path": "/api/", "pass": "yes"}, {"path": "/own/", "origins": own.url}, {"path": "/", "origins": [app.url]}]
    edge = edge_of(cdn, site(*rules), threads=1)
    assert [get(edge, path).body for path in ("/api/x", "/own/x", "/x")] == [b"app", b"own", b"app"]
    edge = edge_of(cdn, site(*rules, origins=own.url), threads=1, name="ams")
    assert [get(edge, path).body for path in ("/api/x", "/x")] == [b"own", b"app"]


def test_what_must_not_be_sent_twice_is_not(cdn):
    """A POST goes on when nothing of it can have arrived, and only then."""
    first, second = cdn.fake_origin(), cdn.fake_origin()
    edge = edge_of(cdn, site({"path": "/", "origins": [first.url, second.url]}), threads=1, origin_retry="0s")
    first.on("/p", Reply(503, b"busy"))
    second.on("/p", Reply(200, b"posted"))
    assert edge.request("POST", "/p", [("Host", "shop.example")], b"x" * 100).status == 503
    assert second.count("/p") == 0
    first.refuse()
    assert edge.request("POST", "/p", [("Host", "shop.example")], b"x" * 100).body == b"posted"
    assert [r.body for r in second.seen()] == [b"x" * 100]


def test_none_of_them(cdn):
    """All refuse: one clear answer, and what is stale is given for as long as the rule says."""
    first, second = cdn.fake_origin(), cdn.fake_origin()
    rule = {"path": "/", "origins": [first.url, second.url], "stale_if_disconnected": "1h"}
    edge = edge_of(cdn, site(rule), threads=1, origin_retry="0s", simulate=True)
    first.on("/a", ok(b"stored", "max-age=60"))
    assert get(edge, "/a").body == b"stored"
    first.refuse()
    second.refuse()
    assert get(edge, "/b").status == 502
    edge.clock_advance("2m")
    answer = get(edge, "/a")
    assert (answer.status, answer.body, answer["X-Cache"]) == (200, b"stored", "STALE")
    edge.clock_advance("2h")
    assert get(edge, "/a").status == 502


def test_a_failed_origin_is_asked_again_when_it_is_back(cdn):
    """By background checks, so that nobody waits for it meanwhile; 0 errors on the way."""
    first, second = cdn.fake_origin(), cdn.fake_origin()
    edge = edge_of(cdn, site({"path": "/", "origins": [first.url, second.url]}), threads=1)
    first.default, second.default = ok(b"first", "no-store"), ok(b"second", "no-store")
    assert get(edge, "/0").body == b"first"
    first.refuse()
    for i in range(10):
        assert get(edge, f"/{i}").body == b"second"
    assert not origins(edge)[first.url]["well"]
    before = origins(edge)[first.url]["requests"]
    for i in range(10):
        assert get(edge, f"/{i}").body == b"second"
    assert origins(edge)[first.url]["requests"] == before
    first.listen_again()
    poll(lambda: get(edge, "/again").body == b"first", what="the first origin is asked again")
    assert origins(edge)[first.url]["well"]


def test_health_checks(cdn):
    """With a path an origin that answers its checks badly is not asked, though it would answer."""
    first, second = cdn.fake_origin(), cdn.fake_origin()
    rule = {"path": "/", "origins": [first.url, second.url], "origin_host": "app.internal",
            "health": {"path": "/healthz", "interval": "100ms", "up": 2, "down": 2}}
    first.on("/healthz", Reply(200))
    second.on("/healthz", Reply(204))
    first.default, second.default = ok(b"first", "no-store"), ok(b"second", "no-store")
    edge = edge_of(cdn, site(rule), threads=1)
    assert get(edge, "/a").body == b"first"
    poll(lambda: first.count("/healthz") > 2 and second.count("/healthz") > 2, what="checks")
    first.on("/healthz", Reply(500))
    poll(lambda: get(edge, "/a").body == b"second", what="the sick one is left out")
    assert origins(edge)[first.url]["sick"] and not origins(edge)[second.url]["sick"]
    first.on("/healthz", Reply(200))
    poll(lambda: get(edge, "/a").body == b"first", what="the well one is asked again")
    assert {r["Host"] for r in first.seen() if r.path == "/healthz"} == {"app.internal"}


class Unix(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = f"{self.path} {self.headers['Host']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "unix"

    def log_message(self, *args):
        pass


@pytest.mark.parametrize("after, asked", [("", "/a?b=c"), (":/app", "/app/a?b=c")], ids=["whole", "path"])
def test_a_unix_socket(cdn, after, asked):
    """The origin behind a socket is told the client's host, as a Django behind gunicorn wants it."""
    path = cdn.folder("socket") / "o.sock"
    server = Unix(str(path), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    edge = edge_of(cdn, site({"path": "/", "origins": [f"unix:{path}{after}"]}), threads=1)
    assert get(edge, "/a?b=c").text == f"{asked} shop.example"
    assert get(edge, "/a?b=c").text == f"{asked} shop.example"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
def test_under_load_nobody_sees_it(cdn, how):
    """Origin 1 dies under 8 clients and comes back: no answer but 200."""
    folder = cdn.folder("root")
    (folder / "a.txt").write_text("a" * 1000)
    first = cdn.origin(folder)
    second = cdn.origin(folder)
    rule = {"path": "/", "origins": [first.url, second.url], "lifetime": {"override": "0s"}, "key": {"query": "all"}}
    edge = edge_of(cdn, site(rule), threads=2)
    bad, done, stop = [], [0], threading.Event()

    def ask(n):
        i = 0
        while not stop.is_set():
            i += 1
            answer = get(edge, f"/a.txt?{n}.{i}")
            done[0] += 1
            if answer.status != 200 or len(answer.body) != 1000:
                bad.append(answer)
    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    poll(lambda: done[0] > 200, what="some answers")
    os.kill(first.pid, how)
    before = done[0]
    poll(lambda: done[0] > before + 400, what="answers without it")
    stop.set()
    for thread in threads:
        thread.join()
    assert not bad, (len(bad), done[0], bad[0])
    assert edge.metric("failover_total") >= 1 or how == signal.SIGTERM


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
