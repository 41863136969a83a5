"""Purges through the router's log: they reach every edge, are acknowledged, and nothing purged ever comes back."""

import contextlib
import functools
import json
import os
import random
import re
import signal
import socket
import sqlite3

import pytest
from cdn import SLOW, Gate, Reply, in_parallel, poll, unused_port

TAGS = {"/a": "red", "/b": "red blue", "/dir/c": "blue", "/dir/d": "green"}


def lasting_port():
    """A free port that the kernel gives to nobody meanwhile, not even to an edge that asks for the router before it is there."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class World:
    """A fake origin with a version, edges that follow the log, and a router whose log is on disk."""

    def __init__(self, cdn, names=("fra",), router=(), **settings):
        self.cdn, self.origin, self.port = cdn, cdn.fake_origin(), lasting_port()
        self.state, self.version = cdn.folder("router-state"), 1
        self.router_settings, self.settings = dict(router), {"threads": 2, "sync_grace": f"{2 * SLOW:g}s", **settings}
        self.origin.default = self.answer
        self.caches = {name: cdn.folder(f"cache-{name}") for name in names}
        self.edges = {name: self.start_edge(name) for name in names}
        self.router = None
        self.start_router()
        for edge in self.edges.values():
            self.wait_synced(edge)

    @property
    def edge(self):
        return next(iter(self.edges.values()))

    def answer(self, request):
        fields = {n.lower(): v for n, v in request.headers}
        etag = f'"v{self.version}{fields.get("x-kind", "")}"'
        headers = [("Cache-Control", "max-age=3600"), ("ETag", etag), ("Surrogate-Key", TAGS.get(request.path, "none"))]
        if "vary" in request.target:
            headers.append(("Vary", "X-Kind"))
        if fields.get("if-none-match") == etag:
            return Reply(304, headers=headers)
        return Reply(body=f"{request.target} v{self.version}\n".encode(), headers=headers)

    def start_edge(self, name):
        return self.cdn.edge(self.origin, name=name, control=f"http://127.0.0.1:{self.port}",
                             cache_dir=self.caches[name], **self.settings)

    def restart_edge(self, name):
        self.edges[name] = self.start_edge(name)
        return self.edges[name]

    def start_router(self, **settings):
        edges = [f"name={n},place=Frankfurt,url={e.url},admin={e.admin_url}" for n, e in self.edges.items()]
        self.router = self.cdn.router(admin=f"127.0.0.1:{self.port}", state=self.state, edge=edges, probe_interval="50ms",
                                      **{**self.router_settings, **settings})
        return self.router

    def wait_synced(self, edge):
        poll(lambda: edge.status()["sync"]["synced"], what="synced")

    def purge(self, wait="10s", **what):
        answer = self.router.admin_post(f"/purge?wait={wait}", what)
        if wait != "0s":
            assert answer["acknowledged"], answer
        return answer

    def fill(self, targets=TAGS, edges=None):
        for edge in edges or self.edges.values():
            for target in targets:
                poll(lambda e=edge, t=target: get(e, t).header("X-Cache") == "HIT", what=f"{target} is stored")

    def saved(self, name="fra"):
        """Waits until the disk tier has every object and its index is committed, so that a kill loses nothing."""
        def is_saved():
            objects = self.edges[name].admin_get("/objects")["objects"]
            with sqlite3.connect(f"file:{self.caches[name]}/index.db?mode=ro", uri=True) as db:
                rows = db.execute("SELECT count(*) FROM object").fetchone()[0]
            return rows == len(objects) and all(o["disk"] for o in objects)
        poll(is_saved, what="all objects on disk")


@pytest.fixture
def world(cdn):
    return functools.partial(World, cdn)


def get(edge, target, headers=()):
    """As a client that was sent to the edge's address: the one site."""
    return edge.get(target, headers, host=edge.url.partition("//")[2])


def verdicts(edge, targets=TAGS):
    return {t: get(edge, t).header("X-Cache") for t in targets}


