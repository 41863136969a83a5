"""The HAProxy example of docs/proxies.md, exactly as it stands there: HTTP/2 and TLS in front of two edges."""
import json
import re
import shutil
import subprocess

import pytest
from cdn import LIMIT, SLOW, SOURCE, Reply, clean_environment, poll, unused_port
from tls import Pair

pytestmark = pytest.mark.skipif(not shutil.which("haproxy"), reason="haproxy is not installed")


def example(language, number=0):
    """A block of that language in the page."""
    text = (SOURCE / "docs" / "proxies.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)[number]


class Front:
    """HAProxy by the file of the page, before two edges by its cdn.yaml."""

    def __init__(self, cdn):
        self.origin = cdn.fake_origin()
        self.pair = Pair(cdn.folder(), names="DNS:www.example")
        folder = cdn.folder("haproxy", {"haproxy.cfg": example("haproxy"), "cdn.yaml": example("yaml"),
                                        "www.pem": self.pair.certificate.read_bytes() + self.pair.key.read_bytes()})
        self.logs = {name: folder / f"{name}.log" for name in ("fra", "nrt")}
        self.edges = {name: cdn.edge(self.origin, name=name, config=folder / "cdn.yaml", access_log=log, simulate=True)
                      for name, log in self.logs.items()}
        self.port = unused_port()
        env = {"WWW": f"127.0.0.1:{self.port}", "PEM": str(folder / "www.pem")}
        for name, edge in self.edges.items():
            env[name.upper()], env[f"{name.upper()}_ADMIN"] = "%s:%d" % edge.public, str(edge.admin[1])
        self.process = cdn.spawn("/usr/sbin/haproxy", "-db", "-f", folder / "haproxy.cfg", env=env)
        poll(lambda: self.curl("/health-of-haproxy").returncode == 0, what="haproxy listens")

    def curl(self, *targets, source="127.0.0.1", more=()):
        return subprocess.run(
            ["curl", "-sS", "--http2", "--interface", source, "--cacert", self.pair.certificate, "--resolve",
             f"www.example:{self.port}:127.0.0.1", "-w", "%{http_version} %{http_code} %header{x-cache} %header{via}\n", "-o", "/dev/null",
             *more, *(f"https://www.example:{self.port}{target}" for target in targets)],
            text=True, capture_output=True, timeout=LIMIT, env=clean_environment(), check=False)

    def lines(self, n):
        """Of both access logs, n of them at least."""
        def found():
            return [json.loads(line) for log in self.logs.values() if log.exists() for line in log.read_text().splitlines()
                    if "/health-of-haproxy" not in line]
        return poll(lambda: len(found()) >= n and found(), what=f"{n} lines of the access logs")


@pytest.fixture
def front(cdn):
    front = Front(cdn)
    for n in range(8):
        front.origin.on(f"/{n}", Reply(body=b"x", headers=[("Cache-Control", "max-age=600")]))
    return front


def test_http2_and_tls_and_the_true_client(front):
    for _ in range(2):
        for n in range(8):
            done = front.curl(f"/{n}", source=f"127.0.0.{n + 10}")
            assert done.returncode == 0 and done.stdout.startswith("2 200 "), done
    seen = front.lines(16)
    assert {line["client"] for line in seen} == {f"127.0.0.{n + 10}" for n in range(8)}
    assert {line["scheme"] for line in seen} == {"https"}
    # each URL at one edge: fetched once, a hit the second time; and the origin hears of the true client
    assert front.origin.count() - front.origin.count("/health-of-haproxy") == 8
    for n in range(8):
        request = front.origin.last(f"/{n}")
        assert request.header("X-Forwarded-For") == f"127.0.0.{n + 10}" and request.header("X-Forwarded-Proto") == "https"
    for edge in front.edges.values():
        assert edge.metric("proxy_header_refused_total") == 0 and edge.metric("proxy_header_total") > 0


def test_one_connection_of_http2_and_two_clients(front):
    """Two clients over one HAProxy never share a connection to an edge."""
    for source in ("127.0.0.21", "127.0.0.22") * 3:
        assert front.curl("/0", "/0", "/0", source=source, more=["-o", "/dev/null", "-o", "/dev/null"]).returncode == 0
    clients = [line["client"] for line in front.lines(18)]
    assert clients.count("127.0.0.21") == clients.count("127.0.0.22") == 9


def test_an_edge_that_is_down_is_left_out(front):
    before = {n: front.curl(f"/{n}").stdout.split()[-1] for n in range(8)}
    assert set(before.values()) == {"fra", "nrt"}
    front.edges["nrt"].faults(down=True)
    poll(lambda: all(front.curl(f"/{n}").stdout.startswith("2 200") for n in range(8)) and
         {front.curl(f"/{n}").stdout.split()[-1] for n in range(8)} == {"fra"}, limit=60 * SLOW, what="all at fra")
    front.edges["nrt"].faults(off=True)
    poll(lambda: {n: front.curl(f"/{n}").stdout.split()[-1] for n in range(8)} == before, what="as before")


def test_before_the_router_with_two_names(cdn):
    """A site under two names, each with its certificate: HTTP/2 to HAProxy, and by the router as proxy to the edge that is
    nearest to the true client."""
    origin = cdn.fake_origin()
    origin.on("/", Reply(body=b"x", headers=[("Cache-Control", "max-age=600")]))
    pairs = {name: Pair(cdn.folder(), names=f"DNS:{name}") for name in ("www.example", "shop.example")}
    certificates = cdn.folder("certs", {f"{name}.pem": pair.certificate.read_bytes() + pair.key.read_bytes()
                                        for name, pair in pairs.items()})
    top = example("haproxy").partition("frontend")[0]
    folder = cdn.folder("haproxy", {"haproxy.cfg": top + example("haproxy", 1), "cdn.yaml": example("yaml", 1)})
    logs = {name: folder / f"{name}.log" for name in ("fra", "nrt")}
    edges = {name: cdn.edge(origin, name=name, config=folder / "cdn.yaml", access_log=log) for name, log in logs.items()}
    router = cdn.router(folder / "cdn.yaml", overrides=["127.0.0.31/32=edge:nrt", "127.0.0.32/32=edge:fra"],
                        edge=[f"name={name},url=http://{edge.public[0]}:{edge.public[1]},admin={edge.admin_url}"
                              for name, edge in edges.items()])
    port = unused_port()
    env = {"WWW": f"127.0.0.1:{port}", "PEM": str(certificates), "ROUTER": "%s:%d" % router.public,
           "ROUTER_ADMIN": str(router.admin[1])}
    cdn.spawn("/usr/sbin/haproxy", "-db", "-f", folder / "haproxy.cfg", env=env)

    def get(name, source):
        return subprocess.run(["curl", "-sS", "--http2", "--interface", source, "--cacert", pairs[name].certificate, "--resolve",
                               f"{name}:{port}:127.0.0.1", "-w", "%{http_version} %{http_code} %header{via}", "-o", "/dev/null",
                               f"https://{name}:{port}/"], text=True, capture_output=True, timeout=LIMIT,
                              env=clean_environment(), check=False).stdout
    poll(lambda: get("www.example", "127.0.0.31").startswith("2 200 "), what="haproxy and router answer")
    for name in pairs:
        for source, edge in (("127.0.0.31", "nrt"), ("127.0.0.32", "fra")):
            assert re.match(rf"2 200 .*\b{edge}\b", get(name, source)), (name, source)

            def line():
                lines = logs[edge].read_text().splitlines() if logs[edge].exists() else []
                return next((d for d in map(json.loads, lines) if d["client"] == source and d["host"].startswith(name)), None)
            assert poll(line, what="a line of the access log")["scheme"] == "https"
    assert origin.last("/").header("X-Forwarded-Proto") == "https"
    assert router.metric("proxy_header_refused_total") == 0
