"""`pocketcdn demo`, and the Django site whose static files come from the CDN, seen by a browser."""

import json
import os
import pathlib
import re
import shutil

import pytest
from cdn import SLOW, SOURCE, Client, parse_address, poll
from test_up import Up

SITE = SOURCE / "origin" / "django"
PYTHON = "/usr/bin/python3"
CLIENTS = {"Berlin": "51.164.0.1", "Osaka": "121.80.0.1", "Auckland": "122.56.0.1"}


def processes():
    """Command lines of everything of ours that runs."""
    found = set()
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(b"pocketcdn-demo-" in word for word in words):
            found.add(b" ".join(words))
    return found


# ---------------------------------------------------------------------------------------------------- the demo

def test_the_demo_tells_a_consistent_story(cdn):
    tmp = cdn.folder("tmp")
    done = cdn.cli("demo", "--json", env={"TMPDIR": str(tmp)}, limit=120 * SLOW)
    assert done.returncode == 0, done
    told = json.loads(done.stdout)
    cities, files = told["cities"], told["files"]
    assert len(cities) == 20 and files >= 20
    assert told["requests"] == 20 * files * 2
    assert told["origin_requests"] == files * len({c["edge"] for c in cities})
    assert all(c["visits"][1] == {"hit": files, "miss": 0, "other": 0} for c in cities)
    assert told["median_edge_rtt_ms"] < told["median_origin_rtt_ms"] and told["rtt_label"] == "modelled"
    assert not list(tmp.iterdir()) and not processes()


def test_the_demo_for_people_has_a_line_for_each_city(cdn):
    root = cdn.folder("root", {"a.txt": b"a\n", "b/c.txt": b"c\n"})
    done = cdn.cli("demo", "--root", root, limit=120 * SLOW)
    assert done.returncode == 0, done
    assert len(re.findall(r" 2 (?:miss|hit) +2 hit +8$", done.stdout, re.M)) == 20
    assert "modelled" in done.stdout and "hit ratio         75.0 %" in done.stdout


def test_two_demos_at_once_do_not_disturb_each_other(cdn):
    root = cdn.folder("root", {"a.txt": b"a\n"})
    running = [cdn.spawn("pocketcdn", "demo", "--root", root) for _ in range(2)]
    assert [process.wait(60 * SLOW) for process in running] == [0, 0]
    assert not processes()


def test_an_interrupted_demo_leaves_nothing(cdn):
    tmp = cdn.folder("tmp")
    root = cdn.folder("root", {f"{i}.txt": os.urandom(100_000) for i in range(40)})
    process = cdn.spawn("pocketcdn", "demo", "--root", root, env={"TMPDIR": str(tmp)})
    poll(lambda: list(tmp.glob("pocketcdn-demo-*/state/up.json")), what="the CDN has started")
    process.signal(2)
    assert process.wait() != 0
    assert not processes() and not list(tmp.iterdir())


# ---------------------------------------------------------------------------------------------------- Django behind the CDN

class Site:
    """The Django site, its static files served by the CDN, its pages by itself."""

    def __init__(self, cdn):
        folder = cdn.folder("django")
        self.up = Up(cdn)
        router = self.up.config["router"]["listen"]
        env = {"DJANGO_STATE": str(folder), "DJANGO_STATIC_HOST": f"http://{router}", "PYTHONDONTWRITEBYTECODE": "1"}
        setup = cdn.cli(SITE / "manage.py", "setup", program=PYTHON, env=env)
        assert setup.returncode == 0, setup
        shutil.move(folder / "static", self.up.root / "static")
        (folder / "static").symlink_to(self.up.root / "static")  # for the manifest
        self.static = self.up.root / "static"
        self.up.start()
        self.django = cdn.spawn(PYTHON, SITE / "manage.py", "serve", "127.0.0.1:0", env=env)
        self.address = self.django.wait_log("ready")["public"]
        self.router = f"http://{router}"

    def files(self):
        return sorted(p for p in self.static.rglob("*") if p.is_file())