@pytest.mark.parametrize("what, gone", [
    ({"url": "/a"}, {"/a"}),
    ({"urls": ["/a", "/dir/c"]}, {"/a", "/dir/c"}),
    ({"prefix": "/dir/"}, {"/dir/c", "/dir/d"}),
    ({"tag": "blue"}, {"/b", "/dir/c"}),
    ({"tags": ["blue", "green"], "url": "/a"}, set(TAGS)),
    ({"all": True}, set(TAGS)),
    ({"url": "/not-there"}, set()),
])
def test_every_kind_reaches_every_edge(world, what, gone):
    w = world(("fra", "nrt", "syd"))
    w.fill()
    w.version = 2
    answer = w.purge(**what)
    assert {r["edge"] for r in answer["edges"]} == {"fra", "nrt", "syd"}
    assert all(r["acknowledged"] and r["healthy"] and 0 < r["ms"] < 10_000 for r in answer["edges"]), answer
    for edge in w.edges.values():
        assert {t for t, v in verdicts(edge).items() if v != "HIT"} == gone
        for target in gone:
            assert get(edge, target).body.endswith(b"v2\n")


def test_a_url_with_a_host_means_that_host(world):
    w = world()
    for host in ("one.example", "two.example"):
        w.edge.get("/a", host=host)
    w.purge(url="http://one.example/a")
    assert w.edge.get("/a", host="one.example").header("X-Cache") == "MISS"
    assert w.edge.get("/a", host="two.example").header("X-Cache") == "HIT"


def test_cause_and_story(world):
    w = world()
    w.fill(["/a"])
    w.purge(url="/a")
    assert w.edge.admin_get("/why?url=/a")["missing"] == "purged"
    answer = get(w.edge, "/a")
    assert "detail=purged" in answer.header("Cache-Status"), answer


def test_soft_purge_revalidates(world):
    w = world()
    w.fill(["/a"])
    w.origin.forget()
    w.purge(url="/a", soft=True)
    answer = get(w.edge, "/a")
    assert answer.status == 200 and answer.header("X-Cache") != "HIT"
    assert w.origin.last("/a").headers and "if-none-match" in {n.lower() for n, _ in w.origin.last("/a").headers}
    assert get(w.edge, "/a").header("X-Cache") == "HIT"


def test_all_variants_go(world):
    w = world()
    for kind in "xyz":
        get(w.edge, "/vary", [("X-Kind", kind)])
        assert get(w.edge, "/vary", [("X-Kind", kind)]).header("X-Cache") == "HIT"
    w.purge(url="/vary")
    for kind in "xyz":
        assert get(w.edge, "/vary", [("X-Kind", kind)]).header("X-Cache") == "MISS"


@pytest.mark.parametrize("body, says", [
    ({}, "purge what"),
    ({"url": 5}, "wants text"),
    ({"url": ""}, "neither a path"),
    ({"url": "ftp://x/"}, "neither a path"),
    ({"url": "/a b"}, "space"),
    ({"tag": " x"}, "no tag"),
    ({"urll": "/a"}, "unknown key 'urll'"),
    ({"all": 1}, "true or false"),
    ({"all": False}, "purge what"),
    ({"url": "/a", "wait": "soon"}, "not a time"),
    ({"urls": [f"/{i}" for i in range(1001)]}, "more than 1000"),
    ({"url": "/" + "x" * 9000}, "at most 8192"),
])
def test_bad_purges_are_refused_and_not_logged(shared_cdn, body, says):
    router = getattr(shared_cdn, "bad_router", None)
    if router is None:
        router = shared_cdn.bad_router = shared_cdn.router(edge=["name=fra,url=http://127.0.0.1:1,admin=http://127.0.0.1:1"])
    answer = router.admin_request("POST", "/purge", body)
    assert answer.status in (400, 413) and says in answer.json()["detail"], answer.text
    assert router.admin_get("/purges")["last"] == 0


