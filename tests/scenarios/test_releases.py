"""Releases: publish, rollback, gc, verify; what the origin serves of them, what the edges forget, and what a kill, a second
publisher, a full disk and a flipped bit do."""

import email.utils
import fcntl
import hashlib
import json
import os
import pathlib
import random
import resource
import signal
import subprocess
import tempfile
import time

import pytest
from cdn import BIN, Client, clean_environment, parse_address, poll, unused_port


def address():
    return f"127.0.0.1:{unused_port()}"


def hashed(name, body):
    """Django's name for the file."""
    stem, dot, ending = name.rpartition(".")
    return f"{stem}.{hashlib.md5(body).hexdigest()[:12]}{dot}{ending}"


def write(folder, files):
    for name, body in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


def site(cdn, files, name="site"):
    folder = cdn.folder(name)
    write(folder, files)
    return folder


@pytest.fixture
def memory():
    """A folder in memory, for thousands of files: how fast a busy disk makes them is not what is tested."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield pathlib.Path(folder)


def releases(cdn, store):
    done = cdn.cli("releases", "--json", "--store", store)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def served(origin):
    return origin.status()["releases"]


class World:
    """Two edges, a router and an origin of releases, as `up` starts them."""

    def __init__(self, cdn, **origin):
        self.cdn, self.state, self.store = cdn, cdn.folder("state"), cdn.folder("run") / "releases"
        config = {
            "cdn": {"simulate": "yes"},
            "origin": {"listen": address(), "admin": address(), "max_age": "1h", **origin},
            "router": {"listen": address(), "admin": address(), "dns_listen": "off"},
            "edges": [{"name": n, "place": p, "listen": address(), "admin": address(), "threads": 1}
                      for n, p in (("fra", "Frankfurt"), ("nrt", "Tokyo"))]}
        self.process = cdn.spawn("pocketcdn", "up", "-c", cdn.config(config), "--releases", self.store,
                                 "--state", self.state)
        poll(lambda: any("all " in line for line in self.process.out) or not self.process.running(), what="all nodes up")
        assert self.process.running(), self.process.dump()
        self.nodes = {n["name"]: n for n in json.loads((self.state / "up.json").read_text())["nodes"]}

    def cli(self, *args, code=0):
        done = self.cdn.cli(*args, "--state", self.state)
        assert done.returncode == code, (args, done.stdout, done.stderr)
        return done.stdout

    def ask(self, node, target, key="url", headers=()):
        with Client(parse_address(self.nodes[node][key].removeprefix("http://"))) as client:
            return client.get(target, headers, host="127.0.0.1")

    def see(self, target, node="fra"):
        """(verdict, status, body) at an edge."""
        answer = self.ask(node, target)
        return answer["X-Cache"], answer.status, answer.body

    def purges(self):
        return json.loads(self.ask("router", "/purges", "admin").body)["purges"]


def test_a_deploy_and_a_rollback_through_edges(cdn):
    world = World(cdn)
    js = {n: f"js {n}".encode() for n in (1, 2)}
    folder = site(cdn, {"index.html": b"home", "docs/index.html": b"docs 1", "app.css": b"a{}", "same.txt": b"same",
                        "gone.txt": b"gone", hashed("app.js", js[1]): js[1], "big.bin": bytes(400_000)})
    assert world.ask("origin", "/").status == 404
    assert "release 1: 7 files; 7 added" in world.cli("publish", folder, "--message", "first")
    old, new = "/" + hashed("app.js", js[1]), "/" + hashed("app.js", js[2])
    for target in ("/", "/docs/", "/app.css", "/app.css?v=1", "/same.txt", "/gone.txt", "/big.bin", old):
        for node in ("fra", "nrt"):
            assert world.see(target, node)[:2] == ("MISS", 200)
            assert world.see(target, node)[:2] == ("HIT", 200)
    write(folder, {"docs/index.html": b"docs 2", "app.css": b"b{}", "fresh.txt": b"fresh", new[1:]: js[2]})
    for name in ("gone.txt", old[1:]):
        (folder / name).unlink()
    said = world.cli("publish", folder, "--message", "second", "--wait", "--warm")
    assert "release 2: 7 files; 2 added, 2 changed, 2 removed" in said
    assert all(any(line.startswith(node) and line.endswith("purged") for line in said.splitlines()) for node in ("fra", "nrt"))
    paths = ["/app.css", "/docs/", "/docs/index.html", "/fresh.txt", "/gone.txt"]
    assert world.purges()[-1]["urls"] == ["http://*" + p for p in paths]
    for node in ("fra", "nrt"):
        assert world.see("/", node) == ("HIT", 200, b"home")
        assert world.see("/same.txt", node) == ("HIT", 200, b"same")
        assert world.see("/big.bin", node)[0] == "HIT"
        assert world.see(new, node) == ("HIT", 200, js[2]), "warmed before the switch"
        assert world.see("/docs/", node) == ("MISS", 200, b"docs 2")
        assert world.see("/app.css", node) == ("MISS", 200, b"b{}")
        assert world.see("/app.css?v=1", node) == ("MISS", 200, b"b{}")
        assert world.see("/gone.txt", node)[1] == 404
    old_at_origin = world.ask("origin", old)  # pages of the release before still want it
    assert (old_at_origin.status, old_at_origin.body) == (200, js[1])
    assert old_at_origin["Access-Control-Allow-Origin"] == "*" and "immutable" in old_at_origin["Cache-Control"]
    assert json.loads(world.cli("diff", "1", "2", "--json")) == {
        "added": sorted([new[1:], "fresh.txt"]), "changed": ["app.css", "docs/index.html"],
        "removed": sorted([old[1:], "gone.txt"])}
    modified = world.ask("origin", "/app.css")["Last-Modified"]
    assert "release 3: 7 files; 2 added, 2 changed, 2 removed; 0 B new" in world.cli("rollback", "--wait")
    assert world.see("/app.css") == ("MISS", 200, b"a{}")
    assert world.see("/gone.txt")[1:] == (200, b"gone")
    later = email.utils.parsedate_to_datetime(world.ask("origin", "/app.css")["Last-Modified"])
    assert later >= email.utils.parsedate_to_datetime(modified), "back is a change"
    assert [(r["release"], r["message"], r["current"]) for r in json.loads(world.cli("releases", "--json"))] == [
        (3, "back to release 1", True), (2, "second", False), (1, "first", False)]
    before = len(world.purges())
    assert "removed: 0 releases, 0 blobs" in world.cli("gc")
    world.cli("gc", "--keep", "1", code=2)  # less than the origin serves
    assert len(json.loads(world.cli("releases", "--json"))) == 3
    assert "release 1 has the files of release 3" in world.cli("rollback", "1")
    assert len(world.purges()) == before, "the same files: nothing to purge"
    write(folder, {"app.css": b"c{}"})
    assert "purged: nothing, as no CDN was named" in cdn.cli("publish", folder, "--store", world.store).stdout
    said = world.cli("publish", folder)  # makes up for it, as for a publisher that was killed before its purge
    assert "nothing has changed: release 4 stays" in said and "purged: 5 paths" in said
    assert world.see("/app.css")[1:] == (200, b"c{}")


def test_what_the_origin_serves_of_a_release(cdn):
    store = cdn.folder("run") / "store"
    body = random.Random(1).randbytes(300_000)
    folder = site(cdn, {"a b/é.txt": b"accents", "app.css": b"plain", "app.css.gz": b"packed", "large.bin": body})
    root = site(cdn, {"app.css": b"of the folder", "only.txt": b"fall-back"}, "root")
    origin = cdn.origin(root, releases=store)
    assert origin.get("/app.css").body == b"of the folder"
    assert cdn.cli("publish", folder, "--store", store).returncode == 0
    poll(lambda: served(origin)["serving"] == 1, what="the origin notices by itself")
    assert origin.get("/a%20b/%C3%A9.txt").body == b"accents"
    assert origin.get("/app.css").body == b"plain" and origin.get("/only.txt").body == b"fall-back"
    packed = origin.get("/app.css", [("Accept-Encoding", "gzip")])
    assert (packed.body, packed["Content-Encoding"], packed["Vary"]) == (b"packed", "gzip", "Accept-Encoding")
    large = origin.get("/large.bin")
    assert large.body == body and large["ETag"] == f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    assert origin.get("/large.bin", [("Range", "bytes=10-19")]).body == body[10:20]
    assert origin.get("/large.bin", [("If-None-Match", large["ETag"])]).status == 304
    assert origin.metric("pocketcdn_origin_sendfile_total") == 2
    assert origin.get("/a%20b").status == 301
    for target in ("/../app.css", "/releases.db", "/blobs/", "/.hidden"):
        assert origin.get(target).status in (400, 403, 404), target


def test_old_hashed_names_are_kept_for_a_while(cdn):
    store = cdn.folder("run") / "store"
    origin = cdn.origin(None, releases=store, keep_releases=1, keep_age="7d", simulate="yes")
    names = []
    for i in range(3):
        body = f"js {i}".encode()
        names.append("/" + hashed("app.js", body))
        folder = site(cdn, {"index.html": f"{i}".encode(), names[-1][1:]: body, f"only-{i}.txt": b"x"}, f"site-{i}")
        assert cdn.cli("publish", folder, "--store", store).returncode == 0
    poll(lambda: served(origin)["serving"] == 3)
    assert [origin.get(n).status for n in names] == [200, 200, 200]
    assert [origin.get(f"/only-{i}.txt").status for i in range(3)] == [404, 404, 200]
    origin.clock_advance("8d")
    poll(lambda: origin.get(names[0]).status == 404, what="too old")
    assert [origin.get(n).status for n in names[1:]] == [200, 200], "one of the last N; current"
    gc = cdn.cli("gc", "--store", store, "--keep", 0, "--keep-age", "0s")
    assert gc.returncode == 0 and "removed: 2 releases" in gc.stdout, gc
    poll(lambda: origin.get(names[1]).status == 404, what="gc is noticed")
    assert origin.get(names[2]).status == 200 and origin.get("/").body == b"2"
    assert cdn.cli("verify", "--store", store).returncode == 0


def test_five_thousand_files(cdn, memory):
    rng = random.Random(5)
    folder, store = memory / "site", memory / "store"
    write(folder, {f"d{i % 40}/f{i}.css": rng.randbytes(200 + i % 3000) for i in range(5000)})
    took = []
    for changed in (None, b"changed"):
        if changed:
            write(folder, {"d7/f7.css": changed})
        began = time.monotonic()
        done = cdn.cli("publish", folder, "--store", store)
        took.append(time.monotonic() - began)
        assert done.returncode == 0, done.stderr
    print(f"5,000 files: {took[0]:.2f} s, with one changed {took[1]:.2f} s")
    assert [(r["files"], r["new_files"]) for r in releases(cdn, store)] == [(5000, 1), (5000, 5000)]


REFUSED = [  # what is in the folder, code, what is said
    ({"app.0123456789ab.js": b"x"}, 2, "promises"),
    ({"staticfiles.json": b"{"}, 2, "staticfiles.json:1"),
    ({"staticfiles.json": b'{"paths": []}'}, 2, "not Django's manifest"),
    ({"staticfiles.json": b'{"paths": {"a.css": "a.0123.css"}}', "a.css": b""}, 2, 'is now "a.0123.css"'),
    ({"bad\\name": b""}, 2, "backslash"),
    ({}, 2, "no files"),
    ({".hidden": b""}, 2, "no files"),
]


@pytest.mark.parametrize("files, code, words", REFUSED)
def test_what_is_not_published(cdn, files, code, words):
    store = cdn.folder("run") / "store"
    done = cdn.cli("publish", site(cdn, files), "--store", store)
    assert done.returncode == code and words in done.stderr, done
    assert cdn.cli("releases", "--store", store).returncode == 1


def test_links_and_leftovers(cdn):
    store = cdn.folder("run") / "store"
    old = hashed("a.css", b"old")
    name = hashed("a.css", b"a")
    folder = site(cdn, {"a.css": b"a", name: b"a", name + ".gz": b"packed", old: b"old", "late.txt": b"",
                        "staticfiles.json": json.dumps({"paths": {"a.css": name}, "version": "1.0"}).encode()})
    (folder / "inside").symlink_to("a.css")
    write(folder, {"late.txt.gz": b"packed"})
    os.utime(folder / "late.txt.gz", (1, 1))
    done = cdn.cli("publish", folder, "--store", store)
    assert done.returncode == 0 and f"1 hashed file is in no entry of staticfiles.json, such as {old}" in done.stderr
    assert "3 files have no entry in staticfiles.json, such as inside" in done.stderr
    assert "1 compressed file is older than what it is made of, such as late.txt.gz" in done.stderr
    for target in ("/etc/passwd", "../secret"):
        (folder / "outside").symlink_to(target)
        done = cdn.cli("publish", folder, "--store", store)
        assert done.returncode == 2 and "outside: a link that leads out" in done.stderr
        (folder / "outside").unlink()
    (folder / "loop").symlink_to(".")
    assert "loop: a link to a folder that it is in" in cdn.cli("publish", folder, "--store", store).stderr
    (folder / "loop").unlink()
    assert "in this folder themselves" in cdn.cli("publish", folder, "--store", folder / "store").stderr
    assert len(releases(cdn, store)) == 1


def test_a_kill_at_any_moment_leaves_the_old_or_the_new_release(cdn, memory):
    rng = random.Random(20)
    folder, store = memory / "site", memory / "store"
    write(folder, {f"f{i}.bin": rng.randbytes(2000) for i in range(300)})
    began = time.monotonic()
    assert cdn.cli("publish", folder, "--store", store).returncode == 0
    usual = time.monotonic() - began
    origin = cdn.origin(None, releases=store)
    outcomes = set()
    for _ in range(20):
        before = releases(cdn, store)[0]["release"]
        new = {f"f{i}.bin": rng.randbytes(2000) for i in range(300)}
        write(folder, new)
        publisher = subprocess.Popen([BIN / "pocketcdn", "publish", folder, "--store", store], env=clean_environment(),
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0, usual))  # the moment, not a wait for something
        publisher.send_signal(signal.SIGKILL)
        publisher.wait()
        newest = releases(cdn, store)[0]
        assert newest["current"] and newest["release"] - before in (0, 1)
        outcomes.add(newest["release"] - before)
    done = cdn.cli("verify", "--store", store)
    assert done.returncode == 0, done.stdout
    assert cdn.cli("publish", folder, "--store", store).returncode == 0
    poll(lambda: served(origin)["serving"] == releases(cdn, store)[0]["release"])
    assert origin.get("/f7.bin").body == new["f7.bin"]
    assert not list((store / "blobs" / "tmp").iterdir()), "what was left behind is gone"
    assert 0 in outcomes, "no kill came before the switch"


def test_publishers_wait_for_each_other(cdn):
    store = cdn.folder("run") / "store"
    folders = [site(cdn, {"who.txt": f"{i}".encode()}, f"site-{i}") for i in range(3)]
    assert cdn.cli("publish", folders[0], "--store", store).returncode == 0
    with open(store / "lock", "r+", encoding="utf-8") as lock:
        lock.truncate()
        lock.write("publish by ada@laptop, process 1")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = cdn.cli("publish", folders[1], "--store", store, "--lock-timeout", "50ms")
        assert done.returncode == 3 and "is held by publish by ada@laptop, process 1" in done.stderr
        both = [cdn.cli_started("publish", folder, "--store", store) for folder in folders[1:]]
    for publisher in both:
        assert publisher.wait(60) == 0, publisher.stderr.read()
        publisher.stdout.close()
        publisher.stderr.close()
    assert [r["release"] for r in releases(cdn, store)] == [3, 2, 1]


def test_a_full_disk_leaves_the_old_release(cdn):
    store = cdn.folder("run") / "store"
    folder = site(cdn, {"a.txt": b"old"})
    assert cdn.cli("publish", folder, "--store", store).returncode == 0
    write(folder, {"a.txt": b"new", "large.bin": bytes(400_000)})

    def limit():  # a write beyond it fails, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    done = subprocess.run([BIN / "pocketcdn", "publish", folder, "--store", store], env=clean_environment(), text=True,
                          capture_output=True, preexec_fn=limit, check=False)
    assert done.returncode == 3 and "the disk is full" in done.stderr, done
    assert [r["release"] for r in releases(cdn, store)] == [1]
    assert not list((store / "blobs" / "tmp").iterdir())
    origin = cdn.origin(None, releases=store)
    assert origin.get("/a.txt").body == b"old"
    assert cdn.cli("publish", folder, "--store", store).returncode == 0


FULL = """set -e
mount -t tmpfs -o size=900k tmpfs "$1"
"$0" publish "$2" --store "$1/store"
head -c $(( $(df --output=avail -k "$1" | tail -1) * 1024 - 20000 )) /dev/zero > "$1/fill"
"$0" publish "$3" --store "$1/store" && exit 99
"$0" releases --store "$1/store"
"$0" verify --store "$1/store"
rm "$1/fill"
"$0" publish "$3" --store "$1/store"
"""


def test_a_disk_without_any_room_can_be_read(cdn):
    """Not even the index of the database's log has room."""
    if subprocess.run(["unshare", "-Urm", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no namespaces here")
    sites = [site(cdn, files, f"site-{i}") for i, files in enumerate(({"a.txt": b"old"}, {f"{i}.txt": b"%d" % i for i in range(60)}))]
    done = subprocess.run(["unshare", "-Urm", "bash", "-c", FULL, BIN / "pocketcdn", cdn.folder("small"), *sites],
                          env=clean_environment(), text=True, capture_output=True, check=False)
    assert done.returncode == 0, done
    assert "the disk is full" in done.stderr and "current" in done.stdout and "all 1 blobs" in done.stdout
    assert "release 2: 60 files" in done.stdout


def test_verify_finds_a_flipped_bit(cdn):
    store = cdn.folder("run") / "store"
    body = bytes(range(256)) * 10
    assert cdn.cli("publish", site(cdn, {"a.bin": body, "b.txt": b"b"}), "--store", store).returncode == 0
    sha = hashlib.sha256(body).hexdigest()
    blob = store / "blobs" / sha[:2] / sha[2:]
    with open(blob, "r+b") as file:
        file.seek(100)
        file.write(bytes([body[100] ^ 4]))
    done = cdn.cli("verify", "--store", store)
    assert done.returncode == 1 and f"/a.bin: its blob {sha[:2]}/{sha[2:]} has other bytes" in done.stdout
    os.unlink(blob)
    done = cdn.cli("verify", "--store", store)
    assert done.returncode == 1 and "is missing" in done.stdout
    origin = cdn.origin(None, releases=store)
    assert origin.get("/a.bin").status == 500, "never 404, which would be stored"
