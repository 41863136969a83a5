"""Thousands of long polls at the admin listeners: they are bounded in count and time, and nobody else has to wait for them."""

import contextlib
import json
import os
import pathlib
import re
import resource
import socket

import pytest
from cdn import LIMIT, Client, Reply, in_parallel, poll
from test_purge import World

LONG = os.environ.get("CDN_LONG") == "yes"
MOST = min(3000 if LONG else 1400, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 400)
PURGES = min(600, MOST)  # of those that are written to disk each
FEW = 512  # files that a daemon may open


def poll_of(target, fields=(), method="GET", body=b""):
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *fields]
    lines += [f"Content-Length: {len(body)}", "Content-Type: application/json"] if body else []
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


ROUTER_POLLS = {
    "nobody": poll_of("/purges?after=1000000000&wait=60s"),
    "behind": poll_of("/purges?after=LAST&wait=60s"),
    "an edge's name": poll_of("/purges?after=LAST&wait=60s&edge=fra", ["Pocketcdn-Edge: fra"]),
    "receipts": poll_of("/purge?wait=60s", method="POST", body=json.dumps({"url": "/nothing"}).encode()),
    "idle": poll_of("/purges?after=0"),
    "half": b"GET /purges?after=0&wait=60s HTTP/1.1\r\nHost: ",
}
EDGE_POLLS = {
    "no such verb": poll_of("/purges?after=0&wait=60s"),
    "purges": poll_of("/purge", method="POST", body=json.dumps({"url": "/nothing"}).encode()),
    "idle": poll_of("/status"),
    "half": b"POST /purge HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
    "silent": b"",
}


class Flood:
    """Connections that send the same and read nothing."""

    def __init__(self, address, data):
        self.socks = []
        for _ in range(PURGES if data.startswith(b"POST /purge?") else MOST):
            sock = socket.create_connection(address, LIMIT)
            self.socks.append(sock)
            with contextlib.suppress(ConnectionError):  # it was one too many
                sock.sendall(data)

    def open(self):
        """How many the peer has not closed."""
        return sum(self.is_open(sock) for sock in self.socks)

    @staticmethod
    def is_open(sock):
        sock.setblocking(False)
        try:
            while sock.recv(1 << 16):
                pass
        except BlockingIOError:
            return True
        except ConnectionError:
            pass
        return False

    def close(self):
        for sock in self.socks:
            sock.close()


@pytest.fixture
def flood():
    floods = []
    yield lambda *args: floods.append(Flood(*args)) or floods[-1]
    for one in floods:
        one.close()


def well(daemon):
    for address in (daemon.admin, daemon.public):
        with Client(address) as client:
            if client.get("/health", host="localhost").status >= 400:
                return False
    return True


def admin_descriptors(daemon):
    """A sixteenth of what the daemon may open is its admin listener's."""
    limits = pathlib.Path(f"/proc/{daemon.pid}/limits").read_text()
    return int(re.search(r"Max open files +(\d+)", limits)[1]) // 16


def stays_well(w, polls, daemon):
    """While the flood is there: health, bounds, purges with the edge's receipt, files."""
    w.origin.on("/health", Reply(200, b"well"))
    assert all(in_parallel(8, lambda _: well(daemon)))
    most = max(admin_descriptors(daemon), 6)
    poll(lambda: polls.open() <= most, what="a bounded number is open")
    for _ in range(3):
        w.version += 1
        poll(lambda: w.router.admin_post("/purge?wait=10s", {"all": True})["edges"][0]["acknowledged"], what="the edge's receipt")
        assert w.edge.get("/a", host=w.edge.url.partition("//")[2]).text == f"/a v{w.version}\n"
        assert well(daemon)


@pytest.mark.parametrize("files", [None, FEW])
@pytest.mark.parametrize("kind", ROUTER_POLLS)
def test_the_router_outlives_thousands_of_polls(cdn, flood, kind, files):
    w = World(cdn, router={"files": files})
    last = str(w.router.status()["purges"]["last"]).encode()
    polls = flood(w.router.admin, ROUTER_POLLS[kind].replace(b"LAST", last))
    stays_well(w, polls, w.router)
    polls.close()
    poll(lambda: w.router.metric("purge_waiting") <= 1, what="none but the edge's own is left")
    assert w.router.terminate() == 0


@pytest.mark.parametrize("files", [None, FEW])
@pytest.mark.parametrize("kind", EDGE_POLLS)
def test_the_edge_outlives_thousands_of_polls(cdn, flood, kind, files):
    w = World(cdn, files=files)
    polls = flood(w.edge.admin, EDGE_POLLS[kind])
    stays_well(w, polls, w.edge)
    assert w.edge.terminate() == 0


@pytest.mark.parametrize("files", [None, FEW])
def test_receipts_that_do_not_come_are_waited_for_by_a_part(cdn, flood, files):
    """An edge that is well and does not follow the log: everybody who asks to wait would hold a connection."""
    w = World(cdn, router={"files": files})
    other = cdn.edge(w.origin, name="nrt")
    w.router.terminate()
    w.edges["nrt"] = other
    w.start_router()
    w.edges = {"fra": w.edges["fra"]}
    w.wait_synced(w.edge)
    polls = flood(w.router.admin, ROUTER_POLLS["receipts"])
    assert all(in_parallel(8, lambda _: well(w.router)))
    for _ in range(3):
        w.version += 1
        number = w.router.admin_post("/purge", {"all": True})["id"]
        poll(lambda n=number: next(e for e in w.router.admin_get(f"/purges/{n}")["edges"] if e["edge"] == "fra")["acknowledged"],
             what="the edge that follows has done it")
        assert w.edge.get("/a", host=w.edge.url.partition("//")[2]).text == f"/a v{w.version}\n"


def test_polls_end_by_themselves(cdn, flood):
    """Their time is over, or they were too many: all are answered."""
    w = World(cdn)
    polls = flood(w.router.admin, poll_of("/purges?after=0&wait=100ms", ["Connection: close"]))
    poll(lambda: polls.open() == 0, what="all have ended")
    assert well(w.router)
