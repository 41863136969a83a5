"""One name for a whole Django site, in the three ways of docs/django.md, each driven in Chromium: somebody signs in, edits in
the admin, posts a form, uploads a picture, asks by script with the session's cookie, talks through a WebSocket, and signs out.

One Django, with the later versions' check of Origin (later_django.py), one browser, and a CDN of two edges for each way."""

import os
import re
import shlex

import pytest
from browser import chromium
from cdn import SOURCE, poll, unused_port

pytest.importorskip("selenium.webdriver")

LONG = os.environ.get("CDN_LONG") == "yes"
PICTURE = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c6360f8cf"
                        "0000020101009a6d2dd60000000049454e44ae426082")


def at(host="127.0.0.1", port=None):
    return f"{host}:{port or unused_port()}"


class Way:
    """A CDN in front of the site, by `up -c`."""

    def __init__(self, cdn, site, echo, edges, router, *flags, hosts=("127.0.0.1",)):
        self.cdn, self.state, self.flags = cdn, cdn.folder("state"), flags
        rules = [{"path": "/ws/", "origins": [echo.url]},
                 {"path": "/", "origins": [site.url], "cookies": {"keep": ["sessionid", "csrftoken", "messages"]}}]
        self.config = {
            "cdn": {"trusted_proxies": ["127.0.0.1"]},
            "router": {"listen": at(), "dns_listen": at(), "overrides": {"127.0.0.0/8": "Tokyo"}, "redirect_max_age": "0s",
                       **router},
            "sites": {"newsroom": {"hosts": list(hosts), "rules": rules}},
            "edges": [{"name": n, "listen": a, "admin": at(), "threads": 1} for n, a in edges.items()]}
        self.config["router"].setdefault("admin", at())
        done = cdn.cli("up", "-c", cdn.config(self.config), "--state", self.state, "--detach", *flags)
        assert done.returncode == 0, done
        self.scheme = "https" if "--tls" in flags else "http"
        self.edges = {n: f"{self.scheme}://{a}" for n, a in edges.items()}
        self.url = f"{self.scheme}://{self.config['router']['listen']}"  # where a visitor begins

    def stop(self):
        assert self.cdn.cli("down", "--state", self.state).returncode == 0

    def browse(self):
        """What `pocketcdn browse` tells a Chromium in Tokyo: {flag: value}, and the page that it opens."""
        got = self.cdn.cli("browse", "--state", self.state, "--from", "Tokyo", "--print")
        assert got.returncode == 0, got
        words = shlex.split(got.stdout.replace("$(mktemp -d)", "profile"))
        return dict(word.partition("=")[::2] for word in words if word.startswith("--")), words[-1].rstrip("/")


def by_dns(cdn, site, echo, name, *flags, admin=None):
    """Edges with addresses of their own; the name stays in the bar."""
    way = Way(cdn, site, echo, {"fra": at("127.0.0.7"), "nrt": at("127.0.0.9")},
              {"admin": admin or at(), "dns_zone": name.partition(".")[2]}, *flags, hosts=[name])
    way.url = way.browse()[1]
    assert way.url == f"{way.scheme}://{name}"
    return way


def by_proxy(cdn, site, echo, *flags):
    return Way(cdn, site, echo, {"fra": at(), "nrt": at()}, {"mode": "proxy"}, *flags)


def by_one_host(cdn, site, echo, *flags):
    """Edges with one address and ports of their own; the router redirects."""
    return Way(cdn, site, echo, {"fra": at(), "nrt": at()}, {}, *flags)


class World:
    def __init__(self, cdn):
        admin = at()
        self.site = cdn.django(
            DJANGO_BEHIND_CDN="yes", DJANGO_ALLOWED_HOSTS="127.0.0.1,www.cdn.test,www.plain.test", DJANGO_SETTINGS_MODULE="later_django",
            PYTHONPATH=str(SOURCE / "tests" / "scenarios"), CDN_ROUTER=f"http://{admin}")
        self.echo = cdn.daemon("/usr/bin/python3", [SOURCE / "origin" / "django" / "manage.py", "echo", "127.0.0.1:0"],
                               env={"DJANGO_STATE": str(self.site.state), "PYTHONDONTWRITEBYTECODE": "1"}, name="echo")
        self.ways = {"dns over https": by_dns(cdn, self.site, self.echo, "www.cdn.test", "--tls", admin=admin),
                     "proxy": by_proxy(cdn, self.site, self.echo), "one host": by_one_host(cdn, self.site, self.echo)}
        if LONG:
            self.ways |= {"dns": by_dns(cdn, self.site, self.echo, "www.plain.test"), "proxy over https": by_proxy(cdn, self.site, self.echo, "--tls"),
                          "one host over https": by_one_host(cdn, self.site, self.echo, "--tls")}
        self.picture = cdn.folder("pictures", {"dot.png": PICTURE}) / "dot.png"

    def flags(self):
        """Of `browse`, for all ways at once: where their names lead, and whose certificates are trusted."""
        told = [way.browse()[0] for way in self.ways.values()]
        maps = [flags["--host-resolver-rules"] for flags in told]
        assert "MAP www.cdn.test 127.0.0.9:" in maps[0], "Tokyo's edge"
        pins = [flags["--ignore-certificate-errors-spki-list"] for flags in told if "--ignore-certificate-errors-spki-list" in flags]
        names = [rule for flags in maps for rule in flags.split(",") if rule.split()[1] in ("www.cdn.test", "www.plain.test")]
        return f"--host-resolver-rules={','.join(names[:1] + [n for n in names if 'plain' in n][:1])}", \
            f"--ignore-certificate-errors-spki-list={','.join(pins)}"

    def stop(self):
        for way in self.ways.values():
            way.stop()


