"""GeoDNS by real clients: dig, kdig and bare sockets. Places come from overrides, edges are fake servers."""

import json
import re
import shutil
import signal
import socket
import struct
import subprocess

import pytest

from cdn import LIMIT, SLOW, Reply, in_parallel, poll, unused_port

TOOLS = pytest.mark.skipif(not shutil.which("dig"), reason="dig is not installed")
KDIG = pytest.mark.skipif(not shutil.which("kdig"), reason="kdig is not installed")
EDGES = {"fra": ("Frankfurt", "127.0.1.1"), "nrt": ("Tokyo", "127.0.1.2"), "iad": ("Ashburn", "127.0.1.3")}
OVERRIDES = ["203.0.113.0/25=Frankfurt", "203.0.113.128/25=Tokyo", "2001:db8:1::/48=Ashburn", "127.0.0.1/32=Ashburn"]


class Dns:
    """A router with DNS, and fake admin listeners of its edges."""

    def __init__(self, cdn, **settings):
        self.health = {name: cdn.fake_origin() for name in EDGES}
        for server in self.health.values():
            server.on("/health", Reply(200, b'{"status":"ok"}'))
        edges = [f"name={n},place={p},listen={a}:8088,admin={self.health[n].url}" for n, (p, a) in EDGES.items()]
        settings = {"edge": edges, "overrides": OVERRIDES, "probe_interval": "50ms", "probe_timeout": "500ms",
                    "dns_cookie_secret": "e5e973e5a6b2a43f48e7dc849e37bfcf", **settings}
        self.router = cdn.router(**settings)
        self.port = int(self.router.wait_log("dns")["address"].rpartition(":")[2])
        poll(lambda: all(e["health"]["known"] and e["healthy"] for e in self.router.admin_get("/edges")["edges"]),
             what="first probes")

    def dig(self, *args, tool="dig"):
        done = subprocess.run([tool, "@127.0.0.1", "-p", str(self.port), *args], capture_output=True, text=True,
                              timeout=LIMIT)
        return done.stdout

    def short(self, *args):
        return self.dig("+short", *args).split()

    def ask(self, message, source="127.0.0.1"):
        """One UDP message; None when there is no answer before that to another question."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind((source, 0))
            udp.settimeout(LIMIT)
            udp.connect(("127.0.0.1", self.port))
            udp.send(message)
            udp.send(query("fra.cdn.test", 1, 0xffff))
            answer = udp.recv(65535)
            return None if answer[:2] == b"\xff\xff" else answer

    def connect(self):
        tcp = socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT)
        return tcp


def query(name, kind, number=1, options=None):
    labels = b"".join(bytes([len(x)]) + x.encode() for x in name.split(".")) + b"\0"
    message = struct.pack(">HHHHHH", number, 0, 1, 0, 0, options is not None) + labels + struct.pack(">HH", kind, 1)
    if options is not None:
        message += b"\0" + struct.pack(">HHIH", 41, 1232, 0, len(options)) + options
    return message


def framed(message):
    return struct.pack(">H", len(message)) + message


def read_exactly(tcp, n):
    data = b""
    while len(data) < n:
        piece = tcp.recv(n - len(data))
        if not piece:
            raise EOFError(f"{len(data)} of {n} bytes")
        data += piece
    return data


def read_message(tcp):
    return read_exactly(tcp, struct.unpack(">H", read_exactly(tcp, 2))[0])


@pytest.fixture
def dns(cdn):
    return Dns(cdn)


@TOOLS
def test_the_nearest_edge_by_subnet_and_by_resolver(dns):
    for name in ("www.cdn.test", "cdn.test"):
        assert dns.short(name, "+subnet=203.0.113.1/32") == ["127.0.1.1"]
        assert dns.short(name, "+subnet=203.0.113.200/32") == ["127.0.1.2"]
        assert dns.short(name, "+subnet=2001:db8:1::/48") == ["127.0.1.3"]
        assert dns.short(name) == ["127.0.1.3"]  # the override of 127.0.0.1
        assert dns.short(name, "+subnet=0") == ["127.0.1.3"]
    assert dns.short("fra.cdn.test") == ["127.0.1.1"]
    assert "CLIENT-SUBNET: 203.0.113.0/24/25" in dns.dig("www.cdn.test", "+subnet=203.0.113.0/24")
    assert "CLIENT-SUBNET: 2001:db8:1::/56/48" in dns.dig("www.cdn.test", "+subnet=2001:db8:1::/56")
    assert "CLIENT-SUBNET: 203.0.113.0/24/0" in dns.dig("fra.cdn.test", "+subnet=203.0.113.0/24")


@TOOLS
def test_agrees_with_the_http_router(cdn):
    dns = Dns(cdn, overrides=["127.0.0.1/32=Ashburn"])
    for ip in ("18.9.22.69", "133.11.0.1", "129.67.1.1", "200.160.2.3", "193.0.6.139", "8.8.8.8", "10.1.2.3"):
        edge = dns.router.admin_get(f"/route?ip={ip}")["edge"]
        assert dns.short("www.cdn.test", f"+subnet={ip}/32") == [EDGES[edge][1]], ip
        why = dns.dig("+short", "_why.www.cdn.test", "TXT", f"+subnet={ip}/32")
        assert f'"edge={edge}"' in why and '"by=subnet"' in why, ip


@TOOLS
def test_records_of_the_zone(dns):
    assert dns.short("cdn.test", "NS") == ["ns1.cdn.test."]
    assert dns.short("ns1.cdn.test") == ["127.0.0.1"]
    assert dns.short("cdn.test", "SOA")[:2] == ["ns1.cdn.test.", "hostmaster.cdn.test."]
    nothing = dns.dig("no.such.cdn.test")
    assert "status: NXDOMAIN" in nothing and "flags: qr aa" in nothing and "SOA" in nothing
    nodata = dns.dig("www.cdn.test", "AAAA")
    assert "status: NOERROR" in nodata and "ANSWER: 0" in nodata and "SOA" in nodata
    assert "status: REFUSED" in dns.dig("www.example.com")
    assert "status: REFUSED" in dns.dig("-c", "CH", "version.bind", "TXT")
    assert "HINFO" in dns.dig("www.cdn.test", "ANY", "+notcp") and "RFC8482" in dns.dig("cdn.test", "ANY", "+tcp")
    assert "Transfer failed" in dns.dig("cdn.test", "AXFR")
    assert "status: BADVERS" in dns.dig("www.cdn.test", "+edns=1", "+noednsnegotiation")
    assert "status: NOTIMP" in dns.dig("+opcode=2", "www.cdn.test")
    assert re.search(r"^;wWw\.CdN\.tEsT\.", dns.dig("wWw.CdN.tEsT"), re.M)
    assert re.search(r"^wWw\.CdN\.tEsT\.\s+30\s+IN\s+A", dns.dig("wWw.CdN.tEsT"), re.M)


@TOOLS
def test_cookies(dns):
    first = dns.dig("www.cdn.test", "+cookie=2464c4abcf10c957")
    cookie = re.search(r"COOKIE: ([0-9a-f]{48}) \(good\)", first).group(1)
    assert cookie.startswith("2464c4abcf10c95701000000")
    assert "(good)" in dns.dig("www.cdn.test", f"+cookie={cookie}")
    assert dns.router.metric("pocketcdn_router_dns_cookie_good_total") >= 1
    assert "status: FORMERR" in dns.dig("www.cdn.test", "+nocookie", "+ednsopt=10:24")


@KDIG
def test_kdig(dns):
    answer = dns.dig("+subnet=203.0.113.200/32", "www.cdn.test", tool="kdig")
    assert "127.0.1.2" in answer and "203.0.113.200/32/25" in answer
    assert "127.0.1.3" in dns.dig("+tcp", "+keepopen", "www.cdn.test", tool="kdig")
    assert "status: NOERROR" in dns.dig("+cookie", "cdn.test", "SOA", tool="kdig")
    assert "status: NXDOMAIN" in dns.dig("x.cdn.test", tool="kdig")


@TOOLS
def test_truncation_and_tcp(cdn):
    issuers = [f"certification-authority-with-a-long-name-{i}.example.com" for i in range(12)]
    dns = Dns(cdn, dns_caa=issuers)
    cut = dns.dig("cdn.test", "CAA", "+ignore", "+noedns")
    assert "flags: qr aa tc" in cut and "ANSWER: 0" in cut
    assert "ANSWER: 12" in dns.dig("cdn.test", "CAA", "+noedns")  # dig asks again over TCP
    assert "ANSWER: 12" in dns.dig("cdn.test", "CAA", "+tcp")
    assert "ANSWER: 12" in dns.dig("cdn.test", "CAA", "+bufsize=4096", "+ignore")  # fits in 1232
    assert dns.router.metric("pocketcdn_router_dns_truncated_total") == 2


def test_tcp_pipelining_and_pieces(dns):
    with dns.connect() as tcp:
        tcp.sendall(b"".join(framed(query("fra.cdn.test", 1, i)) for i in range(300)))
        for i in range(300):
            answer = read_message(tcp)
            assert answer[:2] == struct.pack(">H", i) and answer.endswith(bytes((127, 0, 1, 1)))
        for byte in framed(query("nrt.cdn.test", 1, 7)):
            tcp.sendall(bytes((byte,)))
        assert read_message(tcp).endswith(bytes((127, 0, 1, 2)))
        tcp.sendall(framed(query("nrt.cdn.test", 1, 8)))
        tcp.shutdown(socket.SHUT_WR)  # what was asked is answered still
        assert read_message(tcp).endswith(bytes((127, 0, 1, 2)))
        assert tcp.recv(1) == b""
    with dns.connect() as tcp:
        tcp.sendall(framed(b"rubbish"))  # shorter than a header
        assert tcp.recv(1) == b""


def test_tcp_limits(cdn):
    dns = Dns(cdn, dns_tcp_clients=3, dns_tcp_timeout=f"{int(300 * SLOW)}ms")
    open_ones = [dns.connect() for _ in range(3)]
    for tcp in open_ones:
        tcp.sendall(framed(query("fra.cdn.test", 1)))
        read_message(tcp)
    open_ones[0].sendall(framed(query("fra.cdn.test", 1)))
    read_message(open_ones[0])
    fourth = dns.connect()
    fourth.sendall(framed(query("fra.cdn.test", 1)))
    read_message(fourth)
    assert open_ones[1].recv(1) == b""  # the longest idle made room
    fourth.sendall(framed(query("fra.cdn.test", 1))[:5])  # half a query does not keep it open
    assert fourth.recv(1) == b"" and open_ones[0].recv(1) == b"" and open_ones[2].recv(1) == b""
    poll(lambda: dns.router.metric("pocketcdn_router_dns_tcp_open") == 0, what="all closed")
    assert dns.router.metric("pocketcdn_router_dns_tcp_timeout_total") == 3
    assert dns.router.metric("pocketcdn_router_dns_tcp_displaced_total") == 1
    for tcp in [*open_ones, fourth]:
        tcp.close()


def test_malformed_messages(dns):
    good = query("www.cdn.test", 1)
    silent = [b"", b"x", good[:11], good[:2] + b"\x80\0" + good[4:]]
    for message in silent:
        assert dns.ask(message) is None, message
    formerr = [good[:-1], good + b"x", good[:4] + b"\0\2" + good[6:], good[:4] + b"\0\0" + good[6:12],
               good[:12] + b"\xc0\x0c\0\1\0\1", good[:12] + b"\x40" + good[13:], good[:6] + b"\0\1" + good[8:],
               query("www.cdn.test", 1, 1, b"\0\x08\0\x07\0\1\x18\1\xcb\0\x71"), good[:12]]
    for message in formerr:
        answer = dns.ask(message)
        assert answer and answer[:2] == message[:2] and answer[3] & 15 == 1, message
    assert dns.ask(good)[3] & 15 == 0
    assert dns.router.metric("pocketcdn_router_dns_dropped_total") == 4


@TOOLS
def test_health_shows_at_the_next_query(dns):
    ask = lambda: dns.short("www.cdn.test", "+subnet=203.0.113.200/32")  # noqa: E731
    assert ask() == ["127.0.1.2"]
    dns.router.admin_post("/edges/nrt", {"state": "drain"})
    assert ask() == ["127.0.1.3"]
    assert dns.short("nrt.cdn.test") == ["127.0.1.2"]  # its own name stays
    dns.router.admin_post("/edges/nrt", {"state": "active"})
    assert ask() == ["127.0.1.2"]
    dns.health["nrt"].on("/health", Reply(503, b"{}"))
    poll(lambda: not dns.router.admin_get("/edges/nrt")["healthy"], what="nrt is sick")
    assert ask() == ["127.0.1.3"]
    dns.health["nrt"].on("/health", Reply(200, b'{"status":"ok"}'))
    poll(lambda: dns.router.admin_get("/edges/nrt")["healthy"], what="nrt is back")
    assert ask() == ["127.0.1.2"]
    for name in EDGES:
        dns.router.admin_post(f"/edges/{name}", {"state": "drain"})
    assert "status: SERVFAIL" in dns.dig("www.cdn.test")


def test_rate_limit(cdn):
    dns = Dns(cdn, dns_rate=20, dns_slip=2, dns_rate_exempt="127.0.0.2/32")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.5.1", 0))
        udp.connect(("127.0.0.1", dns.port))
        for i in range(60):
            udp.send(query("www.cdn.test", 1, i))
        poll(lambda: dns.router.metric("pocketcdn_router_dns_slipped_total") > 0, what="answers that slip")
        poll(lambda: dns.router.metric('pocketcdn_router_dns_query_total{transport="udp"}') >= 60, what="all queries have been looked at")
    limited = dns.router.metric("pocketcdn_router_dns_limited_total")
    assert limited > 0
    for i in range(60):
        assert dns.ask(query("www.cdn.test", 1, i), source="127.0.0.2")
    assert dns.router.metric("pocketcdn_router_dns_limited_total") == limited


def test_reload(cdn):
    edges = [{"name": n, "place": p, "listen": f"{a}:8088", "admin": "127.0.0.1:1"} for n, (p, a) in EDGES.items()]

    def config(zone, ttl):
        return json.dumps({"router": {"dns_zone": zone, "dns_ttl": ttl}, "edges": edges})

    path = cdn.config(config("one.test", "7s"))
    router = cdn.router(path)
    port = int(router.wait_log("dns")["address"].rpartition(":")[2])
    ask = lambda *args: subprocess.run(["dig", "@127.0.0.1", "-p", str(port), *args], capture_output=True,  # noqa: E731
                                       text=True, timeout=LIMIT).stdout
    assert re.search(r"^fra\.one\.test\.\s+7\s+IN\s+A\s+127\.0\.1\.1", ask("fra.one.test"), re.M)
    with open(path, "w", encoding="utf-8") as file:
        file.write(config("two.test", "9s"))
    assert router.reload().status == 200
    assert "status: REFUSED" in ask("fra.one.test")
    assert re.search(r"^fra\.two\.test\.\s+9\s+IN\s+A\s+127\.0\.1\.1", ask("fra.two.test"), re.M)
    with open(path, "w", encoding="utf-8") as file:
        file.write(config("two..test", "9s"))
    assert router.reload().status == 400
    assert "127.0.1.1" in ask("fra.two.test", "+tcp")


def test_metrics_and_status(dns):
    dns.ask(query("www.cdn.test", 28))
    dns.ask(query("x.cdn.test", 1))
    dns.ask(query("www.cdn.test", 1, 1, b"\0\x08\0\x07\0\1\x18\0\xcb\0\x71"))
    metric = lambda name: dns.router.metric("pocketcdn_router_" + name)  # noqa: E731
    assert metric('dns_query_total{transport="udp"}') == 6  # three more by ask()
    assert metric('dns_query_total{transport="tcp"}') == 0
    assert metric('dns_query_type_total{type="AAAA"}') == 1
    assert metric('dns_answer_total{rcode="NXDOMAIN"}') == 1
    assert metric("dns_ecs_total") == 1
    assert dns.router.status()["dns"] == {"listen": f"127.0.0.1:{dns.port}", "zone": "cdn.test.", "warnings": []}


def test_switched_off_and_names_for_edges(cdn):
    router = cdn.router(dns_listen="off", edge="name=fra,url=http://edge.example")
    assert router.status()["dns"] is None
    dns = cdn.router(edge=["name=fra,url=http://edge.example", "name=nrt"])
    assert "edge.example" in dns.wait_log("dns_incomplete")["text"]
    assert "edge fra" in dns.status()["dns"]["warnings"][0]


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_port_in_use(cdn, kind):
    with socket.socket(socket.AF_INET, kind) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        port = other.getsockname()[1]
        done = cdn.cli("--listen=127.0.0.1:0", "--admin=127.0.0.1:0", f"--dns-listen=127.0.0.1:{port}",
                       program="pocketcdn-router")
    assert done.returncode == 3 and f"127.0.0.1:{port}" in done.stderr and "in use" in done.stderr


def test_two_routers_on_one_port(cdn):
    port = unused_port()
    first = cdn.router(dns_listen=f"127.0.0.1:{port}", dns_threads=2)
    done = cdn.cli("--listen=127.0.0.1:0", "--admin=127.0.0.1:0", f"--dns-listen=127.0.0.1:{port}",
                   program="pocketcdn-router")
    assert done.returncode == 3 and "in use" in done.stderr
    first.signal(signal.SIGTERM)
    assert first.wait() == 0


@pytest.mark.parametrize("flag, said", [
    ("--dns-listen=nowhere", "neither HOST:PORT nor off"), ("--dns-zone=.", "dns_zone"), ("--dns-zone=a..b", "dns_zone"),
    ("--dns-name=www.example.com", "not a name in the zone"), ("--dns-ns=ns1", "its address is needed"),
    ("--dns-ns=ns1=x", "NAME=ADDRESS"), ("--dns-ns=www=192.0.2.1", "leads to edges"), ("--dns-answers=9", "dns-answers"),
    ("--dns-cookie-secret=abc", "hex digits"), ("--dns-udp-size=100", "dns-udp-size")])
def test_bad_settings(cdn, flag, said):
    done = cdn.cli("--listen=127.0.0.1:0", "--admin=127.0.0.1:0", "--dns-listen=127.0.0.1:0", flag,
                   program="pocketcdn-router")
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_many_clients_at_once(dns):
    def one(i):
        for k in range(40):
            answer = dns.ask(query("www.cdn.test", 1, (i * 40 + k) % 60000, b"\0\x08\0\x08\0\1\x20\0\xcb\0\x71" + bytes((k * 6,))))
            assert answer[-27:-23] == bytes((127, 0, 1, 1 if k * 6 < 128 else 2)), (i, k)
    in_parallel(8, one)


# ------------------------------------------------------------------------------- overrides by country; families; NSID


@TOOLS
def test_overrides_by_country_and_the_scope(cdn):
    """An answer for a country's network must not be given to networks of others."""
    dns = Dns(cdn, overrides=["country:NL=only:nrt", "continent:EU=exclude:fra;prefer:iad"])
    for subnet, address in (("193.0.0.0/24", "127.0.1.2"), ("91.64.0.0/24", "127.0.1.3"), ("133.11.0.0/24", "127.0.1.2")):
        assert dns.short("www.cdn.test", f"+subnet={subnet}") == [address], subnet
    text = dns.dig("www.cdn.test", "+subnet=193.0.0.0/24")
    scope = int(re.search(r"CLIENT-SUBNET: 193.0.0.0/24/(\d+)", text).group(1))
    assert scope > 8, text
    why = dns.dig("+short", "_why.www.cdn.test", "TXT", "+subnet=193.0.0.0/24")
    assert '"edge=nrt"' in why and '"reason=override"' in why


