"""Requests of our own through a proxy: origin_proxy and control_proxy at an edge, probe_proxy at the router (docs/proxies.md)."""
import json

import pytest
from cdn import Reply, poll, unused_port
from socks import Proxy
from test_edge_upgrade import ASK, Origin, read_text, text_frame
from tls import Pair

SECRET = "s3cr%40t"  # "s3cr@t"


@pytest.fixture
def origin(cdn):
    origin = cdn.fake_origin()
    for target in ("/a", "/b", "/c"):
        origin.on(target, Reply(body=b"hello", headers=[("Cache-Control", "max-age=60")]))
    return origin


@pytest.fixture
def proxy(cdn):
    return cdn.keep(Proxy())


@pytest.mark.parametrize("scheme", ["socks5h", "socks5", "http"])
def test_the_origin_is_reached_through_it_alone(cdn, origin, proxy, scheme):
    edge = cdn.edge(origin, origin_proxy=proxy.url(scheme=scheme), threads=1)
    for target, verdict in (("/a", "MISS"), ("/a", "HIT"), ("/b", "MISS"), ("/c", "MISS")):
        answer = edge.get(target)
        assert (answer.status, answer.body, answer["X-Cache"]) == (200, b"hello", verdict)
        assert "X-Of-The-Proxy" not in answer
    host, port = origin.url.removeprefix("http://").split(":")
    assert [asked[:2] for asked in proxy.asked] == [(host, int(port))]  # one connection for all of them
    assert {r.connection for r in origin.seen()} == {origin.last().connection}


def test_names_are_the_proxys_to_resolve(cdn, origin, proxy):
    proxy.to = tuple(origin.url.removeprefix("http://").split(":"))
    edge = cdn.edge("http://origin.cdn.invalid:81/base", origin_proxy=proxy.url(), threads=1)
    origin.on("/base/a", Reply(body=b"there"))
    assert edge.get("/a").body == b"there" and proxy.asked == [("origin.cdn.invalid", 81, None, None)]
    other = cdn.edge("http://origin.cdn.invalid:81", name="nrt", origin_proxy=proxy.url(scheme="socks5"), origin_retry=0)
    assert other.get("/a").status == 502 and len(proxy.asked) == 1
    assert other.wait_log("origin_failed")["error"] == "dns_error"


@pytest.mark.parametrize("scheme", ["socks5h", "http"])
def test_https_goes_through_it(cdn, proxy, scheme):
    pair = Pair(cdn.folder())
    origin = cdn.fake_origin(tls=pair.server())
    origin.on("/a", Reply(body=b"secret"))
    edge = cdn.edge(origin, origin_proxy=proxy.url(scheme=scheme), origin_ca=pair.certificate, threads=1)
    assert [edge.get("/a").body for _ in range(3)] == [b"secret"] * 3 and len(proxy.asked) == 1


@pytest.mark.parametrize("scheme", ["socks5h", "http"])
def test_who_one_is(cdn, origin, proxy, scheme):
    proxy.users = {"Tokyo, JP": "s3cr@t"}
    edge = cdn.edge(origin, origin_proxy=proxy.url(f"Tokyo%2C%20JP:{SECRET}", scheme), threads=1)
    assert edge.get("/a").status == 200
    user = proxy.asked[0][2:]
    assert user == (("Tokyo, JP", "s3cr@t") if scheme == "socks5h" else ("CONNECT", "Basic VG9reW8sIEpQOnMzY3JAdA=="))
    assert edge.status()["origin_proxy"] == f"{scheme}://***@{proxy.host_port}"
    plain = edge.dump()[len(" ".join(map(str, edge.argv))):] + json.dumps(edge.status())  # the flags are the test's own
    assert "s3cr" not in plain.partition("\n")[2]


def test_a_user_without_a_password(cdn, origin, proxy):
    proxy.users = {"fra": ""}
    edge = cdn.edge(origin, origin_proxy=proxy.url("fra"), threads=1)
    assert edge.get("/a").status == 200 and proxy.asked[0][2:] == ("fra", "")


