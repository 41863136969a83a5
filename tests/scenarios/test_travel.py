"""`pocketcdn up --wan`, `travel`, `get` over the network, `fault link`: unmodified clients at places of the world."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess

import pytest
from cdn import SLOW, SOURCE, clean_environment, parse_address, poll
from test_up import Up, address, alive
from tls import Pair
from travel import CITIES, EARLY_MS, World, curl, first_bytes_ms, least, near

SITE = "http://www.cdn.test"
TRIES = 8  # on a busy machine one of them is undisturbed


@pytest.fixture(scope="module")
def world(shared_cdn):
    return World(shared_cdn)


# ---------------------------------------------------------------------------------------------------- the network as a node

def test_it_is_shown_restarted_and_ended_with_the_others(cdn):
    world = World(cdn)
    wan = world.nodes()["wan"]
    assert wan["kind"] == "wan" and wan["url"].startswith("socks5h://127.0.0.1:")
    assert re.search(r"^wan .* up .*socks5h://", world.run("status").stdout, re.M)
    proxy, slow = world.proxy("Tokyo"), world.proxy("Tokyo", "--profile", "3g")
    assert proxy == world.proxy("Tokyo") != slow, "one a place and profile, again and again the same"
    reading = subprocess.Popen(["curl", "-sS", "-x", slow, "-o", "/dev/null", f"{SITE}/big.bin"], stderr=subprocess.PIPE,
                               text=True, env=clean_environment())
    status = lambda: json.loads(world.run("status", "--json").stdout)["nodes"][0]["status"]  # noqa: E731
    poll(lambda: (status() or {}).get("links", {}).get("Tokyo-nrt"), what="curl's connection")
    os.kill(wan["pid"], signal.SIGKILL)
    assert reading.communicate(timeout=60 * SLOW)[1], "curl says that it was cut short"
    assert reading.returncode not in (0, None), "nothing half is taken for whole"
    poll(lambda: world.nodes()["wan"]["restarts"] == 1 and world.run("status").returncode == 0, what="started again")
    done, times = curl("-o", "/dev/null", f"{SITE}/a.txt", proxy=proxy)
    assert done.returncode == 0 and times[0]["http_code"] == 200, "the same listener"
    assert world.proxy("Tokyo") == proxy
    pids = [n["pid"] for n in world.nodes().values()]
    assert world.run("down").returncode == 0
    assert not any(alive(pid) for pid in pids)


def test_without_it_nothing_is_different(cdn):
    up = Up(cdn, edges=1).start()
    assert "wan" not in up.nodes()
    state = ["--state", up.state]
    for command in (["travel", "Tokyo"], ["travel", "Tokyo", "--", "true"], ["fault", "link"]):
        done = cdn.cli(*command, *state) if "--" not in command else cdn.cli(*command[:2], *state, *command[2:])
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done
        assert "runs without the network between the places" in done.stderr and "pocketcdn up --wan" in done.stderr
    text = cdn.cli("get", "/a.txt", "--from", "Tokyo", *state).stdout
    assert "straight: the network between the places does not run" in text


def test_an_address_in_use_is_said_before_anything_starts(cdn):
    up = Up(cdn, edges=1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        at = f"127.0.0.1:{taken.getsockname()[1]}"
        up.path.write_text(json.dumps({**up.config, "wan": {"listen": at}}))
        done = cdn.cli("up", *up.args, "--wan")
        assert done.returncode == 3 and done.stderr.count("\n") == 1 and not done.stdout, done
        assert f"wan: listen: {at} is in use by another program" in done.stderr
        up.start()  # which is nothing to who does not want the network


def test_settings_that_cannot_be_are_said_before_anything_starts(cdn):
    up = Up(cdn, edges=1)
    for wan, words in (({"profile": "cabel"}, "wan: profile: no profile 'cabel'"), ({"router_place": "Atlantis"}, "Atlantis"),
                       ({"lissten": "x"}, 'did you mean "listen"'), ({"allow": ["nowhere"]}, "nowhere")):
        up.path.write_text(json.dumps({**up.config, "wan": wan}))
        done = cdn.cli("up", *up.args, "--wan")
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and words in done.stderr and not done.stdout, done


def test_the_networks_own_last_mile_counts_and_tokens_are_known(cdn):
    up = Up(cdn, edges=1, token="s3cret")
    up.path.write_text(json.dumps({**up.config, "wan": {"listen": address(), "profile": "cable"}}))
    world = World(cdn, "-c", up.path, "--root", up.root)
    assert world.ask("travel", "Osaka")["profile"] == "cable" and "Osaka by cable: " in world.run("travel", "Osaka").stdout
    assert world.ask("get", "/a.txt", "--from", "Osaka")["network"]["profile"] == "cable"
    by_file = cdn.cli("travel", "Osaka", "--proxy", "-c", up.path)
    assert by_file.stdout.strip() == world.proxy("Osaka"), "a CDN is found by its cdn.yaml, too"


def test_proxies_that_are_trusted_must_have_the_network_among_them(cdn):
    up = Up(cdn, edges=1)
    up.path.write_text(json.dumps({**up.config, "cdn": {"trusted_proxies": ["10.0.0.0/8"]}}))
    done = cdn.cli("up", *up.args, "--wan")
    assert done.returncode == 2 and re.search(r"cdn\.yaml:\d+: trusted_proxies: --wan needs 127", done.stderr), done


# ---------------------------------------------------------------------------------------------------- how far it is

@pytest.mark.parametrize("city", CITIES)
def test_curl_alone_sees_the_round_trips_of_the_model(world, city):
    """Two to the first byte on a new connection, one on a kept one; DNS leads to the nearest edge."""
    proxy = world.proxy(city)
    _, edge = first_bytes_ms(proxy, f"{SITE}/a.txt")  # warm from now on
    assert edge in world.nodes()
    rtt = world.rtt_ms(city, edge)
    good = lambda got: near(got[0], 2 * rtt) and near(got[1], rtt)  # noqa: E731
    got = least(8, lambda: first_bytes_ms(proxy, f"{SITE}/a.txt")[0], good)
    print(f"{city}: {edge}, model {2 * rtt:.1f} and {rtt:.1f} ms, curl {got[0]:.1f} and {got[1]:.1f} ms")
    assert good(got)


def test_names_lead_to_their_nodes(world):
    proxy, nodes = world.proxy("Tokyo"), world.nodes()
    for url, node in ((f"{SITE}/a.txt", "nrt"), ("http://gru.cdn.test/a.txt", "gru"), ("http://origin.cdn.test/a.txt", None),
                      (f"{nodes['syd']['url']}/a.txt", "syd")):
        got, edge = first_bytes_ms(proxy, url)
        assert edge == node
        assert got[1] >= world.rtt_ms("Tokyo", node or "origin") - EARLY_MS
    done, times = curl("-L", "-o", "/dev/null", "http://router.cdn.test/a.txt", proxy=proxy)
    assert done.returncode == 0 and times[0]["num_redirects"] == 1
    assert times[0]["url_effective"].startswith(nodes["nrt"]["url"]), "the router sees a client in Tokyo"


def test_by_https_and_by_a_file_of_the_users_own(cdn):
    """One round trip more for TLS 1.3; the file says nothing of the network, flags do."""
    pair = Pair(cdn.folder("tls"), names="DNS:www.cdn.test,DNS:nrt.cdn.test,IP:127.0.0.1")
    up = Up(cdn, edges=2, router={"dns_listen": address()})
    del up.config["cdn"]["trusted_proxies"]
    up.config["wan"] = {"listen": address()}
    for edge in up.config["edges"]:
        edge |= {"tls_certificate": str(pair.certificate), "tls_key": str(pair.key)}
    up.path.write_text(json.dumps(up.config))
    world = World(cdn, "-c", up.path, "--root", up.root)
    proxy, rtt = world.proxy("New York"), world.rtt_ms("New York", "fra")
    url = "https://www.cdn.test/a.txt"
    assert first_bytes_ms(proxy, url, "--cacert", pair.certificate)[1] == "fra"
    good = lambda got: near(got[0], 3 * rtt) and near(got[1], rtt)  # noqa: E731
    got = least(8, lambda: first_bytes_ms(proxy, url, "--cacert", pair.certificate)[0], good)
    assert good(got), (got, rtt)
    for _ in range(TRIES):
        hop = world.ask("get", url, "--from", "New York", "--cacert", pair.certificate)["hops"][0]
        if near(hop["phases"]["connect_ms"], rtt):
            break
    assert near(hop["phases"]["connect_ms"], rtt) and hop["phases"]["tls_ms"] >= rtt - EARLY_MS, hop


def test_a_place_outside_the_table_and_a_last_mile(world):
    assert world.rtt_ms("35.6,139.7", "nrt") < 12
    assert world.rtt_ms("Tokyo", "nrt", "--profile", "3g") > 60 + world.rtt_ms("Tokyo", "nrt")
    assert world.rtt_ms("fra", "fra") == 0 < world.rtt_ms("Frankfurt", "fra"), "a node has no last mile"


def test_purge_receipts_have_the_worlds_times(world):
    """The router is beside the origin; each edge gets the purge over its way and answers over it."""
    receipts = {r["edge"]: r for r in world.ask("purge", "--all", "--wait")["edges"]}
    for edge in ("nrt", "syd", "gru"):
        assert receipts[edge]["acknowledged"] and receipts[edge]["ms"] >= world.rtt_ms(edge, "router") - EARLY_MS


# ---------------------------------------------------------------------------------------------------- travel

def test_a_command_runs_there(world):
    script = 'echo "$ALL_PROXY $all_proxy $http_proxy $https_proxy" "${NO_PROXY-unset}" "${no_proxy-unset}"; exit 7'
    done = world.cdn.cli("travel", "Tokyo", "--state", world.state, "--", "sh", "-c", script, env={"NO_PROXY": "*", "no_proxy": "*"})
    proxy = world.proxy("Tokyo")
    assert done.returncode == 7 and done.stdout == f"{proxy} {proxy} {proxy} {proxy} unset unset\n"
    done = world.cdn.cli("travel", "Tokyo", "--state", world.state, "--", "curl", "-s", f"{SITE}/a.txt")
    assert (done.returncode, done.stdout) == (0, "hello\n")


def test_a_command_has_its_signals_and_exit_codes(world):
    where = ["travel", "Tokyo", "--state", world.state]
    process = world.cdn.spawn("pocketcdn", *where, "--", "sh", "-c", "trap 'exit 42' TERM; echo ready; while :; do sleep 0.05; done")
    poll(lambda: "ready" in process.out, what="the command runs")
    process.signal(signal.SIGTERM)
    assert process.wait() == 42
    assert world.cdn.cli(*where, "--", "false").returncode == 1
    missing = world.cdn.cli(*where, "--", "/nowhere/x")
    assert missing.returncode == 127 and missing.stderr.count("\n") == 1 and "/nowhere/x" in missing.stderr
    assert world.cdn.cli(*where, "--", "/etc/passwd").returncode == 126


def test_how_programs_are_told(world):
    text = world.run("travel", "Tokyo").stdout
    address = world.proxy("Tokyo").removeprefix("socks5h://")
    for program in ("curl", "Chromium", "Firefox", "requests", "Playwright"):
        line = next(line for line in text.split("\n") if line.strip().startswith(program))
        assert address in line or address.split(":")[0] in line, line
    command = re.search(r"^ +curl +(curl .*)$", text, re.M)[1].split()
    assert subprocess.run([*command, "-s", "-o", "/dev/null"], env=clean_environment(), check=False).returncode == 0


WRONG = {
    "a typing error": (["travel", "Tokyoo"], 1, "Tokyo"),
    "no such place": (["travel", "Atlantis"], 1, "Atlantis"),
    "no such last mile": (["travel", "Tokyo", "--profile", "9g"], 2, "fibre, cable, dsl, 4g, 3g"),
    "no end of a link": (["fault", "link", "fra-nowhere", "cut"], 2, "nowhere"),
    "no link": (["fault", "link", "fra", "cut"], 2, "fra"),
    "too lossy": (["fault", "link", "fra-origin", "loss=2"], 2, "loss"),
    "no time": (["fault", "link", "fra-origin", "delay=soon"], 2, "delay"),
    "not ours": (["get", "http://example.org/", "--from", "Tokyo"], 3, "no node of this CDN"),
    "no such name": (["get", "http://nothing.cdn.test/", "--from", "Tokyo"], 3, "no such name"),
    "get of a typing error": (["get", "/a.txt", "--from", "Tokyoo"], 1, "Tokyo"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_clear_line(world, name):
    command, code, words = WRONG[name]
    done = world.run(*command)
    assert done.returncode == code and done.stderr.count("\n") == 1 and words in done.stderr, done


def test_http_spoken_to_the_network_is_answered_in_http(world):
    port = int(world.proxy("Tokyo").rpartition(":")[2])
    done, times = curl(f"http://127.0.0.1:{port}/")
    assert times[0]["http_code"] >= 400 and b"SOCKS5" in done.stdout


# ---------------------------------------------------------------------------------------------------- get

def test_get_goes_over_the_network(world):
    world.run("get", "/a.txt", "--from", "New York")
    rtts = {node: world.rtt_ms("New York", node) for node in ("router", "iad")}
    good = lambda got: all(near(hop["phases"][phase], rtts[hop["node"]])  # noqa: E731
                           for hop in got["hops"] for phase in ("connect_ms", "wait_ms"))
    for _ in range(TRIES):
        report = world.ask("get", "/a.txt", "--from", "New York")
        if good(report):
            break
    assert report["network"]["from"] == "New York" and report["network"]["profile"] == "fibre"
    assert [hop["node"] for hop in report["hops"]] == ["router", "iad"]
    for hop in report["hops"]:
        assert hop["model"]["rtt_ms"] == pytest.approx(rtts[hop["node"]])
    assert good(report), report["hops"]
    text = world.run("get", "/a.txt", "--from", "New York").stdout
    assert "the way's time is modelled" in text and text.count("over the network") == 2
    assert "network" in world.ask("get", "/a.txt") and world.ask("get", "/a.txt")["network"] is None, "nobody travels"


def test_get_from_an_address(world):
    report = world.ask("get", f"{SITE}/a.txt", "--from", "60.64.0.1")
    hop = report["hops"][0]
    assert hop["node"] == "nrt" and report["client"] == "60.64.0.1"
    assert hop["dns"]["address"] == world.nodes()["nrt"]["url"].split("/")[2].split(":")[0] and hop["dns"]["measured_ms"] > 0
    text = world.run("get", f"{SITE}/a.txt", "--from", "60.64.0.1", "--waterfall").stdout
    assert re.search(r"resolver +0.0 ms", text) and re.search(r"DNS +says 127\.0\.1\.\d+, after [\d.]+ ms measured", text), text
    assert world.ask("get", "/a.txt", "--from", "Tokyo")["hops"][0]["dns"] is None, "the router is asked by its address"


def test_one_number(world):
    url = f"{SITE}/a.txt"
    rtt = world.ask("get", url, "--from", "Lagos")["hops"][0]["model"]["rtt_ms"]
    numbers = []
    while len(numbers) < TRIES and not (numbers and near(min(numbers), 2 * rtt)):
        numbers.append(float(world.run("get", url, "--from", "Lagos", "--latency").stdout))
    assert near(min(numbers), 2 * rtt), (numbers, rtt)


@pytest.mark.parametrize("columns", [80, 200])
def test_a_waterfall_fits_its_terminal(world, columns):
    command = ["script", "-qec", f"stty cols {columns}; pocketcdn get /big.bin --from 'New York' -p dsl --waterfall --state {world.state}", "/dev/null"]
    path = f"{os.environ['CDN_BIN']}:{os.environ['PATH']}" if "CDN_BIN" in os.environ else f"{SOURCE}/build/bin:{os.environ['PATH']}"
    env = clean_environment({"PATH": path, "TERM": "xterm", "NO_COLOR": ""})
    env.pop("COLUMNS", None)
    out = subprocess.run(command, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True).stdout
    drawing = out[out.index("By the clock"):]
    plain = re.sub(r"\x1b\[[0-9;]*m", "", drawing).replace("\r", "")
    assert drawing != plain.replace("\n", "\r\n"), "colours are for terminals"
    lines = plain.rstrip("\n").split("\n")
    assert max(map(len, lines)) <= columns and sum("=" in line for line in lines) >= 6
    assert max(len(line) for line in lines if "=" in line) > columns - 8, "and fills it"
    for word in ("connect", "wait", "body 1", "body 2", "router  307", "iad  200", "one round trip"):
        assert word in plain, plain
    piped = world.run("get", "/big.bin", "--from", "New York", "-p", "dsl", "--waterfall").stdout
    assert "\x1b" not in piped and "body 1" in piped


def test_series_on_one_connection_and_on_new_ones(world):
    url = f"{SITE}/a.txt"
    rtt = world.ask("get", url, "--from", "Reykjavik")["hops"][0]["model"]["rtt_ms"]
    rounds = {"kept": 1, "new": 2}
    good = lambda got: all(near(got[name]["first_byte_ms"]["min"], n * rtt) for name, n in rounds.items())  # noqa: E731
    for _ in range(TRIES):
        report = world.ask("get", url, "--from", "Reykjavik", "--repeat", 5)["repeat"]
        if good(report):
            break
    assert good(report), (report, rtt)
    for name in rounds:
        series = report[name]["first_byte_ms"]
        assert series["n"] == 5 == len(series["sorted"])
        assert series["min"] <= series["p50"] <= series["p95"] <= series["p99"] <= series["max"]
    assert re.search(r"^new +last byte +2 ", world.run("get", url, "--from", "Reykjavik", "--repeat", 2).stdout, re.M)


def test_a_har_is_one(world):
    """The fields that HAR 1.2 asks for, with their types, and times that add up."""
    har = json.loads(world.run("get", "/a.txt?q=a%20b", "--from", "New York", "-H", "X-One: 1", "--har").stdout)["log"]
    assert har["version"] == "1.2" and har["creator"]["name"] == "pocketcdn" and len(har["entries"]) == 2
    kinds = {"startedDateTime": str, "time": float, "request": dict, "response": dict, "cache": dict, "timings": dict}
    for entry in har["entries"]:
        assert all(isinstance(entry[key], kind) for key, kind in kinds.items())
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["startedDateTime"])
        request, response, timings = entry["request"], entry["response"], entry["timings"]
        for message in (request, response):
            assert message["cookies"] == [] and message["httpVersion"] == "HTTP/1.1"
            assert all(set(field) == {"name", "value"} for field in message["headers"])
            assert isinstance(message["headersSize"], int) and isinstance(message["bodySize"], int)
        assert request["queryString"] == [{"name": "q", "value": "a b"}] and request["headers"] == [{"name": "X-One", "value": "1"}]
        assert {"size", "mimeType"} <= set(response["content"]) and isinstance(response["redirectURL"], str)
        assert sum(timings[k] for k in ("connect", "send", "wait", "receive")) == pytest.approx(entry["time"], abs=0.01)
        assert "modelled" in entry["comment"]


# ---------------------------------------------------------------------------------------------------- faults of links

def test_links_are_cut_and_slow_and_well_again(world):
    url, rtt = f"{SITE}/a.txt", world.rtt_ms("Mumbai", "bom")
    world.run("get", url, "--from", "Mumbai")
    try:
        assert "delay=200ms" in world.run("fault", "link", "MUMBAI-bom", "delay=200ms").stdout
        slow = float(world.run("get", url, "--from", "Mumbai", "--latency").stdout)
        assert slow >= 2 * (rtt + 200) - EARLY_MS
        world.run("fault", "link", "Mumbai-bom", "cut")
        done, _ = curl("-o", "/dev/null", url, proxy=world.proxy("Mumbai"), limit=3)
        assert done.returncode != 0
        listed = world.ask("fault", "link")["faults"]
        assert len(listed) == 1 and listed[0]["cut"] is True
        assert "no link has a fault" in world.run("fault", "link", "Mumbai-bom", "off").stdout
        again = min(float(world.run("get", url, "--from", "Mumbai", "--latency").stdout) for _ in range(3))
        assert again < slow - 200
        world.run("fault", "link", "fra-origin", "rate=100kB", "direction=back")
        world.run("fault", "link", "*-nrt", "loss=0.05", "seed=3")
        assert re.search(r"fra-origin +.*rate=.*\n\*-nrt +.*loss=0.05", world.run("fault", "link").stdout)
    finally:
        assert "no link has a fault" in world.run("fault", "link", "off").stdout


def test_an_edge_that_is_cut_from_its_origin_serves_what_it_has(world):
    url = "http://jnb.cdn.test"
    assert world.run("get", f"{url}/a.txt", "--from", "Johannesburg").returncode == 0
    try:
        world.run("fault", "link", "jnb-origin", "cut")
        assert world.ask("get", f"{url}/a.txt", "--from", "Johannesburg")["x_cache"] == "HIT"
    finally:
        world.run("fault", "link", "off")
    assert world.run("get", f"{url}/big.bin", "--from", "Johannesburg").returncode == 0


# ---------------------------------------------------------------------------------------------------- what is said of it

def shell_lines(page):
    """The lines of a page's `sh` blocks, those that end in a backslash joined."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (SOURCE / "docs" / page).read_text(), re.M | re.S)
    return [line for block in blocks for line in block.replace("\\\n", " ").split("\n") if line.strip()]


