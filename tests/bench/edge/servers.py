"""The programs measured, each configured in a private folder, pinned to the server's core, ended by its process id."""
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from measure import CLIENT_CORE, SERVER_CORE, cpu_ns, free_port, pss

USER = "user root;" if os.geteuid() == 0 else ""  # else workers cannot write into the private folder


class Server:
    """A program listening on `port`. Subclasses write the configuration and give the command."""

    name = ""
    program = ""
    core = str(SERVER_CORE)
    environment = {}

    def __init__(self, folder, origin_port=0, **options):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.origin_port = origin_port
        self.options = options
        self.process = None
        self.configure()

    @classmethod
    def installed(cls):
        return shutil.which(cls.program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is not None

    def configure(self):
        pass

    def command(self):
        raise NotImplementedError

    @property
    def pid(self):
        return self.process.pid

    def start(self, wait=True):
        with open(self.folder / "output.txt", "ab") as log:
            self.process = subprocess.Popen(["taskset", "-c", self.core, *map(str, self.command())], stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder,
                                            env={**os.environ, **self.environment})
        if wait:
            self.wait_ready()
        return self

    def answers(self, path):
        """Whether a GET of the path is answered 200, in full."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers={"Host": "bench.test"})
            answer = connection.getresponse()
            answer.read()
            return answer.status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def wait_ready(self, path="/u/ready/0/10", limit=30.0):
        """Seconds until the first answer."""
        begin = time.monotonic()
        while not self.answers(path):
            if time.monotonic() > begin + limit or self.process.poll() is not None:
                log = (self.folder / "output.txt").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.name} does not answer on port {self.port}:\n{log}")
            time.sleep(0.002)
        return time.monotonic() - begin

    def stop(self, how=signal.SIGTERM):
        """Seconds until the process was gone."""
        begin = time.monotonic()
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return time.monotonic() - begin

    def cpu_ns(self):
        return cpu_ns(self.pid)

    def pss(self):
        return pss(self.pid)


class StaticOrigin(Server):
    """nginx serving files, on the client's core: the origin of hits and misses."""

    name, program, core = "origin", "nginx", str(CLIENT_CORE)

    def configure(self):
        files = self.folder / "www/f"
        files.mkdir(parents=True)
        alphabet = b"abcdefghijklmnopqrstuvwxyz"
        for name, size in (("1k", 1024), ("16k", 16384), ("256k", 262144), ("4m", 4194304), ("1024", 1024),
                           ("16384", 16384), ("10", 10)):
            (files / name).write_bytes((alphabet * (size // 26 + 1))[:size])
        (self.folder / "nginx.conf").write_text(f"""
            {USER} worker_processes 1; worker_rlimit_nofile 20000; daemon off; pid {self.folder}/pid;
            error_log {self.folder}/error.log;
            events {{ worker_connections 16000; }}
            http {{
                access_log off; sendfile on; tcp_nopush on; keepalive_timeout 300s; keepalive_requests 100000000;
                open_file_cache max=1000; default_type application/octet-stream;
                client_body_temp_path {self.folder}/t1; proxy_temp_path {self.folder}/t2;
                fastcgi_temp_path {self.folder}/t3; uwsgi_temp_path {self.folder}/t4; scgi_temp_path {self.folder}/t5;
                server {{
                    listen 127.0.0.1:{self.port} backlog=4096; root {self.folder}/www;
                    add_header Cache-Control "public, max-age=31536000, immutable";
                    rewrite ^/u/[^/]+/[0-9]+/([0-9]+)$ /f/$1 break;
                }}
            }}""")

    def command(self):
        return ["nginx", "-p", self.folder, "-c", self.folder / "nginx.conf"]


class WaitingOrigin(Server):
    """Waits, drips and counts (waiting_origin.c)."""

    name, core = "waiting origin", str(CLIENT_CORE)

    def command(self):
        return [self.options["tools"].path("waiting_origin"), self.port]

    def count(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as s:
            s.sendall(b"GET /count HTTP/1.1\r\n\r\n")
            data = b""
            while not data.partition(b"\r\n\r\n")[2]:
                data += s.recv(4096)
            return int(data.partition(b"\r\n\r\n")[2])


class Canned(Server):
    """libmicrohttpd alone: the ceiling."""

    name = "mhd"

    def command(self):
        return [self.options["tools"].path("canned"), self.port, self.options.get("pool", 32768)]

    def wait_ready(self, path="/f/1k", limit=30.0):
        return super().wait_ready(path, limit)


class CannedSmallPool(Canned):
    """The same with the edge's 16 KiB for each connection."""

    name = "mhd-16k"

    def command(self):
        return [self.options["tools"].path("canned"), self.port, 16384]


class Edge(Server):
    name, program = "edge", "pocketcdn-edge"

    def configure(self):
        self.admin_port = free_port()

    def command(self):
        o = self.options
        return [o["bin"] / self.program, "--name", "bench", "--listen", f"127.0.0.1:{self.port}", "--admin",
                f"127.0.0.1:{self.admin_port}", "--origin", f"http://127.0.0.1:{self.origin_port}", "--threads",
                o.get("threads", 1), "--cache-dir", self.folder / "cache", "--memory", o.get("memory", "1GiB"), "--disk",
                "20GiB", "--memory-object", "8MiB" if o.get("all_in_memory") else "1MiB", "--keepalive", "300s",
                "--log-level", "warn"]


class SitesEdge(Edge):
    """An edge with `sites:`; the load's host is one of them, and what it asks for matches the last of its rules."""
    name, sites, rules = "one site", 1, 1

    def configure(self):
        super().configure()
        origin = f"http://127.0.0.1:{self.origin_port}"
        hosts = ["bench.test" if i == self.sites // 2 else f"s{i}.test" for i in range(self.sites)]
        rules = [*({"path": f"/p{i}/", "key_query": "none"} for i in range(self.rules - 1)), {"path": "/"}]
        self.file = self.folder / "cdn.yaml"
        self.file.write_text(json.dumps({"sites": {h: {"hosts": [h], "origins": [origin], "rules": rules} for h in hosts}}))

    def command(self):
        given = super().command()
        at = given.index("--origin")
        return [*given[:at], "-c", self.file, *given[at + 2:]]


class ManySitesEdge(SitesEdge):
    name, sites, rules = "1000 sites", 1000, 20


def other_build(folder):
    """An edge of the programs in that folder, as a peer."""

    class Beside(Edge):
        name = "beside"

        def command(self):
            return [folder / self.program, *super().command()[1:]]

    return Beside


class Nginx(Server):
    name, program = "nginx", "nginx"

    def configure(self):
        (self.folder / "nginx.conf").write_text(f"""
            {USER} worker_processes 1; worker_rlimit_nofile 20000; daemon off; pid {self.folder}/pid;
            error_log {self.folder}/error.log;
            events {{ worker_connections 16000; }}
            http {{
                access_log off; sendfile on; tcp_nopush on; keepalive_timeout 300s; keepalive_requests 100000000;
                open_file_cache max=12000 inactive=300s; open_file_cache_valid 300s;
                client_body_temp_path {self.folder}/t1; proxy_temp_path {self.folder}/t2;
                fastcgi_temp_path {self.folder}/t3; uwsgi_temp_path {self.folder}/t4; scgi_temp_path {self.folder}/t5;
                proxy_cache_path {self.folder}/cache levels=1:2 keys_zone=z:64m max_size=20g inactive=1d use_temp_path=off;
                upstream o {{ server 127.0.0.1:{self.origin_port}; keepalive 64; keepalive_requests 100000000; }}
                server {{
                    listen 127.0.0.1:{self.port} backlog=4096;
                    location / {{
                        proxy_pass http://o; proxy_http_version 1.1; proxy_set_header Connection "";
                        proxy_cache z; proxy_cache_lock on; proxy_cache_lock_timeout 60s; proxy_cache_lock_age 60s;
                    }}
                }}
            }}""")

    def command(self):
        return ["nginx", "-p", self.folder, "-c", self.folder / "nginx.conf"]


class Varnish(Server):
    name, program = "varnish", "varnishd"

    def command(self):
        quiet = ",".join("-" + tag for tag in (
            "Begin", "End", "Link", "Timestamp", "SessOpen", "SessClose", "ReqStart", "ReqMethod", "ReqURL",
            "ReqProtocol", "ReqHeader", "ReqUnset", "ReqAcct", "RespProtocol", "RespStatus", "RespReason", "RespHeader",
            "RespUnset", "VCL_call", "VCL_return", "VCL_use", "Hit", "HitMiss", "BereqMethod", "BereqURL",
            "BereqProtocol", "BereqHeader", "BereqUnset", "BerespProtocol", "BerespStatus", "BerespReason",
            "BerespHeader", "BerespUnset", "Storage", "TTL", "Length", "Fetch_Body", "BackendOpen", "BackendClose",
            "BackendReuse", "Filters", "BereqAcct"))
        return ["varnishd", "-F", "-n", self.folder / "run", "-a", f"127.0.0.1:{self.port}", "-b",
                f"127.0.0.1:{self.origin_port}", "-s", "malloc,4G", "-p", "thread_pools=1", "-p", "thread_pool_min=300",
                "-p", "thread_pool_max=5000", "-p", "timeout_idle=300", "-p", "listen_depth=4096", "-p", "default_grace=0",
                "-p", f"vsl_mask={quiet}", "-T", f"127.0.0.1:{free_port()}"]


class TrafficServer(Server):
    name, program = "ats", "traffic_server"

    def configure(self):
        for name in ("etc", "run", "log", "cache"):
            (self.folder / name).mkdir(exist_ok=True)
        etc = self.folder / "etc"
        settings = f"""
            http.server_ports STRING {self.port}:ip-in=127.0.0.1
            admin.user_id STRING #-1
            exec_thread.autoconfig INT 0
            exec_thread.limit INT 1
            exec_thread.affinity INT 4
            accept_threads INT 0
            task_threads INT 1
            cache.threads_per_disk INT 4
            cache.ram_cache.size INT 2147483648
            cache.ram_cache_cutoff INT 8388608
            cache.ram_cache.use_seen_filter INT 0
            cache.enable_read_while_writer INT 1
            cache.max_doc_size INT 0
            http.background_fill_active_timeout INT 0
            http.background_fill_completed_threshold FLOAT 0.0
            http.cache.open_read_retry_time INT 10
            http.cache.max_open_read_retries INT 100
            http.cache.required_headers INT 0
            http.keep_alive_no_activity_timeout_in INT 300
            http.wait_for_cache INT 2
            net.connections_throttle INT 20000
            net.listen_backlog INT 4096
            log.logging_enabled INT 0
            url_remap.remap_required INT 1
            reverse_proxy.enabled INT 1
            diags.debug.enabled INT 0
            output.logfile STRING traffic.out"""
        (etc / "records.config").write_text(
            "".join(f"CONFIG proxy.config.{line.strip()}\n" for line in settings.strip().split("\n")))
        (etc / "remap.config").write_text(f"map / http://127.0.0.1:{self.origin_port}/\n")
        (etc / "storage.config").write_text(f"{self.folder}/cache 4G\n")
        (etc / "ip_allow.yaml").write_text(
            "ip_allow:\n  - apply: in\n    ip_addrs: 127.0.0.0/8\n    action: allow\n    methods: ALL\n")
        folders = {"prefix": "/usr", "exec_prefix": "/usr", "bindir": "/usr/bin", "sbindir": "/usr/sbin",
                   "sysconfdir": etc, "datadir": self.folder, "includedir": "/usr/include", "libdir": "/usr/lib",
                   "libexecdir": "/usr/lib", "localstatedir": self.folder, "runtimedir": self.folder / "run",
                   "logdir": self.folder / "log", "mandir": "/usr/share/man", "infodir": "/usr/share/info",
                   "cachedir": self.folder / "cache"}
        (self.folder / "runroot.yaml").write_text("".join(f"{k}: {v}\n" for k, v in folders.items()))

    def command(self):
        return ["traffic_server", f"--run-root={self.folder / 'runroot.yaml'}"]


PEERS = (Nginx, Varnish, TrafficServer)
