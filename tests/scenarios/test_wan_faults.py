"""Faults of links and fixed relays of pocketcdn-wan: cut, slower, lossy, while connections are under way."""

import json
import socket
import struct

import pytest

from cdn import Client, Reply, poll, unused_port
from wan import Socks, World, near, seconds


@pytest.fixture(scope="module")
def world(shared_cdn):
    return World(shared_cdn)


@pytest.fixture(autouse=True)
def no_faults(world):
    yield
    world.wan.faults(off=True)


def listed(world):
    return world.wan.admin_get("/faults")["faults"]


# ------------------------------------------------------------------------------------------------ what is said

@pytest.mark.parametrize("body, words", [
    ({}, "two ends with a dash"), ({"link": "fra"}, "two ends with a dash"), ({"link": "fra-origin"}, "what is wrong with it"),
    ({"link": "fra-nobody", "cut": True}, "no place 'nobody' is known"), ({"link": 7, "cut": True}, "link must be a name"),
    ({"link": "fra-origin", "cut": 1}, "cut must be true or false"), ({"link": "fra-origin", "delay": 200}, "delay must be a time"),
    ({"link": "fra-origin", "delay": "-1s"}, "delay must be a time"), ({"link": "fra-origin", "loss": 1.5}, "loss must be"),
    ({"link": "fra-origin", "rate": "fast"}, "rate must be"), ({"link": "fra-origin", "rate": 0}, "rate must be"),
    ({"link": "fra-origin", "direction": "up", "cut": True}, "direction must be"), ({"link": "fra-origin", "kut": True}, "unknown key")])
def test_what_is_wrong_with_a_fault_is_said(world, body, words):
    answer = world.wan.admin_request("POST", "/faults", body)
    assert answer.status == 400 and words in answer.json()["detail"]
    assert listed(world) == []


def test_faults_are_listed_replaced_and_cleared(world):
    world.wan.faults(link="fra-origin", cut=True)
    world.wan.faults(link="FRA-ORIGIN", delay="200ms", seed=7)  # the same link
    world.wan.faults(link="Tokyo-nrt", loss=0.1, direction="there")
    world.wan.faults(link="tokyo-nrt", rate="1MiB", direction="back")
    world.wan.faults(link="*-router", cut=True)
    shown = [(f["link"], f["direction"], f["cut"], f["delay"], f["loss"], f["rate"], f["seed"]) for f in listed(world)]
    assert shown == [("FRA-ORIGIN", "both", False, "200ms", 0, None, 7), ("Tokyo-nrt", "there", False, "0s", 0.1, None, 0),
                     ("tokyo-nrt", "back", False, "0s", 0, 1 << 20, 0), ("*-router", "both", True, "0s", 0, None, 0)]
    world.wan.faults(link="Tokyo-nrt", direction="there", off=True)
    world.wan.faults(link="*-router", off=True)
    assert [f["link"] for f in listed(world)] == ["FRA-ORIGIN", "tokyo-nrt"]
    world.wan.faults(off=True)
    assert listed(world) == []


# ------------------------------------------------------------------------------------------------ what they do

@pytest.mark.parametrize("link, user, host, hit", [
    ("fra-origin", "fra", "origin", True), ("origin-fra", "fra", "origin", True), ("fra-origin", "nrt", "origin", False),
    ("Frankfurt-origin", "fra", "origin", True), ("Tokyo-nrt", "Tokyo", "nrt", True), ("TOKYO-NRT", "Tokyo", "nrt", True),
    ("Tokyo-nrt", "Berlin", "nrt", False), ("*-nrt", "Berlin", "nrt", True), ("nrt-*", "Berlin", "nrt", True),
    ("*-*", "Berlin", "fra", True), ("Tokyo-*", "nrt", "origin", True), ("São Paulo-fra", "Sao Paulo", "fra", True)])
def test_a_link_is_named_by_its_ends(world, link, user, host, hit):
    before = world.path_of(user, host)["rtt"]
    world.wan.faults(link=link, delay="300ms")
    assert world.path_of(user, host)["rtt"] == pytest.approx(before + (0.3 if hit else 0))


