#!/usr/bin/python3
"""The network between places: what clients see beside what the model says, how punctual it is and how fast.

    tests/bench/wan/run.py --bin build-release/bin            about two minutes
    tests/bench/wan/run.py --bin build-release/bin curl       curl's first bytes from eight cities
    tests/bench/wan/run.py --bin build-release/bin punctual   1,000 connections at once: how late bytes are
    tests/bench/wan/run.py --bin build-release/bin fast       one connection through a path of 0 ms
    tests/bench/wan/run.py --bin build-release/bin page       Chromium loads a page of 40 files: the table of README.md

Wants a machine that does nothing else (or `chrt -r 1` in front). Of curl's tries the median is shown and the farthest from the
model, of the browser's the fastest.
Exit code 0 also when it is missed.
"""
import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("cases", nargs="*", metavar="CASE", help="curl, punctual, fast, page (default: all)")
    p.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("build-release/bin"), help="folder of the programs")
    p.add_argument("--tries", type=int, default=7, help="of each figure (default 7)")
    return p.parse_args()


def curl_case(cdn, tries):
    """Strict: within 3 ms or 3 % of the model and what the programs take themselves, which the same request from the edge's own
    place shows: with TLS that is curl's and the edge's handshake."""
    import tls
    import travel
    from test_up import Up, address
    for scheme, trips in (("http", 2), ("https", 3)):
        up = Up(cdn, edges=10, router={"dns_listen": address()})
        up.config["wan"] = {"listen": address()}
        pair = tls.Pair(cdn.folder("tls"), names="DNS:www.cdn.test")
        for i, edge in enumerate(up.config["edges"], 1):  # an address of its own each: names have no ports
            edge |= {key: edge[key].replace("127.0.0.1", f"127.0.1.{i}") for key in ("listen", "admin")}
            if scheme == "https":
                edge |= {"tls_certificate": str(pair.certificate), "tls_key": str(pair.key)}
        world = travel.World(cdn, "-c", cdn.config(up.config), "--root", up.root)
        print(f"\n{scheme}: first byte, ms     new: model    own   curl  farthest   kept: model    own   curl  farthest")
        far = []
        for city in travel.CITIES:
            proxy, url = world.proxy(city), f"{scheme}://www.cdn.test/a.txt"
            _, edge = travel.first_bytes_ms(proxy, url, "--cacert", pair.certificate)
            rtt = world.rtt_ms(city, edge)
            own = [min(each) for each in zip(*(travel.first_bytes_ms(world.proxy(edge), url, "--cacert", pair.certificate)[0]
                                               for _ in range(3)))]
            got = [travel.first_bytes_ms(proxy, url, "--cacert", pair.certificate)[0] for _ in range(tries)]
            cells = []
            for i, model in enumerate((trips * rtt, rtt)):
                late = [g[i] - model - own[i] for g in got]
                worst = max(late, key=abs)
                far.append(max(0, abs(worst) - max(3, 0.03 * model)))
                cells.append(f"{model:7.1f} {own[i]:6.2f} {model + own[i] + statistics.median(late):6.1f}  {worst:+8.2f}")
            print(f"  {city:12} {edge:8}     {cells[0]}        {cells[1]}", flush=True)
        print(f"  within 3 ms or 3 %: {sum(f == 0 for f in far)} of {len(far)} (each at its farthest of {tries})")
        world.run("down")


def relay(cdn, rtt):
    """A fixed relay with this round trip: (the port where its target is to be, its own)."""
    from cdn import unused_port
    target, own, edge, admin = (unused_port() for _ in range(4))
    cdn.wan({"cdn": {"origin": "http://127.0.0.1:1"},
             "wan": {"links": [f"listen=127.0.0.1:{own},to=127.0.0.1:{target},rtt={rtt}ms"]},
             "edges": [{"name": "fra", "place": "Frankfurt", "listen": f"127.0.0.1:{edge}",
                        "admin": f"127.0.0.1:{admin}"}]}, log_level="info")
    return target, own


def load(*args):
    """One line of tests/truth's wan-load."""
    program = pathlib.Path(os.environ["CDN_BIN"]).parent / "tests" / "wan-load"
    return json.loads(subprocess.run([program, *map(str, args)], capture_output=True, text=True, check=True).stdout)


def punctual_case(cdn, tries):
    """Half a round trip after it was written, 1 ms at the median and 3 ms for 99 of 100."""
    print("\n10 messages of 1,000 bytes a second on each connection: how much later than its time the last byte is read, us")
    print("round trip  connections   messages     min     p50     p90     p99   p99.9     max")
    for rtt, connections in ((100, 100), (100, 1000), (10, 1000)):
        ports = relay(cdn, rtt)
        got = sorted((load("moments", *ports, rtt, connections, 5) for _ in range(tries)), key=lambda each: each["p99_us"])
        row = got[len(got) // 2]
        assert row["arrived"] == row["sent"]
        print(f"{rtt:7} ms  {connections:11,} {row['arrived']:10,}" +
              "".join(f"{row[name + '_us']:8,}" for name in ("min", "p50", "p90", "p99", "p999", "max")), flush=True)


def fast_case(cdn, tries):
    """1 GB/s, beside the loopback itself."""
    ports = relay(cdn, 0)
    for name, pair in (("through 0 ms", ports), ("loopback", (ports[0], ports[0]))):
        got = [load("bulk", *pair, 3)["bytes_per_s"] / 1e9 for _ in range(tries)]
        print(f"{name:14} {statistics.median(got):5.2f} GB/s (median of {tries}; {min(got):.2f} to {max(got):.2f})", flush=True)


def page_case(cdn, tries):
    """The model's figure has in it what the same load takes with no way at all, from the node's own place: both are measured
    in turn, and the fastest of each counts, since what disturbs them only adds."""
    import page
    p = page.Page(cdn)
    print(f"\nload of {page.PATH}, {page.FILES} files, ms (fastest of {tries}; last columns: the same without a way):")
    print("| from | without CDN | model | with CDN | model | own, origin | own, edge |")
    print("|---|---|---|---|---|---|---|")

    def faster(a, b):
        return b if a is None or b["load"] < a["load"] else a

    for place in ("Tokyo", "New York", "Frankfurt"):
        cells, alone = [], []
        for node, host in (("origin", "origin.cdn.test"), (p.nearest(place), "www.cdn.test")):
            own = got = None
            p.load(node, host)  # an edge has everything from now on
            for _ in range(tries):
                own, got = faster(own, p.load(node, host)), faster(got, p.load(place, host))
            assert len(got["files"]) == page.FILES and not got["broken"]
            sizes = [len(text) for text in got["files"].values()]
            cells.append(f"{got['load']:,.0f} | {p.model_ms(place, node, sizes, page.own_of(own)):,.0f}")
            alone.append(f"{own['load']:,.0f}")
        print(f"| {place} | {' | '.join(cells)} | {' | '.join(alone)} |", flush=True)


def main():
    o = arguments()
    os.environ["CDN_BIN"] = str(o.bin.resolve())
    sys.path.insert(0, str(HERE.parents[1] / "scenarios"))
    import cdn as harness
    every = {"curl": curl_case, "punctual": punctual_case, "fast": fast_case, "page": page_case}
    unknown = [name for name in o.cases if name not in every]
    if unknown:
        sys.exit(f"no case {unknown[0]} (there are {', '.join(every)})")
    print(f"{platform.platform()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.2f}")
    for name in o.cases or every:
        instance = harness.Cdn()
        try:
            every[name](instance, o.tries)
        finally:
            instance.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
