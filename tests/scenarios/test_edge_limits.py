"""Load and abuse: who asks for a lot waits for himself, and what a network of clients may do."""

import threading
import time

import pytest
from cdn import Client, Gate, Reply, poll

GREEDY = "127.0.2.1"
OTHERS = [f"127.0.{i}.1" for i in range(3, 8)]  # each of another network (/24)


def test_a_crowd_of_one_network_waits_behind_its_own(cdn):
    """Two connections to the origin, and one client that wants a hundred things: others have their turns between."""
    gate, origin = Gate(), cdn.fake_origin()
    origin.default = Reply(body=b"x", headers=[("Cache-Control", "max-age=60")])
    for i in range(2):
        origin.on(f"/slow/{i}", Reply(body=b"x", before=gate))
    edge = cdn.edge(origin, threads=1, origin_connections=2, memory_wait="1h")
    clients = [Client(edge.public, source=GREEDY) for _ in range(100)]
    for i in range(2):
        clients[i].send_request("GET", f"/slow/{i}")
    origin.wait_count(2)
    for i in range(2, 100):
        clients[i].send_request("GET", f"/flood/{i}")
    poll(lambda: edge.metric("queued_total") == 98)
    others = [Client(edge.public, source=address) for address in OTHERS]
    for i, client in enumerate(others):
        client.send_request("GET", f"/other/{i}")
    poll(lambda: edge.metric("queued_total") == 98 + len(others))
    gate.open()
    for client in clients + others:
        assert client.response().status == 200
        client.close()
    targets = [r.target for r in origin.requests]
    early = [t for t in targets[:40] if t.startswith("/other")]
    assert len(early) >= 3, targets  # by chance one may stand in the crowd's line (1 in 256)


# ---------------------------------------------------------------------------------------------------- rates

KEPT = [("Cache-Control", "max-age=60")]


def statuses(edge, paths, source=None, headers=(), **kw):
    """What one connection gets for one path after the other."""
    with edge.connect(source=source) as client:
        return [client.get(path, headers, **kw).status for path in paths]


def test_over_its_rate_a_network_gets_429(cdn):
    origin = cdn.fake_origin()
    origin.default = Reply(body=b"x", headers=KEPT)
    edge = cdn.edge(origin, rate_limit="6/h", rate_burst=5, trusted_proxies="127.0.0.1")
    got = statuses(edge, ["/a"] * 8, source=GREEDY)  # plain hits count, too
    assert got == [200] * 5 + [429] * 3
    refused = edge.get("/a", source="127.0.2.99")  # the same network
    assert refused.status == 429 and 1 <= int(refused["Retry-After"]) <= 600, refused
    assert refused["Cache-Status"] == "fra; detail=rate-limit"
    assert refused["Cache-Control"] == "no-store" and refused.json()["status"] == 429
    assert statuses(edge, ["/a"], source=OTHERS[0]) == [200]
    # behind a trusted proxy the client is who it says
    for address, expected in (("192.0.2.1", [200] * 5 + [429]), ("192.0.3.1", [200]), ("2001:db8:1:2::1", [200] * 5),
                              ("2001:db8:1:3::1", [429]), ("2001:db8:2::1", [200])):
        assert statuses(edge, ["/a"] * len(expected), headers={"X-Forwarded-For": address}) == expected, address
    assert edge.metric("rate_limited_total") == 6
    assert origin.count("/a") == 1


def test_cached_only_gives_hits_and_stale_answers(cdn):
    origin = cdn.fake_origin()
    origin.default = Reply(body=b"x", headers=KEPT)
    origin.on("/strict", Reply(body=b"x", headers=[("Cache-Control", "max-age=60, must-revalidate")]))
    edge = cdn.edge(origin, rate_limit="2/h", rate_burst=2, over_limit="cached-only", simulate=True)
    assert statuses(edge, ["/a", "/b", "/strict"], source=OTHERS[0])[:2] == [200, 200]
    assert statuses(edge, ["/strict"], source=OTHERS[1]) == [200]
    assert statuses(edge, ["/a", "/a", "/a", "/a", "/new", "/b"], source=GREEDY) == [200] * 4 + [429, 200]
    edge.clock_advance("2m")  # the rates' time is real, and does not move
    stale = edge.get("/a", source=GREEDY)
    assert stale.status == 200 and stale["X-Cache"] == "STALE", stale
    assert edge.get("/strict", source=GREEDY).status == 429  # may not be given stale
    assert edge.request("POST", "/a", body=b"1" * 100000, source=GREEDY).status == 429
    assert edge.get("/a", {"Range": "bytes=0-0"}, source=GREEDY).status == 206
    assert edge.get("/new", {"Range": "bytes=0-0"}, source=GREEDY).status == 429
    assert {r.target for r in origin.requests} == {"/a", "/b", "/strict"}
    assert edge.get("/a", source=OTHERS[2])["X-Cache"] in ("EXPIRED", "REVALIDATED")


