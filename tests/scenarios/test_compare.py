"""`pocketcdn compare`: the model, real requests over the network between places, statistics, and the report in a browser."""

import csv
import io
import json
import os
import re
import signal
import subprocess

import pytest
from cdn import BIN, SLOW, SOURCE, Reply, clean_environment, poll
from test_up import alive
from travel import World

PLACES = ("--from", "Tokyo", "--from", "Berlin", "--from", "Lima")
LONG = os.environ.get("CDN_LONG") == "yes"
LATE_MS = 400 * SLOW  # of a median on a busy machine


def compare(cdn, *args, code=0, limit=180 * SLOW, **kw):
    done = cdn.cli("compare", *args, limit=limit, **kw)
    assert done.returncode == code, done
    return done


def as_json(cdn, *args, **kw):
    return json.loads(compare(cdn, *args, "--json", **kw).stdout)


def modelled(told):
    return [[{n: s["modelled"] for n, s in c["series"].items()}, {n: s["worth"] for n, s in c["series"].items()}, c["edge"]]
            for c in told["cities"]]


# ---------------------------------------------------------------------------------------------------- the model

def test_the_model_is_the_same_to_the_bit(cdn):
    one, two = (compare(cdn, "--model", "--json").stdout for _ in range(2))
    assert one == two
    told = json.loads(one)
    assert len(told["cities"]) == 24 and not told["sent"]
    assert {c["continent"] for c in told["cities"]} == {"AF", "AS", "EU", "NA", "OC", "SA"}
    assert len(told["series"]) == 18 and all(s["modelled"]["n"] == 24 for s in told["series"].values())
    cities = {c["name"]: c["series"] for c in told["cities"]}
    assert cities["Tokyo"]["dns-warm-new"]["worth"] == "helps"
    assert cities["Frankfurt"]["dns-warm-new"]["worth"] == "same"  # beside the origin
    assert cities["Lagos"]["dns-cold-new"]["worth"] == "hurts"     # the first request
    assert [len(told["enough"]["best"]), told["enough"]["now"]["edges"]] == [20, 10]
    means = [step["mean_ms"] for step in told["enough"]["best"]]
    assert means == sorted(means, reverse=True)
    assert {row["series"] for row in told["no_help"]} == {"dns-warm-new", "dns-cold-new", "dns-uncacheable-new",
                                                          "redirect-warm-new"}


def test_a_thousand_places(cdn):
    lines = "\n".join(f"{-50 + i % 110},{-170 + i * 37 % 340}.{i % 10}" for i in range(1000))
    told = json.loads(compare(cdn, "--model", "--from", "-", "--json", stdin=lines).stdout)
    assert len(told["cities"]) == 1000


def test_tables_of_80_and_200_columns(cdn):
    for width in (80, 200):
        done = subprocess.run(["script", "-qec", f"{BIN / 'pocketcdn'} compare --model", "/dev/null"], capture_output=True,
                              text=True, env=clean_environment() | {"COLUMNS": str(width), "TERM": "xterm", "NO_COLOR": "1"},
                              check=True)
        table = done.stdout.replace("\r", "").split("CLIENT IN")[1].split("\n\n")[0].split("\n")
        assert len(table) == 25 and max(map(len, table)) <= width
        assert ("REVALIDATED" in done.stdout.split("All places")[0]) == (width == 200)


def test_a_log_and_one_more_edge(cdn):
    log = "\n".join(['60.64.0.1 - - [x] "GET / HTTP/1.1" 200 5'] * 3 + ['122.56.0.1 - - [x] "GET / HTTP/1.1" 200 5', "none"])
    told = json.loads(compare(cdn, "--model", "--from-log", "-", "--json", stdin=log + "\n").stdout)
    assert {c["name"]: c["weight"] for c in told["cities"]} == {"Tokyo": 3, "Auckland": 1}
    assert told["enough"]["one_more"]["place"] == "Auckland"
    assert told["series"]["direct-new"]["modelled"]["n"] == 4
    me = as_json(cdn, "--model", "--from-me", "--ip", "60.64.0.1")
    assert [c["name"] for c in me["cities"]] == ["Tokyo"]