@pytest.fixture(scope="module")
def world(shared_cdn):
    world = World(shared_cdn)
    yield world
    world.stop()


@pytest.fixture(scope="module")
def browser(shared_cdn, world):
    with chromium(shared_cdn.folder("browser"), *world.flags()) as driver:
        yield driver


class Visitor:
    """Somebody in front of the browser."""

    def __init__(self, driver, url):
        self.driver, self.url = driver, url
        driver.get_log("browser")
        driver.delete_all_cookies()

    def go(self, path):
        self.driver.get(self.url + path)
        return self.path()

    def path(self):
        return re.sub(r"^https?://[^/]+", "", self.driver.current_url)

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def text(self):
        return self.find("body").text

    def send(self, **fields):
        """Fills the form that has the first of them, and sends it."""
        for name, value in fields.items():
            element = self.find(f"[name={name}]")
            if element.get_attribute("type") != "file":
                element.clear()
            element.send_keys(str(value))
        self.driver.execute_script("arguments[0].form.requestSubmit()", element)
        poll(lambda: self.has_left(element), what="the answer to a form", every=0.05)
        return self.path()

    def has_left(self, element):
        from selenium.common.exceptions import StaleElementReferenceException
        try:
            element.is_enabled()
        except StaleElementReferenceException:
            return self.driver.execute_script("return document.readyState") == "complete"
        return False

    def run(self, expression):
        script = f"const done = arguments[0]; Promise.resolve().then(() => {expression}).then(done, e => done(String(e)))"
        return self.driver.execute_async_script(script)

    def complaints(self):
        """What the console has against the pages: CORS, CSP, mixed content, answers of 4xx and 5xx, errors of scripts."""
        return [e["message"] for e in self.driver.get_log("browser")
                if e["level"] != "INFO" and "favicon.ico" not in e["message"]]


ASSETS = """Promise.all([document.fonts.ready, Promise.all([...document.fonts].map(f => f.load()))]).then(() => ({
  fonts: document.fonts.size, styles: [...document.styleSheets].filter(s => s.cssRules.length).length,
  broken: [...document.images].filter(i => !i.naturalWidth).map(i => i.src)}))"""


@pytest.mark.parametrize("name", ["dns over https", "proxy", "one host",
                                  *(["dns", "proxy over https", "one host over https"] if LONG else [])])
def test_a_whole_visit(world, browser, name):
    way = world.ways[name]
    visitor = Visitor(browser, way.url)
    # signs in
    assert visitor.go("/desk/") == "/admin/login/?next=/desk/"
    assert visitor.send(username="editor", password="editor") == "/desk/"
    here = re.match(r"https?://[^/]+", browser.current_url)[0]
    assert here in ([way.url] if name.partition(" ")[0] in ("dns", "proxy") else way.edges.values())
    # scripts: a module, fetch() with the cookie, a POST with the token, a WebSocket
    poll(lambda: visitor.find("#user").text == "editor", what="the module has asked", every=0.05)
    assert visitor.run("desk.ask()") == {"user": "editor", "scheme": way.scheme, "host": here.partition("://")[2]}
    assert visitor.run("desk.note('a word')") == {"note": "a word"}
    assert visitor.run("desk.echo('hello ✓')") == "hello ✓"
    # uploads
    assert visitor.send(picture=world.picture).startswith("/desk/?uploaded=")
    image = visitor.find("#uploaded").get_attribute("src")
    assert visitor.run(f"fetch('{image}').then(r => r.arrayBuffer()).then(b => [...new Uint8Array(b)])") == list(PICTURE)
    assert visitor.run(ASSETS)["broken"] == []
    # edits in the admin: fonts, styles and scripts of Django's own
    visitor.go("/admin/newsroom/story/")
    visitor.driver.get(visitor.find("#result_list tbody th a").get_attribute("href"))
    visitor.send(title=f"Seen by {name}")
    assert "was changed successfully" in visitor.text()
    seen = visitor.run(ASSETS)
    assert seen["fonts"] >= 2 and seen["styles"] >= 3 and not seen["broken"], seen
    # posts a form of the site's own
    assert visitor.go("/news/storm/edit/") == "/news/storm/edit/"
    assert visitor.send(title=f"Storm by {name}", lead="Ferries stay.", body="In port.") == "/news/storm/"
    assert f"Storm by {name}" in visitor.text()
    # is the same visitor at every edge of one host
    for edge in way.edges.values() if name.startswith("one host") else ():
        browser.get(f"{edge}/desk/")
        assert visitor.path() == "/desk/", edge
    # signs out
    visitor.go("/desk/")
    assert visitor.run("desk.ask()")["user"] == "editor"
    visitor.driver.get(visitor.find("a[href*=logout]").get_attribute("href"))
    assert visitor.go("/desk/") == "/admin/login/?next=/desk/"
    assert visitor.complaints() == []
