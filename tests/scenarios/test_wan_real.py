"""Our own origin, edges and router over the network between places, and nginx: redirects, DNS, misses that pay their way, and
who the client is."""

import shutil
import subprocess
import time

import pytest

import tls
from cdn import poll, unused_port
from wan import Socks, near, seconds


class Real:
    def __init__(self, cdn):
        self.cdn = cdn
        ports = [unused_port() for _ in range(12)]
        self.files = {"app.css": b"body{}", "large.bin": bytes(i * 13 % 256 for i in range(300_000))}
        root = cdn.folder("static", self.files)
        proxy = f"127.0.0.1:{ports[0]}"
        config = {
            "cdn": {"simulate": True, "trusted_proxies": ["127.0.0.0/8"], "proxy_protocol": "optional"},
            "origin": {"root": str(root), "place": "Frankfurt", "listen": f"127.0.0.1:{ports[1]}", "admin": f"127.0.0.1:{ports[2]}"},
            "router": {"listen": f"127.0.0.1:{ports[3]}", "admin": f"127.0.0.1:{ports[4]}", "dns_listen": f"127.0.0.1:{ports[5]}",
                       "probe_proxy": f"socks5h://router@{proxy}", "probe_timeout": "30s"},
            "wan": {"listen": proxy, "admin": f"127.0.0.1:{ports[6]}"},
            "edges": [{"name": name, "place": place, "listen": f"127.0.78.{i}:{ports[7]}", "admin": f"127.0.78.{i}:{ports[8]}",
                       "origin": f"http://127.0.0.1:{ports[1]}", "origin_proxy": f"socks5h://{name}@{proxy}",
                       "control": f"http://127.0.0.1:{ports[4]}", "control_proxy": f"socks5h://{name}@{proxy}",
                       "access_log": "-", "cache_dir": str(cdn.folder(f"cache-{name}"))}
                      for i, (name, place) in enumerate((("fra", "Frankfurt"), ("nrt", "Tokyo")), 1)]}
        self.pair = tls.Pair(cdn.folder("tls"), "iad.cdn.test", "DNS:iad.cdn.test")
        config["edges"].append({**config["edges"][0], "name": "iad", "place": "Ashburn", "listen": f"127.0.78.3:{ports[7]}",
                                "admin": f"127.0.78.3:{ports[8]}", "origin_proxy": f"socks5h://iad@{proxy}",
                                "control_proxy": f"socks5h://iad@{proxy}", "cache_dir": str(cdn.folder("cache-iad")),
                                "tls_certificate": str(self.pair.certificate), "tls_key": str(self.pair.key)})
        path = cdn.config(config)
        self.wan = cdn.daemon("pocketcdn-wan", ["-c", path, "--log-level", "debug"])
        self.origin = cdn.daemon("pocketcdn-origin", ["-c", path])
        self.router = cdn.daemon("pocketcdn-router", ["-c", path])
        self.edges = {name: cdn.daemon("pocketcdn-edge", ["-c", path, "--name", name], name=f"edge {name}") for name in ("fra", "nrt", "iad")}
        poll(lambda: all(e["health"]["known"] and e["healthy"] for e in self.router.admin_get("/edges")["edges"]), what="probes")

    def connect(self, host, user="Tokyo", port=80):
        client = Socks(self.wan.public, host, port, user)
        assert client.reply == 0, client.reply
        return client

    def rtt(self, start, end):
        return self.wan.admin_get(f"/path?from={start}&to={end}")["rtt_ms"] / 1000


@pytest.fixture(scope="module")
def real(shared_cdn):
    return Real(shared_cdn)


def test_a_miss_pays_the_way_to_the_origin_and_a_hit_does_not(real):
    near_by, far = real.rtt("Tokyo", "nrt"), real.rtt("nrt", "origin")
    with real.connect("www.cdn.test") as client:
        took, answer = seconds(lambda: client.get("/app.css", host="www.cdn.test"))
        assert answer.body == real.files["app.css"] and "MISS" in answer["X-Cache"] and "nrt" in answer["Cache-Status"]
        assert took >= near_by + 2 * far  # a new connection to the origin
        near(near_by, lambda: seconds(lambda: client.get("/app.css", host="www.cdn.test"))[0])
        assert client.get("/large.bin", host="www.cdn.test").body == real.files["large.bin"]