def test_csv(cdn):
    rows = list(csv.DictReader(io.StringIO(compare(cdn, "--model", *PLACES, "--csv").stdout)))
    assert len(rows) == 3 * 18 and {r["place"] for r in rows} == {"Tokyo", "Berlin", "Lima"}
    assert all(float(r["total_ms_modelled"]) > 0 for r in rows)


BAD = [
    (["--from", "Tokkyo"], 1, "Tokyo"),
    (["--profile", "5g"], 2, "--profile: no profile '5g'"),
    (["--runs", "0"], 2, "--runs: '0'"),
    (["--size", "big"], 2, "--size: 'big'"),
    (["--fail-if", "p96>5ms"], 2, "did you mean 'p95'"),
    (["--fail-if", "p95>+5%"], 2, "needs --baseline"),
    (["--baseline", "/nowhere.json"], 2, "--baseline"),
    (["--from-me"], 2, "--from-me needs --ip"),
    (["--from-me", "--ip", "nonsense"], 2, "--ip: 'nonsense'"),
    (["--from-log", "/nowhere.log"], 3, "/nowhere.log"),
    (["--from-log", "-"], 1, "no line has a client with a known place"),
    (["--from", "-"], 1, "standard input names no place"),
    (["--from-log", "-", "--from", "-"], 2, "only one of them"),
    (["--from-me", "--ip", "10.0.0.3"], 1, "10.0.0.3: private"),
    (["--cities", "99999"], 2, "--cities"),
    (["--against", "/nowhere.yaml"], 3, "/nowhere.yaml"),
    (["--against", "http://127.0.0.1:1/"], 2, "--model asks nobody"),
    (["--against-place", "Tokyo"], 2, "--against-place is for"),
    (["--json", "--csv"], 2, "one of them"),
    (["Tokyo"], 2, "takes no argument"),
]


@pytest.mark.parametrize("args,code,said", BAD, ids=[" ".join(b[0]) for b in BAD])
def test_bad_words_get_one_line(cdn, args, code, said):
    done = cdn.cli("compare", "--model", *args)
    assert done.returncode == code and said in done.stderr and done.stderr.count("\n") == 1, done


def test_a_change_fails_the_build(cdn):
    base = cdn.folder("base") / "base.json"
    base.write_text(compare(cdn, "--model", "--json").stdout)
    compare(cdn, "--model", "--baseline", base, "--fail-if", "p95>+5%, verdict=slower")
    done = compare(cdn, "--model", "--size", "120kB", "--baseline", base, "--fail-if", "p95>+5%", code=1)
    assert "failed: p95>+5%: direct-new" in done.stderr and "slower" in done.stdout
    compare(cdn, "--model", "--size", "120kB", "--baseline", base, "--fail-if", "errors>0")


def test_one_cdn_against_another(cdn):
    folder = cdn.folder("yaml")
    for name, places in (("a", ["Frankfurt"]), ("b", ["Frankfurt", "Tokyo"])):
        edges = "\n".join(f"  - {{name: e{i}, place: {p}, listen: '127.0.9.{i + 1}:8088'}}" for i, p in enumerate(places))
        (folder / f"{name}.yaml").write_text(f"origin:\n  place: Frankfurt\nedges:\n{edges}\n")
    told = as_json(cdn, "--model", "-c", folder / "a.yaml", "--against", folder / "b.yaml", "--cities", "60")
    changes = told["changes"]["series"]
    assert changes["dns-warm-new"]["verdict"] == "faster" and changes["direct-new"]["verdict"] == "no difference"


# ---------------------------------------------------------------------------------------------------- real requests