@pytest.mark.parametrize("direction", ["both", "there", "back"])
def test_delay_is_more_round_trip(world, direction):
    rtt = world.path_of("Berlin", "fra")["rtt"]
    with world.connect("fra.cdn.test", user="Berlin") as client:
        assert client.get("/").text == "fra"
        world.wan.faults(link="Berlin-fra", delay="100ms", direction=direction)
        near(rtt + 0.1, lambda: seconds(lambda: client.get("/"))[0], tries=2)
        near(rtt + 0.1, lambda: world.connect("fra.cdn.test", user="Berlin").connected, tries=2)
        world.wan.faults(off=True)
        near(rtt, lambda: seconds(lambda: client.get("/"))[0], tries=2)


@pytest.mark.parametrize("direction", ["both", "there", "back"])
def test_a_cut_link_carries_nothing_until_it_is_mended(world, direction):
    with world.connect("fra.cdn.test", user="Berlin") as client:
        assert client.get("/").text == "fra"
        seen = world.edges["fra"].count("/cut")
        world.wan.faults(link="Berlin-fra", cut=True, direction=direction)
        client.send_request("GET", "/cut")
        assert client.is_silent(0.3)
        if direction == "back":
            world.edges["fra"].wait_count(seen + 1, "/cut")
        else:
            assert world.edges["fra"].count("/cut") == seen
        world.wan.faults(link="Berlin-fra", off=True)
        assert client.response().text == "fra"


def test_a_cut_link_opens_no_connection(world):
    network = world.cdn.wan(world.path, connect_timeout="300ms")
    network.faults(link="Berlin-fra", cut=True)
    with Socks(network.public, "fra.cdn.test", user="Berlin") as client:
        assert client.reply == 4 and client.connected >= 0.3
    network.faults(off=True)
    with Socks(network.public, "fra.cdn.test", user="Berlin") as client:
        assert client.reply == 0


def test_a_connection_waits_for_a_link_to_be_mended(world):
    world.wan.faults(link="Berlin-fra", cut=True)
    with socket.create_connection(world.wan.public, 60) as sock:
        sock.sendall(b"\5\1\2" + b"\1\6Berlin\0" + b"\5\1\0\3\014fra.cdn.test\0\x50")
        poll(lambda: world.wan.status()["links"], what="it is under way")
        assert list(world.wan.status()["links"].values())[0]["cut"]
        world.wan.faults(off=True)
        data = b""
        while len(data) < 14:
            data += sock.recv(100)
        assert data[:6] == b"\5\2\1\0\5\0"


def test_ends_and_resets_wait_for_a_cut_link(world):
    world.edges["fra"].on("/end", Reply(200, b"x", length=False))
    with world.connect("fra.cdn.test", user="Berlin") as client:
        client.get("/")
        world.wan.faults(link="Berlin-fra", cut=True, direction="back")
        client.send_request("GET", "/end")
        world.edges["fra"].wait_count(1, "/end")
        assert client.is_silent(0.2)
        world.wan.faults(off=True)
        answer = client.response()
        assert answer.body == b"x" and answer.closed


def test_a_rate_holds_on_living_connections(world):
    body = bytes(300_000)
    world.edges["fra"].on("/300k", Reply(200, body))
    with world.connect("fra.cdn.test", user="Berlin") as client:
        assert client.get("/300k").body == body
        world.wan.faults(link="fra-Berlin", rate="500kB")
        took, answer = seconds(lambda: client.get("/300k"))
        assert answer.body == body and took >= 0.55


def test_loss_costs_time_and_no_bytes(world):
    body = bytes(i * 11 % 253 for i in range(400_000))
    world.edges["iad"].on("/lossy", Reply(200, body))

    def fetch(network):
        with Socks(network.public, "iad.cdn.test", user="New York") as client:
            took, answer = seconds(lambda: client.get("/lossy"))
            assert answer.body == body
            return took

    without = fetch(world.wan)
    world.wan.faults(link="New York-iad", loss=0.05)
    assert fetch(world.wan) > without
    world.edges["iad"].on("/lossy-up", Reply(200, b"ok"))
    with world.connect("iad.cdn.test", user="New York") as client:
        client.request("POST", "/lossy-up", body=body)
        assert world.edges["iad"].last("/lossy-up").body == body