def test_the_client_is_who_he_says(real):
    """The edge's access log and the router's decision have the address of the place."""
    with real.connect("nrt.cdn.test") as client:
        client.get("/app.css?who", host="nrt.cdn.test")
    line = poll(lambda: next((x for x in real.edges["nrt"].out if "/app.css?who" in x), None))
    assert "127." not in line.split('"client"')[-1][:20] and "127.0.0.1" not in line, line
    for user, edge in (("Tokyo", "127.0.78.2"), ("Berlin", "127.0.78.1")):
        with real.connect("router.cdn.test", user) as client:
            answer = client.get("/app.css", host="router.cdn.test")
            assert answer.status in (302, 307) and edge in answer["Location"], answer


def test_a_redirect_can_be_followed(real):
    with real.connect("router.cdn.test") as client:
        location = client.get("/app.css", host="router.cdn.test")["Location"]
    host, _, port = location.split("/")[2].partition(":")
    with real.connect(host, port=int(port)) as client:
        assert client.get("/app.css", host=f"{host}:{port}").body == real.files["app.css"]


def test_purges_travel_too(real):
    with real.connect("nrt.cdn.test") as client:
        client.get("/app.css", host="nrt.cdn.test")
        real.router.admin_post("/purge", {"all": True})
        poll(lambda: "HIT" not in client.get("/app.css", host="nrt.cdn.test")["X-Cache"], what="the purge arrived")


def test_a_cut_link_to_the_origin_fails_misses_and_not_hits(real):
    with real.connect("nrt.cdn.test") as client:
        client.get("/app.css", host="nrt.cdn.test")
        real.wan.faults(link="nrt-origin", cut=True)
        try:
            assert client.get("/app.css", host="nrt.cdn.test").status == 200
            near(real.rtt("Tokyo", "nrt"), lambda: seconds(lambda: client.get("/app.css", host="nrt.cdn.test"))[0])
        finally:
            real.wan.faults(off=True)


def test_https_takes_a_round_trip_more(real):
    """TLS 1.3 on a new connection: connect, handshake and request are one round trip each."""
    rtt, context = real.rtt("Chicago", "iad"), real.pair.client()

    def fetch():
        began = time.monotonic()
        with real.connect("iad.cdn.test", "Chicago", port=443) as client:
            client.sock = context.wrap_socket(client.sock, server_hostname="iad.cdn.test")
            assert client.get("/app.css", host="iad.cdn.test").body == real.files["app.css"]
            return time.monotonic() - began

    near(3 * rtt, fetch, slack=0.01)


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl_sees_the_handshake_as_connect_time(real):
    def fetch():
        done = subprocess.run(
            ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{time_starttransfer}", "--socks5-hostname",
             "%s:%d" % real.wan.public, "--proxy-user", "Tokyo:", "http://fra.cdn.test/app.css"],
            capture_output=True, text=True, timeout=60, check=True).stdout.split()
        assert done[0] == "200"
        return float(done[1])

    near(2 * real.rtt("Tokyo", "fra"), fetch, slack=0.02)


@pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")
def test_nginx_in_place_of_an_edge(real):
    port, folder = unused_port(), real.cdn.folder("nginx")
    config = folder / "nginx.conf"
    config.write_text(f"""daemon off; pid {folder}/pid; error_log stderr; events {{}}
http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; server {{ listen 127.0.0.1:{port}; return 200 nginx; }} }}""")
    real.cdn.spawn(shutil.which("nginx"), "-c", config, "-p", folder)
    network = real.cdn.wan(allow=f"127.0.0.1:{port}=Sydney")
    rtt = network.admin_get("/path?from=Tokyo&to=Sydney")["rtt_ms"] / 1000
    poll(lambda: Socks(network.public, "127.0.0.1", port, "Tokyo").reply == 0)

    def fetch():
        with Socks(network.public, "127.0.0.1", port, "Tokyo") as client:
            took, answer = seconds(lambda: client.get("/app.css"))
            assert answer.body == b"nginx"
            return took

    near(rtt, fetch)
