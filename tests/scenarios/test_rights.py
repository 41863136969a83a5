"""Who may do what: whose word about the client is believed, what a web page can reach, what a stranger's bytes can do."""

import fcntl
import json
import os
import subprocess

import pytest
from cdn import BIN, Client, Reply, poll

FRESH = ("Cache-Control", "max-age=3600")
PROXY = "127.0.0.20"


# ---------------------------------------------------------------------------------------------------- forwarded


@pytest.fixture(scope="module")
def proxied(shared_cdn):
    """Edges that trust one proxy, one for each client_field; that proxy itself may purge."""
    origin = shared_cdn.fake_origin()
    origin.default = Reply(body=b"x", headers=[FRESH])
    edges = {field: shared_cdn.edge(origin, name=f"edge-{field}", client_field=field, trusted_proxies=[PROXY, "127.0.0.21"],
                                    purge_allow=[PROXY, "198.51.100.1"], threads=1)
             for field in ("x-forwarded-for", "forwarded", "none")}
    return origin, edges


PURGE_ROWS = [
    # field, headers, allowed
    ("x-forwarded-for", [], True),  # the proxy for itself
    ("x-forwarded-for", [("X-Forwarded-For", "198.51.100.1")], True),
    ("x-forwarded-for", [("X-Forwarded-For", "198.51.100.2")], False),
    ("x-forwarded-for", [("X-Forwarded-For", "198.51.100.1, 198.51.100.2")], False),
    ("x-forwarded-for", [("X-Forwarded-For", "198.51.100.2"), ("X-Forwarded-For", "198.51.100.1")], True),
    ("x-forwarded-for", [("X-Forwarded-For", "198.51.100.2"), ("Forwarded", "for=198.51.100.1")], False),
    ("x-forwarded-for", [("X-Forwarded-For", "198.51.100.2"), ("Forwarded", f"for={PROXY}")], False),
    ("x-forwarded-for", [("X-Forwarded-For", "198.51.100.2"), ("Forwarded", "rubbish")], False),
    ("x-forwarded-for", [("X-Forwarded-For", "198.51.100.2"), ("Forwarded", 'for="')], False),
    ("x-forwarded-for", [("Forwarded", f"for={PROXY}")], False),  # it speaks for somebody in the other field
    ("forwarded", [], True),
    ("forwarded", [("Forwarded", "for=198.51.100.1")], True),
    ("forwarded", [("Forwarded", 'For="198.51.100.1:4711"')], True),
    ("forwarded", [("Forwarded", "for=198.51.100.2"), ("X-Forwarded-For", "198.51.100.1")], False),
    ("forwarded", [("Forwarded", "for=198.51.100.1, for=198.51.100.2")], False),
    ("forwarded", [("X-Forwarded-For", "198.51.100.1")], False),
    *[("x-forwarded-for", [("X-Forwarded-For", bad)], False)
      for bad in ("", ",", "unknown", "_hidden", "x", "198.51.100.1:", "[198.51.100.1]", "[::1", f"{PROXY}x", f"198.51.100.1, x, {PROXY}")],
    *[("forwarded", [("Forwarded", bad)], False)
      for bad in ("", "for=", "for=unknown", "for=_x", "x", "for=198.51.100.1;for=198.51.100.1", "proto=http",
                  f"for=x, for={PROXY}", 'for="198.51.100.1')],
    ("x-forwarded-for", [("X-Forwarded-For", ", ".join([PROXY] * 500))], False),  # more than the limit of hops
    ("none", [("X-Forwarded-For", "198.51.100.2"), ("Forwarded", "for=198.51.100.2")], False),
]


@pytest.mark.parametrize("field, headers, allowed", PURGE_ROWS)
def test_who_may_purge_through_a_proxy(proxied, field, headers, allowed):
    edge = proxied[1][field]
    answer = edge.request("PURGE", "/a", headers, source=PROXY)
    assert answer.status == (200 if allowed else 403), (headers, answer)
    assert edge.request("PURGE", "/a", headers, source="127.0.0.30").status == 403  # nobody's proxy


