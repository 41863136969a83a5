"""`up --tls`: HTTPS by an authority of the CDN's own, on all public listeners, for every command and for those who are told
to trust it; down and up again."""
import json
import os
import shlex
import ssl
import subprocess

import pytest
from cdn import Client, clean_environment, parse_address, unused_port
from tls import Pair


def address():
    return f"127.0.0.1:{unused_port()}"


class Secure:
    """A CDN of a cdn.yaml with `up --tls`."""

    def __init__(self, cdn, edges=("fra", "nrt"), more=(), **sections):
        self.cdn, self.state = cdn, cdn.folder("state")
        self.root = cdn.folder("root", {"a.txt": b"hello\n"})
        self.config = {
            "cdn": {"simulate": "yes", "trusted_proxies": ["127.0.0.0/8"]},
            "origin": {"listen": address(), "admin": address(), "place": "Frankfurt", "max_age": "1h"},
            "router": {"listen": address(), "admin": address(), "dns_listen": address(), "redirect_max_age": "0s"},
            "wan": {"listen": address(), "admin": address()},
            "edges": [{"name": n, "listen": address(), "admin": address(), "threads": 1} for n in edges], **sections}
        self.path = cdn.config(self.config)
        self.more = more

    def up(self):
        done = self.run("up", "-c", self.path, "--root", self.root, "--tls", "--detach", *self.more)
        assert done.returncode == 0, done
        return done.stdout

    def run(self, *args, **kw):
        return self.cdn.cli(*args, "--state", self.state, **kw)

    def down(self):
        assert self.run("down").returncode == 0

    def says(self):
        return json.loads((self.state / "up.json").read_text())

    def nodes(self):
        return {n["name"]: n for n in self.says()["nodes"]}

    def tls(self, name):
        return (self.state / "tls" / name).read_text()

    def context(self):
        return ssl.create_default_context(cafile=self.state / "tls" / "authority.crt")

    def connect(self, name, host="127.0.0.1"):
        url = self.nodes()[name]["url"]
        assert url.startswith("https://")
        return Client(parse_address(url.removeprefix("https://")), tls=self.context(), server_hostname=host)


@pytest.fixture
def secure(cdn):
    started = []

    def start(*args, **kw):
        started.append(Secure(cdn, *args, **kw))
        return started[-1]
    yield start
    for each in started:
        each.run("down")


def pasted(text, word):
    """The line that tells a program, without its first word."""
    return next(line for line in text.splitlines() if line.strip().startswith(word)).strip().removeprefix(word).strip()


def test_all_is_https_and_what_is_printed_makes_others_trust_it(secure):
    cdn = secure()
    told = cdn.up()
    router = cdn.says()["router"]
    assert router.startswith("https://") and f"clients go to {router}" in told
    with cdn.connect("router") as client:
        location = client.get("/a.txt", {"X-Forwarded-For": "51.164.0.1"})["Location"]
    assert location == cdn.nodes()["fra"]["url"] + "/a.txt"
    for host in ("127.0.0.1", "localhost", "www.cdn.test", "fra.cdn.test"):
        with cdn.connect("fra", host) as client:
            assert client.get("/a.txt", host=host).body == b"hello\n"
    assert cdn.nodes()["origin"]["url"].startswith("http://")
    # curl and Python, by the very lines
    words = shlex.split(pasted(told, "curl"))
    got = subprocess.run(["curl", "-sSL", *words, f"{router}/a.txt"], capture_output=True, env=clean_environment(), check=False)
    assert got.stdout == b"hello\n", got
    ask = f"import requests; print(requests.get('{router}/a.txt').text)"
    got = subprocess.run(["sh", "-c", f"{pasted(told, 'Python')}; {shlex.join(['/usr/bin/python3', '-c', ask])}"],
                         capture_output=True, env=clean_environment(), check=False)
    assert got.stdout == b"hello\n\n", got
    assert os.stat(cdn.state / "tls" / "authority.key").st_mode & 0o777 == 0o600
    # and nobody else does
    got = subprocess.run(["curl", "-sS", f"{router}/a.txt"], capture_output=True, env=clean_environment(), check=False)
    assert got.returncode == 60, got


