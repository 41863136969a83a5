#!/usr/bin/python3
"""All benchmarks, one after the other, the short way: what `make bench` runs.

    tests/bench/run.py --bin build-release/bin [NAME...]

Each stands alone in a folder beside this file and prints ratios against peers measured in the same run; see docs/performance.md,
docs/routing.md and docs/dns.md for what they mean. Ends with 0 when all ran, whatever they measured.
"""
import argparse
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def commands(programs):
    """Name -> command line."""
    tools = programs.parent / "tools"
    python = "/usr/bin/python3"
    return {
        "edge": [python, HERE / "edge" / "run.py", "--bin", programs, "--quick"],
        "route": [tools / "bench-route"],
        "redirect": [python, HERE / "redirect" / "run.py", "--bin", programs],
        "dns": [python, HERE / "dns" / "run.py", "--bin", programs, "--db-tool", tools / "bench-dns-db"],
        "wan": [python, HERE / "wan" / "run.py", "--bin", programs],
        "purge": [python, HERE / "purge" / "bench_purge.py", "--bin", programs],
    }


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("names", nargs="*", metavar="NAME", help="edge, route, redirect, dns, wan, purge (default: all)")
    p.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("build-release/bin"), help="folder of the programs")
    o = p.parse_args()
    every = commands(o.bin.resolve())
    unknown = [n for n in o.names if n not in every]
    if unknown:
        p.error(f"no benchmark {unknown[0]} (there are {', '.join(every)})")
    failed = []
    for name in o.names or every:
        print(f"\n== {name}", flush=True)
        if subprocess.run([str(a) for a in every[name]], check=False).returncode != 0:
            failed.append(name)
    if failed:
        print(f"could not be run: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