def test_a_token_purges_whoever_asks(cdn):
    origin = cdn.fake_origin()
    edge = cdn.edge(origin, purge_token="secret", trusted_proxies=PROXY, purge_allow="198.51.100.1")
    hidden = ("X-Forwarded-For", "_hidden")
    assert edge.request("PURGE", "/a", [hidden, ("Authorization", "Bearer secret")], source=PROXY).status == 200
    assert edge.request("PURGE", "/a", [hidden], source=PROXY).status == 403


@pytest.mark.parametrize("field, headers, sent", [
    ("x-forwarded-for", [("X-Forwarded-For", "6.6.6.6, 198.51.100.2"), ("Forwarded", "for=6.6.6.6;host=evil.example;proto=http"),
                         ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "shop.example")],
     {"X-Forwarded-For": f"198.51.100.2, {PROXY}", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example",
      "Forwarded": f"for=198.51.100.2;host=shop.example;proto=https, for={PROXY};proto=http"}),
    ("forwarded", [("Forwarded", "for=198.51.100.2;host=shop.example;proto=https"), ("X-Forwarded-For", "6.6.6.6"),
                   ("X-Forwarded-Proto", "http"), ("X-Forwarded-Host", "evil.example")],
     {"X-Forwarded-For": f"198.51.100.2, {PROXY}", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example",
      "Forwarded": f"for=198.51.100.2;host=shop.example;proto=https, for={PROXY};proto=http"}),
    ("x-forwarded-for", [("X-Forwarded-For", "_hidden"), ("X-Forwarded-Proto", "gopher")],
     {"X-Forwarded-For": f"unknown, {PROXY}", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "test.example"}),
    ("none", [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.example"),
              ("Forwarded", "for=6.6.6.6")],
     {"X-Forwarded-For": PROXY, "X-Forwarded-Proto": "http", "X-Forwarded-Host": "test.example",
      "Forwarded": f"for={PROXY};host=test.example;proto=http"}),
])
def test_the_origin_gets_one_story(proxied, field, headers, sent):
    origin, edges = proxied
    origin.forget()
    edges[field].get("/story", [*headers, ("Cache-Control", "no-cache")], source=PROXY)
    request = origin.last("/story")
    assert {name: request.header(name) for name in sent} == sent


def test_the_access_log_names_the_client_or_nobody(cdn):
    origin, path = cdn.fake_origin(), cdn.folder("logs") / "access.log"
    origin.default = Reply(body=b"x", headers=[FRESH])
    edge = cdn.edge(origin, trusted_proxies=PROXY, access_log=path, threads=1)
    for value in ("198.51.100.77", "_hidden"):
        edge.get("/a", [("X-Forwarded-For", value)], source=PROXY)
    lines = poll(lambda: path.exists() and len(path.read_text().splitlines()) == 2 and path.read_text().splitlines())
    assert [json.loads(line)["client"] for line in lines] == ["198.51.100.77", "-"]


def test_a_reload_changes_whom_the_edge_believes(cdn):
    origin = cdn.fake_origin()
    origin.default = Reply(body=b"x", headers=[FRESH])
    folder = cdn.folder("etc")
    config = folder / "cdn.yaml"

    def write(field, proxies):
        config.write_text(f'cdn:\n  trusted_proxies: ["{proxies}"]\n  client_field: {field}\nedge:\n  purge_allow: ["198.51.100.1"]\n')

    write("x-forwarded-for", PROXY)
    edge = cdn.edge(origin, "-c", config)
    say = [("Forwarded", "for=198.51.100.1"), ("X-Forwarded-For", "198.51.100.2")]
    assert edge.request("PURGE", "/a", say, source=PROXY).status == 403
    write("forwarded", PROXY)
    edge.reload()
    assert edge.request("PURGE", "/a", say, source=PROXY).status == 200
    write("forwarded", "127.0.0.99")
    edge.reload()
    assert edge.request("PURGE", "/a", say, source=PROXY).status == 403
    config.write_text("cdn:\n  client_field: via\n")
    answer = edge.admin_request("POST", "/reload", None)
    assert answer.status == 400 and "client_field" in answer.text and "via" in answer.text


