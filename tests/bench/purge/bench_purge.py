#!/usr/bin/python3
"""How fast a purge reaches ten edges on this machine: from the append in the router until the acknowledgement.

    tests/bench/purge/bench_purge.py [--edges 10] [--purges 200] [--objects 200]

Every purge is asked for with wait, one after another; before each one its object is fetched again through every edge.
Prints the quantiles of the single receipts, of the slowest receipt of each purge (all edges have it), of the whole request
as a client sees it, and of the append to SQLite alone. Exit code 1: the slowest receipts' 99th percentile is over 150 ms.
"""

import argparse
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scenarios"))
import cdn as harness  # noqa: E402
from cdn import Reply, poll, unused_port  # noqa: E402

TARGET_MS = 150


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))]


def line(name, values):
    print(f"{name:34} " + "  ".join(f"p{q * 100:g} {quantile(values, q):7.2f}" for q in (0.5, 0.9, 0.99)) +
          f"  max {max(values):7.2f}")


def start(cdn, count):
    origin = cdn.fake_origin()
    origin.default = Reply(body=b"x" * 1000, headers=[("Cache-Control", "max-age=3600"), ("Surrogate-Key", "t")])
    port = unused_port()
    edges = [cdn.edge(origin, name=f"e{i}", control=f"http://127.0.0.1:{port}", threads=1) for i in range(count)]
    router = cdn.router(admin=f"127.0.0.1:{port}", state=cdn.folder("state"),
                        edge=[f"name=e{i},place=Frankfurt,url={e.url},admin={e.admin_url}" for i, e in enumerate(edges)])
    for edge in edges:
        poll(lambda: edge.status()["sync"]["synced"])
    return edges, router


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edges", type=int, default=10)
    parser.add_argument("--purges", type=int, default=200)
    parser.add_argument("--objects", type=int, default=200)
    options = parser.parse_args()
    cdn = harness.Cdn()
    single, slowest, whole = [], [], []
    try:
        edges, router = start(cdn, options.edges)
        for i in range(options.purges):
            target = f"/{i % options.objects}"
            for edge in edges:
                edge.get(target, host=edge.url.partition("//")[2])
            before = time.perf_counter()
            answer = router.admin_post("/purge?wait=10s", {"url": target})
            whole.append((time.perf_counter() - before) * 1000)
            assert answer["acknowledged"], answer
            times = [receipt["ms"] for receipt in answer["edges"]]
            single += times
            slowest.append(max(times))
        appends = [int(found[1]) / 1000 for text in router.err if (found := re.search(r"event=purge id=\d+ took_us=(\d+)", text))]
    finally:
        cdn.close()
    print(f"{options.purges} purges, {options.edges} edges; milliseconds")
    line("append to SQLite (fsync included)", appends)
    line("receipt of one edge", single)
    line("all edges have it", slowest)
    line("the request, as its client sees it", whole)
    return quantile(slowest, 0.99) > TARGET_MS


if __name__ == "__main__":
    sys.exit(main())
