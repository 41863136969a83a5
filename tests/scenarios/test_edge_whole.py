"""An origin that answers a range with the whole: how much of it an edge reads for what clients want of it."""

import pytest
from cdn import Gate, poll
from test_edge_http import edge, ok, origin, told  # noqa: F401 (edge and origin are fixtures)

MIB = 1 << 20


def story(edge):  # noqa: F811
    return edge.admin_get("/why?url=http://test.example/a")


FAR = [19 * MIB, 12 * MIB + 1, 20 * MIB - 1]


@pytest.mark.parametrize("cc, fields", [("no-store", []), ("private", [("ETag", '"1"')]), ("max-age=60", [("Vary", "*")])])
def test_far_ranges_of_a_whole_that_nobody_keeps(edge, origin, cc, fields):  # noqa: F811
    """So much of it is read and thrown away; beyond that it is sent, and the client takes every byte itself."""
    size = 20 * MIB
    body = b"0123456789" * (size // 10)
    origin.on("/a", ok(body, cc, *fields))
    cut = 0
    for at in FAR * 4:
        with edge.connect() as client:
            client.send_request("GET", "/a", [("Range", f"bytes={at}-{at}")])
            head = client.final_head()
            assert told(head) == ("BYPASS", "range-ignored")
            if head.status == 206:
                assert client.body(head).body == body[at:at + 1]
                cut += at
            else:
                assert head.status == 200 and int(head["Content-Length"]) == size
                assert client.read_exactly(10) == body[:10]
    assert 0 < cut <= 16 * MIB
    poll(lambda: origin.active == 0, what="fetches that nobody wants to end")
    assert edge.metric("origin_bytes_total") < cut + len(FAR) * 4 * 8 * MIB
    assert story(edge)["ranges"] == "range-ignored"
    for at in (0, 100000):  # what costs nothing is cut always
        assert edge.get("/a", [("Range", f"bytes={at}-{at}")]).body == body[at:at + 1]
    edge.clock_advance("11m")
    with edge.connect() as client:
        client.send_request("GET", "/a", [("Range", f"bytes={FAR[1]}-{FAR[1]}")])
        assert client.final_head().status == 206


@pytest.mark.parametrize("spelling", ["bytes=-1", f"bytes={20 * MIB - 1}-", f"bytes={11 * MIB}-{11 * MIB}", "bytes=0-0"])
def test_a_whole_in_place_of_a_range_is_fetched_once_by_all(edge, origin, spelling):  # noqa: F811
    """It is known after the first range, whose fetch broke off: then one fetch is for all, and goes on without them."""
    size = 20 * MIB
    body = bytes(range(256)) * (size // 256)
    gate = Gate()
    whole = [body[:size // 2], gate, body[size // 2:]]
    origin.on("/a", ok(body[:MIB], "max-age=60", ("ETag", '"1"'), length=size, close=True),
              ok(whole, "max-age=60", ("ETag", '"1"')))
    edge.get("/a", [("Range", "bytes=5-5")])
    edge.wait_log("origin_broke_off")
    clients = [edge.connect() for _ in range(5)]
    for client in clients:
        client.send_request("GET", "/a", [("Range", spelling)])
    gate.wait_reached()
    assert story(edge)["ranges"] == "range-ignored"
    clients[0].reset()
    gate.open()
    for client in clients[1:]:
        r = client.response()
        assert r.status == 206 and r.body == (body[-1:] if "-1" in spelling[:9] or "-" == spelling[-1] else body[0:1])
        assert told(r)[1] == "range-ignored"
        client.close()
    poll(lambda: edge.get("/a", [("Range", "bytes=7-9")])["X-Cache"] == "HIT")
    assert origin.count("/a") == 2


def test_an_origin_that_learns_ranges(edge, origin):  # noqa: F811
    size = 4 * MIB
    body = bytes(range(256)) * (size // 256)
    part = ok(body[5:6], "no-store", ("Content-Range", f"bytes 5-5/{size}"), status=206)
    origin.on("/a", ok(body, "no-store"), part)
    first = edge.get("/a", [("Range", "bytes=5-5")])
    assert (first.status, first.body, told(first)[1]) == (206, b"\x05", "range-ignored")
    again = edge.get("/a", [("Range", "bytes=5-5")])
    assert (again.status, again.body) == (206, b"\x05")


def test_a_whole_for_which_there_is_no_room(cdn, origin):  # noqa: F811
    """Without a disk it is not read to its end again and again."""
    size = 24 * MIB
    body = b"0123456789" * (size // 10)
    edge = cdn.edge(origin, disk=0, memory="16MiB")
    origin.on("/a", ok(body, "max-age=60", ("ETag", '"1"')))
    for at in range(0, 50000, 1000):
        r = edge.get("/a", [("Range", f"bytes={at}-{at}")])
        assert r.status == 206 and r.body == body[at:at + 1]
        assert told(r)[1] in ("cold", "range-ignored", "bypass-response")
    assert told(r) == ("BYPASS", "range-ignored") and "no room" in story(edge)["ranges_because"]
    poll(lambda: origin.active == 0)
    assert edge.metric("origin_bytes_total") < 5 * size
