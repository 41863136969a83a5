"""How the network asks GeoDNS for names: with the place's address, again, over TCP, for IPv6; and what it does not believe."""

import socket
import struct
import threading

import pytest

from cdn import LIMIT, poll
from wan import Socks

EDGE, EDGE_V6 = b"\x7f\0\x4f\1", bytes(15) + b"\1"


class FakeDns:
    """Answers what answer(message, over_tcp) gives: a list of messages, each as bytes."""

    def __init__(self):
        self.asked, self.answer = [], None
        while True:  # one port for both
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind(("127.0.0.1", 0))
            self.port = self.udp.getsockname()[1]
            try:
                self.tcp = socket.create_server(("127.0.0.1", self.port))
                break
            except OSError:
                self.udp.close()
        threading.Thread(target=self._datagrams, daemon=True).start()
        threading.Thread(target=self._connections, daemon=True).start()

    def stop(self):
        self.udp.close()
        self.tcp.close()

    def _datagrams(self):
        while True:
            try:
                message, peer = self.udp.recvfrom(4096)
                self.asked.append(("udp", message))
                for one in self.answer(message, False):
                    self.udp.sendto(one, peer)
            except OSError:
                return

    def _connections(self):
        while True:
            try:
                sock, _ = self.tcp.accept()
                message = sock.recv(4096)
                self.asked.append(("tcp", message[2:]))
                for one in self.answer(message[2:], True):
                    framed = struct.pack(">H", len(one)) + one
                    for byte in framed:  # in pieces
                        sock.sendall(bytes([byte]))
                sock.close()
            except OSError:
                return


def reply(message, address=None, flags=0x8400, number=None, name=None):
    """An answer to a query: its question, and an address if there is one."""
    end = message.index(b"\0", 12) + 5
    question = name + message[end - 4:end] if name else message[12:end]
    kind = 1 if address is None or len(address) == 4 else 28
    record = b"" if address is None else b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 30, len(address)) + address
    return (message[:2] if number is None else number) + struct.pack(">HHHHH", flags, 1, address is not None, 0, 0) + question + record


def kind_of(message):
    end = message.index(b"\0", 12)
    return struct.unpack(">H", message[end + 1:end + 3])[0]


@pytest.fixture(scope="module")
def world(shared_cdn):
    dns = shared_cdn.keep(FakeDns())
    four, six = shared_cdn.fake_origin(host="127.0.79.1"), socket.create_server(("::1", 0), family=socket.AF_INET6)
    shared_cdn.keep(type("Closer", (), {"stop": lambda self: six.close()})())
    network = shared_cdn.wan({"router": {"dns_listen": f"127.0.0.1:{dns.port}"}, "edges": [
        {"name": "fra", "place": "Frankfurt", "listen": "127.0.79.1:%d" % four.address[1]},
        {"name": "six", "place": "Frankfurt", "listen": "[::1]:%d" % six.getsockname()[1]}]})
    return dns, network


def connect(world, answer):
    dns, network = world
    dns.asked.clear()
    dns.answer = answer
    with Socks(network.public, "www.cdn.test", user="Frankfurt") as client:
        return client.reply


def test_the_question_is_the_places(world):
    assert connect(world, lambda m, tcp: [reply(m, EDGE)]) == 0
    (way, message), = world[0].asked
    assert way == "udp" and kind_of(message) == 1
    option = message[message.index(b"\0\x08\0\x08\0\x01\x20\0"):]  # client subnet, IPv4, /32
    address = option[8:12]
    assert address[0] not in (0, 10, 127) and len(address) == 4


def test_a_truncated_answer_is_asked_for_over_tcp(world):
    assert connect(world, lambda m, tcp: [reply(m, EDGE)] if tcp else [reply(m, None, flags=0x8600)]) == 0
    assert [way for way, _ in world[0].asked] == ["udp", "tcp"]


def test_a_lost_question_is_asked_again(world):
    assert connect(world, lambda m, tcp: [reply(m, EDGE)] if len(world[0].asked) > 1 else []) == 0
    assert len(world[0].asked) == 2


def test_other_messages_are_not_believed(world):
    """A wrong number, another name, no answer at all: the right one comes after them."""
    assert connect(world, lambda m, tcp: [
        reply(m, b"\x7f\0\0\1", number=bytes([m[0] ^ 1, m[1]])), reply(m, b"\x7f\0\0\1", name=b"\3fra\3cdn\4test\0"), b"", m,
        b"\0" * 12, m[:2] + b"\x84", reply(m, EDGE)]) == 0
    assert len(world[0].asked) == 1


def test_an_edge_with_an_ipv6_address_alone(world):
    assert connect(world, lambda m, tcp: [reply(m, EDGE_V6 if kind_of(m) == 28 else None)]) == 0
    assert [kind_of(m) for _, m in world[0].asked] == [1, 28]


@pytest.mark.parametrize("answer, wanted, words", [
    (lambda m, tcp: [reply(m, None)], 4, "no address of this name"),
    (lambda m, tcp: [reply(m, None, flags=0x8403)], 4, "no address of this name"),
    (lambda m, tcp: [reply(m, None, flags=0x8005)], 2, "refuses to answer"),
    (lambda m, tcp: [reply(m, None, flags=0x8002)], 2, "refuses to answer"),
    (lambda m, tcp: [reply(m, b"\x0a\0\0\1")], 2, "10.0.0.1, which is no edge"),
    (lambda m, tcp: [reply(m, EDGE)[:-2]], 2, "refuses to answer"),
    (lambda m, tcp: [reply(m, None, flags=0x8600)], 2, "refuses to answer"),
    (lambda m, tcp: [], 4, "does not answer")])
def test_names_without_an_edge_are_refused(world, answer, wanted, words):
    assert connect(world, answer) == wanted
    poll(lambda: [line for line in world[1].log if line.get("event") == "refused" and words in line["error"]], LIMIT)


def test_no_dns_is_said(cdn):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:  # nobody listens there
        udp.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % udp.getsockname()[1]
    for listen, reply_code, words in ((address, 4, "cannot be reached; does the router run?"), ("off", 2, "the CDN has no DNS")):
        network = cdn.wan({"router": {"dns_listen": listen}})
        with Socks(network.public, "www.cdn.test", user="Frankfurt") as client:
            assert client.reply == reply_code
        assert words in network.wait_log("refused")["error"]
