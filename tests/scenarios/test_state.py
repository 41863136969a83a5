"""The state folder of `up`, as crashes, editors, other users and other programs may leave it: each command says one
clear line, ends nothing that is not its own, and never hangs or dies."""

import contextlib
import fcntl
import json
import os
import pathlib
import subprocess
import sys

import pytest
from cdn import SLOW
from test_up import Up, alive

COMMANDS = (["status"], ["status", "--json"], ["clock"], ["clock", "+1s"], ["purge", "--all"], ["why", "/a.txt"], ["get", "/a.txt"],
            ["fault", "off"])


@pytest.fixture(scope="module")
def running(shared_cdn):
    """A CDN, and what its up.json said."""
    up = Up(shared_cdn, edges=1)
    assert shared_cdn.cli("up", *up.args, "--detach").returncode == 0
    up.json = up.state / "up.json"
    up.good = up.json.read_text()
    yield up
    pids = [json.loads(up.good)["pid"], *(n["pid"] for n in json.loads(up.good)["nodes"])]
    assert all(alive(pid) for pid in pids)
    assert shared_cdn.cli("down", "--state", up.state).returncode == 0
    assert not any(alive(pid) for pid in pids)


@contextlib.contextmanager
def content(up, text):
    """up.json with other bytes, until the end of the block."""
    up.json.write_bytes(text if isinstance(text, bytes) else text.encode())
    try:
        yield
    finally:
        up.json.unlink()
        up.json.write_text(up.good)
        up.json.chmod(0o600)


def all_say(cdn, up, words, code=3):
    for command in COMMANDS:
        said = cdn.cli(*command, "--state", up.state)
        assert said.returncode == code and not said.stdout, said
        assert said.stderr.count("\n") == 1 and words in said.stderr, said
        assert said.stderr.startswith(f"pocketcdn {command[0]}: ") and str(up.state) in said.stderr, said
        assert said.stderr[:-1].isprintable(), said


DEEP = "[" * 100_000
TORN = {
    "empty": ("", "up.json: is empty"),
    "text": ("hello", "up.json:1: "),
    "half": ('{"pid": 17,\n "nodes": [', "up.json:2: "),
    "nul": (b"\0" * 4096, "up.json:1: "),
    "binary": (bytes(range(256)), "up.json:1: "),
    "not utf-8": (b'{"pid": "\xff\xfe"}', "up.json:1: "),
    "escapes": ('\x1b]0;mine\x07\x1b[2J{', "up.json:1: "),
    "deep": (DEEP, "up.json:1: "),
    "list": ("[]", "is not a JSON object"),
    "number": ("17", "up.json:1: "),
    "twice": ('{"pid": 17, "pid": 18}', "up.json:1: duplicate object key"),
    "huge number": ('{"pid": 9223372036854775808}', "up.json:1: too big integer"),
    "no keys": ("{}", "pid: is missing"),
}


@pytest.mark.parametrize("row", TORN)
def test_a_torn_file_is_said(shared_cdn, running, row):
    text, words = TORN[row]
    with content(running, text):
        all_say(shared_cdn, running, words)


def test_a_huge_file_is_not_read(shared_cdn, running):
    with content(running, b""):
        os.truncate(running.json, 100 << 20)
        all_say(shared_cdn, running, "up.json: has more than")


ESCAPE = "\x1b]0;mine\x07"
EDITED = {  # path of keys, value, words; a value of None: the key is taken away
    "text pid": (["pid"], "17", 'pid: "17" is not the number of a process'),
    "negative pid": (["pid"], -1, "pid: -1 is not the number of a process"),
    "pid 0": (["pid"], 0, "pid: 0 is not"),
    "pid 1": (["pid"], 1, "pid: 1 is not"),
    "large pid": (["pid"], 2**63 - 1, "pid: 9223372036854775807 is not"),
    "pid beyond": (["pid"], 2**32 + 17, "pid: 4294967313 is not"),
    "broken pid": (["pid"], 17.5, "pid: 17.5 is not"),
    "pid of another": (["pid"], os.getpid(), f"pid: {os.getpid()} is not the process that"),
    "no nodes": (["nodes"], None, "nodes: is missing"),
    "empty nodes": (["nodes"], [], "nodes: [] is not a list of nodes"),
    "object nodes": (["nodes"], {"0": {}}, "nodes: {"),
    "too many": (["nodes"], [{}] * 5000, "... is not a list of nodes"),
    "null node": (["nodes", 1], 0, "nodes[1]: is not a JSON object"),
    "router": (["router"], 8080, "router: 8080 is not an http"),
    "router file": (["router"], "file:///etc/passwd", 'router: "file:///etc/passwd" is not an http'),
    "router admin": (["router_admin"], [], "router_admin: [] is not an http"),
    "ready": (["ready"], "yes", 'ready: "yes" is not true or false'),
    "config": (["config"], ESCAPE, "config: "),
    "kind": (["nodes", 0, "kind"], "database", 'nodes[0]: kind: "database" is not origin, edge, router or wan'),
    "no kind": (["nodes", 0, "kind"], None, "nodes[0]: kind: is missing"),
    "escape name": (["nodes", 1, "name"], ESCAPE, "nodes[1]: name: "),
    "list name": (["nodes", 1, "name"], ["fra"], 'nodes[1]: name: ["fra"] is not a text'),
    "escape place": (["nodes", 1, "place"], ESCAPE, "nodes[1]: place: "),
    "escape url": (["nodes", 1, "url"], "http://127.0.0.1:1/" + ESCAPE, "nodes[1]: url: "),
    "smuggling admin": (["nodes", 1, "admin"], "http://127.0.0.1:1/ HTTP/1.1\r\nX: y", "nodes[1]: admin: "),
    "gopher admin": (["nodes", 1, "admin"], "gopher://127.0.0.1:1/", "nodes[1]: admin: "),
    "no admin": (["nodes", 1, "admin"], None, "nodes[1]: admin: is missing"),
    "token": (["nodes", 1, "token"], "a\r\nb: c", "nodes[1]: token: "),
    "external": (["nodes", 0, "external"], 1, "nodes[0]: external: 1 is not true or false"),
    "negative node": (["nodes", 1, "pid"], -1, "nodes[1]: pid: -1 is not a count"),
    "large node": (["nodes", 1, "pid"], 2**63 - 1, "nodes[1]: pid: 9223372036854775807 is not"),
    "node of init": (["nodes", 1, "pid"], 1, "nodes[1]: pid: 1 is not a process of this CDN"),
    "node of another": (["nodes", 1, "pid"], os.getpid(), f"nodes[1]: pid: {os.getpid()} is not a process of this CDN"),
    "restarts": (["nodes", 1, "restarts"], "many", "nodes[1]: restarts: "),
    "long value": (["nodes", 1, "pid"], "x" * 10**6, "..."),
}


