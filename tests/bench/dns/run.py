#!/usr/bin/python3
"""pocketcdn-router beside gdnsd: DNS queries a CPU-second, every query with another client subnet.

    run.py --bin BUILD/bin --db-tool BUILD/.../bench-dns-db [--seconds 4] [--rounds 3] [--sockets 1]

Both answer on one thread on the same core, dnsperf asks from another, by one socket as a forwarder does, or by many as
resolvers do; rounds alternate. Compared is the processor time
of the server for each query, since dnsperf's core is full first. Afterwards a sample of our answers is held against
the router's own GET /route.
"""
import argparse
import http.server
import json
import os
import pathlib
import random
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

EDGES = {  # name: latitude, longitude
    "iad": (39.04, -77.49), "sjc": (37.34, -121.89), "gru": (-23.55, -46.63), "lhr": (51.51, -0.13),
    "fra": (50.11, 8.68), "jnb": (-26.20, 28.05), "bom": (19.08, 72.88), "sin": (1.35, 103.82),
    "nrt": (35.68, 139.69), "syd": (-33.87, 151.21)}
ADDRESS = {name: f"127.0.1.{i + 1}" for i, name in enumerate(EDGES)}
QUERIES, SAMPLE, OUTSTANDING = 200_000, 3000, 200
SERVER_CORE, LOAD_CORE = 0, 1


def subnets(count, seed):
    """Random /24s of unicast IPv4."""
    rng = random.Random(seed)
    while count:
        first = rng.randrange(1, 224)
        if first not in (10, 127):
            count -= 1
            yield bytes((first, rng.randrange(256), rng.randrange(256)))


def query(subnet, number=0):
    """A for www.cdn.test with an OPT of 1232 bytes and a client subnet (RFC 7871)."""
    option = struct.pack(">HHHBB", 8, 7, 1, 24, 0) + subnet
    opt = b"\0" + struct.pack(">HHIH", 41, 1232, 0, len(option)) + option
    return struct.pack(">HHHHHH", number, 0, 1, 0, 0, 1) + b"\3www\3cdn\4test\0\0\1\0\1" + opt


def free_port():
    with socket.socket() as tcp:
        tcp.bind(("127.0.0.1", 0))
        return tcp.getsockname()[1]


