"""How a whole site comes under one name on a developer's machine: `pocketcdn dns`, `up --one-host`."""
import json
import re
import socket
import subprocess

import pytest
import requests
from cdn import BIN, Reply, parse_address, unused_port


def address():
    return f"127.0.0.1:{unused_port()}"


class Cdn:
    """`up --detach` in a state folder of its own."""

    def __init__(self, cdn, *args):
        self.cdn, self.state = cdn, cdn.folder("state")
        done = self.run("up", *args, "--detach")
        assert done.returncode == 0, done
        self.told = done.stdout

    def run(self, *args, **kw):
        return self.cdn.cli(*args, "--state", self.state, **kw)

    def says(self):
        return json.loads((self.state / "up.json").read_text())

    def nodes(self):
        return {n["name"]: n for n in self.says()["nodes"]}


@pytest.fixture
def up(cdn):
    started = []

    def start(*args):
        started.append(Cdn(cdn, *args))
        return started[-1]
    yield start
    for each in started:
        assert each.run("down").returncode == 0


def few_edges(cdn, **sections):
    config = {"cdn": {"simulate": "yes", "trusted_proxies": ["127.0.0.0/8"]},
              "origin": {"listen": address(), "admin": address(), "root": str(cdn.folder("root", {"a.txt": b"a"}))},
              "router": {"listen": address(), "admin": address(), "dns_listen": address(), "dns_zone": "shop.test."},
              "edges": [{"name": n, "listen": f"127.0.0.{i}:{unused_port()}", "admin": address(), "threads": 1}
                        for i, n in enumerate(("fra", "nrt"), 7)]}
    for name, values in sections.items():
        config[name] = {**config.get(name, {}), **values}
    return config


def asked(server, name):
    """The A record that a DNS server gives for a name."""
    question = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0\0\1\0\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(30)
        sock.connect(parse_address(server))
        sock.send(b"\x12\x34\1\0\0\1\0\0\0\0\0\0" + question)
        answer = sock.recv(4096)
    assert answer[3] & 15 == 0 and answer[7] == 1, answer
    return socket.inet_ntoa(answer[12 + len(question) + 12:][:4])


def test_lines_for_resolvers(cdn, up):
    config = few_edges(cdn, sites={"shop": {"hosts": ["www.shop.test", "pay.example", "*.img.example",
                                                         "localhost", "127.0.0.1", "[::1]", "shop.localhost"]}})
    running = up("-c", cdn.config(config))
    assert f"www.shop.test is answered by {config['router']['dns_listen']}: `pocketcdn dns" in running.told
    resolved = running.run("dns", "resolved").stdout
    assert resolved.splitlines()[0] == "[Resolve]" and "\nDomains=~shop.test\n" in resolved
    server = re.search(r"^DNS=(\S+)$", resolved, re.M)[1]
    edges = {n["url"].split("/")[2].split(":")[0] for n in running.says()["nodes"] if n["kind"] == "edge"}
    assert asked(server, "www.shop.test") in edges
    host, port = server.split(":")
    assert running.run("dns", "dnsmasq").stdout == f"server=/shop.test/{host}#{port}\n"
    hosts = running.run("dns", "hosts").stdout
    assert hosts == f"{asked(server, 'www.shop.test')} pay.example\n"
    whole = running.run("dns").stdout
    for part in (resolved, hosts):
        assert part in whole
    # what is to be typed works, but for sudo and the restart
    folder = cdn.folder("etc")
    line = next(line for line in whole.splitlines() if "resolved.conf.d" in line)
    line = line.removeprefix("# ").split(" && ")[0].replace("sudo ", "").replace("/etc/", f"{folder}/")
    subprocess.run(line.replace("pocketcdn", f"{BIN}/pocketcdn", 1), shell=True, check=True)
    assert (folder / "systemd/resolved.conf.d/pocketcdn.conf").read_text() == resolved
    assert running.run("dns", "bind").returncode == 2


def test_no_lines_without_a_dns(cdn, up):
    running = up("-c", cdn.config(few_edges(cdn, router={"dns_listen": "off"})))
    assert "is answered by" not in running.told
    got = running.run("dns")
    assert got.returncode == 1 and "switched off: dns_listen" in got.stderr


def test_one_host_keeps_a_session_over_redirects(cdn, up):
    """A visitor who moves from one place to another stays logged in, since cookies do not know ports."""
    origin = cdn.fake_origin()
    origin.on("/login", Reply(body=b"in", headers=[("Set-Cookie", "session=42; Path=/"), ("Cache-Control", "no-store")]))
    origin.on("/who", Reply(body=b"you", headers=[("Cache-Control", "no-store")]))
    running = up("--origin", origin.url, "--one-host", "--port", "0")
    edges = [n["url"] for n in running.says()["nodes"] if n["kind"] == "edge"]
    first = int(edges[0].rpartition(":")[2])
    router = running.says()["router"]
    assert edges == [f"http://127.0.0.1:{first + i}" for i in range(10)] and router == f"http://127.0.0.1:{first - 8}"
    assert "is answered by" not in running.told and "All edges have one address here" in running.run("dns").stdout
    client = requests.Session()
    client.trust_env = False
    at = set()
    client.get(f"{router}/login", headers={"X-Forwarded-For": "121.80.0.1"}, timeout=60)  # Osaka
    for ip in ("121.80.0.1", "51.164.0.1"):  # and Berlin
        got = client.get(f"{router}/who", headers={"X-Forwarded-For": ip}, timeout=60)
        assert got.text == "you" and origin.last("/who").header("Cookie") == "session=42"
        at.add(got.url)
    assert len(at) == 2
    assert asked(re.search(r"^DNS=(\S+)$", running.run("dns", "resolved").stdout, re.M)[1], "nrt.cdn.test") == "127.0.0.1"


@pytest.mark.parametrize("args, text", [
    (["-c", "cdn.yaml"], "--one-host goes without -c"),
    (["--root", ".", "--wan"], "--one-host and --wan exclude each other"),
    (["--root", ".", "--port", "64520"], "64520 leaves no ports for --one-host"),
])
def test_one_host_says_what_it_cannot(cdn, args, text):
    got = cdn.cli("up", "--one-host", *args, "--state", cdn.folder("state"))
    assert got.returncode == 2 and text in got.stderr, got