REFUSALS = [  # scheme, what the proxy answers, the error's word
    ("socks5h", {"reply": 1}, "destination_unavailable"),
    ("socks5h", {"reply": 2}, "proxy_refused"),
    ("socks5h", {"reply": 3}, "destination_ip_unroutable"),
    ("socks5h", {"reply": 4}, "destination_ip_unroutable"),
    ("socks5h", {"reply": 5}, "connection_refused"),
    ("socks5h", {"reply": 6}, "connection_timeout"),
    ("socks5h", {"reply": 99}, "proxy_protocol_error"),
    ("socks5h", {"users": {}}, "proxy_refused"),
    ("socks5h", {"say": b"HTTP/1.1 400 What\r\n\r\n"}, "proxy_protocol_error"),
    ("socks5h", {"say": b""}, "proxy_protocol_error"),
    ("socks5h", {"silent": True}, "connection_timeout"),
    ("http", {"reply": 403}, "proxy_refused"),
    ("http", {"reply": 407}, "proxy_refused"),
    ("http", {"reply": 503}, "destination_unavailable"),
    ("http", {"say": b""}, "proxy_protocol_error"),
    ("http", {"say": b"SSH-2.0-x\r\n\r\n"}, "proxy_protocol_error"),
]


@pytest.mark.parametrize("scheme,how,word", REFUSALS)
def test_what_goes_wrong_has_a_name(cdn, origin, proxy, scheme, how, word):
    for name, value in how.items():
        setattr(proxy, name, value)
    edge = cdn.edge(origin, origin_proxy=proxy.url("u:" + SECRET, scheme), origin_retry=0, threads=1,
                    connect_timeout="300ms" if "silent" in how else "60s")
    answer = edge.get("/a")
    assert answer.status == (504 if word == "connection_timeout" else 502) and word in answer.text, answer
    line = edge.wait_log("origin_failed")
    assert line["error"] == word and f"through the proxy {scheme}://{proxy.host_port}: " in line["detail"], line
    assert "s3cr" not in line["detail"] and not origin.count()


def test_unreachable_and_back(cdn, origin):
    port = unused_port()
    edge = cdn.edge(origin, origin_proxy=f"socks5h://127.0.0.1:{port}", origin_retry=0, threads=1)
    answer = edge.get("/a")
    assert answer.status == 502 and "proxy_unreachable" in answer.text
    assert edge.wait_log("origin_failed")["error"] == "proxy_unreachable"
    assert edge.status()["origin_failures"] == 1


def test_stale_answers_while_it_is_away(cdn, origin, proxy):
    edge = cdn.edge(origin, origin_proxy=proxy.url(), origin_retry=0, threads=1, simulate=True)
    assert edge.get("/a").status == 200
    edge.clock_advance("61s")
    proxy.stop()
    assert edge.get("/a")["X-Cache"] == "STALE"


def test_connections_are_watched_as_without(cdn, origin, proxy):
    """The proxy closes an idle one: the next request goes over a new one, and nobody sees an error."""
    edge = cdn.edge(origin, origin_proxy=proxy.url(), threads=1)
    for n, target in enumerate(("/a", "/b", "/c"), 1):
        assert edge.get(target).status == 200 and len(proxy.asked) == n
        proxy.drop()
        poll(lambda: edge.open_files() < 100)


@pytest.mark.parametrize("scheme", ["socks5h", "http"])
def test_websocket_goes_through_it(cdn, proxy, scheme):
    def echo(peer):
        peer.switch()
        while text := peer.read_text():
            peer.send_text(text[::-1])

    origin = Origin(echo)
    edge = cdn.edge(origin.url, origin_proxy=proxy.url("fra", scheme), threads=1)
    proxy.users = {"fra": ""}
    with edge.connect() as client:
        client.send_request("GET", "/chat", ASK)
        assert client.final_head().status == 101
        for _ in range(3):
            client.send(text_frame("hello"))
            assert read_text(client) == "olleh"
    origin.close()
    assert [asked[:2] for asked in proxy.asked] == [("127.0.0.1", int(origin.url.rpartition(":")[2]))]