class Health(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b'{"status":"ok"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def ask(port, message, timeout=1.0):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(timeout)
        udp.connect(("127.0.0.1", port))
        udp.send(message)
        return udp.recv(4096)


def wait_until_it_answers(process, port, name):
    for _ in range(100):
        if process.poll() is not None:
            sys.exit(f"{name} ended: {process.stderr.read()[-2000:] if process.stderr else ''}")
        try:
            return ask(port, query(b"\x85\x0b\0"), 0.2)
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{name} does not answer")


def pinned(core, *command):
    return ["taskset", "-c", str(core), *map(str, command)]


def start_gdnsd(folder, db):
    port = free_port()
    for name in ("zones", "geoip", "run", "state"):
        (folder / name).mkdir(parents=True)
    places = " ".join(f"{n} => [ {lat}, {lon} ]," for n, (lat, lon) in EDGES.items())
    addresses = " ".join(f"{n} => {a}," for n, a in ADDRESS.items())
    (folder / "config").write_text(f"""
options => {{ listen => 127.0.0.1:{port}, udp_threads => 1, tcp_threads => 1,
  run_dir => {folder}/run, state_dir => {folder}/state }}
plugins => {{ geoip => {{
  maps => {{ world => {{ geoip2_db => {db}, datacenters => [{', '.join(EDGES)}], auto_dc_limit => 3,
    auto_dc_coords => {{ {places} }} }} }}
  resources => {{ www => {{ map => world, dcmap => {{ {addresses} }}, service_types => up }} }} }} }}
""")
    (folder / "zones" / "cdn.test").write_text(
        "@ SOA ns1 hostmaster 1 3600 600 1209600 30\n@ NS ns1\nns1 A 127.0.0.1\nwww 30 DYNA geoip!www\n")
    process = subprocess.Popen(pinned(SERVER_CORE, shutil.which("gdnsd") or "/usr/sbin/gdnsd", "-c", folder, "start"),
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_until_it_answers(process, port, "gdnsd")
    return process, port


def start_router(binary, health_port):
    port, admin = free_port(), free_port()
    edges = [f"--edge=name={n},place={lat},{lon},url=http://{ADDRESS[n]}:8088,admin=http://127.0.0.1:{health_port}"
             for n, (lat, lon) in EDGES.items()]
    process = subprocess.Popen(
        pinned(SERVER_CORE, binary, "--listen=127.0.0.1:0", f"--admin=127.0.0.1:{admin}", f"--dns-listen=127.0.0.1:{port}",
               "--threads=1", "--dns-threads=1", "--policy=distance", "--probe-interval=10s", *edges),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until_it_answers(process, port, "pocketcdn-router")
    for _ in range(100):
        with urllib.request.urlopen(f"http://127.0.0.1:{admin}/edges") as answer:
            if all(e["health"]["known"] and e["healthy"] for e in json.load(answer)["edges"]):
                return process, port, admin
        time.sleep(0.1)
    sys.exit("the router's edges do not become healthy")


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_ns(pid):
    """Exact where the kernel keeps it: the sum of the threads' run times."""
    try:
        return sum(int(task.joinpath("schedstat").read_text().split()[0])
                   for task in pathlib.Path(f"/proc/{pid}/task").iterdir())
    except (OSError, ValueError, IndexError):
        return int(cpu_seconds(pid) * 1e9)


def measure(process, port, data, seconds, sockets=1):
    before = cpu_ns(process.pid)
    done = subprocess.run(pinned(LOAD_CORE, "dnsperf", "-s", "127.0.0.1", "-p", port, "-B", "-d", data, "-l", seconds,
                                 "-q", OUTSTANDING, "-c", sockets), capture_output=True, text=True, check=True)
    used = cpu_ns(process.pid) - before
    completed = int(re.search(r"Queries completed:\s+(\d+)", done.stdout).group(1))
    lost = int(re.search(r"Queries lost:\s+(\d+)", done.stdout).group(1))
    rate = float(re.search(r"Queries per second:\s+([\d.]+)", done.stdout).group(1))
    return completed * 1e9 / used, rate, lost


def first_address(answer):
    """Of the first A record behind a question that the answer's owner names point to."""
    at = 12 + answer[12:].index(b"\0") + 5
    if not struct.unpack(">H", answer[6:8])[0]:
        return None
    return socket.inet_ntoa(answer[at + 12:at + 16])


def agreement(port, admin):
    """Share of answers whose edge is that of GET /route."""
    agree = 0
    for subnet in subnets(SAMPLE, 2):
        address = first_address(ask(port, query(subnet)))
        ip = socket.inet_ntoa(subnet + b"\0")
        with urllib.request.urlopen(f"http://127.0.0.1:{admin}/route?ip={ip}") as answer:
            agree += ADDRESS.get(json.load(answer)["edge"]) == address
    return agree / SAMPLE


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--db-tool", type=pathlib.Path, required=True)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sockets", type=int, default=1, help="that dnsperf asks from")
    options = parser.parse_args()
    health = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Health)
    health.daemon_threads = True
    threading.Thread(target=health.serve_forever, daemon=True).start()
    running = []
    with tempfile.TemporaryDirectory(prefix="pocketcdn-bench-dns-") as name:
        folder = pathlib.Path(name)
        subprocess.run([options.db_tool, folder / "city.mmdb"], check=True)
        with open(folder / "queries", "wb") as file:
            for i, subnet in enumerate(subnets(QUERIES, 1)):
                message = query(subnet, i & 0xffff)
                file.write(struct.pack(">H", len(message)) + message)
        try:
            gdnsd, gdnsd_port = start_gdnsd(folder / "gdnsd", folder / "city.mmdb")
            running.append(gdnsd)
            router, port, admin = start_router(options.bin / "pocketcdn-router", health.server_port)
            running.append(router)
            results = {"gdnsd": [], "pocketcdn-router": []}
            for _ in range(options.rounds):
                results["gdnsd"].append(measure(gdnsd, gdnsd_port, folder / "queries", options.seconds,
                                                options.sockets))
                results["pocketcdn-router"].append(measure(router, port, folder / "queries", options.seconds,
                                                options.sockets))
            share = agreement(port, admin)
        finally:
            for process in running:
                process.terminate()
                process.wait()
    best = {}
    for name, rounds in results.items():
        best[name] = max(r[0] for r in rounds)
        for per_cpu_second, rate, lost in rounds:
            print(f"{name:18} {per_cpu_second:10,.0f} queries/CPU-second {1e6 / per_cpu_second:6.2f} us/query "
                  f"{rate:10,.0f} q/s {lost} lost")
    print(f"ratio of the best rounds {best['pocketcdn-router'] / best['gdnsd']:.2f}")
    print(f"same edge as GET /route  {share:.2%} of {SAMPLE}")


if __name__ == "__main__":
    main()
