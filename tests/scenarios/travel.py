"""A CDN with the network between the places, as `pocketcdn up --wan` starts it, and curl as a client elsewhere."""

import json
import os
import re
import subprocess

from cdn import SLOW, clean_environment, poll

CITIES = ["Tokyo", "New York", "Frankfurt", "Sydney", "Lagos", "São Paulo", "Mumbai", "Reykjavik"]
MS = 1000
# What a client sees may be late by what this machine is busy with, never early: the strict figures are
# tests/bench/wan's. Rounded as curl and JSON round, a first byte may seem some microseconds early.
EARLY_MS = 0.5
LATE_MS = 40 * SLOW


class World:
    """`up --wan` on ports of its own, with a folder as the origin, or whatever `args` say instead."""

    def __init__(self, cdn, *args, files=None):
        self.cdn, self.state = cdn, cdn.folder("state")
        if not args:
            self.root = cdn.folder("root", files or {"a.txt": b"hello\n", "big.bin": os.urandom(1_000_000)})
            args = ["--root", self.root, "--port", 0]
        self.process = cdn.spawn("pocketcdn", "up", *args, "--wan", "--state", self.state)
        poll(lambda: any("all " in line for line in self.process.out) or not self.process.running(), what="all nodes up")
        assert self.process.running(), self.process.dump()

    def run(self, *args, **kw):
        return self.cdn.cli(*args, "--state", self.state, **kw)

    def ask(self, *args):
        """A command's JSON."""
        done = self.run(*args, "--json")
        assert done.returncode == 0, done
        return json.loads(done.stdout)

    def nodes(self):
        return {n["name"]: n for n in json.loads((self.state / "up.json").read_text())["nodes"]}

    def proxy(self, place, *args):
        done = self.run("travel", place, "--proxy", *args)
        assert done.returncode == 0, done
        assert re.fullmatch(r"socks5h://127\.0\.0\.1:\d+\n", done.stdout), done.stdout
        return done.stdout.strip()

    def rtt_ms(self, place, node, *args):
        return self.ask("travel", place, *args)["paths"][node]["rtt_ms"]


def curl(*args, limit=120 * SLOW, proxy=None):
    """Runs curl; its output, and what -w '%{json}' says of each transfer, in order."""
    way = ["-x", proxy] if proxy else []
    done = subprocess.run(["curl", "-sS", "--max-time", str(int(limit)), *way, "-w", "\n@@%{json}\n", *map(str, args)],
                          capture_output=True, env=clean_environment(), check=False)
    times = [json.loads(line[2:]) for line in done.stdout.split(b"\n") if line.startswith(b"@@{")]
    return done, times


def first_bytes_ms(proxy, url, *args):
    """Of one new connection and of a kept one: milliseconds to the first byte; and the edge that answered."""
    done, times = curl(*args, "-D", "-", "-o", "/dev/null", url, "-o", "/dev/null", url, proxy=proxy)
    assert done.returncode == 0 and [t["http_code"] for t in times] == [200, 200], (done, times)
    assert [t["num_connects"] for t in times] == [1, 0], times
    head = done.stdout.decode()
    edge = re.search(r"(?im)^cache-status: ([\w-]+)", head)
    return [t["time_starttransfer"] * MS for t in times], edge and edge[1]


def near(got_ms, model_ms):
    return model_ms - EARLY_MS <= got_ms <= model_ms * 1.03 + LATE_MS


def least(tries, measure, good):
    """The least of several measurements, as soon as one is good: what is in the way on a busy machine only adds."""
    best = None
    for _ in range(tries):
        got = measure()
        best = got if best is None else [min(a, b) for a, b in zip(best, got)]
        if good(best):
            break
    return best
