"""Origin shields: one fetch of the true origin for an object and all edges, and purges that reach shields in time."""

import os
import signal
import sys
import threading

import pytest
from cdn import Gate, Reply, in_parallel, poll, unused_port
from test_edge_http import ok

NAMES = ("fra", "ams", "nrt", "sin")


class Shielded:
    def __init__(self, cdn, shield, log=True, **more):
        self.cdn, self.origin = cdn, cdn.fake_origin()
        ports = {name: unused_port() for name in NAMES}
        admins = {name: unused_port() for name in NAMES}
        places = {"fra": "Frankfurt", "ams": "Amsterdam", "nrt": "Tokyo", "sin": "Tokyo"}
        nodes = [{"name": n, "listen": f"127.0.0.1:{ports[n]}", "admin": f"127.0.0.1:{admins[n]}", "place": places[n],
                  "cache_dir": str(cdn.folder(f"cache-{n}")), "connect_timeout": "60s", "threads": 1} for n in NAMES]
        self.router = None
        config = {"cdn": {"trusted_proxies": ["127.0.0.0/8"]}, "edges": nodes,
                  "sites": {"shop": {"hosts": ["shop.example"], "shield": shield, "origins": self.origin.url, **more}}}
        if log:
            self.router = cdn.router(edge=[f"name={n},place={places[n]},url=http://127.0.0.1:{ports[n]},admin=http://127.0.0.1:{admins[n]}"
                                           for n in NAMES], probe_interval="50ms")
            config["edge"] = {"control": self.router.admin_url}
        path = cdn.config(config)
        self.edge = {n: cdn.daemon("pocketcdn-edge", [f"--config={path}", f"--name={n}"], True, name=f"edge {n}") for n in NAMES}
        if log:
            poll(lambda: all(not e.status()["unsynced"] for e in self.edge.values()), what="all follow the log")

    def get(self, name, path, *fields):
        return self.edge[name].get(path, [("Host", "shop.example"), *fields])


def layers(answer):
    return [part.strip().partition(";")[0] for line in answer.all("Cache-Status") for part in line.split(",")]


def test_one_fetch_for_all_edges(cdn):
    """Each object is asked of the origin once, by the one shield that it belongs to."""
    c = Shielded(cdn, ["fra", "ams"], log=False)
    for i in range(12):
        c.origin.on(f"/{i}", ok(b"%d" % i, "max-age=600"))
        for name in NAMES:
            assert c.get(name, f"/{i}").body == b"%d" % i
        assert c.origin.count(f"/{i}") == 1
    asked = {name: sum(o["requests"] for o in c.edge[name].status()["origins"] if o["url"] == c.origin.url) for name in NAMES}
    assert asked["nrt"] == asked["sin"] == 0 and asked["fra"] > 0 and asked["ams"] > 0 and sum(asked.values()) == 12


def test_the_layers_say_what_they_did(cdn):
    c = Shielded(cdn, ["fra"], log=False)
    c.origin.on("/a", ok(b"a", "max-age=600"))
    first = c.get("nrt", "/a")
    assert layers(first) == ["fra", "nrt"] and "fra; fwd=miss" in first.all("Cache-Status")[0]
    second = c.get("sin", "/a")
    assert layers(second) == ["fra", "sin"] and "fra; hit" in second.all("Cache-Status")[0]
    third = c.get("nrt", "/a")
    assert layers(third) == ["nrt"] and "hit" in third["Cache-Status"] and third["X-Cache"] == "HIT"
    assert "CDN-Shield-State" not in first and "CDN-Shield-State" not in third
    for _ in range(3):
        c.get("nrt", "/a")
    assert c.edge["nrt"].metric("hot_hit_total") >= 1
    seen = c.origin.seen()[0]
    assert seen["Host"] == c.origin.url.removeprefix("http://") and "CDN-Shield-For" not in seen
    assert seen["X-Forwarded-Host"] == "shop.example"


def test_a_crowd_at_all_edges(cdn):
    """All ask at once: still one."""
    c = Shielded(cdn, ["fra"], log=False)
    gate = Gate()
    c.origin.on("/a", Reply(200, b"a", [("Cache-Control", "max-age=600")], before=gate))
    threading.Thread(target=lambda: (poll(lambda: gate.reached.is_set()), gate.open()), daemon=True).start()
    assert in_parallel(16, lambda i: c.get(NAMES[i % 4], "/a").body) == [b"a"] * 16
    assert c.origin.count("/a") == 1


def test_here_is_the_place_of_the_edge(cdn):
    """'here': edges of one place share the work; other places ask for themselves."""
    c = Shielded(cdn, ["here"], log=False)
    for i in range(8):
        c.origin.on(f"/{i}", ok(b"x", "max-age=600"))
        for name in NAMES:
            assert c.get(name, f"/{i}").status == 200
        assert c.origin.count(f"/{i}") == 3  # fra, ams, and one of nrt and sin


def test_a_dead_shield_is_passed_over(cdn):
    c = Shielded(cdn, ["fra"], log=False)
    c.edge["fra"].kill()
    for i in range(6):
        c.origin.on(f"/{i}", ok(b"x", "max-age=600"))
        assert c.get("nrt", f"/{i}").status == 200
    assert c.origin.count() == 6


def test_what_is_passed_goes_straight(cdn):
    c = Shielded(cdn, ["fra"], log=False)
    c.origin.on("/p", Reply(200, b"posted"))
    assert c.edge["nrt"].request("POST", "/p", [("Host", "shop.example")], b"x").body == b"posted"
    assert c.edge["fra"].metric("request_total") == 0


def test_strangers_are_no_edges(cdn):
    """The field of a client that is no trusted proxy means nothing, and goes no further."""
    origin = cdn.fake_origin()
    origin.on("/a", ok(b"a", "max-age=600"))
    edge = cdn.edge(origin)
    answer = edge.get("/a", [("CDN-Shield-For", "x"), ("CDN-Loop", "y")])
    assert "CDN-Shield-State" not in answer and "CDN-Shield-For" not in origin.seen()[0]


@pytest.mark.parametrize("lagging", ["fra", "nrt"])
def test_purges_reach_shields_first(cdn, lagging):
    """An edge takes nothing from a shield that has not applied a purge which the edge has, whoever lags: what is asked
    while the shield stands still is answered by it or by the origin, and new either way."""
    c = Shielded(cdn, ["fra"])
    others = [n for n in NAMES if n not in (lagging, "fra")]
    for turn in range(1, 5):
        c.origin.on("/a", ok(b"%d" % turn, "max-age=600"))
        if turn > 1:
            os.kill(c.edge[lagging].pid, signal.SIGSTOP)
            c.router.admin_post("/purge", {"urls": ["http://shop.example/a"]})
            poll(lambda turn=turn: all(c.edge[n].status()["sync"]["id"] == turn - 1 for n in others), what="they have it")
            answers = []
            asking = threading.Thread(target=lambda answers=answers: answers.append(c.get(others[0], "/a").body))
            asking.start()
            os.kill(c.edge[lagging].pid, signal.SIGCONT)
            asking.join()
            assert answers == [b"%d" % turn]
            poll(lambda turn=turn: all(c.edge[n].status()["sync"]["id"] == turn - 1 for n in NAMES), what="all have it")
        assert [c.get(n, "/a").body for n in NAMES] == [b"%d" % turn] * len(NAMES)


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