def test_every_command_works_with_it(secure, cdn):
    up = secure(more=["--wan"])
    up.up()
    got = up.run("get", "/a.txt", "--json", "--from", "Tokyo")
    assert got.returncode == 0, got
    hops = json.loads(got.stdout)["hops"]
    assert [h["url"].split(":")[0] for h in hops] == ["https", "https"] and hops[-1]["status"] == 200
    got = up.run("get", "https://www.cdn.test/a.txt", "--from", "Frankfurt")
    assert got.returncode == 0 and "200 https://www.cdn.test/a.txt" in got.stdout, got
    assert "HIT (" in up.run("why", "https://www.cdn.test/a.txt", "--edge", "fra").stdout
    got = cdn.cli("travel", "Tokyo", "--state", up.state, "--", "curl", "-sSL", "https://www.cdn.test/a.txt",
                  "https://router.cdn.test/a.txt")
    assert got.stdout == "hello\nhello\n", got
    assert "https://www.cdn.test/" in up.run("travel", "Tokyo").stdout
    paths = cdn.folder("list") / "list"
    paths.write_text("/a.txt\n")
    got = up.run("warm", paths)
    assert got.returncode == 0 and "0 failed" in got.stdout, got
    assert up.run("purge", "--wait", "/a.txt").stdout.count("purged") == 2
    assert up.run("status").returncode == 0
    got = up.run("compare", "--from", "Frankfurt", "--runs", "1", "--json")
    assert got.returncode == 0, got
    told = json.loads(got.stdout)
    assert told["url"].startswith("https://www.cdn.test/") and told.get("errors", 0) == 0
    router = up.nodes()["router"]["admin"]
    got = cdn.cli("get", "/a.txt", "--router", router, "--cacert", up.state / "tls" / "authority.crt")
    assert got.returncode == 0 and "https://" in got.stdout, got


def test_down_and_up_again_keep_the_authority(secure):
    up = secure(edges=("fra",))
    assert "which is new" in up.up()
    before = {name: up.tls(name) for name in ("authority.crt", "authority.key", "site.crt", "site.key")}
    up.down()
    assert "which is new" not in up.up()
    assert {name: up.tls(name) for name in before} == before
    up.down()
    up.config["edges"].append({"name": "nrt", "listen": address().replace("127.0.0.1", "127.0.0.9"), "admin": address()})
    up.path.write_text(json.dumps(up.config))
    up.up()
    assert up.tls("authority.crt") == before["authority.crt"] and up.tls("site.crt") != before["site.crt"]
    with up.connect("nrt", "127.0.0.9") as client:
        assert client.get("/a.txt").status == 200
    up.down()
    (up.state / "tls" / "authority.key").write_text("x\n")
    got = up.run("up", "-c", up.path, "--root", up.root, "--tls", "--detach")
    assert got.returncode == 3 and "authority.key: no private key in PEM form" in got.stderr, got


def test_certificates_and_urls_of_the_file_count(secure, cdn):
    pair = Pair(cdn.folder("tls"))
    up = secure()
    up.config["sites"] = {"shop": {"hosts": ["shop.example", "*.shop.example"], "rules": [{"path": "/"}]}}
    up.config["edges"][1] |= {"tls_certificate": str(pair.certificate), "tls_key": str(pair.key)}
    up.config["edges"][0]["url"] = "https://static.example:9443"
    up.path.write_text(json.dumps(up.config))
    up.up()
    names = up.cdn.cli("status", "--json", "--state", up.state)
    nodes = {n["name"]: n for n in json.loads(names.stdout)["nodes"]}
    assert [c["names"] for c in nodes["nrt"]["status"]["certificates"]] == [["test.example"]]
    names = nodes["fra"]["status"]["certificates"][0]["names"]
    assert {"static.example", "shop.example", "*.shop.example", "www.cdn.test", "nrt.cdn.test"} <= set(names)
    up.down()
    up.config["edges"][0]["url"] = "http://static.example"
    up.path.write_text(json.dumps(up.config, indent=1))
    line = 1 + up.path.read_text().splitlines().index('   "url": "http://static.example"')
    got = up.run("up", "-c", up.path, "--root", up.root, "--tls", "--detach")
    assert got.returncode == 2, got
    assert f"{up.path}:{line}: edges[0]: url: with --tls it has to begin with https://" in got.stderr, got


def test_the_router_as_proxy_verifies_its_edges(secure):
    up = secure(more=["--mode", "proxy"])
    up.up()
    with up.connect("router") as client:
        answer = client.get("/a.txt", {"X-Forwarded-For": "51.164.0.1"})
        assert answer.body == b"hello\n" and "fra" in answer.header("Via")
