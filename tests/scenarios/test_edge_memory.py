"""What an edge holds in memory, against its setting."""

import threading
import time

import pytest
from cdn import SLOW, Gate, Reply, in_parallel, poll
from test_edge_http import ok

MIB = 1 << 20
CROWD = 95  # their connections take less than 1 MiB, and so none is refused, whatever the process has beside them


@pytest.mark.skipif(SLOW > 1, reason="sanitizers have memory of their own")
@pytest.mark.parametrize("disk, most_mib", [("1GiB", 40), (0, 58)])
def test_clients_that_do_not_read(cdn, disk, most_mib):
    """300 of them, each on a megabyte of its own, at 8 MiB: bodies go to files; without a disk tier the origin waits, and
    a window and what libcurl holds of each remain."""
    origin = cdn.fake_origin()
    body = bytes(range(256)) * (MIB // 256)
    for i in range(300):
        origin.on(f"/m/{i}", ok(body, "max-age=600"))
    edge = cdn.edge(origin, memory="8MiB", disk=disk, threads=2)
    most = 0
    clients = []
    for i in range(300):
        clients.append(edge.connect())
        clients[-1].send_request("GET", f"/m/{i}")
        most = max(most, edge.rss_kib())
    for i in range(300):
        poll(lambda i=i: origin.count(f"/m/{i}") >= 1, what=f"request {i} at the origin")
        most = max(most, edge.rss_kib())
    cache = edge.status()["cache"]
    assert cache["memory_bytes"] <= cache["memory_capacity"] == 8 * MIB
    for client in clients[::10]:
        assert client.response().body == body
        most = max(most, edge.rss_kib())
    assert most < most_mib * 1024, f"{most} KiB"
    for client in clients:
        client.reset()
    poll(lambda: edge.status()["cache"]["memory_on_the_way"] == 0, what="nothing on the way")


def test_disk_hits_do_not_fill_memory(cdn):
    """Bodies from disk whose clients do not read go straight from the file when memory is short."""
    origin = cdn.fake_origin()
    body = b"0123456789abcdef" * (900 << 6)  # below the setting for bodies in RAM
    for i in range(60):
        origin.on(f"/d/{i}", ok(body, "max-age=600"))
    edge = cdn.edge(origin, memory="1MiB", disk="1GiB", threads=1)
    for _ in range(2):
        for i in range(60):
            assert edge.get(f"/d/{i}").body == body
    assert all(origin.count(f"/d/{i}") == 1 for i in range(60))
    clients = [edge.connect() for _ in range(60)]
    for i, client in enumerate(clients):
        client.send_request("GET", f"/d/{i}")
    poll(lambda: edge.metric("pocketcdn_edge_request_total") >= 180, what="all answered")
    assert edge.status()["cache"]["memory_on_the_way"] <= 6 * MIB
    for client in clients:
        assert client.response().body == body


def test_requests_to_the_origin_wait_for_memory(cdn):
    """At 1 MiB some 60 may be under way; the others follow, and one for what is being fetched joins at once."""
    origin = cdn.fake_origin()
    gate = Gate()
    edge = cdn.edge(origin, memory="1MiB", disk=0, threads=1)
    clients = [edge.connect() for _ in range(CROWD)]
    for i, client in enumerate(clients):
        method, body = ("POST", b"x" * 1000) if i % 3 == 2 else ("GET", b"")
        origin.on(f"/w/{i}", Reply(200, f"answer {i}".encode(), [("Cache-Control", "max-age=600")], before=gate))
        client.send_request(method, f"/w/{i}", body=body)
    poll(lambda: edge.status()["requests_under_way"] == CROWD, what="all requests at the edge")
    poll(lambda: origin.count() >= 16, what="some at the origin")
    assert origin.count() < 90
    joining = edge.connect()
    joining.send_request("GET", next(seen.target for seen in origin.seen() if seen.method == "GET"))
    poll(lambda: edge.status()["requests_under_way"] == CROWD + 1, what="the one that joins at the edge")
    gate.open()
    for i, client in enumerate(clients):
        assert client.response().body == f"answer {i}".encode()
        client.close()
    assert joining.response().body.startswith(b"answer ")
    assert origin.count() == CROWD


SLICE = 64 << 10


def in_slices(gate=None):
    """An origin's answer in the stretch that is asked for; those after the first slice come when the gate opens."""
    whole = bytes(range(256)) * (4 * SLICE // 256)

    def answer(request):
        first, last = (int(x) if x else len(whole) - 1 for x in request["Range"].removeprefix("bytes=").split("-"))
        return Reply(206, whole[first:last + 1], [("Cache-Control", "max-age=600"), ("ETag", '"v"'),
                     ("Content-Range", f"bytes {first}-{last}/{len(whole)}")], before=gate if first else None)

    return whole, answer


def test_slices_of_answers_under_way_wait_for_memory(cdn):
    """Each slice is another request to the origin and takes its turn, also where the answer has begun."""
    origin = cdn.fake_origin()
    gate = Gate()
    whole, answer = in_slices(gate)
    edge = cdn.edge(origin, memory="1MiB", disk=0, threads=1, slice="64KiB", memory_wait="5m")
    clients = [edge.connect() for _ in range(CROWD)]
    for i, client in enumerate(clients):
        origin.on(f"/v/{i}", answer)
        client.send_request("GET", f"/v/{i}", [("Range", "bytes=0-200000")])
    poll(lambda: edge.status()["requests_under_way"] == CROWD, what="all requests at the edge")
    poll(lambda: gate.reached.is_set(), what="a second slice")
    assert sum(r["Range"] != "bytes=0-65535" for r in origin.seen()) < 90
    gate.open()
    for client in clients:
        assert client.response().body == whole[:200001]
    assert origin.count() >= 4 * CROWD


def test_those_who_wait_too_long_are_told(cdn):
    """503 with Retry-After for who found no room in time; hits go on meanwhile."""
    origin = cdn.fake_origin()
    gate = Gate()
    origin.on("/hit", ok(b"hit", "max-age=600"))
    edge = cdn.edge(origin, memory="1MiB", disk=0, threads=1, memory_wait="500ms")
    assert edge.get("/hit").status == 200
    clients = [edge.connect() for _ in range(CROWD)]
    for i, client in enumerate(clients):
        origin.on(f"/w/{i}", Reply(200, b"late", before=gate))
        client.send_request("GET", f"/w/{i}")
    poll(lambda: edge.status()["requests_under_way"] == CROWD, what="all requests at the edge")
    assert edge.get("/hit").body == b"hit"
    told = clients[-1].response()
    assert told.status == 503 and told["Retry-After"] == "1"
    gate.open()
    assert clients[0].response().body == b"late"
    for client in clients:
        client.reset()


@pytest.mark.skipif(SLOW > 1, reason="sanitizers have memory of their own")
def test_a_crowd_of_connections(cdn):
    """Beyond what memory allows an idle connection goes for a new one, and that is served."""
    origin = cdn.fake_origin()
    origin.on("/a", ok(b"hit", "max-age=600"))
    edge = cdn.edge(origin, memory="1MiB", disk=0, threads=2)
    clients = []
    for _ in range(2000):
        clients.append(edge.connect())
        assert clients[-1].get("/a").status == 200
    assert edge.rss_kib() < (1 + 32) * 1024
    poll(lambda: edge.status()["connections"] < 1500, what="some of them closed")
    assert edge.get("/a").body == b"hit"
    for client in clients:
        client.close()


# ------------------------------------------------------------------------------------------------ readers that do not read

LARGE = bytes(range(256)) * (24 * MIB // 256)  # more than the kernel holds for a client that does not read


def sharing(edge, origin, target, answer, readers, stalled, version="HTTP/1.1"):
    """That many clients which share one fetch; those of the second kind take nothing."""
    gate = Gate()
    origin.on(target, Reply(200, LARGE, [("Cache-Control", answer)], before=gate, date=False, chunked=version == "HTTP/1.0"))
    clients = [edge.connect() for _ in range(readers + stalled)]
    for client in clients:
        client.send_request("GET", target, version=version)
    poll(lambda: edge.status()["requests_under_way"] == len(clients), what="all requests at the edge")
    gate.open()
    return clients[:readers], clients[readers:]


def take_all(readers):
    for got in in_parallel(len(readers), lambda i: readers[i].response().body):
        assert got == LARGE


@pytest.mark.parametrize("disk", [0, "1GiB"])
@pytest.mark.parametrize("stalled", [1, 2])
@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
def test_a_stalled_reader_does_not_hold_up_others(cdn, disk, stalled, version):
    """Without a disk tier the body is in a window: who does not read is let go. With one the body is in a file, and a
    client may take its time."""
    origin = cdn.fake_origin()
    edge = cdn.edge(origin, disk=disk, stalled_reader="500ms", threads=1)
    readers, idle = sharing(edge, origin, "/large", "max-age=600", 3, stalled, version)
    take_all(readers)
    assert origin.count("/large") == 1
    lost = edge.metric("pocketcdn_edge_stalled_reader_total")
    if disk:
        assert lost == 0
        take_all(idle)
    else:
        assert lost == stalled
        assert len([e for e in edge.log if e["event"] == "stalled_reader" and e["target"] == "/large"]) == stalled
        for client in idle:
            with pytest.raises(ConnectionResetError):  # HTTP/1.0 would take an orderly close for the end of the body
                while client.sock.recv(MIB):
                    pass
        poll(lambda: edge.status()["requests_under_way"] == 0, what="the edge is done with them")


def test_a_reader_alone_may_be_slow(cdn):
    """Nobody waits for it; and when all are slow, nobody is let go either."""
    origin = cdn.fake_origin()
    edge = cdn.edge(origin, disk=0, stalled_reader="100ms", threads=1)
    _, idle = sharing(edge, origin, "/large", "max-age=600", 0, 2)
    _, alone = sharing(cdn.edge(origin, name="ams", disk=0, stalled_reader="100ms", threads=1), origin, "/other", "max-age=600", 0, 1)
    sent = edge.metric("pocketcdn_edge_origin_bytes_total")
    time.sleep(1)  # ten times as long as it may take
    assert edge.metric("pocketcdn_edge_stalled_reader_total") == 0
    assert sent < len(LARGE)
    take_all(idle)
    take_all(alone)


def test_a_slow_reader_is_not_stalled(cdn):
    """It takes a little all the time, more than `body_rate`; what counts is what its TCP takes, not the place in the body."""
    origin = cdn.fake_origin()
    edge = cdn.edge(origin, disk=0, stalled_reader="10s", threads=1)
    readers, (slow,) = sharing(edge, origin, "/large", "max-age=600", 1, 1)
    done = []

    def read_slowly():
        slow.final_head()
        got = b""
        while len(got) < len(LARGE):
            got += slow.read_exactly(min(1 << 18, len(LARGE) - len(got)))
            time.sleep(0.02)
        done.append(got)

    thread = threading.Thread(target=read_slowly)
    thread.start()
    take_all(readers)
    thread.join(120)
    assert done == [LARGE]
    assert edge.metric("pocketcdn_edge_stalled_reader_total") == 0