@pytest.fixture(scope="module")
def real(shared_cdn):
    folder = shared_cdn.folder("compare")
    tmp = shared_cdn.folder("tmp")
    done = shared_cdn.cli("compare", "--own", *PLACES, "--runs", "2", "--kill", "edge:nrt", "--json", "--report",
                          folder / "report.html", env={"TMPDIR": str(tmp)}, limit=240 * SLOW)
    assert done.returncode == 0, done
    assert not list(tmp.iterdir()), "it leaves nothing behind"
    return json.loads(done.stdout), folder / "report.html"


def test_what_is_measured_lies_beside_the_model(real, cdn):
    told, _ = real
    assert told["sent"] and told["errors"] == 0 and told["unexpected"] == 0, told.get("first_error")
    for city in told["cities"]:
        for name, series in city["series"].items():
            model, runs = series["modelled"], series["measured"]
            assert runs["n"] == 2, name
            for sample in runs["samples"]:
                assert sample["edge"] == ("origin" if name.startswith("direct") else city["edge"]), (city["name"], name)
                assert sample["first_byte_ms"] >= model["first_byte_ms"] - 1
            assert runs["min"] >= model["least_total_ms"] * 0.6 - 1, (city["name"], name)
            assert runs["min"] <= model["total_ms"] * 1.4 + LATE_MS, (city["name"], name)
    assert modelled(as_json(cdn, "--model", *PLACES)) == modelled(told)


@pytest.mark.skipif(not LONG, reason="make test-long runs it")
def test_a_server_instead_of_a_cdn(cdn):
    origin = cdn.fake_origin()
    origin.on("/x.bin", Reply(body=b"x" * 100_000))
    args = ("--own", "--from", "Tokyo", "--from", "Berlin", "--runs", "4", "--against", f"{origin.url}/x.bin")
    told = as_json(cdn, *args, "--against-place", "New York", "--fail-if", "verdict=slower", code=1)
    warm = told["changes"]["series"]
    assert set(warm) == {"dns-warm-new", "dns-warm-kept"} and warm["dns-warm-new"]["after"]["n"] == 8
    assert warm["dns-warm-kept"]["after"]["max"] > 150 > warm["dns-warm-kept"]["before"]["min"], "from Tokyo and back"
    done = cdn.cli("compare", "--own", "--from", "Tokyo", "--runs", "1", "--against", "ftp://x/", limit=120 * SLOW)
    assert done.returncode == 2 and "is not http://ADDRESS:PORT/PATH" in done.stderr


@pytest.mark.skipif(not LONG, reason="make test-long runs it")
def test_a_link_is_cut(cdn):
    told = as_json(cdn, "--own", "--from", "Tokyo", "--runs", "1", "--kill", "link:Tokyo-nrt")
    row = told["outages"][0]
    assert row["what"] == "link Tokyo-nrt is cut" and row["without_answer_s"] > 2 and row["wrong"] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_one_leaves_nothing(cdn, number):
    tmp = cdn.folder("tmp")
    process = cdn.spawn("pocketcdn", "compare", "--own", env={"TMPDIR": str(tmp)})
    poll(lambda: list(tmp.glob("pocketcdn-compare-*/state/up.json")), what="the CDN has started")
    pids = poll(lambda: [n["pid"] for f in tmp.glob("*/state/up.json") for n in json.loads(f.read_text())["nodes"] if n.get("pid")],
                what="its processes")
    process.signal(number)
    assert process.wait() == 3
    assert not list(tmp.iterdir()) and not any(alive(pid) for pid in pids)


@pytest.mark.skipif(not LONG, reason="make test-long runs it")
def test_all_cities_twice_with_one_seed(cdn):
    one, two = (as_json(cdn, "--own", "--quiet") for _ in range(2))
    assert one["errors"] == two["errors"] == 0 and len(one["cities"]) == 24
    assert modelled(one) == modelled(two)
    base = cdn.folder("base") / "one.json"
    base.write_text(json.dumps(one))
    assert sum(s["measured"]["n"] for s in one["series"].values()) >= 24 * 18 * 3 * 0.99