def test_log_pages_and_receipts(world):
    w = world()
    first = w.purge(url="/a")["id"]
    for i in range(5):
        w.purge(url=f"/{i}", wait="0s")
    page = w.router.admin_get(f"/purges?after={first}")
    assert [p["urls"] for p in page["purges"]] == [[f"/{i}"] for i in range(5)]
    assert [p["id"] for p in page["purges"]] == list(range(first + 1, first + 6)) and page["last"] == first + 5
    poll(lambda: w.router.admin_get(f"/purges/{first + 5}")["acknowledged"])
    receipt = w.router.admin_get(f"/purges/{first}")["edges"][0]
    assert receipt["edge"] == "fra" and receipt["ms"] > 0
    assert w.router.admin_request("GET", f"/purges/{first + 6}").status == 404
    assert w.router.admin_get("/purges?after=99")["reset"] and w.router.admin_get("/purges?after=1&log=00")["reset"]
    assert w.router.status()["purges"]["edges"]["fra"]["acknowledged"] == first + 5


def test_an_edge_that_was_away_replays_before_it_serves(world):
    w = world(("fra", "nrt"))
    w.fill()
    w.saved()
    w.edges["fra"].kill()
    poll(lambda: not w.router.admin_get("/edges/fra")["healthy"])
    w.version = 2
    answer = w.purge(url="/a")
    assert {r["edge"]: r["acknowledged"] for r in answer["edges"]} == {"fra": False, "nrt": True}
    edge = w.restart_edge("fra")
    assert get(edge, "/a").body == b"/a v2\n"
    w.wait_synced(edge)
    poll(lambda: w.router.admin_get(f"/purges/{answer['id']}")["edges"][0]["acknowledged"], what="acknowledged by its next poll")
    w.origin.forget()  # what was not purged is still served from the disk tier
    assert get(edge, "/b").body == b"/b v1\n" and w.origin.count("/b") == 0


def test_no_resurrection_by_a_kill_right_after_the_acknowledgement(world):
    w = world()
    for i in range(10):
        w.version = 2 * i + 1
        w.fill(["/a", "/b"])
        if i % 2 == 0:  # else the bodies are still on their way to the disk
            w.saved()
        w.version = 2 * i + 2
        w.purge(tag="red")
        w.edge.kill()
        edge = w.restart_edge("fra")
        for target in ("/a", "/b"):
            assert get(edge, target).body == f"{target} v{w.version}\n".encode(), f"round {i}"
        w.wait_synced(edge)
        for target in ("/a", "/b"):
            assert get(edge, target).body == f"{target} v{w.version}\n".encode(), f"round {i}"


def test_no_resurrection_without_the_router(world):
    """Killed right after the acknowledgement, started while the router is away: what may be stale is asked for."""
    w = world()
    w.fill(["/a"])
    w.version = 2
    w.purge(url="/a")
    w.edge.kill()
    w.router.kill()
    edge = w.restart_edge("fra")
    assert get(edge, "/a").body == b"/a v2\n"
    assert not edge.status()["sync"]["synced"]


def test_router_away_then_back(world):
    w = world()
    w.fill(["/a"])
    w.origin.forget()
    w.router.kill()
    assert get(w.edge, "/a").header("X-Cache") == "HIT"  # within the grace
    w.edge.wait_log("sync", state="unsynced")
    answer = get(w.edge, "/a")
    assert "unsynced" in answer.header("Cache-Status"), answer
    assert "if-none-match" in {n.lower() for n, _ in w.origin.last("/a").headers}
    assert get(w.edge, "/a").header("X-Cache") != "HIT" and w.origin.count("/a") == 2
    assert w.edge.metric("sync_synced") == 0 and w.edge.status()["sync"]["failures"] > 0
    w.start_router()
    w.wait_synced(w.edge)
    assert get(w.edge, "/a").header("X-Cache") == "HIT" and w.origin.count("/a") == 2
    assert w.edge.metric("sync_reset_total") == 0


def test_a_router_that_hangs_is_noticed(world):
    w = world()
    w.fill(["/a"])
    w.router.signal(signal.SIGSTOP)
    w.edge.wait_log("sync", state="unsynced")
    assert get(w.edge, "/a").header("X-Cache") != "HIT"
    w.router.signal(signal.SIGCONT)
    w.wait_synced(w.edge)
    assert get(w.edge, "/a").header("X-Cache") == "HIT"


