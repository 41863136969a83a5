"""The cases: what is measured, how, and what issue targets it is held against. Each returns a Case."""
import signal
import socket
import subprocess
import statistics
import threading
import time
from dataclasses import dataclass, field

from measure import interleave, median_of, median_ratio, watched
from servers import (Canned, CannedSmallPool, Edge, ManySitesEdge, Nginx, PEERS, SitesEdge, StaticOrigin, Varnish,
                     WaitingOrigin, other_build)

OBJECTS = 100_000
MISS_SETTLE_S = 0.3
QUIET = 0.15  # share of the server's core that other processes may take before a run is called noisy


@dataclass
class Case:
    """A table: columns are servers, rows are (what, {server: text}). Numbers for the JSON file; verdicts are
    (what, measured, target, whether the target is met)."""
    title: str
    rows: list = field(default_factory=list)
    verdicts: list = field(default_factory=list)
    numbers: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)

    def row(self, what, values, form="{:,.0f}"):
        self.rows.append((what, {k: form.format(v) for k, v in values.items() if v is not None}))
        self.numbers[what] = values

    def judge(self, what, measured, target, least=False, form="{:.2f} x"):
        """Against a target: `least` means that more is better."""
        met = measured >= target if least else measured <= target
        self.verdicts.append((what, form.format(measured), (">= " if least else "<= ") + form.format(target), met))


class Bench:
    """The parts that cases share: options, tools, origin, folders of servers."""

    def __init__(self, options, tools, folder, note):
        self.options, self.tools, self.folder, self.note = options, tools, folder, note
        self.started = []
        self.number = 0
        self.peers = [p for p in PEERS if p.installed() and p.name not in options.without]
        self.peers += [other_build(options.beside)] if options.beside else []
        self.origin = self.make(StaticOrigin)
        self.origin.start()

    def make(self, kind, origin=None, **options):
        self.number += 1
        server = kind(self.folder / f"{self.number}-{kind.name.replace(' ', '-')}", origin.port if origin else 0,
                      tools=self.tools, bin=self.options.bin, **options)
        self.started.append(server)
        return server

    def start_all(self, kinds, origin, **options):
        return [self.make(kind, origin, **options).start() for kind in kinds]

    def stop(self, *servers):
        for server in servers or self.started:
            server.stop()
            if server in self.started:
                self.started.remove(server)

    def stop_all(self):
        self.stop(*list(self.started))


# ------------------------------------------------------------------------------------------------------------ hits

# title, path, connections, what of many objects to draw (load.c), targets: requests/s (at least)
HITS = (
    ("1 KiB, 64 connections", "/f/1k", 64, (), {"nginx": 1.5, "varnish": 1.8, "ats": 1.9, "mhd": 0.95}),
    ("16 KiB, 64 connections", "/f/16k", 64, (), {"nginx": 1.2, "varnish": 1.5, "ats": 1.5, "mhd": 0.95}),
    ("256 KiB, 64 connections", "/f/256k", 64, (), {"nginx": 1.3, "varnish": 1.0}),
    ("4 MiB, 64 connections", "/f/4m", 64, (), {"nginx": 1.0, "varnish": 0.5, "ats": 0.5}),  # CPU a hit (at most)
    ("1 KiB, 1000 connections", "/f/1k", 1000, (), {"nginx": 1.6, "varnish": 2.8, "ats": 2.3}),
)
MANY = (
    ("10,000 objects of 1 KiB, uniform", "/u/h/%d/1024", 64, (10_000, 0),
     {"nginx": 1.65, "varnish": 2.1, "ats": 2.1, "mhd": 0.95}),
    ("10,000 objects of 1 KiB, Zipf", "/u/h/%d/1024", 64, (10_000, 1),
     {"nginx": 1.65, "varnish": 2.1, "ats": 2.1, "mhd": 0.95}),
)


def warm(bench):
    """All servers with the objects of the hit cases in their caches."""
    kinds = [Edge, Canned, *([] if bench.options.quick else [CannedSmallPool]), *bench.peers]
    servers = bench.start_all(kinds, bench.origin)
    for s in servers:
        for path in ("/f/1k", "/f/16k", "/f/256k", "/f/4m"):
            assert s.answers(path) and s.answers(path), f"{s.name} does not answer {path}"
    return servers


