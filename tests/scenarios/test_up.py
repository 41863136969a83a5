"""`pocketcdn up`, `down`, `status`, `get`: a CDN as a whole, with real processes, and what happens when one of them dies."""

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import termios

import pytest
from cdn import BIN, SLOW, Client, Reply, clean_environment, parse_address, poll, unused_port

PLACES = ["Frankfurt", "Tokyo", "Sydney", "Ashburn", "São Paulo", "Johannesburg", "Mumbai", "Singapore", "London", "San Jose"]
NAMES = ["fra", "nrt", "syd", "iad", "gru", "jnb", "bom", "sin", "lhr", "sjc"]
BERLIN = "51.164.0.1"  # an address that the built-in database places there


def address():
    return f"127.0.0.1:{unused_port()}"


def alive(pid):
    """Running, and not merely waiting to be reaped."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Up:
    """A CDN of `up` on free ports with a state folder of its own."""

    def __init__(self, cdn, edges=3, files=None, token="", **settings):
        self.cdn, self.state = cdn, cdn.folder("state")
        self.root = cdn.folder("root", files or {"a.txt": b"hello\n", "dir/b.css": b"b{}\n"})
        self.config = {
            "cdn": {"simulate": "yes", "trusted_proxies": ["127.0.0.0/8"], "admin_token": token},
            "origin": {"listen": address(), "admin": address(), "place": "Frankfurt", "max_age": "1h"},
            "router": {"listen": address(), "admin": address(), "dns_listen": "off", "redirect_max_age": "0s"},
            "edges": [{"name": n, "place": p, "listen": address(), "admin": address(), "threads": 1}
                      for n, p in list(zip(NAMES, PLACES))[:edges]],
        }
        for section, values in settings.items():
            self.config[section].update(values)
        self.path = cdn.config(self.config)
        self.process = None

    @property
    def args(self):
        return ["-c", self.path, "--root", self.root, "--state", self.state]

    def start(self, *args):
        self.process = self.cdn.spawn("pocketcdn", "up", *self.args, *args)
        return self.wait_up()

    def wait_up(self, limit=30 * SLOW):
        poll(lambda: self.says("all ") or not self.process.running(), limit, "all nodes up")
        assert self.process.running(), self.process.dump()
        return self

    def says(self, words):
        return next((line for line in self.process.out if words in line), None)

    def nodes(self):
        return {n["name"]: n for n in json.loads((self.state / "up.json").read_text())["nodes"]}

    def pid(self, name):
        return self.nodes()[name]["pid"]

    def pids(self):
        return [n["pid"] for n in self.nodes().values()]

    def client(self, name="router"):
        return Client(parse_address(self.nodes()[name]["url"].removeprefix("http://")))

    def metrics(self, name="origin"):
        with Client(parse_address(self.nodes()[name]["admin"].removeprefix("http://"))) as client:
            return client.get("/status", host="127.0.0.1").json()["metrics"]

    def origin_requests(self):
        return sum(v for k, v in self.metrics().items() if k.startswith("request_total"))

    def edge_for(self, ip=BERLIN, path="/a.txt"):
        with self.client() as client:
            answer = client.get(path, {"X-Forwarded-For": ip})
        urls = {n["url"]: name for name, n in self.nodes().items()}
        return urls[answer["Location"].removesuffix(path)]

    def get(self, path, edge="fra"):
        with self.client(edge) as client:
            return client.get(path, host=self.nodes()[edge]["url"].removeprefix("http://"))


# ---------------------------------------------------------------------------------------------------- life

def test_starts_serves_and_stops(cdn):
    up = Up(cdn).start()
    pids = up.pids()
    assert len(pids) == 5 and all(alive(pid) for pid in pids)
    assert up.edge_for() == "fra"
    assert up.get("/a.txt").body == b"hello\n"
    assert up.get("/a.txt")["X-Cache"] == "HIT"
    done = cdn.cli("down", "--state", up.state)
    assert done.returncode == 0, done
    assert up.process.wait() == 0
    assert not any(alive(pid) for pid in pids)
    assert cdn.cli("down", "--state", up.state).returncode == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_stop_all_of_it(cdn, number):
    up = Up(cdn, edges=1).start()
    pids = up.pids()
    up.process.signal(number)
    assert up.process.wait() == 0
    assert not any(alive(pid) for pid in pids)


def test_nothing_outlives_a_killed_up(cdn):
    up = Up(cdn, edges=2).start()
    pids = up.pids()
    os.kill(up.process.pid, signal.SIGKILL)
    poll(lambda: not any(alive(pid) for pid in pids), what="children ended with their parent")
    assert cdn.cli("status", "--state", up.state).returncode == 1
    up.start()  # the lock of the dead one does not stand in the way


def test_detached(cdn):
    up = Up(cdn, edges=2)
    done = cdn.cli("up", *up.args, "--detach")
    assert done.returncode == 0 and "all 4 are up" in done.stdout, done
    try:
        status = json.loads(cdn.cli("status", "--json", "--state", up.state).stdout)
        assert [n["state"] for n in status["nodes"]] == ["up"] * 4
        assert "fra" in cdn.cli("status", "--state", up.state).stdout
    finally:
        assert cdn.cli("down", "--state", up.state).returncode == 0
    assert not any(alive(n["pid"]) for n in status["nodes"])


def test_ten_edges_are_up_within_two_seconds_and_small(cdn):
    up = Up(cdn, edges=10).start()
    took = float(re.search(r"after ([\d.]+) s", up.says("all 12 are up"))[1])
    assert took < 2 * SLOW
    if SLOW > 1:
        return  # sanitizers need memory of their own
    for name in NAMES:
        with open(f"/proc/{up.pid(name)}/status", encoding="utf-8") as file:
            rss = int(re.search(r"VmRSS:\s+(\d+) kB", file.read())[1])
        assert rss < 20 * 1024, f"{name}: {rss} kB"


# ---------------------------------------------------------------------------------------------------- refusals

def test_one_state_folder_one_cdn(cdn):
    up = Up(cdn, edges=1).start()
    second = cdn.cli("up", *up.args)
    assert second.returncode == 3 and f"pid {up.process.pid}" in second.stderr
    assert second.stderr.count("\n") == 1
    other = Up(cdn, edges=1).start()  # another folder, other ports: side by side
    assert other.process.running() and up.process.running()


def test_a_taken_port_is_said_and_nothing_stays(cdn):
    up = Up(cdn, edges=2)
    other = Up(cdn, edges=1, router={"listen": up.config["edges"][1]["listen"]}).start()
    done = cdn.cli("up", *up.args)
    assert done.returncode == 3 and done.stderr.count("\n") == 1 and not done.stdout
    assert "edges[nrt]: listen: " + up.config["edges"][1]["listen"] + " is in use by another program" in done.stderr
    assert not (up.state / "up.json").exists(), "nothing was started"
    assert other.process.running()


def test_a_taken_dns_port_is_said(cdn):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        at = f"127.0.0.1:{taken.getsockname()[1]}"
        done = cdn.cli("up", *Up(cdn, edges=1, router={"dns_listen": at}).args)
    assert done.returncode == 3 and f"router: dns_listen: {at} is in use" in done.stderr


def router_port(cdn, state):
    return parse_address(json.loads(cdn.cli("status", "--json", *state).stdout)["router"].removeprefix("http://"))[1]


def test_the_proposed_ports_are_free(cdn):
    """Whoever is told 'use --port N' can do so: N is not taken, and does not lead to a taken one."""
    root, state = cdn.folder("root", {"a.txt": b"hello\n"}), ["--state", cdn.folder("state")]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused = cdn.cli("up", "--root", root, "--port", taken.getsockname()[1], *state)
    assert refused.returncode == 3
    proposed = int(re.search(r"--port (\d+) moves", refused.stderr)[1])
    for host, port in [("127.0.0.1", proposed), ("127.0.0.1", proposed - 27), ("127.0.1.9", proposed + 1008)]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))


def test_many_start_at_once_on_ports_of_their_own(cdn):
    root, states = cdn.folder("root", {"a.txt": b"hello\n"}), [cdn.folder("state") for _ in range(3)]
    starts = [cdn.cli_started("up", "--root", root, "--port", 0, "--detach", "--state", state) for state in states]
    try:
        for start in starts:
            out, err = start.communicate(timeout=60 * SLOW)
            assert start.returncode == 0, (out, err)
        ports = {router_port(cdn, ["--state", state]) for state in states}
        assert len(ports) == len(states)
    finally:
        for state in states:
            cdn.cli("down", "--state", state)


def test_two_cdns_side_by_side_by_port_and_state(cdn):
    """Without any file: the second start is told which flag to change, and that works."""
    root = cdn.folder("root", {"a.txt": b"hello\n"})
    first, second = ["--state", cdn.folder("state")], ["--state", cdn.folder("state")]
    up = cdn.cli("up", "--root", root, "--port", 0, "--detach", *first)
    assert up.returncode == 0, up
    try:
        port = router_port(cdn, first)
        refused = cdn.cli("up", "--root", root, "--port", port, *second)
        proposed = re.search(r"in use by another program; --port (\d+) moves all ports of this CDN, --port 0", refused.stderr)
        assert refused.returncode == 3 and proposed, refused
        refused = cdn.cli("up", "--root", root, *first)
        assert refused.returncode == 3 and "--state DIR and --port PORT" in refused.stderr
        assert cdn.cli("up", "--root", root, "--port", 0, "--detach", *second).returncode == 0
        other = router_port(cdn, second)
        assert len({other, port}) == 2
        for state, router in ((first, port), (second, other)):
            report = json.loads(cdn.cli("get", "/a.txt", "--from", "Tokyo", "--json", *state).stdout)
            assert report["hops"][0]["url"] == f"http://127.0.0.1:{router}/a.txt" and report["x_cache"] == "MISS"
            assert report["hops"][1]["url"].endswith(f":{router + 8}/a.txt") and report["status"] == 200
            assert report["edge"] == report["route"]["edge"] == "nrt"
            here = json.loads(cdn.cli("get", "/a.txt", "--json", *state).stdout)
            assert here["edge"] == here["route"]["edge"] and here["route"]["special"] == "loopback"
    finally:
        for state in (first, second):
            cdn.cli("down", *state)


def test_a_file_without_edges_says_so(cdn):
    """The built-in edges have ports of their own, of which this test takes one, so that none starts."""
    up = Up(cdn, edges=0)
    up.path = cdn.config({k: v for k, v in up.config.items() if k != "edges"})
    with socket.socket() as taken:
        with contextlib.suppress(OSError):  # somebody else has it already: as good
            taken.bind(("127.0.1.5", 8088))
            taken.listen()
        done = cdn.cli("up", *up.args)
    assert done.returncode == 3, done
    assert "names no edges: the 10 built-in ones are used" in done.stderr and "is in use" in done.stderr


def test_an_unreadable_root_is_said(cdn):
    up = Up(cdn, edges=1)
    up.root = up.root / "missing"
    done = cdn.cli("up", *up.args)
    assert done.returncode == 3 and "root: cannot open folder" in done.stderr and "missing" in done.stderr
    assert not done.stdout and not (up.state / "up.json").exists(), "nothing was started"


# ---------------------------------------------------------------------------------------------------- death

def test_a_killed_edge_is_passed_by_and_started_again(cdn):
    up = Up(cdn).start()
    assert up.edge_for() == "fra"
    old = up.pid("fra")
    os.kill(old, signal.SIGKILL)
    poll(lambda: up.says("fra ended with signal 9"), what="the death is said")
    poll(lambda: up.says("fra is up again"), what="the restart is said")
    assert up.pid("fra") != old and alive(up.pid("fra"))
    poll(lambda: up.edge_for() == "fra", what="clients return")


def test_no_partial_body_looks_complete(cdn):
    up = Up(cdn, edges=1, files={"big.bin": os.urandom(1 << 16) * 1024}).start()
    client = up.client("fra")
    client.sock.setsockopt(6, 10, 1)  # TCP_WINDOW_CLAMP: the body cannot wait in our own buffers
    client.send_request("GET", "/big.bin")
    head = client.final_head()
    assert head.status == 200
    client.read_exactly(100_000)
    os.kill(up.pid("fra"), signal.SIGKILL)
    client.body(head)
    assert not head.complete
    poll(lambda: up.says("fra is up again"), what="restart")
    assert len(up.get("/big.bin").body) == 1 << 26


def test_an_edge_that_keeps_dying_is_started_ever_more_slowly(cdn):
    up = Up(cdn, edges=2).start()
    delays = []
    for _ in range(3):
        seen = len(up.process.out)
        os.kill(up.pid("nrt"), signal.SIGKILL)
        line = poll(lambda: next((x for x in up.process.out[seen:] if "nrt ended" in x), None), what="death")
        delays.append(int(re.search(r"in (\d+) ms", line)[1]))
        poll(lambda: any("nrt is up again" in x for x in up.process.out[seen:]), what="restart")
    assert delays == sorted(delays) and delays[2] >= 4 * delays[0]


# ---------------------------------------------------------------------------------------------------- the cache stays

def test_the_cache_survives_down_and_up(cdn):
    up = Up(cdn).start()
    for path in ("/a.txt", "/dir/b.css"):
        assert up.get(path)["X-Cache"] == "MISS"
    poll(lambda: up.origin_requests() == 2, what="two origin requests")  # counted when an answer is over
    cdn.cli("down", "--state", up.state)
    up.process.wait()
    up.start()
    synced = lambda: cdn.cli("status", "--json", "--state", up.state).stdout.count('"synced": true')  # noqa: E731
    poll(lambda: synced() == 3, what="the purge log replayed")
    for path, body in (("/a.txt", b"hello\n"), ("/dir/b.css", b"b{}\n")):
        answer = up.get(path)
        assert (answer["X-Cache"], answer.body) == ("HIT", body)
    assert up.origin_requests() == 0


# ---------------------------------------------------------------------------------------------------- get

def test_get_follows_the_router_as_somebody_else(cdn):
    up = Up(cdn).start()
    for place, edge in (("Berlin", "fra"), ("Osaka", "nrt"), ("Auckland", "syd"), (BERLIN, "fra")):
        done = cdn.cli("get", "/a.txt", "--from", place, "--json", "--state", up.state)
        report = json.loads(done.stdout)
        assert done.returncode == 0 and report["status"] == 200 and report["bytes"] == 6
        assert [hop["status"] for hop in report["hops"]] == [307, 200]
        assert report["hops"][1]["url"] == up.nodes()[edge]["url"] + "/a.txt"
        assert report["route"]["edge"] == edge and report["route"]["rtt_label"] == "modelled"
    assert report["x_cache"] == "HIT"
    text = cdn.cli("get", "/a.txt", "--from", "Tokyo", "-o", "-", "--state", up.state).stdout
    assert "measured" in text and "modelled" in text and text.endswith("hello\n")
    assert cdn.cli("get", "/missing", "--state", up.state).returncode == 1


def test_purge_why_and_clock_reach_every_edge(cdn):
    up = Up(cdn, edges=2).start()
    state = ["--state", up.state]
    for edge in ("fra", "nrt"):
        assert up.get("/a.txt", edge)["X-Cache"] == "MISS"
    why = json.loads(cdn.cli("why", "/a.txt", "--json", *state).stdout)
    assert {edge: len(why[edge]["stored"]) for edge in why} == {"fra": 1, "nrt": 1}
    told = cdn.cli("why", "/a.txt", *state).stdout
    assert " 200, 6 bytes, " in told and "fra" in told and "nrt" in told
    assert cdn.cli("why", "/a.txt", "--edge", "nrt", *state).stdout.startswith("nrt ")
    assert list(json.loads(cdn.cli("why", "/a.txt", "-e", "nrt", "--json", *state).stdout)) == ["nrt"]
    nobody = cdn.cli("why", "/a.txt", "--edge", "nobody", *state)
    assert nobody.returncode == 1 and "there are: fra, nrt" in nobody.stderr
    assert cdn.cli("clock", "+30m", *state).returncode == 0
    assert int(up.get("/a.txt")["Age"]) >= 1800
    assert cdn.cli("clock", "+1h", *state).returncode == 0
    assert up.get("/a.txt")["X-Cache"] != "HIT"
    assert cdn.cli("clock", "--reset", *state).returncode == 0
    receipts = cdn.cli("purge", "--wait", "/a.txt", *state)
    assert receipts.returncode == 0 and re.findall(r"^(fra|nrt) +[\d.]+ +purged$", receipts.stdout, re.M) == ["fra", "nrt"]
    assert up.get("/a.txt")["X-Cache"] == "MISS"
    receipts = json.loads(cdn.cli("purge", "--all", "--wait", "--json", *state).stdout)
    assert receipts["acknowledged"] and [r["edge"] for r in receipts["edges"]] == ["fra", "nrt"]
    assert up.get("/a.txt")["X-Cache"] == "MISS"
    assert cdn.cli("clock", "soon", *state).returncode == 2


def test_every_node_dates_its_answers_by_the_clock(cdn):
    up = Up(cdn, edges=1).start()
    state = ["--state", up.state]
    assert cdn.cli("clock", "set", "2031-01-01T00:00:00Z", *state).returncode == 0
    for _ in range(2):  # the second redirect could be the first one's, used again
        redirect = Client(parse_address(up.nodes()["router"]["url"].removeprefix("http://"))).get("/a.txt")
        assert redirect.status in (302, 307) and "Jan 2031" in redirect.header("Date")
    for node in up.nodes().values():
        health = Client(parse_address(node["admin"].removeprefix("http://"))).get("/health")
        assert "Jan 2031" in health.header("Date"), node
    assert cdn.cli("clock", "reset", *state).returncode == 0
    redirect = Client(parse_address(up.nodes()["router"]["url"].removeprefix("http://"))).get("/a.txt")
    assert "Jan 2031" not in redirect.header("Date")


def test_clock_by_words(cdn):
    up = Up(cdn, edges=1).start()
    state = ["--state", up.state]
    offset = lambda: json.loads(cdn.cli("clock", "--json", *state).stdout)["fra"]["offset_ms"]  # noqa: E731
    for args, by_s in ((["advance", "1d"], 86400), (["-1h"], 82800), (["advance", "-30m"], 81000), (["+30m"], 82800), (["reset"], 0)):
        assert cdn.cli("clock", *args, *state).returncode == 0
        assert offset() == by_s * 1000
    assert "2031-01-01T00:00:0" in cdn.cli("clock", "set", "2031-01-01T00:00:00Z", *state).stdout
    refused = cdn.cli("clock", "set", "2031-02-31T00:00:00Z", *state)  # what only the nodes can tell is said once
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1
    assert "origin, fra, router: clock: set is an instant" in refused.stderr


def test_why_tells_causes_and_parts(cdn):
    up = Up(cdn, edges=1, files={"a.txt": b"hello\n", "big.bin": bytes(5 << 20)}).start()
    state = ["--state", up.state]
    why = lambda path: cdn.cli("why", path, *state).stdout  # noqa: E731
    assert "not stored; next request: MISS (cold: never stored here" in why("/a.txt")
    up.get("/a.txt")
    assert re.search(r"^fra +200, 6 bytes, age \d+ s, 0 hits, in memory(?: and disk)?; next request: "
                     r"HIT \(\d+ s left; lifetime from max-age\)$", why("/a.txt"), re.M)
    cdn.cli("clock", "+2h", *state)
    assert re.search(r"asks the origin \(expired, \d+ s past its lifetime; lifetime from max-age\)", why("/a.txt"))
    cdn.cli("purge", "--wait", "/a.txt", *state)
    assert "MISS (purged: was stored and has been purged)" in why("/a.txt")
    with up.client("fra") as client:
        assert client.get("/big.bin", {"Range": "bytes=2097152-2097153"}, host="127.0.0.1").status == 206
    assert re.search(r"^fra +206, bytes 2097152-3145727 of 5242880, ", poll(lambda: why("/big.bin"), what="why"), re.M)


def test_faults_of_the_origin(cdn):
    up = Up(cdn, edges=1).start()
    state = ["--state", up.state]
    on = cdn.cli("fault", "error_rate=1", "status=503", "delay=1ms", *state)
    assert (on.returncode, on.stdout) == (0, "origin: delay 1ms, 100 % errors (503)\n")
    assert up.get("/a.txt").status == 503
    off = cdn.cli("fault", "off", *state)
    assert (off.returncode, off.stdout) == (0, "origin: no faults\n")
    assert json.loads(cdn.cli("fault", "off", "--json", *state).stdout) == {"off": True}
    assert up.get("/dir/b.css").status == 200
    assert cdn.cli("fault", "nonsense=1", *state).returncode == 2
    refused = cdn.cli("fault", "off", "--node", "nobody", *state)
    assert refused.returncode == 1 and "there are: " in refused.stderr, refused


def test_faults_of_any_node(cdn):
    up = Up(cdn, edges=1).start()

    def fault(*words, code=0):
        done = cdn.cli("fault", *words, "--state", up.state)
        assert done.returncode == code, done
        return done.stdout or done.stderr

    assert fault("edge", "fra") == "fra: no faults\n"
    assert fault("edge", "fra", "error", "delay=1ms", "paths=/a*") == "fra: delay 1ms, 100 % errors (503) on /a*\n"
    assert fault("edge", "fra") == "fra: delay 1ms, 100 % errors (503) on /a*\n"
    assert fault("--node", "fra", "error=404") == "fra: 100 % errors (404)\n"
    with up.client("fra") as client:
        assert client.get("/a.txt").status == 404
    assert fault("edge", "fra", "truncate=0.5", "corrupt", "drop=0.25", "slow=64KiB") == (
        "fra: 25 % dropped, 50 % truncated, 100 % corrupt, 64KiB/s\n")
    assert fault("edge", "fra", "refuse") == "fra: connections refused\n"
    assert fault("edge", "fra", "down") == "fra: down\n"
    poll(lambda: re.search(r"^fra +.*faults: down", cdn.cli("status", "--state", up.state).stdout, re.M))
    assert fault("edge", "fra", "off") == "fra: no faults\n"
    with up.client("fra") as client:
        assert client.get("/a.txt").status == 200
    assert fault("router", "error=500") == "router: 100 % errors (500)\n" and fault("router", "off")
    assert fault("origin", "delay=1ms") == "origin: delay 1ms\n" and fault("off") == "origin: no faults\n"
    assert "there are: fra" in fault("edge", "ams", "down", code=1)
    assert "which edge?" in fault("edge", code=2) and "which edge?" in fault("edge", "delay=1s", code=2)
    assert "both name" in fault("router", "down", "--node", "fra", code=2)
    assert "slow must be" in fault("edge", "fra", "slow=fast", code=2)


def test_status_notes_what_is_out_of_the_ordinary(cdn):
    up = Up(cdn, edges=2).start()
    state = ["--state", up.state]
    line = lambda name: re.search(rf"^{name} .*$", cdn.cli("status", *state).stdout, re.M)[0]  # noqa: E731
    assert line("router").split()[-2] == "0"  # REQUESTS, and an empty note behind the address
    up.edge_for()
    poll(lambda: line("router").split()[-2] == "1", what="the router counts its requests")
    cdn.cli("clock", "+1d", *state)
    cdn.cli("fault", "delay=10ms", *state)
    assert line("fra").endswith("clock +1d") and line("origin").endswith("faults: delay 10ms; clock +1d")
    cdn.cli("clock", "reset", *state)
    os.kill(up.pid("nrt"), signal.SIGKILL)
    poll(lambda: up.says("nrt is up again"), what="restart")
    poll(lambda: line("nrt").endswith("restarted 1 x"), what="the restart is noted")
    assert cdn.cli("status", "--json", *state).stdout.count('"restarts": 1') == 1


def test_an_external_origin_is_watched_not_waited_for(cdn):
    fake = cdn.fake_origin()
    up = Up(cdn, edges=1)
    args = ["-c", up.path, "--origin", fake.url, "--state", up.state]
    fake.refuse()
    up.process = cdn.spawn("pocketcdn", "up", *args)
    up.wait_up()
    assert up.says(f"warning: the origin {fake.url} does not answer (connection_refused)")
    assert up.says("all 2 are up")
    done = cdn.cli("status", "--state", up.state)
    assert done.returncode == 1 and re.search(rf"^origin +down +{fake.url} +not ours; \(connection_refused\)$", done.stdout, re.M), done
    assert "2 of 3 nodes are well" in done.stderr
    refused = cdn.cli("fault", "delay=1s", "--state", up.state)
    assert refused.returncode == 1 and "is not one of ours" in refused.stderr
    assert cdn.cli("clock", "+1s", "--state", up.state).returncode == 0  # it has no clock of ours either
    fake.listen_again()
    poll(lambda: up.says(f"the origin {fake.url} answers again"), what="the origin is back")
    assert cdn.cli("status", "--state", up.state).returncode == 0
    assert {r.method for r in fake.requests} == {"HEAD"}


def test_an_origin_that_is_no_url_is_refused_by_the_plan(cdn):
    """One line, and nothing has started."""
    state = cdn.folder() / "state"
    for url in ("http://a b/", "http://a\tb/", "http://a/b c", "http://[::1", "http://a:99999", "http://a:x/",
                "http://a:80:80/", "http://a%20b/", "http://a\\b/", "http://a|b/", 'http://"a"/', "http://ü/", "http://u:p@a/",
                "http:///x", "http://", "http://a/b?c", "http://a/#x", "ftp://a/", " http://a/", "http://a/ ", "http://a..b/",
                "http://a\x1b/", "a"):
        done = cdn.cli("up", "--origin", url, "--state", state, "--port", "0", "--detach")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), (url, done.stderr)
        assert done.stderr.startswith("pocketcdn up: --origin: ") and "\x1b" not in done.stderr, done.stderr
        assert not list(state.glob("*.log")), url


def test_programs_started_one_by_one_are_reached_by_file_and_by_router(cdn):
    up = Up(cdn, edges=2, token="t0ken")
    up.config["origin"]["root"] = str(up.root)
    up.config["edge"] = {"origin": "http://" + up.config["origin"]["listen"], "control": "http://" + up.config["router"]["admin"]}
    path = cdn.config(up.config)
    cdn.daemon("pocketcdn-origin", ["-c", path])
    for name in ("fra", "nrt"):
        cdn.daemon("pocketcdn-edge", ["-c", path, "--name", name, "--cache-dir", cdn.folder("cache")])
    cdn.daemon("pocketcdn-router", ["-c", path, "--state", cdn.folder("state")])
    router = "http://" + up.config["router"]["admin"]
    by_file, by_router, token = ["-c", path], ["--router", router], {"POCKETCDN_ADMIN_TOKEN": "t0ken"}
    poll(lambda: cdn.cli("purge", "--wait", "/a.txt", *by_file).returncode == 0, what="both edges follow the log")
    assert len(json.loads(cdn.cli("status", "--json", *by_file).stdout)["nodes"]) == 4
    assert "t0ken" not in cdn.cli("status", "--json", *by_file).stdout
    status = cdn.cli("status", *by_router, env=token)
    assert status.returncode == 0 and re.findall(r"^\w+", status.stdout, re.M) == ["NODE", "fra", "nrt", "router"]
    for where in (by_file, by_router):
        told = cdn.cli("why", "/a.txt", *where, env=token).stdout  # what all say alike is said once
        assert told.count("MISS (cold") == 1 and told.startswith("2 edges (fra nrt)\n")
        assert cdn.cli("clock", "reset", *where, env=token).returncode == 0
    assert "POCKETCDN_ADMIN_TOKEN" in cdn.cli("status", *by_router).stderr
    assert json.loads(cdn.cli("get", "/a.txt", "--json", *by_file).stdout)["bytes"] == 6
    assert json.loads(cdn.cli("get", "/a.txt", "--json", *by_router, env=token).stdout)["bytes"] == 6


def test_up_with_a_token_shows_and_keeps_it(cdn):
    up = Up(cdn, edges=1, token="t0ken").start()
    assert cdn.cli("status", "--state", up.state).returncode == 0
    assert (up.state / "up.json").stat().st_mode & 0o777 == 0o600
    assert cdn.cli("purge", "--wait", "/a.txt", "--state", up.state).returncode == 0


def test_status_says_which_node_is_not_well(cdn):
    up = Up(cdn, edges=2).start()
    os.kill(up.pid("nrt"), signal.SIGSTOP)
    try:
        done = cdn.cli("status", "--state", up.state)
        assert done.returncode == 1 and "3 of 4 nodes are well" not in done.stdout
        assert re.search(r"^nrt .* down ", done.stdout, re.M)
    finally:
        os.kill(up.pid("nrt"), signal.SIGCONT)


def test_get_with_fields_method_and_body(cdn):
    fake = cdn.fake_origin()
    fake.default = Reply(200, b"ok", {"Content-Type": "text/plain"})
    url = fake.url + "/form"
    assert cdn.cli("get", url, "-H", "X-One: 1", "-H", "X-Two:2").returncode == 0
    assert (fake.requests[-1].method, fake.requests[-1]["X-One"], fake.requests[-1]["X-Two"]) == ("GET", "1", "2")
    assert cdn.cli("get", url, "-d", "q=tent").returncode == 0
    asked = fake.requests[-1]
    assert (asked.method, asked.body, asked["Content-Type"]) == ("POST", b"q=tent", "application/x-www-form-urlencoded")
    assert cdn.cli("get", url, "-X", "PUT", "-d", "@-", "-H", "content-type: text/plain", stdin="from stdin").returncode == 0
    assert (fake.requests[-1].method, fake.requests[-1].body, fake.requests[-1]["Content-Type"]) == (
        "PUT", b"from stdin", "text/plain")
    for bad in (["-H", "no colon"], ["-H", "bad name: x"], ["-H", "X: a\nb"], ["-X", "A B"], ["-X", ""]):
        assert cdn.cli("get", url, *bad).returncode == 2, bad
    assert cdn.cli("get", url, "-d", "@/nothing/there").returncode == 3


def test_errors_are_pages_for_browsers_and_documents_for_programs(cdn):
    up = Up(cdn, edges=1).start()
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    nodes = up.nodes()
    for url, target in ((nodes["fra"]["url"], "/a#b"), (nodes["fra"]["admin"], "/nowhere"), (nodes["router"]["admin"], "/nowhere")):
        page, document = (Client(parse_address(url.removeprefix("http://"))).get(target, {"Accept": accept})
                          for accept in (browser, "*/*"))
        assert page["Content-Type"] == "text/html; charset=utf-8" and b"<h1>" in page.body, target
        assert document["Content-Type"] == "application/problem+json" and json.loads(document.body)["status"] == page.status


def on_a_terminal(cdn, *args, columns, env=None):
    """The command under a terminal of that width: what it wrote; `type_` in the result sends keys."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen([str(BIN / "pocketcdn"), *map(str, args)], stdin=slave, stdout=slave, stderr=slave,
                               env=clean_environment({"TERM": "xterm", **(env or {})}), cwd=cdn.tmp, start_new_session=True,
                               preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    os.close(slave)
    return process, master