ENVIRONMENT = ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def test_the_environment_does_not_count(cdn, origin, proxy):
    elsewhere = cdn.keep(Proxy())
    env = {name: elsewhere.url(scheme="http") for name in ENVIRONMENT}
    router = cdn.router(state="none", env=env, edge=[f"name=fra,place=Paris,url=http://fra.test,admin={health(cdn)}"])
    plain = cdn.edge(origin, env=env, control=router.admin_url, threads=1)
    assert plain.get("/a").status == 200
    poll(lambda: not plain.status()["unsynced"])
    poll(lambda: router.admin_get("/edges")["edges"][0]["health"]["healthy"])
    proxied = cdn.edge(origin, name="nrt", env={**env, "NO_PROXY": "*", "no_proxy": "127.0.0.1"}, origin_proxy=proxy.url(), threads=1)
    assert proxied.get("/b").status == 200 and len(proxy.asked) == 1
    assert elsewhere.asked == []


def health(cdn):
    server = cdn.fake_origin()
    server.on("/health", Reply(body=b"{}"))
    return server.url.removeprefix("http://")


def test_polls_and_probes(cdn, origin):
    polls, probes = cdn.keep(Proxy({"fra": ""})), cdn.keep(Proxy({"router": "x"}))
    admin = health(cdn)
    router = cdn.router(state="none", probe_proxy=probes.url("router:x"), probe_interval="50ms",
                        edge=[f"name=fra,place=Paris,url=http://fra.test,admin={admin}"])
    edge = cdn.edge(origin, control=router.admin_url, control_proxy=polls.url("fra"), threads=1)
    poll(lambda: not edge.status()["unsynced"])
    assert {asked[2:] for asked in polls.asked} == {("fra", "")} and polls.asked[0][:2] == router.admin
    poll(lambda: router.admin_get("/edges")["edges"][0]["health"]["known"])
    assert {asked[2:] for asked in probes.asked} == {("router", "x")}
    assert router.status()["probe_proxy"] == f"socks5h://***@{probes.host_port}"
    probes.reply = 2
    probes.drop()
    error = poll(lambda: (edge := router.admin_get("/edges")["edges"][0]["health"]) and not edge["healthy"] and edge["error"])
    assert error.startswith("proxy_refused: through the proxy socks5h://") and "router" not in error
    before = edge.get("/a")
    assert before.status == 200
    router.admin_post("/purge", {"all": True})
    poll(lambda: edge.get("/a")["X-Cache"] == "MISS" or origin.count("/a") == 2)


def test_the_settings_are_checked(cdn):
    for program, key in (("edge", "origin_proxy"), ("edge", "control_proxy"), ("router", "probe_proxy")):
        for value, why in ((f"socks4://u:{SECRET}@h:1", "socks5h://"), (f"socks5h://u:{SECRET}@h", "PORT"),
                           (f"socks5h://:{SECRET}@h:1", "empty"), (f"http://u:{SECRET}%@h:1", "hex")):
            path = cdn.config({program: {key: value}})
            bad = cdn.cli("--config", path, program=f"pocketcdn-{program}")
            line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if key in text)
            assert bad.returncode == 2 and f"cdn.yaml:{line}" in bad.stderr and key in bad.stderr and why in bad.stderr
            assert "***@h" in bad.stderr and "s3cr" not in bad.stderr
        good = cdn.cli("--print-config", f"--{key.replace('_', '-')}=socks5h://u:{SECRET}@h:1", program=f"pocketcdn-{program}")
        assert good.returncode == 0 and "socks5h://***@h:1" in good.stdout and "s3cr" not in good.stdout