def test_the_log_survives_the_router(world):
    w = world()
    w.fill()
    w.edge.terminate()
    first = w.purge(url="/a", wait="0s")
    w.router.kill()
    w.start_router()
    assert w.router.admin_get("/purges")["log"] == first["log"]
    assert w.purge(url="/b", wait="0s")["id"] == first["id"] + 1
    w.version = 2
    edge = w.restart_edge("fra")
    w.wait_synced(edge)
    assert {t for t, v in verdicts(edge).items() if v != "HIT"} == {"/a", "/b"}
    assert edge.metric("sync_purge_total") == 2


def test_another_log_drops_everything(world):
    w = world()
    w.fill()
    w.purge(url="/a")
    w.router.kill()
    for name in os.listdir(w.state):
        os.unlink(f"{w.state}/{name}")
    w.version = 2
    w.start_router()
    w.edge.wait_log("sync", reset="yes")
    w.wait_synced(w.edge)
    assert set(verdicts(w.edge).values()) == {"MISS"}


def test_a_log_that_does_not_reach_back_drops_everything(world):
    w = world(router={"purge_keep": 3})
    w.fill()
    w.purge(url="/other")
    w.saved()
    poll(lambda: w.edge.status()["sync"]["kept_id"] == 1)
    w.edge.terminate()
    for i in range(5):
        w.purge(url=f"/{i}", wait="0s")
    edge = w.restart_edge("fra")
    edge.wait_log("sync", reset="yes")
    w.wait_synced(edge)
    assert set(verdicts(edge).values()) == {"MISS"}


def test_a_damaged_log_is_set_aside(world):
    w = world()
    w.purge(url="/a")
    w.router.terminate()
    with open(f"{w.state}/purges.db", "r+b") as file:
        file.write(b"\xff" * 4096)
    w.start_router()
    assert w.router.admin_get("/purges")["last"] == 0
    assert any(".corrupt-" in name for name in os.listdir(w.state))
    w.edge.wait_log("sync", reset="yes")


def test_two_routers_do_not_share_a_log(world):
    w = world()
    second = w.cdn.router(wait=False, state=w.state, edge="name=fra,url=http://127.0.0.1:1,admin=http://127.0.0.1:1")
    assert second.wait() == 3 and "another process has it" in second.err[-1]


def test_a_fetch_under_way_never_stores_the_old_answer(world):
    w = world()
    gate = Gate()
    w.origin.on("/slow", Reply(body=[b"old ", gate, b"answer"], headers=[("Cache-Control", "max-age=3600")], length=10),
                Reply(body=b"new answer", headers=[("Cache-Control", "max-age=3600")]))
    with w.edge.connect() as client:
        client.send_request("GET", "/slow")
        gate.wait_reached()
        w.purge(url="/slow")
        gate.open()
        assert client.response().body == b"old answer"
    assert get(w.edge, "/slow").body == b"new answer"


def test_local_purge_of_one_edge(world):
    w = world(("fra", "nrt"))
    w.fill(["/a"])
    assert w.edge.admin_post("/purge", {"url": "/a"})["purged"] == 1
    assert verdicts(w.edges["fra"], ["/a"]) == {"/a": "MISS"} and verdicts(w.edges["nrt"], ["/a"]) == {"/a": "HIT"}


def test_no_control_is_never_unsynced(cdn):
    origin = cdn.fake_origin().on("/a", Reply(body=b"x", headers=[("Cache-Control", "max-age=60")]))
    edge = cdn.edge(origin)
    get(edge, "/a")
    assert get(edge, "/a").header("X-Cache") == "HIT"
    assert not edge.status()["unsynced"] and "sync" not in edge.status()
    bad = cdn.edge(origin, name="bad", wait=False, control="127.0.0.1:9080")
    assert bad.wait() == 2 and "--control" in bad.err[-1]


def test_many_purges_at_once_and_ten_edges(world):
    w = world(tuple(f"e{i}" for i in range(10)), threads=1)
    w.fill(["/a"])
    answers = in_parallel(20, lambda i: w.purge(url=f"/{i}" if i else "/a"))
    assert sorted(a["id"] for a in answers) == list(range(1, 21))
    assert all(len(a["edges"]) == 10 for a in answers)
    w.version = 2
    assert all(get(edge, "/a").body == b"/a v2\n" for edge in w.edges.values())