def hits(bench):
    """One object at a time."""
    servers = warm(bench)
    for case in HITS:
        yield hit_case(bench, servers, *case)
    bench.stop(*servers)


def sites(bench):
    """Hits with one plain site, and with 1,000 sites of 20 rules, against the flags' form."""
    servers = [bench.make(kind, bench.origin).start() for kind in (Edge, SitesEdge, ManySitesEdge)]
    for s in servers:
        assert s.answers("/f/1k") and s.answers("/f/1k"), f"{s.name} does not answer"
    yield hit_case(bench, servers, "with sites, 1 KiB, 64 connections", "/f/1k", 64, (), {})
    bench.stop(*servers)


def many(bench):
    servers = warm(bench)
    for s in servers * 2:
        bench.tools.load("fetch", s.port, "/u/h/%d/1024", 64, 0, 10_000)
    for case in MANY:
        yield hit_case(bench, servers, *case)
    bench.stop(*servers)


def latency(bench):
    servers = warm(bench)
    yield latency_case(bench, [s for s in servers if s.name in ("edge", "nginx", "mhd")])
    bench.stop(*servers)


def closed_loop(bench, server, path, connections, draw=(), **core):
    return watched(server, lambda: bench.tools.load("hits", server.port, path, connections, bench.options.seconds, *draw,
                                                    **core))


def hit_case(bench, servers, title, path, connections, draw, targets):
    o = bench.options
    case = Case(f"Hits, {title}")
    results = interleave(servers, o.rounds, lambda s: closed_loop(bench, s, path, connections, draw), bench.note)
    ours = results["edge"]
    case.row("requests/s", {n: median_of(r, "rate") for n, r in results.items()})
    case.row("CPU a hit, us", {n: median_of(r, "cpu_us") for n, r in results.items()}, "{:.2f}")
    case.row("server core in use, %", {n: 100 * median_of(r, "core") for n, r in results.items()})
    case.row("others on that core, %", {n: 100 * median_of(r, "others") for n, r in results.items()})
    case.row("errors", {n: sum(x["bad"] for x in r) for n, r in results.items()})
    rate = {n: median_ratio(ours, r, "rate") for n, r in results.items() if n != "edge"}
    cpu = {n: median_ratio(r, ours, "cpu_us") for n, r in results.items() if n != "edge"}
    case.row("edge's requests/s against", rate, "{:.2f} x")
    case.row("its CPU a hit as multiples of the edge's", cpu, "{:.2f} x")
    for name, target in targets.items():
        if name not in results:
            continue
        if "4 MiB" in title:
            case.judge(f"CPU a hit against {name}", 1 / cpu[name], target)
        else:
            case.judge(f"requests/s against {name}", rate[name], target, least=True)
            case.judge(f"CPU a hit of {name} against ours", cpu[name], target, least=True)
    busiest = max(median_of(r, "others") for r in results.values())
    if busiest > QUIET:
        case.notes.append(f"Other processes took up to {100 * busiest:.0f} % of the server's core: requests/s of this run say "
                          "little, CPU a hit still something. Repeat it on a quiet machine.")
    case.numbers["rounds"] = results
    return case


def latency_case(bench, servers):
    """An open loop at 10,000 requests/s, latency from the planned time."""
    o = bench.options
    case = Case("Hit latency, 1 KiB, 10,000 requests/s, 64 connections (Poisson arrivals, from the planned time)")
    results = interleave(servers, o.rounds + 2,
                         lambda s: bench.tools.load("latency", s.port, "/f/1k", 64, 10_000, o.seconds), bench.note)
    for key, title in (("p50_us", "p50, us"), ("p99_us", "p99, us"), ("p999_us", "p99.9, us")):
        case.row(title, {n: median_of(r, key) for n, r in results.items()})
        if "nginx" in results:
            case.judge(f"{title.split(',')[0]} against nginx", median_ratio(results["edge"], results["nginx"], key), 1.0)
    case.row("bad", {n: sum(x["bad"] for x in r) for n, r in results.items()})
    case.numbers["rounds"] = results
    return case


