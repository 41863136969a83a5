"""Faults at every daemon (simulation): POST /faults, the same rules at router, edge and origin. What is left of them when they
are off is nothing; what they do is what a client of a server in trouble sees."""
import json
import re
import socket
import time

import pytest
from cdn import LIMIT, Client, Closed, Reply, in_parallel, poll
from tls import Pair

BODY = bytes(range(256)) * 400  # 100 KiB: more than one block


class Served:
    """One of the daemons with something to ask for: a target whose answer has `size` bytes."""

    def __init__(self, cdn, kind, **settings):
        self.kind, self.size = kind, len(BODY)
        if kind == "origin":
            self.daemon = cdn.origin(cdn.folder(files={"a": BODY, "b": b"x" * 2_000_000}), simulate=True, **settings)
        elif kind == "edge":
            self.origin = cdn.fake_origin()
            for target in ("/a", "/b", "/static/x"):
                self.origin.on(target, Reply(body=BODY, headers=[("Cache-Control", "max-age=3600")]))
            self.daemon = cdn.edge(self.origin, simulate=True, **settings)
        else:
            health = cdn.fake_origin()
            health.on("/health", Reply(body=b"{}"))
            self.daemon = cdn.router(state="none", simulate=True, **settings, edge=[
                f"name=fra,place=Paris,url=http://fra.test,admin={health.url.removeprefix('http://')}"])
        self.well = 307 if kind == "router" else 200

    def get(self, target="/a", **kw):
        """The answer, or None when the connection ended without one."""
        try:
            return self.daemon.get(target, **kw)
        except (Closed, ConnectionResetError):
            return None


@pytest.fixture(params=["origin", "edge", "router"])
def served(cdn, request):
    return Served(cdn, request.param)


@pytest.fixture(params=["origin", "edge"])
def bodies(cdn, request):
    return Served(cdn, request.param)


def test_errors_delays_and_lost_answers(served):
    daemon = served.daemon
    assert daemon.status()["faults"] == {"off": True}
    assert served.get().status == served.well
    daemon.faults(error_rate=1, status=507)
    answer = served.get()
    assert answer.status == 507 and answer.json()["detail"] == "A fault that was asked for."
    with daemon.connect() as client:  # the connection is as good as before
        assert [client.get("/a").status for _ in range(3)] == [507] * 3
        daemon.faults(off=True)
        poll(lambda: client.get("/a").status == served.well)
    daemon.faults(drop_rate=1)
    assert served.get() is None
    daemon.faults(delay="300ms")
    begun = time.monotonic()
    assert served.get().status == served.well and time.monotonic() - begun >= 0.3
    assert daemon.metric("fault_total") == 6
    daemon.faults(off=True)
    assert daemon.status()["faults"] == {"off": True}


def test_the_same_again_with_the_same_seed(served):
    def run(seed):
        served.daemon.faults(error_rate=0.5, seed=seed)
        return [served.get().status for _ in range(40)]

    first = run(7)
    assert 5 < sum(s == 503 for s in first) < 35 and run(7) == first and run(8) != first


def test_paths(served):
    served.daemon.faults(error_rate=1, paths="/static/*")
    assert served.get("/static/x").status == 503 and served.get("/a").status == served.well


def test_requests_with_bodies(served):
    """They fail before the body is read, and the client gets to hear it."""
    served.daemon.faults(error_rate=1)
    answer = served.daemon.request("POST", "/a", body=b"x" * 50_000)
    assert answer.status == 503
    served.daemon.faults(drop_rate=1)
    with pytest.raises((Closed, ConnectionError)):
        served.daemon.request("POST", "/a", body=b"x" * 100)