def read_all(master, until=None):
    """What comes, until `until` has come or the other end is closed."""
    text = b""
    while until is None or until not in text:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        text += piece
    return text


def test_the_live_table_fits_80_columns_and_goes_whole(cdn):
    up = Up(cdn, edges=2)
    process, master = on_a_terminal(cdn, "up", *up.args, columns=80)
    try:
        seen = read_all(master, b"Ctrl-C stops all of it.")
        while b"up after" not in seen or b"\x1b[32mup" not in seen:
            seen += read_all(master, b"Ctrl-C stops all of it.")
        plain = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", seen).decode()
        assert "NOTE" in plain or "ADDRESS" in plain
        assert max(len(line) for line in plain.splitlines() if line[:3] in ("NOD", "fra", "nrt", "rou")) <= 80
        os.write(master, b"\x03")
        rest = read_all(master)
        assert process.wait(60 * SLOW) == 0
        assert b"\r\x1b[" in rest, "drawn again from the first column: the echoed ^C is wiped"
    finally:
        process.kill()
        process.wait()
        os.close(master)


@pytest.mark.parametrize("env, colours", [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_status_on_a_terminal(cdn, env, colours):
    up = Up(cdn, edges=2).start()
    process, master = on_a_terminal(cdn, "status", "--state", up.state, columns=80, env=env)
    text = read_all(master).decode()
    os.close(master)
    assert process.wait(60 * SLOW) == 0
    assert ("\x1b[32m" in text) == colours
    assert all(len(line) <= 80 for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines())
    assert "\x1b" not in cdn.cli("status", "--state", up.state).stdout, "no colours for a pipe"