class Together:
    """Servers measured as one: half of the connections each."""

    def __init__(self, name, servers):
        self.name, self.servers = name, servers
        self.port = ",".join(str(s.port) for s in servers)

    def cpu_ns(self):
        return sum(s.cpu_ns() for s in self.servers)


def two_threads(bench):
    """One and two workers; client and edge share both cores, so only the edge's CPU a hit is compared. With the client
    there are three threads for two cores: what that costs by itself, two processes that share nothing show."""
    o = bench.options
    case = Case("CPU a hit with two threads against one (client and edge on both cores)")
    started = []

    def edge(threads):
        s = bench.make(Edge, bench.origin, threads=threads)
        s.core = "0,1"
        started.append(s.start())
        for _ in range(6):
            s.answers("/f/1k")
        return s

    groups = [Together("1 thread", [edge(1)]), Together("2 threads", [edge(2)]), Together("2 processes", [edge(1), edge(1)])]
    results = interleave(groups, o.rounds + 2, lambda s: closed_loop(bench, s, "/f/1k", 64, core="0,1"), bench.note)
    case.row("requests/s", {n: median_of(r, "rate") for n, r in results.items()})
    case.row("CPU a hit, us", {n: median_of(r, "cpu_us") for n, r in results.items()}, "{:.2f}")
    for other in ("1 thread", "2 processes"):
        case.judge(f"two threads against {other}", median_ratio(results["2 threads"], results[other], "cpu_us"), 1.1)
    bench.stop(*started)
    yield case


# ---------------------------------------------------------------------------------------------------------- misses


def misses(bench):
    """1,000 cold objects of 16 KiB, against asking the origin itself."""
    servers = bench.start_all([Edge, *bench.peers], bench.origin)
    turn = iter(range(10_000))
    for connections in (16, 8, 1):
        yield miss_case(bench, servers, turn, connections)
    bench.stop(*servers)


def miss_case(bench, servers, turn, connections):
    o = bench.options
    case = Case(f"Cold misses: 1,000 objects of 16 KiB, {connections} connection{'s'[:connections > 1]}")

    def run(s):
        before = s.cpu_ns()
        r = bench.tools.load("fetch", s.port, f"/u/c{next(turn)}/%d/16384", connections, 0, 1000)
        time.sleep(MISS_SETTLE_S)  # what a server writes later is its cost, too
        return {"ms": r["seconds"] * 1e3, "bad": r["bad"], "p50_us": r["p50_us"], "p99_us": r["p99_us"],
                "cpu_us": (s.cpu_ns() - before) / 1e6}

    results = interleave([bench.origin, *servers], max(5, o.rounds), run, bench.note)
    case.row("ms for 1,000", {n: median_of(r, "ms") for n, r in results.items()}, "{:.1f}")
    against = {n: median_ratio(r, results["origin"], "ms") for n, r in results.items()}
    case.row("against direct", against, "{:.2f} x")
    case.row("p50 of one, us", {n: median_of(r, "p50_us") for n, r in results.items()})
    case.row("p99 of one, us", {n: median_of(r, "p99_us") for n, r in results.items()})
    case.row("CPU a miss, us", {n: median_of(r, "cpu_us") for n, r in results.items()}, "{:.1f}")
    case.row("edge's CPU a miss against", {n: median_ratio(results["edge"], r, "cpu_us") for n, r in results.items()
                                           if n not in ("edge", "origin")}, "{:.2f} x")
    case.row("bad", {n: sum(x["bad"] for x in r) for n, r in results.items()})
    if "ats" in results:
        case.judge("CPU a miss against ats", median_ratio(results["edge"], results["ats"], "cpu_us"), 1.0)
    if connections == 16:
        case.judge("time against direct", against["edge"], 1.8)
    return case


def waiting_cases(bench):
    """Many clients on one cold object; a second client of a slow one."""
    origin = bench.make(WaitingOrigin).start()
    servers = bench.start_all([Edge, *bench.peers], origin)
    yield stampede(bench, servers, origin)
    yield second_client(bench, servers, origin)
    bench.stop(origin, *servers)