def test_every_command_of_the_page_runs(cdn):
    """docs/travel.md, line by line in one shell, with ports that are free here."""
    folder = cdn.folder("page", {"static/app.css": b"a{}\n" * 3000, "test.py": b"print('here')\n"})
    state = cdn.folder("home")
    bin_folder = cdn.cli("--version").args[0].rpartition("/")[0]
    env = clean_environment({"PATH": f"{bin_folder}:{os.environ['PATH']}", "XDG_STATE_HOME": str(state), "TERM": "dumb"})
    lines, ports = shell_lines("travel.md"), {}
    assert len(lines) > 12 and any("up " in line for line in lines)
    try:
        for line in lines:
            command = line.replace(" --wan", " --wan --port 0") if "pocketcdn up" in line else line
            for usual, here in ports.items():
                command = command.replace(usual, here)
            done = subprocess.run(["bash", "-c", command], env=env, cwd=folder, capture_output=True, text=True, check=False,
                                  stdin=subprocess.DEVNULL, timeout=120 * SLOW)
            assert done.returncode == 0, (line, done.stdout, done.stderr)
            if "pocketcdn up" in line:
                wan = json.loads((state / "pocketcdn" / "up.json").read_text())["nodes"][0]
                ports = {"127.0.0.1:1080": wan["url"].partition("://")[2], "127.0.0.1:2080": wan["admin"].partition("://")[2]}
    finally:
        with contextlib.suppress(subprocess.SubprocessError):
            subprocess.run([f"{bin_folder}/pocketcdn", "down"], env=env, capture_output=True, check=False, timeout=60 * SLOW)
