"""pocketcdn-wan, the network between the places: who may enter, where it leads, and what time it takes."""

import contextlib
import socket
import time

import pytest

from cdn import LIMIT, Client, Closed, Gate, Reply, poll, unused_port
from wan import Socks, World, near, seconds


@pytest.fixture(scope="module")
def world(shared_cdn):
    return World(shared_cdn)


# ------------------------------------------------------------------------------------------------ who and where

@pytest.mark.parametrize("user, edge", [("Tokyo", "nrt"), ("Osaka", "nrt"), ("Berlin", "fra"), ("New York", "iad"),
                                        ("35.6,139.7", "nrt"), ("fra", "fra"), ("origin", "fra"), ("São Paulo", "iad")])
def test_dns_leads_to_the_nearest_edge(world, user, edge):
    assert world.get("www.cdn.test", user=user).text == edge
    assert world.get("cdn.test", user=user).text == edge


@pytest.mark.parametrize("host, name", [("fra.cdn.test", "fra"), ("NRT.cdn.test.", "nrt"), ("origin.cdn.test", "origin")])
@pytest.mark.parametrize("port", [80, 443])
def test_names_lead_to_nodes(world, host, name, port):
    assert world.get(host, port=port, user="fra").text == name


def test_listeners_by_address_lead_there(world):
    for name, server in {**world.edges, "origin": world.origin}.items():
        host, port = server.address
        assert world.get(host, port=port, user="fra").text == name
    assert world.get("127.0.77.2", user="fra").text == "nrt"  # the edge's address, the web's port
    host, port = world.router.admin
    assert world.get(host, "/health", port=port, user="fra").status == 200
    with world.connect("router.cdn.test", port=port, user="fra") as client:
        assert client.reply == 0


@pytest.mark.parametrize("host, port, reply", [
    ("example.com", 80, 2), ("cdn.test.example.com", 80, 2), ("xcdn.test", 80, 2), ("127.0.0.1", 9, 2), ("localhost", 22, 2),
    ("::1", 80, 2), ("fra.cdn.test", 22, 2), ("10.0.0.1", 80, 2), ("nobody.cdn.test", 80, 4)])
def test_everything_else_is_refused(world, host, port, reply):
    with world.connect(host, port) as client:
        assert client.reply == reply
        assert client.at_eof()


@pytest.mark.parametrize("user, password, words", [
    ("Tokjo", "", "no place 'Tokjo' is known; did you mean Tokyo,JP?"),
    ("Tokyo", "5g", "no profile '5g' is known (there are: fibre, cable, dsl, 4g, 3g)"),
    ("91,181", "", "no place '91,181' is known"),
    ("\33[31m", "", "no place")])
def test_strangers_are_refused_with_a_reason(world, user, password, words):
    with pytest.raises(Closed):
        world.connect("fra.cdn.test", user=user, password=password)
    poll(lambda: [x for x in world.wan.log if x.get("event") == "refused" and words in x["error"] and x["why"] == "user"])
    assert "\33" not in "".join(world.wan.err)


@pytest.mark.parametrize("sent, answer, why", [
    (b"\5\1\0", b"\5\xff", "method"),
    (b"\4\1\0\x50\x7f\0\0\1\0", b"\0\x5b\0\0\0\0\0\0", "socks4"),
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 400 ", "http"),
    (b"\x16\3\1\2\0", b"", "tls"),
    (b"\0", b"", "version"),
    (b"\5\1\2\2\5Tokyo\0", b"\5\2\1\1", "auth_version"),
    (b"\5\1\2\1\5Tokyo\0\5\2\0\1\x7f\0\0\1\0\x50", b"\5\2\1\0\5\7", "command")])
def test_what_is_no_socks5_gets_a_clear_answer(world, sent, answer, why):
    with Client(world.wan.public) as client:
        client.send(sent)
        assert client.read_until_close().startswith(answer)
    world.wan.wait_log("refused", why=why)


def test_http_is_told_what_this_port_is(world):
    with Client(world.wan.public) as client:
        answer = client.get("/")
        assert answer.status == 400 and "SOCKS5" in answer.text and "socks5h://" in answer.text