def stampede(bench, servers, origin):
    case = Case("Stampede: 200 clients, one cold object of 1 MiB, the origin answers after 500 ms")
    turn = iter(range(10_000))

    def run(s):
        before = origin.count()
        r = bench.tools.load("stampede", s.port, f"/wait/500/s{next(turn)}/1048576", 200)
        return {"fetches": origin.count() - before, "answers": r["answers"], "bad": r["bad"],
                "first_ms": r["first_us"] / 1e3 - 500, "p50_ms": r["p50_us"] / 1e3 - 500,
                "last_ms": r["max_us"] / 1e3 - 500}

    results = interleave(servers, 3, run, bench.note)
    case.row("origin fetches", {n: max(x["fetches"] for x in r) for n, r in results.items()})
    for key, title in (("first_ms", "first client done"), ("p50_ms", "median client done"), ("last_ms", "last client done")):
        case.row(f"{title}, ms after the origin's answer", {n: median_of(r, key) for n, r in results.items()}, "{:.0f}")
    case.row("complete and right, of 200", {n: min(x["answers"] - x["bad"] for x in r) for n, r in results.items()})
    case.judge("origin fetches", case.numbers["origin fetches"]["edge"], 1, form="{:.0f}")
    case.judge("last client done", median_of(results["edge"], "last_ms"), 100, form="{:.0f} ms")
    return case


def first_and_last_byte(port, path):
    """Milliseconds from the request to the body's first byte and to its end."""
    begin = time.monotonic()
    first = None
    have, want, data = 0, None, b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as s:
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: bench.test\r\n\r\n".encode())
        while want is None or have < want:
            piece = s.recv(1 << 20)
            if not piece:
                break
            if want is None:
                data += piece
                head, end, body = data.partition(b"\r\n\r\n")
                if not end:
                    continue
                for line in head.split(b"\r\n"):
                    if line.lower().startswith(b"content-length:"):
                        want = int(line.split(b":")[1])
                piece = body
            have += len(piece)
            if piece and first is None:
                first = time.monotonic() - begin
    return (first or 0) * 1e3, (time.monotonic() - begin) * 1e3


def second_client(bench, servers, origin):
    case = Case("Streaming a miss: the origin sends 1 MiB over 2 s; a second client comes 500 ms after the first")
    first, done, fetches = {}, {}, {}
    for s in servers:
        path, before = f"/drip/2000/d{s.port}/1048576", origin.count()
        thread = threading.Thread(target=first_and_last_byte, args=(s.port, path))
        thread.start()
        time.sleep(0.5)
        first[s.name], done[s.name] = first_and_last_byte(s.port, path)
        thread.join()
        fetches[s.name] = origin.count() - before
    case.row("origin fetches", fetches)
    case.row("first byte of the body, ms after the second's request", first, "{:.1f}")
    case.row("second client done, ms after its request", done)
    case.judge("first byte of the second client", first["edge"], 5, form="{:.1f} ms")
    return case


# ------------------------------------------------------------------------------------------------ memory and restart


def memory(bench):
    """Growth of the resident memory (PSS) over objects and connections."""
    origin = bench.make(WaitingOrigin).start()
    yield indexed(bench, origin)
    yield in_ram(bench, origin)
    yield idle(bench, origin)
    bench.stop(origin)


def settled_pss(server):
    """After what is still being written has been: two readings a second apart that agree."""
    before = server.pss()
    for _ in range(20):
        time.sleep(1)
        now = server.pss()
        if abs(now - before) < 65536:
            break
        before = now
    return now


def indexed(bench, origin):
    """Objects on disk only. The key is part of what is measured, and subtracted; the fields are on disk."""
    case = Case(f"Memory: {OBJECTS:,} objects of 1 KiB on disk, none in RAM")
    s = bench.make(Edge, origin, memory="64KiB").start()
    bench.tools.load("fetch", s.port, "/u/warm/%d/1024", 16, 0, 500)
    before = settled_pss(s)
    r = bench.tools.load("fetch", s.port, "/u/m/%d/1024", 16, 0, OBJECTS)
    grown = (settled_pss(s) - before) / OBJECTS
    key = len("http://bench.test/u/m/50000/1024")
    case.row("bytes an object", {"edge": grown})
    case.row("of it the key", {"edge": key})
    case.row("bad", {"edge": r["bad"]})
    case.judge("bytes beyond the key", grown - key, 200, form="{:.0f} B")
    case.notes.append("nginx keeps a digest of the key (128 bytes a zone entry), not the key.")
    bench.stop(s)
    return case