def test_misses_have_a_rate_of_their_own(cdn):
    origin = cdn.fake_origin()
    origin.default = Reply(body=b"x", headers=KEPT)
    edge = cdn.edge(origin, miss_limit="3/h", miss_burst=3, slice="64KiB")
    assert statuses(edge, ["/a", "/a", "/a", "/a", "/b", "/c", "/d", "/a", "/b"], source=GREEDY) == [200] * 6 + [
        429, 200, 200]
    assert edge.request("POST", "/a", body=b"x", source=GREEDY)["Cache-Status"] == "fra; detail=miss-limit"
    assert edge.get("/e", {"Cache-Control": "no-store"}, source=GREEDY).status == 429
    assert statuses(edge, ["/d", "/e"], source=OTHERS[0]) == [200, 200]
    assert statuses(edge, ["/d", "/e"], source=GREEDY) == [200, 200]
    assert edge.metric("miss_limited_total") == 3 and origin.count() == 5


def test_a_rate_is_said_once_for_a_site_and_apart_for_a_rule(cdn):
    origin = cdn.fake_origin()
    origin.default = Reply(body=b"x", headers=KEPT)
    edge = cdn.edge(None, config=cdn.config({"sites": {
        "a": {"hosts": ["a.example"], "origins": [origin.url], "rate": {"limit": "3/h", "burst": 3},
              "rules": [{"path": "/x/"}, {"path": "/own/", "rate": {"limit": "1/h", "burst": 1}}, {"path": "/free/", "rate_limit": "off"},
                        {"path": "/"}]},
        "b": {"hosts": ["b.example"], "origins": [origin.url]}}}))
    assert statuses(edge, ["/x/1", "/1", "/x/2", "/2"], host="a.example") == [200, 200, 200, 429]
    assert statuses(edge, ["/own/1", "/own/1"], host="a.example") == [200, 429]
    assert statuses(edge, ["/free/1"] * 9, host="a.example") == [200] * 9
    assert statuses(edge, ["/1"] * 9, host="b.example") == [200] * 9


@pytest.mark.parametrize("rule, says", [
    ({"rate": {"limit": "fast"}}, 'rate_limit: "fast" is not a rate such as 100/s'),
    ({"rate": {"burst": 5}}, "rate_burst: it needs rate_limit"),
    ({"miss_limit": "1/d"}, 'miss_limit: "1/d" is not a rate'),
    ({"rate": {"limit": "1/s", "networks": "33,48"}}, 'rate_networks: "33,48" is not two prefixes'),
    ({"over_limit": "drop"}, "over_limit"),
    ({"allow_countries": ["Germany"]}, 'allow_countries: "Germany" is not a country such as DE'),
    ({"allow_countries": []}, "allow_countries: the list is empty"),
    ({"geo_fields": ["moon"]}, 'geo_fields: "moon" is not one of country'),
    ({"key": {"fields": ["CDN-Client-Moon"]}}, "there is no such field"),
])
def test_bad_rules_are_refused(shared_cdn, rule, says):
    path = shared_cdn.config({"sites": {"shop": {"hosts": ["shop.example"], "origins": ["http://127.0.0.1:1"],
                                                 "rules": [{"path": "/", **rule}]}}})
    result = shared_cdn.cli("-c", path, "--name", "fra", "--check", program="pocketcdn-edge")
    assert result.returncode == 2 and says in result.stderr and f"{path}:" in result.stderr, result


def percentile(values, part):
    return sorted(values)[int(len(values) * part)]