def test_many_refusals_do_not_fill_the_log(cdn):
    """Each is counted; the log has some a second, and says how many it left out."""
    network = cdn.wan()
    for _ in range(600):
        with Client(network.public) as client:
            client.send(b"GET /")
    assert poll(lambda: network.metric('refused_total{why="handshake"}') == 600)
    lines = [line for line in network.log if line.get("event") == "refused"]
    seconds_of = [line["ts"][:19] for line in lines]
    assert max(seconds_of.count(second) for second in set(seconds_of)) <= 200  # seconds of two clocks
    assert len(lines) + sum(int(line["left_out"]) for line in lines) <= 600


def test_trickled_handshakes_end(cdn):
    network = cdn.wan(head_timeout="200ms")
    with Client(network.public) as client:
        client.send(b"\5")
        assert client.at_eof()


# ------------------------------------------------------------------------------------------------ time

@pytest.mark.parametrize("user", ["Tokyo", "Frankfurt", "New York", "Sydney", "São Paulo"])
def test_a_new_connection_takes_two_round_trips_and_a_kept_one_takes_one(world, user):
    rtt = world.path_of(user, "fra")["rtt"]

    def connect():
        with world.connect("fra.cdn.test", user=user) as client:
            return client.connected

    near(rtt, connect, tries=2)
    with world.connect("fra.cdn.test", user=user) as client:
        near(rtt, lambda: seconds(lambda: client.get("/"))[0], tries=2)


def test_between_nodes_there_is_no_last_mile(world):
    rtt = world.path_of("nrt", "origin")["rtt"]
    assert rtt < world.path_of("Tokyo", "origin")["rtt"]
    near(rtt, lambda: world.connect("origin.cdn.test", user="nrt").connected, tries=2)


def test_a_body_takes_the_rounds_of_slow_start(world):
    """80 kB leave in three windows, 14.6, 29.2 and 58.4 kB, also where a busy server did not fill the first ones."""
    body = bytes(80_000)
    world.edges["fra"].on("/80k", Reply(200, body))
    rtt = world.path_of("nrt", "fra")["rtt"]

    def fetch():
        with world.connect("fra.cdn.test", user="nrt") as client:
            took, answer = seconds(lambda: client.get("/80k"))
            assert answer.body == body and answer.complete
            return took

    near(3 * rtt, fetch, tries=2)


def test_an_upload_takes_them_too(world):
    body = bytes(80_000)
    rtt = world.path_of("nrt", "fra")["rtt"]

    def send():
        with world.connect("fra.cdn.test", user="nrt") as client:
            took, answer = seconds(lambda: client.request("POST", "/", body=body))
            assert answer.status == 200
            return took

    near(3 * rtt, send, tries=2)  # the last of them and the answer are one round trip
    assert world.edges["fra"].last("/").body == body


def test_a_profile_has_its_rate(world):
    body = bytes(200_000)
    world.edges["nrt"].on("/rate", Reply(200, body))
    path = world.path_of("Tokyo", "nrt", "3g")

    def fetch():
        with world.connect("nrt.cdn.test", password="3g") as client:
            took, answer = seconds(lambda: client.get("/rate"))
            assert answer.body == body
            return took

    took = fetch()
    assert took >= len(body) / path["down"]["bytes_per_s"]


# ------------------------------------------------------------------------------------------------ ends

def test_bytes_are_the_same_both_ways(world):
    body = bytes(i * 7 % 251 for i in range(3_000_000))
    world.edges["fra"].on("/large", Reply(200, body))
    for user in ("fra", "Berlin"):
        with world.connect("fra.cdn.test", user=user) as client:
            assert client.get("/large").body == body
            client.request("POST", "/up", body=body)
            assert world.edges["fra"].last("/up").body == body


def test_early_bytes_are_not_lost(world):
    with world.connect("fra.cdn.test", user="Berlin", early=b"GET / HTTP/1.1\r\nHost: fra.cdn.test\r\n\r\n") as client:
        assert client.reply == 0 and client.response().text == "fra"


def test_half_closed_connections_go_on(world):
    gate = Gate()
    world.edges["fra"].on("/half", Reply(200, [b"first", gate, b"second"], length=False))
    with world.connect("fra.cdn.test", user="Berlin") as client:
        client.send_request("GET", "/half")
        client.half_close()
        gate.wait_reached()
        gate.open()
        assert client.response().body == b"firstsecond"


