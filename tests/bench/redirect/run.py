#!/usr/bin/python3
"""HTTP redirects: the router beside nginx with a country map (ngx_http_geoip2_module) and a bare libmicrohttpd.

    tests/bench/redirect/run.py --bin build-release/bin [--rounds N] [--seconds N] [--database FILE]

Two cases: all requests from 127.0.0.1; and each request naming another client in X-Forwarded-For (65,536 random addresses),
from a proxy that is trusted. Router and nginx look the client up in the same database (the embedded one): the router by
place among ten edges, nginx by country. The canned reply looks nothing up and copies nothing. Server on core 0, wrk with 64 connections on core 1; runs are interleaved in rounds and only ratios within a
round are compared. Exit code 0 also when targets are missed.
"""
import argparse
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parents[2]
sys.path.insert(0, str(HERE.parent / "edge"))
import measure  # noqa: E402
import servers  # noqa: E402

GEOIP2 = pathlib.Path("/usr/lib/nginx/modules/ngx_http_geoip2_module.so")
PATH = "/static/app.css?v=1"
CONNECTIONS = 64
EDGES = (("iad", "Ashburn"), ("sjc", "San Jose"), ("gru", "Sao Paulo"), ("lhr", "London"), ("fra", "Frankfurt"),
         ("jnb", "Johannesburg"), ("bom", "Mumbai"), ("sin", "Singapore"), ("nrt", "Tokyo"), ("syd", "Sydney"))
WORLD = SOURCE / "geo-data" / "world.mmdb"

measure.WRK_SCRIPTS["clients"] = """
local requests, at = {}, 0
function init(args)
  math.randomseed(7)
  local r = math.random
  for i = 1, 65536 do
    local ip = r(1, 223) .. "." .. r(0, 255) .. "." .. r(0, 255) .. "." .. r(0, 255)
    requests[i] = wrk.format("GET", "%s", { ["Host"] = "bench.test", ["X-Forwarded-For"] = ip })
  end
end
function request()
  at = at %% 65536 + 1
  return requests[at]
end
""" % PATH + measure.WRK_DONE


class Redirector(servers.Server):
    def wait_ready(self, path=PATH, limit=30.0):
        return super().wait_ready(path, limit)

    def answers(self, path):
        done = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", "-H",
                               "X-Forwarded-For: 193.0.6.139", f"http://127.0.0.1:{self.port}{path}"],
                              capture_output=True, text=True, check=False)
        code, _, where = done.stdout.partition(" ")
        return code in ("302", "307") and where.endswith(PATH)


class Router(Redirector):
    name = "pocketcdn"

    def command(self):
        admin = f"127.0.0.1:{measure.free_port()}"  # which answers the probes in the edges' place
        edges = [f"--edge=name={n},place={p},url=http://127.0.1.{i}:8088,admin=http://{admin}"
                 for i, (n, p) in enumerate(EDGES, 1)]
        database = [f"--database={d}" for d in self.options["database"]]
        return [self.options["bin"] / "pocketcdn-router", f"--listen=127.0.0.1:{self.port}", f"--admin={admin}",
                "--dns-listen=127.0.0.1:0", "--threads=1", "--trusted-proxies=127.0.0.1/32", "--log-level=error",
                *edges, *database]


class Canned(Redirector):
    name = "libmicrohttpd"

    def command(self):
        return [self.options["canned"], self.port]