def test_traffic_is_counted(real):
    told, _ = real
    traffic, warmup = told["traffic"], told["warmup"]
    assert traffic["hits"] and traffic["misses"]
    assert traffic["hit_ratio"] == pytest.approx(traffic["hits"] / (traffic["hits"] + traffic["misses"]))
    assert 0 < traffic["offload"] < 1 and 0 < traffic["offload_bytes"] < 1
    assert len(warmup["requests"]) == 3 * 20 and any(r["hit"] for r in warmup["requests"])
    assert all(row["direct"]["measured"]["n"] == 3 for row in told["sizes"])


def test_users_see_an_edge_go_down(real):
    told, _ = real
    row = told["outages"][0]
    assert row["what"] == "nrt is killed" and row["requests"] > 20 and row["wrong"] == 0


def test_a_cdn_that_runs_is_asked(cdn):
    world = World(cdn, files={"a.txt": b"a" * 50000, "b.txt": b"b" * 20000, "b<c>.txt": b"b"})
    report = cdn.folder("report") / "r.html"
    told = json.loads(world.run("compare", "--from", "Madrid", "--runs", "1", "--json", "--report", report,
                                limit=120 * SLOW).stdout)
    assert told["url"].endswith("/a.txt") and told["errors"] == 0 and told["body_bytes"] == 50000
    assert told["cities"][0]["series"]["direct-new"]["measured"]["n"] == 1
    two = json.loads(world.run("compare", "--url", "/a.txt", "--url", "/b.txt", "--from", "Madrid", "--runs", "1", "--json",
                               limit=120 * SLOW).stdout)
    assert [(row["path"], row["bytes"], row["direct"]["measured"]["n"]) for row in two["sizes"]] == [("/b.txt", 20000, 1)]
    done = world.run("compare", "--url", "/none", "--from", "Madrid", limit=120 * SLOW)
    assert done.returncode == 1 and "/none: the origin answers 404" in done.stderr
    done = world.run("compare", "--kill", "edge:fra", "--from", "Madrid", "--runs", "1", limit=120 * SLOW)
    assert done.returncode == 1 and "only processes of a CDN of compare's own are killed" in done.stderr


# ---------------------------------------------------------------------------------------------------- the report

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
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = selenium.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
    driver.set_page_load_timeout(30 * SLOW)
    yield driver
    driver.quit()


def log_lines(form):
    """5 requests from Berlin, 2 from Essen; then a private address and a line without one."""
    addresses = ["51.164.0.1", "51.164.0.2"] * 2 + ["51.164.0.9"] + ["2001:67c::1"] * 2 + ["10.0.0.3"]
    if form == "json":
        lines = [json.dumps({"time": "2026-11-29T14:30:00Z", "remote_addr": a, "status": 200}) for a in addresses]
    else:
        lines = [f'{a} - - [29/Nov/2026:14:30:00 +0000] "GET /a.txt HTTP/1.1" 200 50 "-" "Chrome/120.0.0.0"' for a in addresses]
    return "\n".join([*lines, "no client"]) + "\n"


def test_the_clients_of_a_log_ask_a_cdn_that_runs(cdn):
    """A pipe is read for what is modelled and again for what is asked."""
    world = World(cdn, files={"a.txt": b"a" * 1000})
    path = cdn.folder("log") / "access.json"
    path.write_text(log_lines("json"))
    args = ("--state", world.state, "--runs", "1", "-q")
    for done in (compare(cdn, *args, "--from-log", "-", "--json", stdin=log_lines("combined")),
                 compare(cdn, *args, "--from-log", path, "--json")):
        told = json.loads(done.stdout)
        assert told["sent"] and told["url"].endswith("/a.txt") and told["errors"] == 0, told
        assert [(c["name"], c["weight"]) for c in told["cities"]] == [("Berlin", 5), ("Essen", 2)]
        assert told["log"] == {"lines": 9, "without_place": 2}
        assert all(s["measured"]["n"] == 2 for s in told["series"].values())
    text = compare(cdn, *args, "--from-log", "-", stdin=log_lines("combined")).stdout
    assert "9 lines of the log, 2 of them without a client that has a place\n" in text
    assert re.search(r"^Berlin +5 +fra ", text, re.M) and re.search(r"^Essen +2 +fra ", text, re.M)
    asked = json.loads(compare(cdn, *args, "--from", "-", "--json", stdin="Berlin\n").stdout)
    assert [c["name"] for c in asked["cities"]] == ["Berlin"]


