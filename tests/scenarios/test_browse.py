"""`pocketcdn browse`: a real Chromium in which a site's name leads to the edge nearest to some place; and, by programs that
only say what they were told, how others are called."""
import json
import os
import shlex
import shutil
import stat

import pytest
from cdn import unused_port

PAGE = b"<html><body><p id=here></p><script>here.textContent = location.href + ' ' + document.referrer</script></body></html>"


def address(host="127.0.0.1"):
    return f"{host}:{unused_port()}"


class Site:
    """A shop at two edges, by `up`."""

    def __init__(self, cdn, *args, sites=True):
        self.cdn, self.state = cdn, cdn.folder("state")
        self.config = {
            "cdn": {"simulate": "yes", "trusted_proxies": ["127.0.0.0/8"]},
            "origin": {"listen": address(), "admin": address(), "place": "Frankfurt", "max_age": "1h",
                       "root": str(cdn.folder("root", {"page.html": PAGE}))},
            "router": {"listen": address(), "admin": address(), "dns_listen": address()},
            "wan": {"listen": address(), "admin": address()},
            "edges": [{"name": n, "listen": address(f"127.0.0.{i}"), "admin": address(), "threads": 1}
                      for i, n in enumerate(("fra", "nrt"), 7)]}
        if sites:
            self.config["sites"] = {"shop": {"hosts": ["127.0.0.1", "localhost", "shop.example", "*.shop.example"]}}
        done = self.run("up", "-c", cdn.config(self.config), *args, "--detach")
        assert done.returncode == 0, done

    def run(self, *args, **kw):
        return self.cdn.cli(args[0], "--state", self.state, *args[1:], **kw)

    def browse(self, *args, **kw):
        return self.run("browse", *args, **kw)

    def says(self):
        return json.loads((self.state / "up.json").read_text())

    def listen(self, name):
        return next(e["listen"] for e in self.config["edges"] if e["name"] == name)

    def has(self, name, url):
        got = self.run("why", url, "--edge", name, "--json")
        return "stored" in got.stdout and json.loads(got.stdout)[name]["stored"] != []


@pytest.fixture
def site(cdn):
    started = []

    def start(*args, **kw):
        started.append(Site(cdn, *args, **kw))
        return started[-1]
    yield start
    for each in started:
        assert each.run("down").returncode == 0


def left_over(tmp):
    return [p.name for p in tmp.iterdir() if p.name.startswith("pocketcdn-browse")]


HEADLESS = ["--", "--headless", "--disable-gpu", "--dump-dom"]
needs_chromium = pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")


@needs_chromium
def test_a_site_over_https_under_its_own_name(cdn, site):
    shop, tmp = site("--tls"), cdn.folder("tmp")
    got = shop.browse("--from", "Osaka", "/page.html", *HEADLESS, env={"TMPDIR": str(tmp)})
    assert "https://shop.example/page.html" in got.stdout and "here" in got.stdout, got
    assert "from Osaka leads to edge nrt" in got.stderr
    assert shop.has("nrt", "https://shop.example/page.html") and not shop.has("fra", "https://shop.example/page.html")
    assert left_over(tmp) == []


@needs_chromium
def test_over_the_network_between_the_places(site):
    shop = site("--wan", "--tls")
    got = shop.browse("--from", "Berlin", "/page.html", *HEADLESS)
    assert "https://shop.example/page.html" in got.stdout, got
    assert "from Berlin over the network between the places (socks5h://127.0.0.1:" in got.stderr
    assert shop.has("fra", "https://shop.example/page.html")


@needs_chromium
def test_plain_http_and_the_zone_by_the_nearest_edge(site):
    shop = site(sites=False)
    got = shop.browse("http://nrt.cdn.test/page.html", *HEADLESS)
    assert "http://nrt.cdn.test/page.html" in got.stdout, got
    assert shop.has("nrt", "http://nrt.cdn.test/page.html")