def test_the_router_ends_while_polls_wait(world):
    w = world(("fra", "nrt"))
    poll(lambda: w.router.metric("purge_waiting") == 2)
    assert w.router.terminate() == 0
    assert json.dumps(w.edge.status()["sync"])


# ---------------------------------------------------------------------------------------------------- the command

def purge_command(w, *args):
    return w.cdn.cli("purge", *args, "--router", f"http://127.0.0.1:{w.port}")


def test_the_command_shows_what_each_edge_did(world):
    w = world(names=("fra", "nrt"))
    w.fill()
    done = purge_command(w, "--wait", "/a")
    assert done.returncode == 0 and [line.split()[2:] for line in done.stdout.splitlines()[1:]] == [["purged"], ["purged"]], done
    done = purge_command(w, "--wait", "--soft", "/b")
    assert done.returncode == 0 and done.stdout.count("marked stale") == 2 and "purged" not in done.stdout
    done = purge_command(w, "/a")
    assert done.returncode == 0 and "is in the log of the router" in done.stdout


def test_the_command_says_no_when_nobody_is_there(world):
    w = world(names=("fra", "nrt"))
    w.edges["fra"].kill()
    poll(lambda: not w.router.admin_get("/edges/fra")["healthy"], what="fra is sick")
    done = purge_command(w, "--wait", "/a")  # one has done it, and the other will before it serves
    assert done.returncode == 0 and "away: will replay this before it serves" in done.stdout, done
    w.edges["nrt"].kill()
    poll(lambda: not w.router.admin_get("/edges/nrt")["healthy"], what="nrt is sick")
    done = purge_command(w, "--wait", "/a")
    assert done.returncode == 1 and "0 of 2 edges have acknowledged; it stays in the log" in done.stderr, done
    assert done.stderr.count("\n") == 1
    assert purge_command(w, "/a").returncode == 0  # without --wait the log is what counts


def test_the_command_names_an_edge_that_does_not_follow_the_log(world):
    w = world()
    deaf = w.cdn.edge(w.origin, name="deaf")
    w.edges["deaf"] = deaf
    w.router.kill()
    w.start_router()
    poll(lambda: w.router.admin_get("/edges/deaf")["healthy"], what="deaf is healthy")
    poll(lambda: w.router.admin_get("/status")["purges"]["edges"].get("fra"), what="fra follows")
    done = purge_command(w, "--timeout", "200ms", "/a")
    assert done.returncode == 1 and "1 of 2 edges have acknowledged" in done.stderr, done
    assert re.search(r"^deaf +does not follow the purge log \(its setting `control`\)", done.stdout, re.M), done
    assert re.search(r"^fra +[\d.]+ +purged$", done.stdout, re.M), done


def test_no_folder_before_the_log_is_used(cdn):
    """By default the log is in the user's state, from the first purge or poll of an edge on; what nobody uses leaves nothing."""
    home = cdn.folder("home")
    port = unused_port()
    folder = f"{home}/.local/state/pocketcdn/router-{port}"
    env = {"HOME": str(home), "XDG_STATE_HOME": ""}
    router = cdn.router(env=env, admin=f"127.0.0.1:{port}", edge="name=fra,url=http://127.0.0.1:1")
    assert router.admin_get("/purges?after=0")["last"] == 0
    assert router.admin_request("POST", "/purge", {"nonsense": 1}).status == 400
    assert os.listdir(home) == []
    first = router.admin_request("GET", "/purges?after=0&edge=fra", headers=[("Pocketcdn-Edge", "fra")]).json()["log"]
    assert os.listdir(folder) and router.admin_post("/purge", {"all": True})["log"] == first
    router.stop()
    router = cdn.router(env=env, admin=f"127.0.0.1:{port}", edge="name=fra,url=http://127.0.0.1:1")
    again = router.admin_get("/purges?after=0")
    assert (again["log"], again["last"]) == (first, 1)
