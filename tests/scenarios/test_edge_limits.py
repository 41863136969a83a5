"""Load and abuse: who asks for a lot waits for himself, and what a network of clients may do."""

from cdn import Client, Gate, Reply, poll

GREEDY = "127.0.2.1"
OTHERS = [f"127.0.{i}.1" for i in range(3, 8)]  # each of another network (/24)


def test_a_crowd_of_one_network_waits_behind_its_own(cdn):
    """Two connections to the origin, and one client that wants a hundred things: others have their turns between."""
    gate, origin = Gate(), cdn.fake_origin()
    origin.default = Reply(body=b"x", headers=[("Cache-Control", "max-age=60")])
    for i in range(2):
        origin.on(f"/slow/{i}", Reply(body=b"x", before=gate))
    edge = cdn.edge(origin, threads=1, origin_connections=2, memory_wait="1h")
    clients = [Client(edge.public, source=GREEDY) for _ in range(100)]
    for i in range(2):
        clients[i].send_request("GET", f"/slow/{i}")
    origin.wait_count(2)
    for i in range(2, 100):
        clients[i].send_request("GET", f"/flood/{i}")
    poll(lambda: edge.metric("queued_total") == 98)
    others = [Client(edge.public, source=address) for address in OTHERS]
    for i, client in enumerate(others):
        client.send_request("GET", f"/other/{i}")
    poll(lambda: edge.metric("queued_total") == 98 + len(others))
    gate.open()
    for client in clients + others:
        assert client.response().status == 200
        client.close()
    targets = [r.target for r in origin.requests]
    early = [t for t in targets[:40] if t.startswith("/other")]
    assert len(early) >= 3, targets  # by chance one may stand in the crowd's line (1 in 256)