@pytest.mark.parametrize("row", EDITED)
def test_an_edited_file_is_said(shared_cdn, running, row):
    path, value, words = EDITED[row]
    what = json.loads(running.good)
    at = what
    for key in path[:-1]:
        at = at[key]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    with content(running, json.dumps(what)):
        all_say(shared_cdn, running, words)


def test_other_keys_are_of_a_later_release(shared_cdn, running):
    what = json.loads(running.good) | {"colour": "blue"}
    what["nodes"][0]["shape"] = []
    with content(running, json.dumps(what)):
        assert shared_cdn.cli("status", "--state", running.state).returncode == 0


# ---------------------------------------------------------------------------------------------------- what it is


def link(path, victim):
    path.symlink_to(victim)


THINGS = {
    "link": (link, "is a symbolic link, not a plain file"),
    "dangling": (lambda path, victim: path.symlink_to(victim / "nothing"), "is a symbolic link, not a plain file"),
    "fifo": (lambda path, victim: os.mkfifo(path, 0o600), "is a FIFO, not a plain file"),
    "folder": (lambda path, victim: path.mkdir(), "is a folder, not a plain file"),
    "group": (lambda path, victim: (path.write_text("{}"), path.chmod(0o620)), "others may write to it"),
    "world": (lambda path, victim: (path.write_text("{}"), path.chmod(0o602)), "others may write to it"),
}
if os.geteuid() == 0:
    THINGS["another user"] = (lambda path, victim: (path.write_text("{}"), os.chown(path, 1, 1)), "belongs to another user (1)")


@contextlib.contextmanager
def in_place_of(path, make, victim):
    kept = path.rename(f"{path}.kept")
    make(path, victim)
    try:
        yield
    finally:
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        kept.rename(path)


@pytest.mark.parametrize("thing", THINGS)
def test_a_file_that_is_none_of_ours_is_said(shared_cdn, running, thing):
    make, words = THINGS[thing]
    victim = shared_cdn.folder("victim") / "file"
    victim.write_text(running.good)
    with in_place_of(running.json, make, victim):
        all_say(shared_cdn, running, f"up.json: {words}")
    with in_place_of(running.state / "lock", make, victim):
        for command in ([["down"], *COMMANDS]):
            said = shared_cdn.cli(*command, "--state", running.state)
            assert said.returncode == 3 and f"/lock: {words}" in said.stderr and said.stderr.count("\n") == 1, said
    assert victim.read_text() == running.good


@pytest.mark.parametrize("mode", [0o770, 0o777, 0o1777, 0o702])
def test_a_folder_that_others_may_write_to(shared_cdn, running, mode):
    running.state.chmod(mode)
    try:
        all_say(shared_cdn, running, "others may write to it; chmod go-w it")
        said = shared_cdn.cli("down", "--state", running.state)
        assert said.returncode == 3 and "others may write to it" in said.stderr, said
    finally:
        running.state.chmod(0o700)


def test_a_get_of_a_url_says_it_too(shared_cdn, running):
    """It needs no CDN: what it cannot say about the route is a warning."""
    url = json.loads(running.good)["router"] + "/a.txt"
    with content(running, "{"):
        said = shared_cdn.cli("get", url, "--state", running.state)
    assert said.returncode == 0 and "up.json:1: " in said.stderr and "cache " in said.stdout, said