class Nginx(Redirector):
    name, program = "nginx+geoip2", "nginx"

    def configure(self):
        countries = {"US": 1, "CA": 1, "MX": 1, "BR": 3, "AR": 3, "CL": 3, "GB": 4, "IE": 4, "FR": 4, "ES": 4, "DE": 5,
                     "NL": 5, "IT": 5, "PL": 5, "SE": 5, "RU": 5, "ZA": 6, "NG": 6, "KE": 6, "IN": 7, "PK": 7, "AE": 7,
                     "SG": 8, "ID": 8, "VN": 8, "TH": 8, "JP": 9, "KR": 9, "CN": 9, "TW": 9, "AU": 10, "NZ": 10}
        entries = "\n".join(f"{c} 127.0.1.{i};" for c, i in countries.items())
        (self.folder / "nginx.conf").write_text(f"""
            load_module {GEOIP2};
            {servers.USER} worker_processes 1; worker_rlimit_nofile 20000; daemon off; pid {self.folder}/pid;
            error_log {self.folder}/error.log;
            events {{ worker_connections 16000; }}
            http {{
                access_log off; keepalive_timeout 300s; keepalive_requests 100000000;
                client_body_temp_path {self.folder}/t1; proxy_temp_path {self.folder}/t2;
                fastcgi_temp_path {self.folder}/t3; uwsgi_temp_path {self.folder}/t4; scgi_temp_path {self.folder}/t5;
                geoip2 {(self.options["database"] or [WORLD])[0]} {{ $country country_code; }}
                set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;
                map $country $edge {{ default 127.0.1.1; {entries} }}
                server {{
                    listen 127.0.0.1:{self.port} backlog=4096;
                    location / {{
                        add_header Cache-Control "private, max-age=10" always;
                        add_header Access-Control-Allow-Origin "*" always;
                        add_header Timing-Allow-Origin "*" always;
                        return 307 http://$edge:8088$request_uri;
                    }}
                }}
            }}""")

    def command(self):
        return ["nginx", "-p", self.folder, "-c", self.folder / "nginx.conf"]


def report(title, results):
    ours = results["pocketcdn"]
    print(f"\n### {title}\n\n| | {' | '.join(results)} |\n|---|{'---:|' * len(results)}")
    for what, key, form in (("redirects a second", "rate", "{:,.0f}"), ("CPU of the server, us each", "cpu_us", "{:.2f}"),
                            ("p99, us", "p99_us", "{:,.0f}"), ("bad answers", "bad", "{:.0f}")):
        print(f"| {what} | " + " | ".join(form.format(measure.median_of(r, key)) for r in results.values()) + " |")
    print("\n| pocketcdn against | rate | wanted | | same by CPU each |\n|---|---:|---:|---|---:|")
    for name, wanted in (("libmicrohttpd", 0.95), ("nginx+geoip2", 1.1)):
        if name in results:
            rate = measure.median_ratio(ours, results[name], "rate")
            cpu = statistics.median(b["cpu_us"] / a["cpu_us"] for a, b in zip(ours, results[name]))
            print(f"| {name} | {rate:.2f} | {wanted} | {'met' if rate >= wanted else '**missed**'} | {cpu:.2f} |")
    sys.stdout.flush()


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("build-release/bin"), help="folder of the programs")
    p.add_argument("--database", action="append", default=[], type=pathlib.Path,
                   help="another .mmdb file, with flat keys, for router and nginx (default: the embedded one)")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=int, default=2)
    o = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o755)
        subprocess.run(["cc", "-std=c17", "-D_GNU_SOURCE", "-O2", "-I", str(SOURCE), "-o", str(folder / "canned"),
                        str(HERE / "canned.c"), "-lmicrohttpd"], check=True)
        kinds = [Router, Canned] + ([Nginx] if Nginx.installed() and GEOIP2.exists() else [])
        running = []
        try:
            for kind in kinds:
                running.append(kind(folder / kind.__name__, bin=o.bin.resolve(), canned=folder / "canned",
                                    database=o.database).start())
            for title, path, script in (("one client", PATH, "plain"), ("65,536 clients", "/", "clients")):
                report(title, measure.interleave(
                    running, o.rounds, lambda s, p=path, w=script: measure.wrk(s, p, CONNECTIONS, o.seconds, w)))
        finally:
            for server in running:
                server.stop()
    if Nginx not in kinds:
        print("\nnginx with libnginx-mod-http-geoip2 is not installed: left out")
    return 0


if __name__ == "__main__":
    sys.exit(main())