# ---------------------------------------------------------------------------------------------------- web pages

CROSS = [[("Sec-Fetch-Site", "cross-site")], [("Sec-Fetch-Site", "same-site")], [("Origin", "http://evil.example")], [("Origin", "null")]]
EDGE_FLAG = "name=fra,place=Frankfurt,url=http://127.0.0.1:1"


def daemons(cdn):
    """Every daemon, and the verbs of its own."""
    common = [("GET", "/health"), ("GET", "/metrics"), ("GET", "/status"), ("GET", "/clock"), ("POST", "/clock"),
              ("POST", "/reload"), ("POST", "/faults"), ("OPTIONS", "/clock"), ("GET", "/nothing")]
    yield cdn.router(state="none", simulate=True, edge=EDGE_FLAG), [
        *common, ("GET", "/edges"), ("POST", "/edges/fra"), ("GET", "/route?ip=192.0.2.1"), ("POST", "/purge"),
        ("GET", "/purges?after=0&edge=fra"), ("GET", "/purges/1")]
    yield cdn.edge(cdn.fake_origin(), simulate=True), [*common, ("POST", "/purge"), ("GET", "/objects"), ("GET", "/why?url=/")]
    yield cdn.origin(cdn.folder("root"), simulate=True), common


def test_no_verb_answers_a_page_of_another_host(cdn):
    for daemon, verbs in daemons(cdn):
        offset = daemon.admin_get("/clock")["offset_ms"]
        for method, path in verbs:
            body = {"advance": "1d"} if method == "POST" else None
            for headers in CROSS:
                answer = daemon.admin_request(method, path, body, headers)
                assert answer.status == 403 and "Access-Control-Allow-Origin" not in answer, (method, path, headers, answer)
            rebound = daemon.admin_request(method, path, body, [("Host", "evil.example")])
            assert rebound.status == 403, (method, path, rebound)
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            with Client(daemon.admin) as client:
                answer = client.request("POST", "/clock", [("Content-Type", kind)], b'{"advance":"1d"}', host="localhost")
                assert answer.status == 415, answer
        assert daemon.admin_get("/clock")["offset_ms"] == offset
        for headers in ([("Sec-Fetch-Site", "none")], [("Sec-Fetch-Site", "same-origin"), ("Origin", daemon.admin_url)]):
            assert daemon.admin_request("GET", "/status", None, headers).status == 200


def test_a_page_acknowledges_nothing(cdn):
    router = cdn.router(state="none", edge=[EDGE_FLAG, "name=nrt,place=Tokyo,url=http://127.0.0.1:2"])
    number = router.admin_post("/purge", {"all": True})["id"]
    path = f"/purges?after={number}&edge="

    def acknowledged():
        return [e["edge"] for e in router.admin_get(f"/purges/{number}")["edges"] if e["acknowledged"]]

    for edge, headers in (("fra", []), ("fra", [("Pocketcdn-Edge", "nrt")]), ("fra", [("Pocketcdn-Edge", "")]),
                          ("fra", [("Pocketcdn-Edge", "fra"), ("Pocketcdn-Edge", "nrt")]),
                          ("invented", [("Pocketcdn-Edge", "invented")]), ("", [("Pocketcdn-Edge", "")]),
                          ("fra", [("Pocketcdn-Edge", "fra"), ("Sec-Fetch-Site", "cross-site")])):
        assert router.admin_request("GET", path + edge, None, headers).status == 403, (edge, headers)
    assert acknowledged() == [] and list(router.status()["purges"]["edges"]) == []
    assert router.admin_request("GET", path + "fra", None, [("Pocketcdn-Edge", "fra")]).status == 200
    assert acknowledged() == ["fra"]