def test_a_flood_of_distinct_urls_leaves_others_their_speed(cdn):
    """One network asks for ever new URLs as fast as it can; another's misses and hits take about as long as before."""
    origin = cdn.fake_origin()
    origin.default = lambda _: Reply(body=b"x", headers=KEPT)
    edge = cdn.edge(origin, threads=2, miss_limit="20/s", rate_limit="20000/s")
    stop, asked = threading.Event(), [0]

    def flood(number):
        with edge.connect(source=GREEDY) as client:
            while not stop.is_set():
                client.send(b"".join(b"GET /flood/%d/%d HTTP/1.1\r\nHost: test.example\r\n\r\n" % (number, asked[0] + i)
                                     for i in range(50)))
                for _ in range(50):
                    client.response()
                asked[0] += 50

    def visit(name):
        times = []
        with edge.connect(source=OTHERS[0]) as client:
            for i in range(60):
                began = time.monotonic()
                assert client.get(f"/{name}/{i // 4}").status in (200, 429)
                times.append(time.monotonic() - began)
                time.sleep(0.002)
        return percentile(times, 0.95)

    alone = visit("alone")
    thread = threading.Thread(target=flood, args=(0,))
    thread.start()
    try:
        poll(lambda: asked[0] >= 500)
        beside = min(visit(f"beside/{i}") for i in range(3))  # the test's own threads share a processor with all this
    finally:
        stop.set()
        thread.join()
    assert origin.count() < 60 + 200 + asked[0] / 4  # hardly any of the flood got through
    assert beside < 20 * alone + 0.05, (alone, beside)


# ---------------------------------------------------------------------------------------------------- places


def test_countries_and_places(cdn):
    origin = cdn.fake_origin()
    origin.default = Reply(body=b"x", headers=KEPT)
    tokyo, amsterdam, nowhere = "121.80.0.1", "193.0.6.139", "10.1.2.3"
    edge = cdn.edge(None, config=cdn.config({"cdn": {"trusted_proxies": ["127.0.0.1"]}, "sites": {"shop": {
        "hosts": ["shop.example"], "origins": [origin.url], "rules": [
            {"path": "/told/", "geo": {"fields": ["country", "latitude", "longitude", "asn"]}},
            {"path": "/keyed/", "key": {"fields": ["cdn-client-country"]}},
            {"path": "/only/", "allow_countries": ["JP", "??"]},
            {"path": "/not/", "deny_countries": ["JP"], "deny_status": 403},
            {"path": "/"}]}}}))

    def get(path, client, headers=()):
        return edge.get(path, [("X-Forwarded-For", client), *headers], host="shop.example")

    forged = [("CDN-Client-Country", "XX"), ("cdn-client-city", "Atlantis"), ("CDN-Client-Moon", "1")]
    assert get("/told/1", amsterdam, forged).status == 200
    told = origin.last("/told/1")
    assert told["CDN-Client-Country"] == "NL" and told.all("CDN-Client-Country") == ["NL"]
    assert abs(float(told["CDN-Client-Latitude"]) - 52.3) < 2 and abs(float(told["CDN-Client-Longitude"]) - 4.9) < 2
    assert "CDN-Client-City" not in told and "CDN-Client-Moon" not in told
    assert get("/told/1", tokyo)["X-Cache"] == "HIT"  # not in the key
    assert get("/told/2", nowhere).status == 200 and "CDN-Client-Country" not in origin.last("/told/2")
    assert get("/", tokyo, forged).status == 200 and not any(n.startswith("CDN-Client") for n, _ in origin.last("/").headers)

    assert [get("/keyed/1", c)["X-Cache"] for c in (amsterdam, tokyo, amsterdam, tokyo, nowhere)] == [
        "MISS", "MISS", "HIT", "HIT", "MISS"]
    assert [r.header("CDN-Client-Country") for r in origin.seen("/keyed/1")] == ["NL", "JP", None]

    for _ in range(3):  # hits are held against it, too
        assert [get("/only/1", c).status for c in (tokyo, nowhere, amsterdam)] == [200, 200, 451]
        assert [get("/not/1", c).status for c in (tokyo, nowhere, amsterdam)] == [403, 200, 200]
    assert get("/only/1", amsterdam)["Cache-Status"] == "fra; detail=country"
    assert edge.metric("country_refused_total") == 7