def test_an_end_takes_its_time(world):
    """The target's end of the stream is seen half a round trip after it was sent."""
    world.edges["fra"].on("/end", Reply(200, b"x", length=False))
    rtt = world.path_of("nrt", "fra")["rtt"]
    with world.connect("fra.cdn.test", user="nrt") as client:
        took, answer = seconds(lambda: client.get("/end"))
        assert answer.closed and took >= rtt


def test_a_reset_of_the_target_is_a_reset(world):
    world.edges["fra"].on("/reset", Reply(200, b"abc", length=10, close_after=3, reset=True))
    with world.connect("fra.cdn.test", user="Berlin") as client:
        client.send_request("GET", "/reset")
        data = b""
        with pytest.raises(ConnectionResetError):
            while piece := client.sock.recv(65536):
                data += piece
        assert data.endswith(b"\r\n\r\nabc")


def test_a_reset_of_the_client_reaches_the_target(world):
    closed = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        network = world.cdn.wan(allow=f"127.0.0.1:{port}=Berlin")
        client = Socks(network.public, "127.0.0.1", port, "fra")
        peer, _ = server.accept()
        client.send(b"x")
        assert peer.recv(1) == b"x"
        client.reset()
        peer.settimeout(60)
        with pytest.raises(ConnectionResetError):
            peer.recv(1)
        peer.close()
    assert not closed


def allowed(world, server):
    """A network through which "fra" reaches a socket of the test's, and both ends of a connection there."""
    port = server.getsockname()[1]
    network = world.cdn.wan(allow=f"127.0.0.1:{port}=Berlin")
    client = Socks(network.public, "127.0.0.1", port, "fra")
    peer, _ = server.accept()
    peer.settimeout(LIMIT)
    return network, client.sock, peer


def test_a_network_that_is_killed_resets_its_connections(world):
    """A FIN would make half a body look whole."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        network, client, peer = allowed(world, server)
        client.sendall(b"half")
        peer.sendall(b"half")
        assert peer.recv(4) == b"half" and client.recv(4) == b"half"
        network.kill()
        for end in (client, peer):
            with pytest.raises(ConnectionResetError):
                end.recv(1)
            end.close()


def test_urgent_bytes_are_bytes_of_the_stream(world):
    """What was behind one stayed where it was, and the network went round and round."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        _, client, peer = allowed(world, server)
        for sender, reader in ((client, peer), (peer, client)):
            sender.sendall(b"before")
            sender.send(b"!", socket.MSG_OOB)
            sender.sendall(b"behind")
            got = b""
            while len(got) < 13:
                got += reader.recv(13)
            assert got == b"before!behind"
        client.close()
        peer.close()


def test_a_target_that_refuses_is_refused_after_a_round_trip(world):
    port = unused_port()
    network = world.cdn.wan(allow=f"127.0.0.1:{port}=Sydney")
    with Socks(network.public, "127.0.0.1", port, "Berlin") as client:
        assert client.reply == 5 and client.connected > 0.1


def test_slow_readers_hold_a_window_and_no_more(world):
    body = bytes(30_000_000)
    world.edges["fra"].on("/slow", Reply(200, body))
    with world.connect("fra.cdn.test", user="Berlin") as client:
        client.send_request("GET", "/slow")
        poll(lambda: world.wan.status()["memory"]["used"] > 1_000_000, what="a window fills")
        time.sleep(0.3)
        assert world.wan.status()["memory"]["used"] < 3_927_400 + 200_000
        answer = client.response()
        assert answer.body == body and answer.complete
    poll(lambda: world.wan.status()["memory"]["used"] == 0, what="memory is free again")


def test_connections_beyond_the_limit_are_reset(world):
    network = world.cdn.wan(connections=3)
    kept = [Client(network.public) for _ in range(3)]
    poll(lambda: network.status()["connections"]["now"] == 3)
    with contextlib.suppress(ConnectionResetError), Client(network.public) as client:  # already while it connects
        assert client.at_eof()
    assert poll(lambda: network.metric('refused_total{why="limit"}')) == 1
    for client in kept:
        client.close()


# ------------------------------------------------------------------------------------------------ listeners