def test_an_edge_that_is_not_configured_needs_the_token(cdn):
    origin = cdn.fake_origin()
    router = cdn.router(state="none", admin_token="secret", edge=EDGE_FLAG)
    router.token = "secret"
    edge = cdn.edge(origin, name="guest", control=router.admin_url, admin_token="secret")
    edge.token = "secret"
    poll(lambda: edge.status()["sync"]["synced"], what="synced")
    stranger = cdn.edge(origin, name="stranger", control=router.admin_url)
    poll(lambda: stranger.status()["sync"]["error"], what="refused")
    assert "401" in stranger.status()["sync"]["error"]
    bare = cdn.router(state="none", edge=EDGE_FLAG)
    other = cdn.edge(origin, name="other", control=bare.admin_url)
    error = poll(lambda: other.status()["sync"]["error"], what="refused")
    assert "403" in error and "'other' is no edge of the configuration" in error


def test_a_page_cannot_send_purge(cdn):
    edge = cdn.edge(cdn.fake_origin(), purge_token="secret")
    assert edge.request("PURGE", "/a").status == 200
    for headers in (*CROSS, [("Origin", edge.url)], [("Sec-Fetch-Site", "same-origin")]):
        assert edge.request("PURGE", "/a", headers).status == 403, headers
        assert edge.request("PURGE", "/a", [*headers, ("Authorization", "Bearer secret")]).status == 200


def test_many_long_polls_leave_the_admin_listener_alive(cdn):
    """An edge has one poll, nobody has a few: the oldest is answered, so that 500 end by themselves."""
    router = cdn.router(state="none", edge=EDGE_FLAG)
    clients = []
    for i in range(500):
        client = Client(router.admin)
        edge = i % 2
        client.send_request("GET", "/purges?after=0&wait=60s" + "&edge=fra" * edge, [("Pocketcdn-Edge", "fra")] * edge, host="localhost")
        clients.append(client)
    poll(lambda: router.metric("purge_waiting") == 65, what="64 of nobody's and the edge's")
    assert router.admin_request("GET", "/health").status == 200
    assert clients[0].response().json()["purges"] == [] and clients[1].response().json()["purges"] == []
    router.admin_post("/purge", {"all": True})
    assert len(clients[-1].response().json()["purges"]) == 1
    for client in clients:
        client.close()


# ---------------------------------------------------------------------------------------------------- the state folder


def test_a_state_folder_of_others_is_refused(cdn):
    folder = cdn.folder("state")
    link = cdn.folder("links") / "state"
    link.symlink_to(folder)
    for path, mode, words in ((folder, 0o777, "others may write"), (folder, 0o1777, "others may write"),
                              (folder, 0o770, "others may write"), (link, 0o700, "a symbolic link")):
        folder.chmod(mode)
        up = cdn.cli("up", "--detach", "--state", path, "--root", cdn.folder("root"))
        assert up.returncode == (2 if words == "a symbolic link" else 3) and words in up.stderr, up
        assert not list(folder.iterdir())


