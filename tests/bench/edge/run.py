#!/usr/bin/python3
"""The edge beside nginx, Varnish, Traffic Server and a bare libmicrohttpd.

    tests/bench/edge/run.py --bin build-release/bin --quick        about four minutes
    tests/bench/edge/run.py --bin build-release/bin                all peers in all cases
    tests/bench/edge/run.py --bin build-release/bin hits misses    some cases

The server and all its threads run on core 0, client and origin on core 1, over loopback. Runs are interleaved in rounds,
and only ratios within a round are compared (their median is shown): a shared machine drifts by more than the differences.
Peers run with private configurations; those that are not installed are left out. Exit code 0 also when targets are missed.
"""
import argparse
import json
import os
import pathlib
import platform
import resource
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import cases  # noqa: E402
from measure import Tools  # noqa: E402
from servers import PEERS  # noqa: E402


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("cases", nargs="*", metavar="CASE", help=f"of: {' '.join(cases.CASES)} (default: all)")
    p.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("build-release/bin"), help="folder of the programs")
    p.add_argument("--quick", action="store_true", help="fewer rounds; memory and restart of the edge only")
    p.add_argument("--beside", type=pathlib.Path, metavar="BIN", help="another build of the edge, measured as a peer")
    p.add_argument("--rounds", type=int, help="rounds of each case (default 5, quick 3)")
    p.add_argument("--seconds", type=int, help="length of one run (default 2, quick 1)")
    p.add_argument("--without", action="append", default=[], metavar="PEER", help="leave a peer out (may repeat)")
    p.add_argument("--json", type=pathlib.Path, help="write all numbers to this file")
    p.add_argument("--work", type=pathlib.Path, help="folder for caches (default: a temporary one)")
    o = p.parse_args()
    o.bin = o.bin.resolve()
    o.beside = o.beside and o.beside.resolve()
    o.rounds = o.rounds or (3 if o.quick else 5)
    o.seconds = o.seconds or (1 if o.quick else 2)
    unknown = set(o.cases) - set(cases.CASES)
    if unknown:
        p.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(cases.CASES)}")
    return o


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo", encoding="ascii")
                  if line.startswith("model name")), "unknown processor")
    return f"{os.cpu_count()} cores of {model}, Linux {platform.release()}, {time.strftime('%Y-%m-%d')}"


def show(case):
    names = list(dict.fromkeys(name for _, values in case.rows for name in values))
    print(f"\n### {case.title}\n")
    print("| | " + " | ".join(names) + " |\n|---|" + "---:|" * len(names))
    for what, values in case.rows:
        print(f"| {what} | " + " | ".join(values.get(name, "") for name in names) + " |")
    if case.verdicts:
        print("\n| target | measured | wanted | |\n|---|---:|---:|---|")
        for what, measured, target, met in case.verdicts:
            print(f"| {what} | {measured} | {target} | {'met' if met else '**missed**'} |")
    for note in case.notes:
        print(f"\n{note}")
    sys.stdout.flush()


def note(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def main():
    o = arguments()
    for program in (o.bin / "pocketcdn-edge", "nginx", "cc", "taskset"):
        if not shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin"):
            print(f"bench: {program} is missing (make deps installs what is needed)", file=sys.stderr)
            return 3
    if (os.cpu_count() or 1) < 2:
        print("bench: needs two cores, one for the server and one for the client", file=sys.stderr)
        return 3
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = 20000 if hard == resource.RLIM_INFINITY else min(20000, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended, too
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pocketcdn-bench-", dir=o.work))
    print(f"Machine: {machine()}; rounds: {o.rounds} of {o.seconds} s.")
    for peer in PEERS:
        if not peer.installed():
            print(f"{peer.name} is not installed and left out.")
    bench = cases.Bench(o, Tools(folder), folder, note)
    done = []
    try:
        for name in o.cases or cases.CASES:
            for case in cases.CASES[name](bench):
                note("")
                show(case)
                done.append(case)
    finally:
        bench.stop_all()
        shutil.rmtree(folder, ignore_errors=True)
        if o.json:
            o.json.write_text(json.dumps({"machine": machine(), "rounds": o.rounds, "seconds": o.seconds, "cases": [
                {"title": c.title, "numbers": c.numbers, "verdicts": c.verdicts} for c in done]}, indent=1))
    missed = [(c.title, v) for c in done for v in c.verdicts if not v[3]]
    print(f"\n{sum(len(c.verdicts) for c in done)} targets, {len(missed)} missed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