@pytest.mark.parametrize("direction", ["there", "back"])
def test_a_lost_handshake_is_repeated(world, direction):
    """After a second, and then after two more (RFC 6298)."""
    rtt = world.path_of("Berlin", "fra")["rtt"]
    world.wan.faults(link="Berlin-fra", loss=0.3, direction=direction)

    def connected():
        with world.connect("fra.cdn.test", user="Berlin") as client:
            return client.connected

    took = []
    while len(took) < 50 and not (took and took[-1] >= rtt + 1):  # one in 50 million has none lost
        took.append(connected())
    assert min(took) >= rtt * 0.9999 - 0.00002 and took[-1] >= rtt + 1, took


# ------------------------------------------------------------------------------------------------ fixed relays

@pytest.fixture(scope="module")
def linked(world):
    port = [unused_port() for _ in range(4)]
    links = [{"listen": f"127.0.0.1:{port[0]}", "from": "Tokyo", "to": "fra"},
             {"listen": f"127.0.0.1:{port[1]}", "to": "%s:%d" % world.edges["nrt"].address},
             {"listen": f"127.0.0.1:{port[2]}", "to": "fra", "rtt": "80ms"},
             {"listen": f"127.0.0.1:{port[3]}", "from": "35.6,139.7", "to": world_dns(world), "place": "Frankfurt", "udp": True}]
    config = world.cdn.config({"wan": {"links": links}, "edges": [
        {"name": name, "place": place, "listen": "%s:%d" % world.edges[name].address} for name, place in
        (("fra", "Frankfurt"), ("nrt", "Tokyo"))]})
    network = world.cdn.wan(config)
    network.ports = port
    return network


def world_dns(world):
    return json.loads(world.path.read_text())["router"]["dns_listen"]


@pytest.mark.parametrize("number, edge, rtt", [(0, "fra", None), (1, "nrt", 0), (2, "fra", 0.08)])
def test_relays_for_programs_without_socks(world, linked, number, edge, rtt):
    with Client(("127.0.0.1", linked.ports[number])) as client:
        if rtt is None:  # of the places, without a last mile
            rtt = linked.admin_get("/path?from=Tokyo&to=fra")["rtt_ms"] / 1000 - 0.001
        near(rtt, lambda: seconds(lambda: client.get("/"))[0], tries=2)
        assert client.get("/").text == edge


def question(name, number):
    labels = b"".join(bytes([len(x)]) + x.encode() for x in name.split(".")) + b"\0"
    return struct.pack(">HHHHHH", number, 0, 1, 0, 0, 0) + labels + struct.pack(">HH", 1, 1)


def test_datagrams_take_their_time_too(world, linked):
    rtt = linked.admin_get("/path?from=35.6,139.7&to=Frankfurt")["rtt_ms"] / 1000 - 0.001
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.connect(("127.0.0.1", linked.ports[3]))
        udp.settimeout(60)
        number = iter(range(1, 1000))

        def ask():
            n = next(number)
            udp.send(question("fra.cdn.test", n))
            answer = udp.recv(4096)
            assert answer[:2] == struct.pack(">H", n) and b"\x7f\0\x4d\x01" in answer
            return True

        near(rtt, lambda: seconds(ask)[0], tries=2)
        linked.faults(link="*-*", cut=True)
        udp.send(question("fra.cdn.test", 4000))
        udp.settimeout(0.6)
        with pytest.raises(TimeoutError):
            udp.recv(4096)
        assert linked.metric('datagrams_total{fate="lost"}') == 1
        linked.faults(off=True)
    for _ in range(1500):  # more sessions than there may be: the oldest make room
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.sendto(question("fra.cdn.test", 1), ("127.0.0.1", linked.ports[3]))
    assert linked.open_files() < 1200
