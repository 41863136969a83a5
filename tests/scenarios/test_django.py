"""The Django site of origin/django by itself: what it tells a CDN, and that saving sends PURGE."""

import json
import re
import shutil

import pytest
from browser import signed_in
from cdn import SLOW, SOURCE, Reply


@pytest.fixture(scope="module")
def purge_log(shared_cdn):
    fake = shared_cdn.fake_origin()
    fake.default = Reply(200, b"purged\n")
    return fake


@pytest.fixture(scope="module")
def site(shared_cdn, purge_log):
    return shared_cdn.django(CDN_PURGE_URLS=purge_log.url, CDN_PURGE_TOKEN="t0ken", DJANGO_STATIC_HOST="http://cdn.example")


def get(site, target, headers=(), method="GET"):
    return site.request(method, target, headers, host="127.0.0.1")


@pytest.mark.parametrize("target, cache_control, key", [
    ("/shop/", "public, max-age=0, s-maxage=300, stale-while-revalidate=60", "products"),
    ("/shop/tent/", "public, max-age=60, s-maxage=3600, stale-if-error=86400", "product-"),
    ("/shop/search/?q=tent", "public, max-age=0, s-maxage=30", "search"),
    ("/news/", "public, max-age=0, s-maxage=5, stale-while-revalidate=60, stale-if-error=86400", "news"),
    ("/news/storm/", "public, max-age=0, s-maxage=5, stale-while-revalidate=60, stale-if-error=86400", "story-"),
])
def test_pages_can_be_cached(site, target, cache_control, key):
    r = get(site, target)
    assert r.status == 200 and r["Cache-Control"] == cache_control
    assert key in r["Surrogate-Key"]
    assert "Vary" not in r and "Set-Cookie" not in r
    assert 'desc="' in r["Server-Timing"]
    assert r["ETag"]


def test_the_gallery_is_a_page_of_forty_files(site):
    page = get(site, "/shop/gallery/")
    assert page.status == 200 and page["Cache-Control"] == "public, max-age=60, s-maxage=3600"
    pictures = re.findall(r'src="(/shop/gallery/\d+\.svg)"', page.text)
    bodies = {get(site, picture).body for picture in pictures}
    assert len(bodies) == 37 and 1000 < min(map(len, bodies)) and max(map(len, bodies)) < 40000, "with css, js and pattern 40"
    assert get(site, pictures[0]).body == get(site, pictures[0]).body
    assert get(site, pictures[0])["Cache-Control"] == "public, max-age=31536000, immutable"
    for none in ("/shop/gallery/0.svg", "/shop/gallery/38.svg"):
        assert get(site, none).status == 404 and "Cache-Control" not in get(site, none)


def test_search(site):
    r = get(site, "/shop/search/?q=two+tent")
    assert r["CDN-Cache-Control"] == "max-age=60, stale-while-revalidate=30"
    assert "Two-person tent" in r.text and "Enamel mug" not in r.text
    assert get(site, "/shop/search/?q=%3Cscript%3E").text.count("<script>") == 0
    assert get(site, "/shop/nothing/").status == 404 and "Cache-Control" not in get(site, "/shop/nothing/")




def test_static_files_come_from_the_cdn(site):
    page = get(site, "/shop/").text
    urls = re.findall(r'(?:src|href)="http://cdn\.example(/static/[^"]+)"', page)
    assert len(urls) >= 8 and all(re.search(r"\.[0-9a-f]{12}\.\w+$", u) for u in urls)
    for url in urls:
        r = get(site, url)
        assert r.status == 200 and r["Cache-Control"] == "public, max-age=31536000, immutable"
        assert r["Access-Control-Allow-Origin"] == "*"
    css = get(site, next(u for u in urls if u.endswith(".css")))
    assert re.search(r'url\("pattern\.[0-9a-f]{12}\.svg"\)', css.text)


def test_admin_files_are_collected(site):
    paths = json.loads((site.state / "static" / "staticfiles.json").read_text())["paths"]
    assert "admin/css/base.css" in paths and len(paths) > 100
    assert get(site, "/static/" + paths["admin/css/base.css"]).status == 200
    assert get(site, "/static/../db.sqlite3").status == 400


def test_edit_needs_a_login(site):
    r = get(site, "/news/storm/edit/")
    assert r.status == 302 and "/admin/login/" in r["Location"]
    assert "no-store" in r["Cache-Control"]


def test_edit_changes_the_story_and_purges(site, purge_log):
    browser = signed_in(site)
    r = browser.post_form("/news/bridge/edit/", "title=Bridge+closed&lead=Again.&body=It+is+closed.")
    assert (r.status, r["Location"]) == (302, "/news/bridge/"), r
    assert "Bridge closed" in get(site, "/news/bridge/").text
    purged = [(q.method, q.path, q["Authorization"]) for q in purge_log.requests][-2:]
    assert purged == [("PURGE", "/news/bridge/", "Bearer t0ken"), ("PURGE", "/news/", "Bearer t0ken")]


def test_a_cdn_that_is_down_does_not_keep_from_saving(site, purge_log):
    purge_log.refuse()
    try:
        browser = signed_in(site)
        assert browser.post_form("/news/library/edit/", "title=T&lead=L&body=B").status == 302
    finally:
        purge_log.listen_again()


def test_other_hosts_are_refused(site):
    assert site.get("/shop/", host="evil.example").status == 400


def test_an_installed_site_keeps_its_state_with_the_user(cdn):
    """Below PREFIX/share the site's own folder belongs to the system."""
    share, home = cdn.folder("prefix") / "share" / "pocketcdn", cdn.folder("home")
    shutil.copytree(SOURCE / "origin" / "django", share / "django", ignore=shutil.ignore_patterns("state", "__pycache__"))
    env = {"HOME": str(home), "XDG_STATE_HOME": "", "DJANGO_STATE": "", "PYTHONDONTWRITEBYTECODE": "1"}
    setup = cdn.spawn("/usr/bin/python3", share / "django" / "manage.py", "setup", "--no-static", env=env)
    assert setup.wait(60 * SLOW) == 0, setup.dump()
    assert (home / ".local/state/pocketcdn/django/db.sqlite3").exists()
    assert not (share / "django" / "state").exists()