def fakes(cdn, *names):
    """Programs that write down their arguments, and what is in the profile that they are given."""
    folder = cdn.folder("fake-bin")
    for name in names:
        path = folder / name
        path.write_text(f"#!/bin/sh\nprintf '%s\\n' {name} \"$@\"\n"
                        "while [ $# -gt 0 ]; do [ \"$1\" = --profile ] && cat \"$2\"/user.js; shift; done\n"
                        "exit ${FAKE_EXIT:-0}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    (folder / "cat").symlink_to(shutil.which("cat"))
    return {"PATH": str(folder), "BROWSER": ""}


def test_how_browsers_are_called(cdn, site):
    shop = site("--wan", "--tls")
    authority = str(shop.state / "tls" / "authority.crt")
    # Chromium's kin, found by name; the exit code is theirs
    env = fakes(cdn, "google-chrome")
    got = shop.browse("--from", "Lagos", "http://other.example/", "--", "--incognito", env={**env, "FAKE_EXIT": "7"})
    assert got.returncode == 7, got
    words = got.stdout.splitlines()
    assert words[0] == "google-chrome" and words[-2:] == ["--incognito", "http://other.example/"]
    assert any(w.startswith("--proxy-server=socks5://127.0.0.1:") for w in words)
    hashes = next(w for w in words if w.startswith("--ignore-certificate-errors-spki-list=")).partition("=")[2].split(",")
    assert len(hashes) == 2 and all(len(h) == 44 for h in hashes)
    # straight: names lead where GeoDNS says, with the edge's port
    words = shop.browse("--print", env=env).stdout
    assert "$(mktemp -d)" in words
    words = shlex.split(words.replace("$(mktemp -d)", "D"))
    rules = next(w for w in words if w.startswith("--host-resolver-rules=")).partition("=")[2].split(",")
    at = {rule.split()[1]: rule.split()[2] for rule in rules}
    assert not at.keys() & {"127.0.0.1", "localhost"}, "these are what they are, everywhere"
    assert at["nrt.cdn.test"] == shop.listen("nrt") and at["www.cdn.test"] == at["shop.example"] == at["*.shop.example"]
    assert at["www.cdn.test"] in (shop.listen("fra"), shop.listen("nrt")) and words[-1] == "https://shop.example/"
    # Firefox: by the network alone, with the authority in its profile
    env = fakes(cdn, "firefox-esr", "certutil")
    got = shop.browse("--from", "Lagos", env=env)
    assert got.returncode == 0, got
    assert f"-i\n{authority}\nfirefox-esr\n--no-remote\n--profile\n" in got.stdout
    assert 'user_pref("network.proxy.socks_remote_dns", true);' in got.stdout
    got = shop.browse(env=env)
    assert got.returncode == 1 and "Firefox cannot be told where names lead" in got.stderr
    got = shop.browse("--from", "Lagos", env=fakes(cdn, "firefox"))
    assert got.returncode == 1 and "certutil (package libnss3-tools)" in got.stderr, got


def test_which_browser_it_is_and_what_is_missing(cdn, site):
    shop = site("--wan", sites=False)
    env = fakes(cdn, "google-chrome", "chromium", "w3m")
    for browser, called in (("chromium --dark", "chromium"), ("w3m:google-chrome %s", "google-chrome"), ("w3m", "chromium"),
                            ("/nowhere/chromium", "chromium"), (f"{env['PATH']}/google-chrome", "google-chrome")):
        got = shop.browse("--print", env={**env, "BROWSER": browser})
        assert os.path.basename(got.stdout.split()[0]) == called, got
    none = fakes(cdn)
    for args, env, code, text in (
            ([], none, 1, "no browser is installed: chromium, google-chrome"),
            (["--browser", "w3m"], none, 2, "'w3m' is neither a Chromium nor a Firefox"),
            (["--browser", "chromium"], none, 1, "there is no program 'chromium'"),
            (["page.html"], fakes(cdn, "chromium"), 2, "'page.html' is neither a path (/...) nor a URL"),
            (["/a", "/b"], fakes(cdn, "chromium"), 2, "one URL, please, but got '/b' too"),
            (["--from", "Atlantis"], fakes(cdn, "chromium"), 1, "Atlantis"),
            (["--profile", "4g"], fakes(cdn, "chromium"), 1, "--profile needs --from")):
        got = shop.browse(*args, env=env)
        assert got.returncode == code and text in got.stderr, got
    got = cdn.cli("browse", "--state", cdn.folder("nothing"))
    assert got.returncode == 1 and "no CDN runs on" in got.stderr and "`pocketcdn up` starts one" in got.stderr, got
