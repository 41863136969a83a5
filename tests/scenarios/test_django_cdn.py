"""The Django site behind router, edges and purge log: every row of "What there is to see" in origin/django/README.md."""

import re
from types import SimpleNamespace

import pytest
from browser import signed_in
from cdn import poll, unused_port

BERLIN, TOKYO = "51.164.0.1", "60.64.0.1"


@pytest.fixture
def world(cdn):
    """Django, two edges that follow the router's log, the router; Django purges through the router."""
    port = unused_port()
    router_admin = f"http://127.0.0.1:{port}"
    site = cdn.django(CDN_ROUTER=router_admin, DJANGO_STATIC_HOST="http://cdn.example")
    edges = {name: cdn.edge(site.url, name=name, control=router_admin, simulate="yes") for name in ("fra", "nrt")}
    places = {"fra": "Frankfurt", "nrt": "Tokyo"}
    router = cdn.router(admin=f"127.0.0.1:{port}", trusted_proxies=["127.0.0.0/8"], state=cdn.folder("state"),
                        edge=[f"name={n},place={places[n]},url={e.url},admin={e.admin_url}" for n, e in edges.items()])
    for edge in edges.values():
        poll(lambda e=edge: not e.status()["unsynced"], what="the purge log is read")
    return SimpleNamespace(site=site, edges=edges, router=router, fra=edges["fra"], nrt=edges["nrt"])


def get(edge, target, headers=()):
    return edge.get(target, headers, host="127.0.0.1")


def verdicts(edge, target, times=2):
    return [get(edge, target)["X-Cache"] for _ in range(times)]


def made(response):
    """When Django made the page, as its foot says."""
    return re.search(r'data-made="([^"]+)"', response.text)[1]


# ---------------------------------------------------------------------------------------------------- static files

def test_static_files_are_fetched_once_for_ever(world):
    page = get(world.fra, "/shop/").text
    urls = re.findall(r'(?:src|href)="http://cdn\.example(/static/[^"]+)"', page)
    assert any("tent" in u for u in urls), "product images are among them"
    for url in urls:
        assert verdicts(world.fra, url) in (["MISS", "HIT"], ["HIT", "HIT"])  # a page may name one twice
        r = get(world.fra, url)
        assert r["Cache-Control"] == "public, max-age=31536000, immutable"
        assert r.body == (world.site.state / "static" / url.removeprefix("/static/")).read_bytes()
    world.fra.clock_advance("300d")
    world.site.kill()
    assert all(get(world.fra, url)["X-Cache"] == "HIT" for url in urls), "fresh for a year, origin or no origin"


def test_clients_are_sent_to_their_own_edge(world):
    for ip, edge in ((BERLIN, world.fra), (TOKYO, world.nrt)):
        r = world.router.get("/static/x.css?v=1", {"X-Forwarded-For": ip})
        assert (r.status, r["Location"]) == (307, f"{edge.url}/static/x.css?v=1")
        assert r["Access-Control-Allow-Origin"] == "*"


# ---------------------------------------------------------------------------------------------------- pages

def test_the_list_is_refreshed_behind_its_readers(world):
    """s-maxage=300, stale-while-revalidate=60: a window that the answer names itself counts beside s-maxage."""
    first = get(world.fra, "/shop/")
    assert first["X-Cache"] == "MISS"
    assert verdicts(world.fra, "/shop/") == ["HIT", "HIT"]
    world.fra.clock_advance("310s")
    stale = get(world.fra, "/shop/")
    assert stale["X-Cache"] == "STALE" and made(stale) == made(first)
    assert poll(lambda: get(world.fra, "/shop/")["X-Cache"] == "HIT", what="refreshed behind")
    world.fra.clock_advance("361s")  # beyond the window: somebody has to wait
    assert get(world.fra, "/shop/")["X-Cache"] in ("EXPIRED", "REVALIDATED")


def test_a_product_stays_readable_while_django_is_down(world):
    """s-maxage=3600, stale-if-error=86400."""
    assert get(world.fra, "/shop/tent/")["X-Cache"] == "MISS"
    world.fra.clock_advance("2h")
    world.site.kill()
    assert get(world.fra, "/shop/tent/")["X-Cache"] == "STALE"
    assert "Two-person tent" in get(world.fra, "/shop/tent/").text
    world.fra.clock_advance("24h")
    assert get(world.fra, "/shop/tent/").status in (502, 504), "no longer than the window"
    assert get(world.fra, "/shop/lamp/").status in (502, 504), "nor what was never stored"