def in_ram(bench, origin):
    case = Case(f"Memory: {OBJECTS:,} objects of 1 KiB in RAM, asked for twice after the fill")
    kinds = [Edge] if bench.options.quick else [Edge, *(p for p in bench.peers if p is not Nginx)]
    grown = {}
    for kind in kinds:
        s = bench.make(kind, origin).start()
        bench.tools.load("fetch", s.port, "/u/warm/%d/1024", 16, 0, 500)
        before = settled_pss(s)
        for _ in range(3):
            bench.tools.load("fetch", s.port, "/u/r/%d/1024", 16, 0, OBJECTS)
        grown[s.name] = (settled_pss(s) - before) / OBJECTS
        bench.stop(s)
    case.row("bytes an object", grown)
    case.row("of it beyond the body", {n: g - 1024 for n, g in grown.items()})
    case.judge("bytes beyond the body", grown["edge"] - 1024, 600, form="{:.0f} B")
    return case


def idle(bench, origin):
    case = Case("Memory: 5,000 idle keep-alive connections, one request done on each")
    kinds = [Edge] if bench.options.quick else [Edge, Canned, *bench.peers]
    each = {}
    for kind in kinds:
        s = bench.make(kind, bench.origin).start()
        s.answers("/f/1k")
        before = settled_pss(s)
        client = subprocess.Popen([bench.tools.path("load"), "idle", str(s.port), "/f/1k", "5000"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        client.stdout.readline()
        each[s.name] = (settled_pss(s) - before) / 5000
        client.communicate()
        bench.stop(s)
    case.row("bytes a connection", each)
    case.judge("bytes a connection", each["edge"], 17_000, form="{:,.0f} B")
    return case


def restart(bench):
    """The origin is gone when the cache comes back: what is answered is a hit."""
    case = Case(f"Restart with {OBJECTS:,} objects of 1 KiB, 2 s after the last was stored, origin gone")
    columns = {"ms to stop": {}, "ms from start to the first answer": {}, "hits of 1,000": {}}
    kinds = [Edge] if bench.options.quick else [Edge, *(p for p in bench.peers if p is not Varnish)]
    for kind in kinds:
        for how, word in ((signal.SIGTERM, "stopped"), (signal.SIGKILL, "killed")):
            origin = bench.make(WaitingOrigin).start()
            s = bench.make(kind, origin, memory="256MiB").start()
            bench.tools.load("fetch", s.port, "/u/r/%d/1024", 16, 0, OBJECTS)
            time.sleep(2)
            name = f"{s.name}, {word}"
            columns["ms to stop"][name] = s.stop(how) * 1e3
            bench.stop(origin)
            time.sleep(0.2)
            s.start(wait=False)
            try:
                first = s.wait_ready("/u/r/0/1024", 5) * 1e3
            except RuntimeError:
                first = None
            r = bench.tools.load("sample", s.port, "/u/r/%d/1024", 16, OBJECTS, 1000)
            columns["ms from start to the first answer"][name] = first
            columns["hits of 1,000"][name] = 1000 - r["bad"]
            bench.stop(s)
            bench.note(name)
    for what, values in columns.items():
        case.row(what, values)
    for word in ("stopped", "killed"):
        name = f"edge, {word}"
        first = columns["ms from start to the first answer"][name]
        case.judge(f"{word}: hits of 1,000", columns["hits of 1,000"][name], 1000, least=True, form="{:.0f}")
        case.judge(f"{word}: first answer", first if first is not None else float("inf"), 100, form="{:.0f} ms")
    yield case


CASES = {"hits": hits, "sites": sites, "many": many, "latency": latency, "threads": two_threads, "misses": misses,
         "waiting": waiting_cases, "memory": memory, "restart": restart}