# ---------------------------------------------------------------------------------------------------- the lock

HOLD = """import fcntl, sys
lock = open(sys.argv[1], "r+")
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()"""


@contextlib.contextmanager
def held(path, text):
    """A process that holds the lock while `text` stands in it."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(0o600)
    holder = subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        yield holder
        assert holder.poll() is None, "ended by somebody"
    finally:
        holder.kill()
        holder.communicate()


LOCKS = ["-5", "0", "1", "x" * 5000, "17.5", "0x11", " 17", "99999999999999999999", "9223372036854775808", "4294967313", ESCAPE,
         b"\0\0\0\0", b"\xff\xfe17"]


@pytest.mark.parametrize("text", LOCKS)
def test_a_lock_that_names_nobody(cdn, text):
    state = cdn.folder("state")
    (state / "up.json").write_text("{}")
    with held(state / "lock", text):
        for command in ([["down"], *COMMANDS]):
            said = cdn.cli(*command, "--state", state)
            assert said.returncode == 1 and "/lock: '" in said.stderr and "is not the number of a process" in said.stderr, said
            assert said.stderr.count("\n") == 1 and said.stderr[:-1].isprintable(), said


def test_a_lock_that_names_another_program(cdn):
    state = cdn.folder("state")
    victim = cdn.spawn("/bin/sleep", "600")
    with held(state / "lock", f"{victim.pid}\n"):
        said = cdn.cli("down", "--state", state)
        assert said.returncode == 1 and f"names process {victim.pid}, which does not hold it: not ended" in said.stderr, said
        assert cdn.cli("status", "--state", state).returncode == 1
    assert victim.running()


def test_an_empty_lock_is_of_a_start(cdn):
    state = cdn.folder("state")
    with held(state / "lock", ""):
        for command in ([["down"], *COMMANDS]):
            said = cdn.cli(*command, "--state", state)
            assert said.returncode == 1 and "is still starting" in said.stderr, said


# ---------------------------------------------------------------------------------------------------- a new start

LEFT = {
    "link": link,
    "fifo": lambda path, victim: os.mkfifo(path, 0o600),
    "text": lambda path, victim: path.write_bytes(b"\0\x1b hello"),
    "huge": lambda path, victim: (path.touch(), os.truncate(path, 100 << 20)),
    "world": lambda path, victim: (path.write_text("{}"), path.chmod(0o666)),
}


@pytest.mark.parametrize("name", ["up.json", "up.json.new", "cdn.yaml", "cdn.yaml.new"])
def test_a_start_replaces_what_lies_there(cdn, name):
    """Nothing is written through a link or into a pipe."""
    up = Up(cdn, edges=1)
    for make in LEFT.values():
        victim = cdn.folder("victim") / "file"
        victim.write_text("mine")
        make(up.state / name, victim)
        args = up.args if "json" in name else ["--root", up.root, "--state", up.state, "--port", "0"]
        started = cdn.cli("up", *args, "--detach")
        try:
            assert started.returncode == 0, started
            assert cdn.cli("status", "--state", up.state).returncode == 0
            assert (up.state / name.removesuffix(".new")).stat().st_mode & 0o777 == 0o600
        finally:
            assert cdn.cli("down", "--state", up.state).returncode == 0
        assert victim.read_text() == "mine"
        for left in up.state.glob(f"{name}*"):
            left.unlink()


@pytest.mark.parametrize("name", ["up.json", "up.json.new", "lock", "fra.log", "origin.log"])
def test_a_start_says_what_it_cannot_replace(cdn, name):
    up = Up(cdn, edges=1)
    (up.state / name / "full").mkdir(parents=True)
    started = cdn.cli("up", *up.args, "--detach")
    assert started.returncode == 3 and f"/{name}: is a folder, not a plain file" in started.stderr, started
    assert cdn.cli("down", "--state", up.state).returncode in (1, 3)


@pytest.mark.parametrize("name", ["lock", "fra.log", "router.log"])
@pytest.mark.parametrize("thing", ["link", "fifo"])
def test_a_start_does_not_write_through_it(cdn, name, thing):
    up = Up(cdn, edges=1)
    victim = cdn.folder("victim") / "file"
    victim.write_text("mine")
    make, words = THINGS[thing]
    make(up.state / name, victim)
    started = cdn.cli("up", *up.args, "--detach", limit=30 * SLOW)
    assert started.returncode == 3 and f"/{name}: {words}" in started.stderr, started
    assert victim.read_text() == "mine"


def test_what_a_killed_up_left_is_not_believed(cdn):
    """Its up.json names processes that have ended: a new `up` that is still starting does not show them."""
    state = cdn.folder("state")
    (state / "up.json").write_text(json.dumps({"pid": 17, "router": "http://127.0.0.1:1", "nodes": []}))
    with held(state / "lock", f"{os.getpid()}\n"):
        said = cdn.cli("status", "--state", state)
        assert said.returncode == 3 and "up.json" in said.stderr, said
    assert pathlib.Path(state / "up.json").exists()
    with open(state / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody has it any more