def test_a_place_has_one_listener_and_keeps_it(cdn):
    world = World(cdn, "--state", cdn.folder("wan"))
    first = world.wan.admin_post("/listeners", {"place": "Tokyo", "profile": "4g"})["proxy"]
    assert world.wan.admin_post("/listeners", {"place": "tokyo", "profile": "4g"})["proxy"] == first
    assert world.wan.admin_post("/listeners", {"place": "Tokyo"})["proxy"] != first
    edge = world.wan.admin_post("/listeners", {"place": "nrt"})["proxy"]
    assert first.startswith("socks5h://127.0.0.1:")
    proxy = ("127.0.0.1", int(first.rpartition(":")[2]))
    with Socks(proxy, "www.cdn.test") as client:
        assert client.reply == 0 and client.get("/").text == "nrt"
        before = world.wan.admin_get("/listeners")["listeners"]
        world.wan.kill()
        assert client.at_eof()
    again = cdn.daemon(world.wan.argv[0], world.wan.argv[1:])
    after = {(one["kind"], one.get("place"), one.get("profile"), one["proxy"]) for one in again.admin_get("/listeners")["listeners"]
             if one["kind"] == "place"}
    assert after == {(one["kind"], one.get("place"), one.get("profile"), one["proxy"]) for one in before if one["kind"] == "place"}
    assert len(after) == 3
    with Socks(proxy, "www.cdn.test") as client:
        assert client.get("/").text == "nrt"
    with Socks(("127.0.0.1", int(edge.rpartition(":")[2])), "origin.cdn.test") as client:
        assert client.get("/").text == "origin"


@pytest.mark.parametrize("body, words", [
    ({"place": "Tokjo"}, "did you mean Tokyo,JP?"), ({"place": "Tokyo", "profile": "5g"}, "no profile '5g'"),
    ({}, "listeners: {"), ({"place": 7}, "listeners: {"), ({"place": "Tokyo", "port": 1}, "listeners: {"),
    ({"place": "Tokyo" + "?" * 196}, "at most 200 bytes")])
def test_bad_wishes_for_listeners(world, body, words):
    answer = world.wan.admin_request("POST", "/listeners", body)
    assert 400 <= answer.status < 500 and words in answer.json()["detail"]


# ------------------------------------------------------------------------------------------------ bad settings

@pytest.mark.parametrize("settings, words", [
    ({"profile": "5g"}, "profile: no profile '5g' is known"),
    ({"listen": "0.0.0.0:0"}, "listen: 0.0.0.0:0 is not on loopback"),
    ({"allow": "127.0.0.1"}, "allow: '127.0.0.1' is not HOST:PORT or HOST:PORT=PLACE"),
    ({"allow": "127.0.0.1:80=Tokjo"}, "did you mean Tokyo,JP?"),
    ({"links": "listen=127.0.0.1:0"}, "to: '' is neither HOST:PORT nor a node"),
    ({"links": "listen=127.0.0.1:0,to=fra,from=Tokjo"}, "did you mean Tokyo,JP?"),
    ({"links": "listen=127.0.0.1:0,to=fra,speed=1"}, "links: 'speed' is not one of listen="),
    ({"links": "listen=0.0.0.0:0,to=fra"}, "0.0.0.0:0 is not on loopback"),
    ({"links": "listen=127.0.77.9:17001,to=127.0.77.9:17001"}, "links: what enters here would go round in a circle"),
    ({"links": ["listen=127.0.77.9:17001,to=127.0.77.9:17002", "listen=127.0.77.9:17002,to=127.0.77.9:17001,udp=yes"]},
     "in a circle"),
    ({"router_place": "Tokjo"}, "router: place: no place 'Tokjo' is known")])
def test_bad_settings_get_one_clear_line(cdn, settings, words):
    network = cdn.wan(wait=False, **settings)
    assert network.wait() in (2, 3)
    lines = [line for line in network.err if "level=info" not in line]
    assert len(lines) == 1 and words in lines[0], network.err


def test_an_address_in_use_is_named(cdn, world):
    network = cdn.wan(wait=False, listen="127.0.0.1:%d" % world.wan.public[1])
    assert network.wait() == 3
    assert any("listen: cannot listen on 127.0.0.1:%d: the address is in use" % world.wan.public[1] in line for line in network.err)
