"""What the benchmark reads from the kernel, and the clients it runs."""
import json
import os
import pathlib
import socket
import statistics
import subprocess
import tempfile
import time

SERVER_CORE, CLIENT_CORE = 0, 1
HERE = pathlib.Path(__file__).resolve().parent


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def tree(pid):
    """The process and its descendants."""
    pids = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in task.read_text().split():
                pids += tree(int(child))
        except OSError:
            continue
    return pids


def cpu_ns(pid):
    """Time on a processor of all threads of the tree, in nanoseconds (the scheduler's own count)."""
    total = 0
    for each in tree(pid):
        for task in pathlib.Path(f"/proc/{each}/task").glob("*/schedstat"):
            try:
                total += int(task.read_text().split()[0])
            except (OSError, IndexError):
                continue
    return total


def pss(pid):
    """Bytes of memory of the tree, what is shared counted once."""
    total = 0
    for each in tree(pid):
        for line in pathlib.Path(f"/proc/{each}/smaps_rollup").read_text().split("\n"):
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def core_busy_s(core):
    """Seconds the core was busy since the start of the machine."""
    for line in pathlib.Path("/proc/stat").read_text().split("\n"):
        if line.startswith(f"cpu{core} "):
            n = [int(x) for x in line.split()[1:9]]
            return (sum(n) - n[3] - n[4]) / os.sysconf("SC_CLK_TCK")
    return 0.0


class Tools:
    """The small C programs of this folder, compiled into a private directory."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        source = HERE.parents[2]
        for name in ("load", "waiting_origin", "canned"):
            command = ["cc", "-std=c17", "-D_GNU_SOURCE", "-O2", "-I", str(source), "-o", str(self.directory / name),
                       str(HERE / f"{name}.c"), "-lmicrohttpd", "-lm"]
            subprocess.run(command, check=True)

    def path(self, name):
        return str(self.directory / name)

    def load(self, *arguments, core=CLIENT_CORE):
        """Runs the client to its end; its JSON."""
        command = ["taskset", "-c", str(core), self.path("load"), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
        return json.loads(done.stdout.strip().split("\n")[-1])


WRK_DONE = """
function done(s, l, r)
  io.write(string.format('{"requests": %d, "us": %d, "bytes": %d, "bad": %d, "p50_us": %d, "p99_us": %d}\\n',
    s.requests, s.duration, s.bytes,
    s.errors.connect + s.errors.read + s.errors.write + s.errors.status + s.errors.timeout,
    l:percentile(50), l:percentile(99)))
end
"""
WRK_SCRIPTS = {"plain": WRK_DONE}


def watched(server, client):
    """Runs `client`, which returns a dict with requests, us and bad; with requests a second, CPU a hit, and how busy the
    server's core was with the server and with others."""
    busy, cpu, start = core_busy_s(SERVER_CORE), server.cpu_ns(), time.monotonic()
    r = client()
    wall, cpu, busy = time.monotonic() - start, server.cpu_ns() - cpu, core_busy_s(SERVER_CORE) - busy
    return {**r, "rate": r["requests"] / r["us"] * 1e6, "cpu_us": cpu / 1e3 / max(r["requests"], 1),
            "core": cpu / 1e9 / (r["us"] / 1e6), "others": max(0.0, (busy - cpu / 1e9) / wall)}


def wrk(server, path, connections, seconds, script="plain", core=str(CLIENT_CORE)):
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
        lua.write(WRK_SCRIPTS[script])
        lua.flush()
        command = ["taskset", "-c", core, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s",
                   lua.name, "-H", "Host: bench.test", f"http://127.0.0.1:{server.port}{path}"]

        def client():
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
            return json.loads(done.stdout.strip().split("\n")[-1])

        return watched(server, client)


def interleave(servers, rounds, run, note=lambda text: None):
    """rounds x servers; {server name: [result of each round]}. The order turns by one from round to round."""
    results = {s.name: [] for s in servers}
    for r in range(rounds):
        for s in servers[r % len(servers):] + servers[:r % len(servers)]:
            results[s.name].append(run(s))
        note(f"round {r + 1} of {rounds}")
    return results


def median_of(results, key):
    return statistics.median(r[key] for r in results)


def median_ratio(ours, theirs, key):
    """Median over rounds of the ratio within a round."""
    return statistics.median(a[key] / b[key] for a, b in zip(ours, theirs) if b[key])
