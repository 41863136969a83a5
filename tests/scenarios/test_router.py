"""The router: redirects, the client's address, health and fail-over, drain, reload, refusals.

The edges are fake servers that answer /health; the clients' places come from overrides of loopback addresses, so that
nothing here depends on a geo database.
"""

import json
import os
import pathlib
import signal
import socket
import time

import pytest

from cdn import LIMIT, SLOW, Reply, in_parallel, poll, unused_port

PLACES = {"127.0.0.10": "Frankfurt", "127.0.0.11": "Tokyo", "127.0.0.12": "New York"}
FRA, NRT, IAD = PLACES
FAST = {"probe_interval": "50ms", "probe_timeout": "500ms"}


class Edges:
    """Fake edges by name; their admin listener is the same server."""

    def __init__(self, cdn, **places):
        self.servers = {name: cdn.fake_origin() for name in places}
        self.places = places
        for server in self.servers.values():
            server.on("/health", Reply(200, b'{"status":"ok"}'))

    def flags(self, **more):
        """The --edge flags; `more` adds to the one of that name."""
        return [f"name={n},place={p},url={self[n].url},admin={self[n].url}" + ("," + more[n] if n in more else "")
                for n, p in self.places.items()]

    def __getitem__(self, name):
        return self.servers[name]

    def name_of(self, response):
        location = response["Location"]
        names = [n for n, s in self.servers.items() if location.startswith(s.url + "/")]
        assert len(names) == 1, location
        return names[0]


@pytest.fixture
def edges(cdn):
    return Edges(cdn, fra="Frankfurt", nrt="Tokyo", iad="Ashburn")


def overrides(places=PLACES):
    return [f"{ip}/32={place}" for ip, place in places.items()]


def start(cdn, edges, **settings):
    settings = {"edge": edges.flags(), "overrides": overrides(), **FAST, **settings}
    router = cdn.router(**settings)
    poll(lambda: all(e["health"]["known"] for e in router.admin_get("/edges")["edges"]), what="first probes")
    return router


def edge_state(router, name):
    return router.admin_get(f"/edges/{name}")


def went_to(router, edges, source, target="/x"):
    return edges.name_of(router.get(target, source=source))


# ---------------------------------------------------------------------------------------------------- redirects


def test_the_nearest_edge_and_the_request_kept(cdn, edges):
    router = start(cdn, edges, redirect_max_age="42s")
    for source, name in ((FRA, "fra"), (NRT, "nrt"), (IAD, "iad")):
        target = "/static/%41/../app.css?v=1&q=a+b%20c&&x=?/#".rstrip("#")
        answer = router.get(target, source=source)
        assert answer.status == 307
        assert answer["Location"] == edges[name].url + target
        assert answer["Cache-Control"] == "private, max-age=42"
        assert answer["Access-Control-Allow-Origin"] == "*"
        assert answer["Timing-Allow-Origin"] == "*"
        assert answer.complete and answer.body == b""