def test_a_fault_reaches_neither_cache_nor_origin(cdn):
    served = Served(cdn, "edge")
    served.daemon.faults(error_rate=1)
    assert served.get().status == 503 and served.origin.count() == 0
    served.daemon.faults(off=True)
    assert served.get()["X-Cache"] == "MISS"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_truncated(bodies, method):
    whole = bodies.daemon.request(method, "/a")  # a miss; the next are hits
    for _ in range(4):
        assert bodies.daemon.request(method, "/a").body == whole.body
    bodies.daemon.faults(truncate_rate=1)
    with bodies.daemon.connect() as client:
        answer = client.request(method, "/a")
        assert answer.status == 200 and answer["Content-Length"] == str(len(BODY))
        assert answer["ETag"] == whole["ETag"] if "ETag" in whole else True
        if method == "HEAD":
            assert answer.complete and client.request("HEAD", "/a").status == 200
        else:
            assert not answer.complete and answer.body == BODY[:len(BODY) // 2] and client.at_eof()
    bodies.daemon.faults(off=True)
    assert bodies.get().body == BODY


def test_corrupt(bodies):
    for _ in range(3):
        assert bodies.get().body == BODY
    bodies.daemon.faults(corrupt_rate=1, seed=3)
    spoilt = [bodies.get() for _ in range(8)]
    for answer in spoilt:
        assert answer.status == 200 and answer.complete and len(answer.body) == len(BODY)
        assert sum(a != b for a, b in zip(answer.body, BODY)) == 1
    assert len({answer.body for answer in spoilt}) > 1
    bodies.daemon.faults(off=True)
    assert bodies.get().body == BODY  # nothing of it was kept


def test_slow(bodies):
    bodies.get()
    bodies.daemon.faults(slow="200KiB")
    begun = time.monotonic()
    answers = in_parallel(3, lambda _: bodies.get())
    took = time.monotonic() - begun
    assert all(answer.body == BODY for answer in answers) and took > 0.3  # 100 KiB, less a piece at once
    bodies.daemon.faults(slow=1)
    with bodies.daemon.connect() as client:  # for hours
        client.send_request("GET", "/a")
        assert client.final_head().status == 200
    with bodies.daemon.connect() as client:
        client.send_request("GET", "/a")
        assert client.final_head().status == 200
        client.reset()
    poll(lambda: bodies.daemon.open_files() < 60)
    assert bodies.daemon.stop() is None and bodies.daemon.wait() in (0, -9)


def test_a_slow_end(cdn):
    """Files, ranges, chunked and HTTP/1.0 answers, misses on their way: all are one body to a fault."""
    served = Served(cdn, "edge")
    served.origin.on("/chunked", Reply(body=BODY, chunked=True))
    for target in ("/chunked", "/a"):
        served.daemon.faults(slow="10MiB")
        assert served.get(target).body == BODY
        assert served.get(target, headers=[("Range", "bytes=5-20")]).body in (BODY[5:21], BODY)
        served.daemon.faults(truncate_rate=1)
        for version in ("HTTP/1.1", "HTTP/1.0"):
            with served.daemon.connect() as client:
                client.send_request("GET", target, version=version)
                answer = client.final_head()
                try:
                    client.body(answer)
                except ConnectionResetError:
                    continue
                assert not answer.complete or len(answer.body) < len(BODY)
    served.daemon.faults(off=True)
    assert served.get("/chunked").body == BODY and served.get("/a").body == BODY


def test_large_files_of_the_kernel(cdn):
    served = Served(cdn, "origin")
    served.daemon.faults(truncate_rate=1)
    answer = served.get("/b")
    assert not answer.complete and answer.body == b"x" * 1_000_000
    served.daemon.faults(corrupt_rate=1)
    assert sum(byte != ord("x") for byte in served.get("/b").body) == 1


def test_over_tls(cdn):
    pair = Pair(cdn.folder())
    served = Served(cdn, "edge", tls_certificate=pair.certificate, tls_key=pair.key)

    def get():
        with Client(served.daemon.public, tls=pair.client(), server_hostname="test.example") as client:
            return client.get("/a")

    assert get().body == BODY
    served.daemon.faults(corrupt_rate=1, slow="1MiB")
    assert sum(a != b for a, b in zip(get().body, BODY)) == 1
    served.daemon.faults(off=True)
    assert get().body == BODY


def refused(daemon):
    try:
        socket.create_connection(daemon.public, LIMIT).close()
    except ConnectionRefusedError:
        return True
    return False


def test_refused_connections(served):
    daemon = served.daemon
    with daemon.connect() as client:
        assert client.get("/a").status == served.well
        daemon.faults(refuse=True)
        poll(lambda: refused(daemon))
        assert client.get("/a").status == served.well  # those that are there stay
        assert daemon.admin_get("/health")["status"] == "ok"
        daemon.faults(off=True)
        poll(lambda: not refused(daemon))
        assert client.get("/a").status == served.well
    for _ in range(20):  # every worker listens again
        assert served.get().status == served.well


def test_down_and_up_again(served):
    daemon = served.daemon
    idle, asking = daemon.connect(), daemon.connect()
    assert idle.get("/a").status == served.well
    daemon.faults(delay="60s")
    asking.send_request("GET", "/a")
    poll(lambda: daemon.metric("fault_total") == 1)
    for _ in range(3):
        daemon.faults(down=True)
        poll(lambda: refused(daemon))
        assert idle.at_eof() and asking.at_eof()
        health = daemon.admin_request("GET", "/health")
        assert health.status == 503 and "fault" in health.json()["why"]
        assert daemon.status()["faults"]["down"] is True and daemon.status()["healthy"] is False
        daemon.faults(off=True)
        poll(lambda: not refused(daemon))
        assert daemon.admin_get("/health")["status"] == "ok"
        in_parallel(8, lambda _: served.get().status == served.well)
    daemon.faults(down=True)
    poll(lambda: refused(daemon))
    daemon.signal(15)
    assert daemon.wait() == 0


def test_an_edge_sees_its_origin_go(cdn):
    origin = cdn.origin(cdn.folder(files={"a": "hello"}), simulate=True, max_age="10s")
    edge = cdn.edge(origin, simulate=True, threads=1, origin_retry=0)
    assert edge.get("/a").body == b"hello"
    edge.clock_advance("20s")
    origin.faults(down=True)
    poll(lambda: refused(origin))
    assert edge.get("/a")["X-Cache"] == "STALE"
    assert edge.wait_log("origin_failed")["error"] == "connection_refused"


def test_a_router_sends_nobody_to_an_edge_that_is_down(cdn):
    edges = {name: cdn.edge("http://127.0.0.1:1", name=name, simulate=True) for name in ("fra", "nrt")}
    places = {"fra": "Frankfurt", "nrt": "Tokyo"}
    router = cdn.router(state="none", probe_interval="50ms", default_place="Frankfurt",
                        edge=[f"name={n},place={places[n]},url={e.url},admin={e.admin_url}" for n, e in edges.items()])
    poll(lambda: router.get("/x")["Location"].startswith(edges["fra"].url))
    edges["fra"].faults(down=True)
    poll(lambda: router.get("/x")["Location"].startswith(edges["nrt"].url))
    edges["fra"].faults(off=True)
    poll(lambda: router.get("/x")["Location"].startswith(edges["fra"].url))


@pytest.mark.parametrize("how", ["no", "optional"])
def test_down_with_proxy_headers(cdn, how):
    served = Served(cdn, "edge", proxy_protocol=how, trusted_proxies="127.0.0.0/8", threads=2)
    for _ in range(2):
        served.daemon.faults(down=True)
        poll(lambda: refused(served.daemon))
        served.daemon.faults(off=True)
        poll(lambda: not refused(served.daemon))
        with served.daemon.connect() as client:
            if how != "no":
                client.send(b"PROXY TCP4 192.0.2.7 127.0.0.1 1 2\r\n")
            assert client.get("/a").status == 200
    assert served.origin.last().header("X-Forwarded-For") == ("127.0.0.1" if how == "no" else "192.0.2.7")


BAD = [{"error_rate": 2}, {"error_rate": "1"}, {"truncate_rate": -1}, {"corrupt_rate": True}, {"slow": 0}, {"slow": "fast"},
       {"slow": -5}, {"refuse": 1}, {"down": "yes"}, {"delay": 5}, {"status": 200}, {"nothing": 1}, [], None, 5]


def test_bad_rules_change_nothing(served):
    served.daemon.faults(error_rate=1, paths="/never")
    before = served.daemon.status()["faults"]
    for rules in BAD:
        answer = served.daemon.admin_request("POST", "/faults", json.dumps(rules).encode())
        assert answer.status == 400 and ("faults: " in answer.text or rules in (None, 5)), rules
    assert served.daemon.status()["faults"] == before


def test_without_simulation(cdn):
    for daemon in (cdn.origin(cdn.folder(files={"a": "x"})), cdn.edge("http://127.0.0.1:1"), cdn.router(state="none")):
        answer = daemon.admin_request("POST", "/faults", {"error_rate": 1})
        assert answer.status == 403 and re.search("simulat", answer.text)