def test_down_ends_nobody_else(cdn):
    """The lock is held by one process and names another: that one lives."""
    folder = cdn.folder("state")
    folder.chmod(0o700)
    victim = subprocess.Popen(["/bin/sleep", "600"])
    try:
        with open(folder / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for text in (str(victim.pid), "1", "-1", "0", "4294967297", "x" * 5000):
                lock.seek(0)
                lock.truncate()
                lock.write(text + "\n")
                lock.flush()
                down = cdn.cli("down", "--state", folder)
                assert down.returncode == 1, down
                assert victim.poll() is None
    finally:
        victim.kill()
        victim.wait()


# ---------------------------------------------------------------------------------------------------- the terminal


@pytest.mark.parametrize("bad", ["\x1b[2J", "\x9b2J", "\x7f", "\u202e", "a\rb"])
def test_nothing_foreign_reaches_the_terminal_raw(cdn, bad):
    for command in ([bad], ["down", bad], ["down", "--state", f"/nowhere/{bad}"], ["get", f"http://127.0.0.1:1/{bad}"], ["geo", bad]):
        done = cdn.cli(*command)
        assert bad not in done.stdout + done.stderr, (command, done)


EVIL = b"\x1b[31mX\x9b2J\xc2\x9b\x7f\xe2\x80\xae"


def raw_parts(text):
    """What of EVIL is in an output as it was."""
    return [part for part in (b"\x1b", b"\x7f", b"\xc2\x9b", b"\xe2\x80\xae", b"\x9b2J") if part in text]


@pytest.mark.parametrize("args", [
    ("--log",), ("-",), ("--annotate",), ("--annotate", "--format", "%{country}"), ("--log", "--summary"),
    ("--log", "--format", b"%{country} " + EVIL), ("--log", "--client", "first", "--csv", "ip,city,edge"),
    ("--log", "--raw", EVIL), ("--explain-log", "-"), ("--log", "--json"), ("--log", "--why")])
def test_foreign_log_lines_do_nothing_to_a_terminal(args):
    lines = b'1.1.1.1 - - "GET /' + EVIL + b' HTTP/1.1"\n' + EVIL + b'\n{"ip":"1.1.1.1","x":"' + EVIL + b'"}\n'
    done = subprocess.run([BIN / "pocketcdn", "geo", *args], input=lines, capture_output=True, timeout=60)
    assert done.stdout + done.stderr and not raw_parts(done.stdout + done.stderr), done


@pytest.mark.parametrize("program,args", [
    ("pocketcdn-edge", ("--name", EVIL)), ("pocketcdn-edge", ("-c", EVIL)), ("pocketcdn-edge", (b"--" + EVIL,)),
    ("pocketcdn-edge", (EVIL,)), ("pocketcdn-router", ("--listen", EVIL)), ("pocketcdn-origin", ("--root", EVIL)),
    ("pocketcdn-edge", ("--origin", b"http://" + EVIL, "--print-config")),
    ("pocketcdn", ("up", "-c", EVIL)), ("pocketcdn", ("why", EVIL)), ("pocketcdn", ("purge", EVIL)),
    ("pocketcdn", ("fault", EVIL)), ("pocketcdn", ("clock", EVIL)), ("pocketcdn", ("rtt", EVIL, "Tokyo")),
    ("pocketcdn", ("geo", "--db", EVIL)), ("pocketcdn", ("route", EVIL)), ("pocketcdn", (EVIL,)),
    ("pocketcdn", ("completion", EVIL)), ("pocketcdn", ("status", "--state", EVIL))])
def test_foreign_arguments_do_nothing_to_a_terminal(program, args):
    done = subprocess.run([BIN / program, *args], capture_output=True, timeout=60)
    assert done.stdout + done.stderr and not raw_parts(done.stdout + done.stderr), done


@pytest.mark.parametrize("program", ["pocketcdn-edge", "pocketcdn-router", "pocketcdn-origin"])
@pytest.mark.parametrize("text", [
    'cdn: {"a\\e[2J\\u009b\\u202e": 1}', 'edge: {"name\\e\\x9b": 1}', 'cdn: {log_level: "\\e[2J\\x9b\\u202e"}',
    'edges: [{name: "\\e[2J\\x9b", place: "\\e\\u202e"}]', "cdn: {log_level: 'a\x1b[2J'}"])
def test_foreign_configuration_does_nothing_to_a_terminal(program, text, tmp_path):
    path = tmp_path / os.fsdecode(b"c" + EVIL)
    path.write_text(text)
    done = subprocess.run([BIN / program, "-c", path, "--print-config"], capture_output=True, timeout=60)
    assert done.stdout + done.stderr and not raw_parts(done.stdout + done.stderr), done