@TOOLS
def test_a_sick_family_is_not_an_absent_one(cdn):
    """All edges with IPv4 are sick and one with IPv6 alone is well: A is still answered."""
    dns = Dns(cdn)
    six = cdn.fake_origin()
    six.on("/health", Reply(200, b'{"status":"ok"}'))
    edges = [f"name={n},place={p},listen={a}:8088,admin={dns.health[n].url}" for n, (p, a) in EDGES.items()]
    router = cdn.router(edge=[*edges, f"name=six,place=Frankfurt,listen=[2001:db8::6]:8088,admin={six.url}"],
                        overrides=OVERRIDES, probe_interval="50ms", probe_timeout="500ms")
    dns.port = int(router.wait_log("dns")["address"].rpartition(":")[2])
    for server in dns.health.values():
        server.on("/health", Reply(503))
    poll(lambda: [e["name"] for e in router.admin_get("/edges")["edges"] if e["healthy"]] == ["six"], what="the fall")
    assert dns.short("www.cdn.test", "A", "+subnet=203.0.113.0/25") == ["127.0.1.1"]
    assert dns.short("www.cdn.test", "AAAA", "+subnet=203.0.113.0/25") == ["2001:db8::6"]


@TOOLS
def test_nsid(cdn):
    assert "NSID" not in Dns(cdn).dig("+nsid", "www.cdn.test")
    named = Dns(cdn, dns_nsid="ns1.fra")
    assert '("ns1.fra")' in named.dig("+nsid", "www.cdn.test") and "NSID" not in named.dig("www.cdn.test")
