"""How punctual and how fast the network between places is. Generous here, where others use the machine; what an idle one
does is measured by tests/bench/wan."""
import json
import os
import subprocess
from pathlib import Path

import pytest

from cdn import SLOW, unused_port

LOAD = Path(os.environ["CDN_BUILD"]) / "tests" / "wan-load"
TRIES = 6


@pytest.fixture
def link(cdn):
    """A function: a fixed relay with a round trip of so many ms; its target's port and its own."""
    def begin(rtt):
        target, own = unused_port(), unused_port()
        cdn.wan({"cdn": {"origin": "http://127.0.0.1:1"},
                 "wan": {"links": [f"listen=127.0.0.1:{own},to=127.0.0.1:{target},rtt={rtt}ms"]},
                 "edges": [{"name": "fra", "place": "Frankfurt", "listen": f"127.0.0.1:{unused_port()}",
                            "admin": f"127.0.0.1:{unused_port()}"}]})
        return str(target), str(own)
    return begin


def load(*args):
    done = subprocess.run([LOAD, *map(str, args)], capture_output=True, text=True, timeout=120 * SLOW)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_thousand_connections_are_on_time(link):
    ports = link(40)
    for _ in range(TRIES):
        got = load("moments", *ports, 40, 1000, 1)
        assert got["sent"] > 1000 / SLOW
        if got["arrived"] == got["sent"] and got["min_us"] > -1000 and got["p50_us"] < 20_000 * SLOW and got["p99_us"] < 200_000 * SLOW:
            return
    raise AssertionError(got)


def test_without_a_way_nothing_holds_bytes_up(link):
    """Whole, too: a writer that was faster than the reader once broke the connection."""
    ports = link(0)
    for _ in range(3):
        got = load("bulk", *ports, 1)
        assert got["bytes_per_s"] > 20e6 / SLOW