@pytest.mark.parametrize("target, path", [
    ("/", "/"), ("/?", "/?"), ("/a?b=c?d", "/a?b=c?d"), ("//evil.example/x", "//evil.example/x"),
    ("///evil.example", "///evil.example"), ("/%2F%2Fevil.example", "/%2F%2Fevil.example"),
    ("http://evil.example/y?z", "/y?z"), ("http://evil.example//w", "//w"), ("/@evil.example", "/@evil.example"),
])
def test_no_open_redirect(cdn, edges, target, path):
    router = start(cdn, edges)
    with router.connect(source=FRA) as client:
        client.send(f"GET {target} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        answer = client.response()
    assert answer.status == 307
    assert answer["Location"] == edges["fra"].url + path


def test_answers_are_used_again(cdn, edges):
    """Heads are kept from request to request; lengths that share a list (64 apart) and others, two edges, both in turn."""
    router = start(cdn, edges, threads="1", redirect_max_age="7s")
    with router.connect(source=FRA) as fra, router.connect(source=NRT) as nrt:
        for n in (1, 2, 1, 65, 1, 129, 2, 66, 7000, 1, 3, 67, 3):
            for client, name in ((fra, "fra"), (nrt, "nrt")):
                for letter in "ab":
                    target = "/" + letter * n
                    answer = client.request("GET", target)
                    assert (answer.status, answer["Location"]) == (307, edges[name].url + target)
                    assert answer["Cache-Control"] == "private, max-age=7"
                    assert answer["Access-Control-Allow-Origin"] == answer["Timing-Allow-Origin"] == "*"


def test_methods(cdn, edges):
    router = start(cdn, edges, redirect_status="302")
    with router.connect(source=FRA) as client:
        assert client.request("GET", "/a").status == 302
        head = client.request("HEAD", "/a?b")
        assert (head.status, head["Location"]) == (302, edges["fra"].url + "/a?b")
        for method in ("POST", "PUT", "DELETE", "PATCH", "REPORT"):
            answer = client.request(method, "/a")
            assert (answer.status, answer["Location"]) == (307, edges["fra"].url + "/a"), method
        preflight = client.request("OPTIONS", "/a", {"Origin": "http://a.example",
                                                     "Access-Control-Request-Method": "PUT"})
        assert preflight.status == 204 and preflight["Access-Control-Allow-Origin"] == "*"
        assert "PUT" in preflight["Access-Control-Allow-Methods"]
        for method in ("PURGE", "TRACE"):
            refused = client.request(method, "/a")
            assert refused.status == 405 and "GET" in refused["Allow"], method
    with router.connect(source=FRA) as client:  # the body goes to the edge, not here
        client.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert client.response("POST").status == 307


def test_a_public_port_that_leaves_none_for_the_default_admin(cdn, edges):
    """Above 64535 the kernel chooses the admin's port; it is told in the log (`ready`)."""
    def is_free(port):
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", port)) != 0

    port = next(p for p in range(65535, 64535, -1) if is_free(p))
    router = cdn.router(listen=f"127.0.0.1:{port}", admin="", state="none", edge=edges.flags())
    assert router.public[1] == port and 0 < router.admin[1] <= 65535 and router.status()


def test_long_targets(cdn, edges):
    router = start(cdn, edges)
    longest = "/" + "a" * 7999
    assert router.get(longest, source=FRA)["Location"] == edges["fra"].url + longest
    assert router.get(longest + "b", source=FRA).status == 414
    assert router.get("/" + "a" * 30000, source=FRA).status in (414, 431)
    assert router.get("/", source=FRA).status == 307


def test_trusted_proxies(cdn, edges):
    settings = {"trusted_proxies": "127.0.0.20/32", "default_place": "Tokyo", "overrides": overrides(
        {**PLACES, "127.0.0.20": "Frankfurt", "192.0.2.1": "Tokyo", "192.0.2.2": "New York"})}
    router = start(cdn, edges, **settings)
    assert edges.name_of(router.get("/", source="127.0.0.20")) == "fra"
    for source, field, value, name in (
            ("127.0.0.20", "X-Forwarded-For", "192.0.2.1", "nrt"),
            ("127.0.0.20", "X-Forwarded-For", "192.0.2.2, 192.0.2.1", "nrt"),
            ("127.0.0.20", "X-Forwarded-For", "192.0.2.1, 192.0.2.2, 127.0.0.20", "iad"),
            ("127.0.0.20", "X-Forwarded-For", "rubbish", "nrt"),  # nobody: the default place, not the proxy's
            ("127.0.0.20", "X-Forwarded-For", "_hidden", "nrt"),
            ("127.0.0.20", "X-Forwarded-For", "", "nrt"),
            ("127.0.0.20", "Forwarded", "for=192.0.2.2", "nrt"),
            (FRA, "X-Forwarded-For", "192.0.2.1", "fra"),
            (FRA, "Forwarded", "for=192.0.2.2", "fra")):
        assert edges.name_of(router.get("/", {field: value}, source=source)) == name, (source, field, value)


def test_one_field_names_the_client(cdn, edges):
    """What the client adds in the other field moves nobody."""
    both = {"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.2"}
    for field, name in (("x-forwarded-for", "nrt"), ("forwarded", "iad"), ("none", "fra")):
        router = start(cdn, edges, trusted_proxies="127.0.0.20/32", client_field=field, default_place="Tokyo",
                       overrides=overrides({**PLACES, "127.0.0.20": "Frankfurt", "192.0.2.1": "Tokyo", "192.0.2.2": "New York"}))
        assert edges.name_of(router.get("/", both, source="127.0.0.20")) == name
        hidden = {"X-Forwarded-For": "_x", "Forwarded": "for=_x"}
        assert edges.name_of(router.get("/", hidden, source="127.0.0.20")) == ("fra" if field == "none" else "nrt")
        metrics = router.metrics()
        reasons = {k: v for k, v in metrics.items() if 'reason="' in k and v}
        assert any('reason="default"' in k for k in reasons) == (field != "none"), reasons


def test_a_simulated_place(cdn, edges):
    router = start(cdn, edges, simulate=True)
    assert went_to(router, edges, FRA, "/a?pocketcdn-from=Osaka") == "nrt"
    assert edges.name_of(router.get("/a", {"Cookie": "a=b; pocketcdn-from=New%20York"}, source=FRA)) == "iad"
    assert went_to(router, edges, FRA, "/a?pocketcdn-from=edge:nrt") == "nrt"
    assert went_to(router, edges, FRA, f"/a?pocketcdn-from={NRT}") == "nrt"
    sober = start(cdn, edges)
    assert went_to(sober, edges, FRA, "/a?pocketcdn-from=Osaka") == "fra"


# ---------------------------------------------------------------------------------------------------- explaining


def test_route_explains_what_the_listener_does(cdn, edges):
    router = start(cdn, edges)
    for ip in (*PLACES, "10.0.0.1", "8.8.8.8", "2001:4860:4860::8888", "::ffff:127.0.0.11"):
        route = router.admin_get(f"/route?ip={ip}&path=/x")
        assert route["edge"] in edges.servers and route["url"] == edges[route["edge"]].url
        assert route["rtt_label"] == "modelled" and route["km"] >= 0 and route["rtt_ms"] > 0
        assert [c["edge"] for c in route["candidates"]][0] == route["edge"]
        assert sorted(c["rtt_ms"] for c in route["candidates"]) == [c["rtt_ms"] for c in route["candidates"]]
        assert route["steps"] and route["runner_up"] == route["candidates"][1]["edge"]
        if ip in PLACES:
            assert route["edge"] == went_to(router, edges, ip)
            assert (route["reason"], route["precision"], route["ambiguous"]) == ("override", "exact", False)
            assert route["override"]["network"] == f"{ip}/32" and route["override"]["target"] == PLACES[ip]
    special = router.admin_get("/route?ip=10.0.0.1")
    assert (special["special"], special["reason"], special["ambiguous"]) == ("private", "special", True)
    for bad in ("", "?ip=", "?ip=nonsense", "?ip=1.2.3.4.5"):
        answer = router.admin_request("GET", "/route" + bad)
        assert answer.status == 400 and "ip" in answer.json()["detail"], bad


# ---------------------------------------------------------------------------------------------------- health


def test_fail_over_and_back(cdn, edges):
    router = start(cdn, edges, probe_interval="100ms")
    assert went_to(router, edges, FRA) == "fra"
    edges["fra"].refuse()
    began = time.monotonic()
    poll(lambda: went_to(router, edges, FRA) == "iad", 3 * SLOW, "fail-over")
    assert time.monotonic() - began < 3 * SLOW
    state = edge_state(router, "fra")
    assert not state["healthy"] and state["health"]["error"]
    assert router.admin_get(f"/route?ip={FRA}")["reason"] == "health"
    router.wait_log("edge_state", edge="fra", state="down")
    edges["fra"].listen_again()
    began = time.monotonic()
    poll(lambda: went_to(router, edges, FRA) == "fra", 3 * SLOW, "recovery")
    assert time.monotonic() - began < 3 * SLOW
    events = [(e["edge"], e["event"]) for e in router.status()["events"]]
    assert events == [("fra", "down"), ("fra", "up")]
    assert router.metric("edge_down_total") == router.metric("edge_up_total") == 1
    assert router.metrics()['pocketcdn_router_decision_total{reason="health"}'] >= 1
    assert router.metrics()['pocketcdn_router_edge_healthy{edge="fra"}'] == 1


def test_the_defaults_are_quick_enough(cdn, edges):
    """Killed: no new answers within 2 s. Hanging: the same. Back: within 3 s."""
    router = start(cdn, edges, probe_interval="500ms", probe_timeout="1s")

    def took(what, expected):
        began = time.monotonic()
        poll(lambda: went_to(router, edges, FRA) == expected, what=what)
        return time.monotonic() - began

    hanging, well = Reply(200, [b"{", lambda *_: time.sleep(2), b"}"], length=False), Reply(200)
    for fall, rise in ((edges["fra"].refuse, edges["fra"].listen_again),
                       (lambda: edges["fra"].on("/health", hanging), lambda: edges["fra"].on("/health", well))):
        fall()
        assert took("fall", "iad") < 2 * SLOW
        rise()
        assert took("recovery", "fra") < 3 * SLOW


def test_a_slow_edge_and_a_failing_edge_are_sick(cdn, edges):
    router = start(cdn, edges, probe_timeout="150ms")
    answers = {"slow": Reply(200, [b"{", lambda *_: time.sleep(0.4), b"}"], length=False), "broken": Reply(503)}
    for word, reply in answers.items():
        edges["fra"].on("/health", reply)
        poll(lambda: not edge_state(router, "fra")["healthy"], what=word)
        assert went_to(router, edges, FRA) == "iad"
        edges["fra"].on("/health", Reply(200))
        poll(lambda: edge_state(router, "fra")["healthy"], what="recovery")
    assert router.metric("probe_timeout_total") >= 1


def test_one_failure_is_no_fall(cdn, edges):
    edges["fra"].on("/health", Reply(200), Reply(503), Reply(200), Reply(503), Reply(200))
    router = start(cdn, edges)
    edges["fra"].wait_count(8, "/health")
    assert router.metric("probe_failed_total") == 2
    assert router.status()["events"] == []


def test_when_all_look_sick_none_is(cdn, edges):
    router = start(cdn, edges)
    for server in edges.servers.values():
        server.refuse()
    poll(lambda: not any(e["healthy"] for e in router.admin_get("/edges")["edges"]), what="all sick")
    assert went_to(router, edges, FRA) == "fra"
    assert router.admin_get(f"/route?ip={NRT}")["optimistic"] is True
    router.admin_post("/edges/iad", {"pinned": True})
    assert went_to(router, edges, FRA) == "iad"
    router.admin_post("/edges/iad", {"state": "drain"})
    assert went_to(router, edges, FRA) == "fra"


def test_an_edge_that_is_down_from_the_start(cdn, edges):
    edges["fra"].refuse()
    router = start(cdn, edges)
    assert went_to(router, edges, FRA) == "iad"


def test_load_spills_over(cdn, edges):
    router = start(cdn, edges, edge=edges.flags(fra="capacity=100"))
    assert went_to(router, edges, FRA) == "fra"
    edges["fra"].on("/health", Reply(200, b'{"status":"ok","load":100}'))
    poll(lambda: went_to(router, edges, FRA) == "iad", what="spill-over")
    route = router.admin_get(f"/route?ip={FRA}")
    assert route["reason"] == "load"
    full = next(c for c in route["candidates"] if c["edge"] == "fra")
    assert full["full"] and full["load"] == 100 and full["probe_ms"] > 0
    edges["fra"].on("/health", Reply(200, b'{"load":95}'))
    edges["fra"].wait_count(edges["fra"].count("/health") + 3, "/health")
    assert went_to(router, edges, FRA) == "iad"  # not before 90 %
    edges["fra"].on("/health", Reply(200, b'{"load":10}'))
    poll(lambda: went_to(router, edges, FRA) == "fra", what="back")


# ---------------------------------------------------------------------------------------------------- operator


def test_drain_weight_and_pin(cdn, edges):
    router = start(cdn, edges)
    assert router.admin_post("/edges/fra", {"state": "drain"})["state"] == "drain"
    assert went_to(router, edges, FRA) == "iad"
    router.admin_post("/edges/fra", {"state": "active"})
    assert went_to(router, edges, FRA) == "fra"
    router.admin_post("/edges/fra", {"weight": 0})
    assert went_to(router, edges, FRA) == "iad"
    router.admin_post("/edges/fra", {"weight": 5})
    assert went_to(router, edges, FRA) == "fra"
    assert router.admin_post("/edges/fra", {"drain": True})["state"] == "drain"
    assert router.admin_post("/edges/fra", {"drain": False})["state"] == "active"
    router.admin_post("/edges/nrt", {"pinned": True})
    assert {went_to(router, edges, source) for source in PLACES} == {"nrt"}
    assert router.admin_get(f"/route?ip={FRA}")["reason"] == "pinned"
    router.admin_post("/edges/nrt", {"pinned": False})
    assert went_to(router, edges, FRA) == "fra"
    assert [e["event"] for e in router.status()["events"]] == [
        "drained", "active", "weight", "weight", "drained", "active", "pinned", "unpinned"]
    for name in edges.servers:
        router.admin_post(f"/edges/{name}", {"state": "drain"})
    assert router.get("/", source=FRA).status == 503


@pytest.mark.parametrize("body, says", [
    ({}, "nothing"), ({"state": "off"}, "state"), ({"state": 1}, "state"), ({"weight": -1}, "weight"),
    ({"weight": 10001}, "weight"), ({"weight": 1.5}, "weight"), ({"pinned": "yes"}, "pinned"),
    ({"colour": 1}, "colour"), ([], "object"), (b"{", ""), (b'{"state":"drain","weight":"x"}', "weight")])
def test_bad_changes_change_nothing(cdn, edges, body, says):
    router = start(cdn, edges)
    answer = router.admin_request("POST", "/edges/fra", body)
    assert answer.status == 400 and says in answer.json()["detail"]
    state = edge_state(router, "fra")
    assert (state["state"], state["weight"], state["pinned"]) == ("active", 1, False)
    assert router.admin_request("POST", "/edges/nobody", {"state": "drain"}).status == 404
    assert router.admin_request("GET", "/edges/nobody").status == 404


def test_edges_of_one_place_share_by_path(cdn):
    edges = Edges(cdn, a="Frankfurt", b="Frankfurt", c="Tokyo")
    router = start(cdn, edges)
    with router.connect(source=FRA) as client:
        first = {path: edges.name_of(client.get(path)) for path in (f"/{i}.js" for i in range(200))}
        assert set(first.values()) == {"a", "b"}
        assert all(edges.name_of(client.get(path + "?v=2")) == name for path, name in first.items())
        edges["a"].refuse()
        poll(lambda: not edge_state(router, "a")["healthy"], what="a is down")
        assert {edges.name_of(client.get(path)) for path in first} == {"b"}


# ---------------------------------------------------------------------------------------------------- reload


def config_of(edges, **router):
    return {"router": {"overrides": {f"{ip}/32": place for ip, place in PLACES.items()}, **FAST, **router},
            "edges": [{"name": n, "place": p, "url": edges[n].url, "admin": edges[n].url.removeprefix("http://"),
                       "memory": "64MiB"} for n, p in edges.places.items()]}


def config_text(edges, **router):
    return json.dumps(config_of(edges, **router))


def test_reload(cdn, edges):
    config = config_of(edges)
    path = cdn.config(config)
    router = cdn.router(path)
    poll(lambda: all(e["health"]["known"] for e in router.admin_get("/edges")["edges"]), what="first probes")
    assert went_to(router, edges, FRA) == "fra"
    router.admin_post("/edges/iad", {"state": "drain"})

    bad = [("{", ""), (json.dumps({**config, "colour": 1}), "colour"),
           (json.dumps(config).replace("Tokyo", "Atlantis"), "Atlantis"),
           (config_text(edges, overrides={"127.0.0.10/8": "Oslo"}), "127.0.0.10/8"),
           (config_text(edges, database=["/nowhere.mmdb"]), "/nowhere.mmdb"),
           (config_text(edges, threads=7), "threads"),
           (json.dumps(config).replace('"nrt"', '"fra"'), "fra")]
    for text, says in bad:
        path.write_text(text)
        answer = router.reload()
        assert answer.status >= 400 and says in answer.json()["detail"], (text, answer)
        assert says in router.status()["reload_error"]
        assert went_to(router, edges, FRA) == "fra" and went_to(router, edges, NRT) == "nrt", text
    failed = router.status()["reloads_failed"]
    path.write_text("nonsense")
    router.signal(signal.SIGHUP)
    poll(lambda: router.status()["reloads_failed"] == failed + 1, what="SIGHUP")

    answered = edge_state(router, "fra")["answers"]
    config["edges"] = [e for e in config["edges"] if e["name"] != "nrt"]
    config["router"]["redirect_status"] = 302
    path.write_text(json.dumps(config))
    router.signal(signal.SIGHUP)
    poll(lambda: router.get("/", source=FRA).status == 302, what="new status")
    assert router.status()["reload_error"] is None
    assert [e["name"] for e in router.admin_get("/edges")["edges"]] == ["fra", "iad"]
    assert went_to(router, edges, NRT) == "fra"  # iad drains still
    assert edge_state(router, "fra")["answers"] > answered


def test_a_replaced_database_is_noticed(cdn, edges):
    world = pathlib.Path(os.environ.get("CDN_SOURCE", pathlib.Path(__file__).parents[2])) / "geo-data" / "world.mmdb"
    good = world.read_bytes()
    path = cdn.folder("db", {"a.mmdb": good}) / "a.mmdb"
    router = cdn.router(cdn.config(config_of(edges, database=[str(path)], overrides={})))
    address = "193.0.6.139"

    def placed():
        route = router.admin_get(f"/route?ip={address}")
        route.pop("candidates")  # with times that were measured
        return route

    def replace(content):
        path.with_suffix(".new").write_bytes(content)
        path.with_suffix(".new").rename(path)

    poll(lambda: router.status()["compiled"]["state"] == "compiled", what="compiled")
    before = placed()
    assert (before["country"], before["edge"]) == ("NL", "fra") and before["scope"].startswith("193.0.0.0/")
    replace(good[:-1000])  # the metadata is gone
    poll(lambda: router.status()["reloads_failed"] == 1, what="broken file noticed")
    assert "a.mmdb" in router.status()["reload_error"]
    assert placed() == before
    assert router.metrics()['pocketcdn_router_reload_total{result="failed"}'] == 1
    replace(good)
    poll(lambda: router.status()["reloads"] == 1, what="sound file noticed")
    assert router.status()["reload_error"] is None
    poll(lambda: router.status()["compiled"]["state"] == "compiled", what="compiled again")
    assert placed() == before
    assert router.metric("compile_total") == 2


def test_reload_under_load_drops_nothing(cdn, edges):
    path = cdn.config(config_of(edges))
    router = cdn.router(path, threads=2)
    requests = 200

    def run(number):
        if number == 0:
            return [router.reload().status for _ in range(20)]
        with router.connect(source=FRA) as client:
            return [client.get("/x").status for _ in range(requests)]

    reloads, *answers = in_parallel(5, run)
    assert all(status < 300 for status in reloads)
    assert answers == [[307] * requests] * 4
    poll(lambda: edge_state(router, "fra")["answers"] == 4 * requests, what="counters carried over")


# ---------------------------------------------------------------------------------------------------- refusals


def run(cdn, *args, **kw):
    done = cdn.cli(*args, program="pocketcdn-router", **kw)
    assert len(done.stderr.strip().splitlines()) <= 1, done.stderr
    return done


@pytest.mark.parametrize("args, code, says", [
    (["--nonsense"], 2, "nonsense"),
    (["--threads", "1000"], 2, "threads"),
    (["--redirect-status", "301"], 2, "redirect"),
    (["--listen", "nowhere"], 2, "listen"),
    (["--default-place", "Atlantis"], 2, "Atlantis"),
    (["--trusted-proxies", "1.2.3.4/99"], 2, "1.2.3.4/99"),
    (["--overrides", "10.0.0.0/8=edge:nobody"], 2, "nobody"),
    (["--edge", "place=Tokyo"], 2, "name"),
    (["--edge", "name=a,place=Atlantis"], 2, "Atlantis"),
    (["--edge", "name=a b,place=Tokyo"], 2, "a b"),
    (["--edge", "name=a,place=Tokyo,colour=red"], 2, "colour"),
    (["--edge", "name=a,place=Tokyo,weight=x"], 2, "weight"),
    (["--edge", "name=a,place=Tokyo,url=ftp://x"], 2, "ftp://x"),
    (["--edge", "name=a,place=Tokyo,url=http://x/path"], 2, "http://x/path"),
    (["--edge", "name=a,place=Tokyo,listen=0.0.0.0:80"], 2, "0.0.0.0"),
    (["--edge", "name=a,place=Tokyo,url=http://u@evil"], 2, "u@evil"),
    (["--edge", "name=a,place=Tokyo", "--edge", "name=a,place=Oslo"], 2, "'a'"),
    (["--database", "/nowhere.mmdb"], 3, "/nowhere.mmdb"),
    (["-c", "/nowhere.yaml"], 3, "/nowhere.yaml"),
])
def test_refusals(cdn, args, code, says):
    done = run(cdn, *args)
    assert done.returncode == code, done.stderr
    assert says in done.stderr and done.stdout == ""


def test_help_and_version(cdn):
    for flag in ("--help", "--version", "--help-config"):
        done = run(cdn, flag)
        assert done.returncode == 0 and done.stdout and not done.stderr
    assert "--probe-interval" in run(cdn, "--help").stdout


def test_broken_databases(cdn):
    junk = cdn.folder("db", {"junk.mmdb": os.urandom(5000), "empty.mmdb": b""})
    for name in ("junk.mmdb", "empty.mmdb"):
        done = run(cdn, "--database", junk / name)
        assert done.returncode == 3 and name in done.stderr


def test_port_in_use(cdn, edges):
    first = start(cdn, edges)
    for flag, address in (("--listen", first.public), ("--admin", first.admin)):
        other = dict.fromkeys(("--listen", "--admin", "--dns-listen"), "127.0.0.1:0")
        other[flag] = f"{address[0]}:{address[1]}"
        done = run(cdn, *(word for pair in other.items() for word in pair))
        assert done.returncode == 3 and str(address[1]) in done.stderr


def test_sigterm_ends_with_0(cdn, edges):
    router = start(cdn, edges)
    with router.connect(source=FRA) as client:
        assert client.get("/").status == 307
        assert router.terminate(LIMIT) == 0


def test_default_edges(cdn):
    router = cdn.router(admin=f"127.0.0.1:{unused_port()}")
    edges = router.admin_get("/edges")["edges"]
    assert len(edges) == 10 and edges[0]["url"] == "http://127.0.1.1:8088"
    assert edges[9]["admin"] == "http://127.0.1.10:9088"


# ------------------------------------------------------------------------- overrides by country, continent and family


# Addresses whose country the built-in database knows.
NL, US, JP = "193.0.0.1", "8.8.8.8", "133.11.0.1"


def sent_to(router, edges, client):
    return edges.name_of(router.get("/", {"X-Forwarded-For": client}, source="127.0.0.20"))


def test_overrides_by_country_hold_everywhere(cdn, edges):
    """Redirects, /route and its steps; by health inside of what is allowed; after a reload."""
    config = config_of(edges)
    config["router"].update(trusted_proxies=["127.0.0.20/32"], overrides={
        "country:NL": ["only:nrt,iad", "prefer:nrt"], "continent:NA": "exclude:iad", "country:JP": "edge:fra",
        "193.0.1.0/24": "Frankfurt"})
    path = cdn.config(config)
    router = cdn.router(path)
    poll(lambda: all(e["health"]["known"] for e in router.admin_get("/edges")["edges"]), what="first probes")
    poll(lambda: router.status()["compiled"]["state"] == "compiled", what="the compiled table")
    for client, name, match in ((NL, "nrt", "country:NL"), (JP, "fra", "country:JP"), ("193.0.1.1", "fra", "193.0.1.0/24"),
                                (US, None, "continent:NA")):
        route = router.admin_get(f"/route?ip={client}")
        assert route["edge"] == sent_to(router, edges, client) and route["edge"] == (name or route["edge"])
        assert route["reason"] == "override" and route["override"]["match"] == match
        assert any(match in step["text"] for step in route["steps"] if step["step"] == "override"), route["steps"]
        assert route["edge"] != "iad" or client != US
    route = router.admin_get(f"/route?ip={US}")
    assert route["anycast"] == "Google Public DNS" and route["ambiguous"] and route["accuracy_km"] == 20000
    barred = [c["edge"] for c in router.admin_get(f"/route?ip={NL}")["candidates"] if not c["allowed"]]
    assert barred == ["fra"]

    for name in ("nrt", "iad"):  # all that are allowed are sick: the best of them, never another one
        edges[name].on("/health", Reply(503))
    poll(lambda: not any(edge_state(router, n)["healthy"] for n in ("nrt", "iad")), what="the fall")
    assert sent_to(router, edges, NL) == "nrt" and router.admin_get(f"/route?ip={NL}")["optimistic"]
    router.admin_post("/edges/nrt", {"state": "drain"})
    router.admin_post("/edges/iad", {"state": "drain"})
    assert router.get("/", {"X-Forwarded-For": NL}, source="127.0.0.20").status == 503

    for bad, says in ((["only:nobody"], "there is no edge 'nobody'"), ([], "the list is empty"),
                      (["only:fra", "exclude:fra"], "leave no edge"), ("", "neither a place nor an edge")):
        broken = json.loads(json.dumps(config))
        broken["router"]["overrides"]["country:NL"] = bad
        path.write_text(json.dumps(broken))
        answer = router.reload()
        assert answer.status >= 400 and says in answer.json()["detail"] and "country:NL" in answer.json()["detail"]
    config["router"]["overrides"]["country:NL"] = "only:fra"
    path.write_text(json.dumps(config))
    assert router.reload().status == 200
    poll(lambda: sent_to(router, edges, NL) == "fra", what="the new override")


def test_a_client_with_ipv4_is_not_sent_to_ipv6(cdn, edges):
    """fra is near, well and out of reach: its URL has an IPv6 address."""
    flags = [f.replace(f"url={edges['fra'].url},", "url=http://[2001:db8::1]:80,") for f in edges.flags()]
    router = start(cdn, edges, edge=flags, trusted_proxies="127.0.0.20/32", overrides=["country:NL=Frankfurt"])
    assert sent_to(router, edges, NL) == "iad"
    for name in ("nrt", "iad"):
        edges[name].on("/health", Reply(503))
    poll(lambda: not any(edge_state(router, n)["healthy"] for n in ("nrt", "iad")), what="the fall")
    assert sent_to(router, edges, NL) == "iad"
    assert router.admin_get(f"/route?ip={NL}")["optimistic"]
    location = router.get("/", {"X-Forwarded-For": "2001:610::1"}, source="127.0.0.20")["Location"]
    assert location.startswith("http://[2001:db8::1]:80/")