def test_the_report_needs_nothing_else(real):
    text = real[1].read_text()
    assert not re.findall(r'(?:src|href)="(?!#)(?!https://db-ip\.com")', text) and "@import" not in text
    assert "url(" not in text and "fetch(" not in text and "default-src 'none'" in text
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)


@pytest.mark.parametrize("width,height,dark", [(1280, 900, False), (390, 800, False), (1280, 900, True)])
def test_the_report_in_a_browser(real, browser, cdn, width, height, dark):
    browser.set_window_size(width, height)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
        {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
    browser.get(f"file://{real[1]}")
    assert not [e for e in browser.get_log("browser") if e["level"] == "SEVERE"]
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert browser.execute_script("return document.querySelectorAll('circle.client').length") == 3
    assert browser.execute_script("return document.querySelectorAll('main > section').length") >= 12
    assert browser.execute_script("return document.documentElement.scrollWidth") <= max(width, 500) + 1
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(20, 24, 27)") == dark
    shot = cdn.folder("shot") / "report.png"
    assert browser.save_screenshot(str(shot)) and shot.stat().st_size > 20000
    # keyboard alone: the page load is played, and its end is the times that the table has
    assert browser.execute_script("""
        const button = document.querySelector('#race button'); button.focus();
        return document.activeElement === button && document.querySelector('#race select').options.length""") == 3


def test_names_from_elsewhere_are_text(cdn, browser):
    folder = cdn.folder("evil")
    (folder / "cdn.yaml").write_text("origin:\n  place: Frankfurt\nedges:\n"
                                     "  - {name: fra, place: Frankfurt, listen: '127.0.9.1:8088'}\n")
    base = folder / "<img src=x onerror=document.title='run'>.json"
    base.write_text(compare(cdn, "--model", "-c", folder / "cdn.yaml", "--json").stdout)
    compare(cdn, "--model", "-c", folder / "cdn.yaml", "--baseline", base, "--report", folder / "r.html")
    browser.get(f"file://{folder / 'r.html'}")
    assert browser.title.startswith("What a CDN changes")
    assert not browser.execute_script("return document.querySelectorAll('img').length")


# ---------------------------------------------------------------------------------------------------- the page

def test_the_commands_of_the_page_run(cdn):
    text = (SOURCE / "docs" / "compare.md").read_text()
    lines = [line[2:] for block in re.findall(r"^```console\n(.*?)^```", text, re.M | re.S) for line in block.split("\n")
             if line.startswith("$ ")]
    folder = cdn.folder("page")
    for name in ("cdn", "other"):
        (folder / f"{name}.yaml").write_text("edges:\n  - {name: fra, place: Frankfurt, listen: '127.0.9.1:8088'}\n")
    assert len(lines) >= 7
    for line in lines:
        if "--report" in line:
            line += "" if LONG else " --from Tokyo"
        env = clean_environment() | {"PATH": f"{BIN}:{os.environ['PATH']}", "TMPDIR": str(cdn.folder("tmp")),
                                     "XDG_STATE_HOME": str(cdn.folder("home"))}
        done = subprocess.run(["sh", "-c", line], cwd=folder, env=env, capture_output=True, text=True, timeout=240 * SLOW,
                              check=False)
        assert done.returncode == 0, (line, done.stderr)
    assert (folder / "report.html").stat().st_size > 50000