@pytest.fixture(scope="module")
def site(shared_cdn):
    return Site(shared_cdn)


def test_every_static_file_is_the_same_from_everywhere_and_fetched_once(site):
    clients, files = {}, site.files()
    assert len(files) > 200

    def fetch(edge_url, path):
        address = parse_address(edge_url.removeprefix("http://"))
        if address not in clients:
            clients[address] = Client(address)
        return clients[address].get(path)

    with site.up.client() as router:
        for visit in range(2):
            before = site.up.origin_requests()
            for ip in CLIENTS.values():
                for file in files:
                    path = "/" + str(file.relative_to(site.up.root))
                    sent = router.get(path, {"X-Forwarded-For": ip})
                    answer = fetch(sent["Location"].removesuffix(path), path)
                    assert answer.status == 200 and answer.body == file.read_bytes(), path
            expected = len(files) * len(CLIENTS) if visit == 0 else 0
            poll(lambda: site.up.origin_requests() - before == expected, what=f"{expected} origin requests")
    assert len(clients) == len(CLIENTS)


@pytest.fixture(scope="module")
def browser(shared_cdn):
    selenium = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service
    options = selenium.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                 "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--no-proxy-server",
                 f"--user-data-dir={shared_cdn.folder('browser')}"):
        options.add_argument(flag)
    driver = selenium.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
    driver.set_page_load_timeout(30 * SLOW)
    yield driver
    driver.quit()


LOADED = """
return {
  sheets: [...document.querySelectorAll('link[rel=stylesheet]')].map(l => [l.href, !!l.sheet]),
  scripts: [...document.querySelectorAll('script[src]')].map(s => s.src),
  got: performance.getEntriesByType('resource').map(e => e.name),
  images: [...document.images].map(i => [i.src, i.naturalWidth > 0]),
}"""


def style(browser, selector, name):
    return browser.execute_script(
        "return getComputedStyle(document.querySelector(arguments[0])).getPropertyValue(arguments[1])", selector, name)


def test_the_admin_login_renders_with_all_styles(site, browser):
    browser.get(f"http://{site.address}/admin/login/")
    loaded = browser.execute_script(LOADED)
    assert loaded["sheets"] and all(there for _, there in loaded["sheets"]), loaded
    assert all(href.startswith(site.router + "/static/admin/") for href, _ in loaded["sheets"])
    assert style(browser, "#header", "background-color") == "rgb(65, 118, 144)"  # base.css
    assert style(browser, ".login #container", "border-top-left-radius") == "4px"  # login.css
    assert style(browser, "input[type=submit]", "cursor") == "pointer"


def test_the_admin_itself_renders_after_signing_in(site, browser):
    from selenium.webdriver.common.by import By
    browser.get(f"http://{site.address}/admin/login/?next=/admin/")
    browser.find_element(By.NAME, "username").send_keys("editor")
    browser.find_element(By.NAME, "password").send_keys("editor")
    browser.find_element(By.CSS_SELECTOR, "input[type=submit]").click()
    poll(lambda: "Site administration" in browser.page_source, 15 * SLOW, "the admin's front page")
    loaded = browser.execute_script(LOADED)
    assert all(there for _, there in loaded["sheets"]) and len(loaded["sheets"]) >= 2, loaded
    assert all(src in loaded["got"] for src in loaded["scripts"])
    assert style(browser, ".module caption", "background-color") == "rgb(121, 174, 200)"


def test_the_shop_renders_with_styles_and_pictures(site, browser):
    browser.get(f"http://{site.address}/shop/")
    loaded = browser.execute_script(LOADED)
    assert loaded["sheets"] and all(there for _, there in loaded["sheets"]), loaded
    assert loaded["images"] and all(there for _, there in loaded["images"]), loaded
    assert all(src.startswith(site.router) for src, _ in loaded["images"])