def test_every_search_is_an_object_of_its_own(world):
    """CDN-Cache-Control: max-age=60 beside s-maxage=30."""
    assert verdicts(world.fra, "/shop/search/?q=tent") == ["MISS", "HIT"]
    assert verdicts(world.fra, "/shop/search/?q=mug") == ["MISS", "HIT"]
    assert "Enamel mug" in get(world.fra, "/shop/search/?q=mug").text
    world.fra.clock_advance("45s")
    assert get(world.fra, "/shop/search/?q=tent")["X-Cache"] == "HIT", "the CDN's own 60 s, not the 30 s of s-maxage"
    world.fra.clock_advance("20s")
    assert get(world.fra, "/shop/search/?q=tent")["X-Cache"] == "STALE"


def test_nobody_waits_for_breaking_news(world):
    """s-maxage=5, stale-while-revalidate=60, stale-if-error=86400."""
    first = get(world.fra, "/news/storm/")
    assert first["X-Cache"] == "MISS"
    world.fra.clock_advance("6s")
    assert get(world.fra, "/news/storm/")["X-Cache"] == "STALE"
    poll(lambda: made(get(world.fra, "/news/storm/")) != made(first), what="the new page")
    world.site.kill()
    world.fra.clock_advance("10m")
    assert get(world.fra, "/news/storm/")["X-Cache"] == "STALE", "an old page rather than none"


def test_a_travelled_cdn_with_django_in_true_time(world):
    """`pocketcdn clock +10d` moves the edges, not Django: its answers are as fresh as ever."""
    for edge in world.edges.values():
        edge.clock_advance("10d")
    assert verdicts(world.fra, "/shop/") == ["MISS", "HIT"]
    assert int(get(world.fra, "/shop/")["Age"]) < 100
    world.fra.clock_advance("301s")
    assert get(world.fra, "/shop/")["X-Cache"] == "STALE"


# ---------------------------------------------------------------------------------------------------- changes

def test_saving_a_product_purges_what_shows_it_by_surrogate_key(world):
    shows, others = ["/shop/", "/shop/tent/", "/shop/search/?q=tent"], ["/shop/lamp/", "/news/", "/news/storm/"]
    for edge in world.edges.values():
        for target in shows + others:
            assert verdicts(edge, target) == ["MISS", "HIT"]
    browser = signed_in(world.fra)
    page = browser("GET", "/admin/shop/product/?q=tent").text
    number = re.search(r"/admin/shop/product/(\d+)/change/", page)[1]
    saved = browser.post_form(f"/admin/shop/product/{number}/change/",
                              "slug=tent&name=Three-person+tent&description=Wide.&topics=outdoor&price_cents=100&image=shop/tent.svg")
    assert saved.status == 302, saved.text
    for edge in world.edges.values():
        for target in shows:
            r = poll(lambda e=edge, t=target: (r := get(e, t))["X-Cache"] != "HIT" and r, what=f"{target} is purged")
            assert "detail=purged" in r["Cache-Status"] and "Three-person" in r.text
        assert [get(edge, target)["X-Cache"] for target in others[:1]] == ["HIT"], "what does not show it stays"


def test_an_edited_story_shows_at_once_everywhere(world):
    for edge in world.edges.values():
        for target in ("/news/", "/news/bridge/", "/news/storm/"):
            get(edge, target)
    browser = signed_in(world.nrt)
    assert browser.post_form("/news/bridge/edit/", "title=Bridge+closed&lead=Again.&body=It+is.").status == 302
    for edge in world.edges.values():
        poll(lambda e=edge: "Bridge closed" in get(e, "/news/bridge/").text, what="the new story")
        poll(lambda e=edge: "Bridge closed" in get(e, "/news/").text, what="the new headline")
    assert world.router.status()["purges"]["last"] == 1, "one purge for all of it"


def test_pages_of_somebody_signed_in_are_never_stored(world):
    browser = signed_in(world.fra)
    for target in ("/news/storm/edit/", "/admin/", "/admin/shop/product/"):
        for _ in range(2):
            r = browser("GET", target)
            assert r.status == 200 and r["X-Cache"] == "BYPASS" and "no-store" in r["Cache-Control"], r
        stranger = get(world.fra, target)
        assert stranger.status == 302 and "/admin/login/" in stranger["Location"]
    listed = world.fra.admin_get("/objects")["objects"]
    assert not [o["key"] for o in listed if "/admin/" in o["key"] or "/edit/" in o["key"]]
    assert verdicts(world.fra, "/shop/") == ["MISS", "HIT"], "a signed-in reader before does not keep others from the cache"
