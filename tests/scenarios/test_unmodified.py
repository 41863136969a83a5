"""What people have already, unchanged behind a site with rules: WhiteNoise in Django, gunicorn on a Unix socket with two kinds of
workers, and Wagtail's and FOSHttpCache's requests (more forms of purges are in test_purge_forms.py).

Signed URLs by botocore's signer are in test_edge_signed.py."""

import gzip
import json
import signal
import urllib.request

import pytest
from cdn import SLOW, poll

pytest.importorskip("whitenoise")

HOST = "shop.example"
SITE = '''import sys
from pathlib import Path
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

HERE = Path(__file__).parent
settings.configure(
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["shop.example"], SECRET_KEY="-", STATIC_URL="/static/", STATIC_ROOT=HERE / "collected",
    STATICFILES_DIRS=[HERE / "files"], INSTALLED_APPS=["django.contrib.staticfiles"],
    MIDDLEWARE=["whitenoise.middleware.WhiteNoiseMiddleware"],
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"), DATA_UPLOAD_MAX_MEMORY_SIZE=None,
    STATICFILES_STORAGE="whitenoise.storage.CompressedManifestStaticFilesStorage")
made = 0


@csrf_exempt
def say(request, word):
    global made
    made += 1
    answer = JsonResponse({"made": made, "host": request.get_host(), "scheme": request.scheme, "client": request.META.get(
        "HTTP_X_FORWARDED_FOR"), "body": len(request.body), "cookies": sorted(request.COOKIES)})
    answer["Cache-Control"] = "max-age=60"
    return answer


urlpatterns = [path("say/<word>", say)]
application = get_wsgi_application()
if __name__ == "__main__":
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
'''
CSS = b"a { color: red }\n" * 500
ENVIRONMENT = {"PYTHONDONTWRITEBYTECODE": "1"}


class World:
    def __init__(self, cdn):
        self.cdn = cdn
        self.folder = cdn.folder("site", {"shop.py": SITE, "files/app.css": CSS, "files/app.js": b"export const a = 1;\n" * 99,
                                          "files/sans.woff2": bytes(range(256)) * 40})
        self.collected, self.socket = self.folder / "collected", self.folder / "gunicorn.sock"
        done = cdn.spawn("/usr/bin/python3", "shop.py", "collectstatic", "--noinput", cwd=self.folder, env=ENVIRONMENT)
        assert done.wait(60 * SLOW) == 0, done.dump()
        origin = f"unix:{self.socket}"
        rules = [{"path": "/static/", "origins": [origin], "key": {"query": "none"}},
                 {"path": "/", "origins": [origin], "cookies": {"keep": ["sessionid"]}}]
        self.edge = cdn.edge(None, config=cdn.config({"sites": {"shop": {"hosts": [HOST], "rules": rules}}}), simulate=True,
                             threads=1, connect_timeout="60s", first_byte_timeout="60s", origin_retry="0s")
        self.gunicorn = None

    def start(self, *workers):
        self.stop()
        self.gunicorn = self.cdn.spawn("/usr/bin/gunicorn", *workers, "-w", "1", "-b", f"unix:{self.socket}", "--keep-alive", "2",
                                       "shop:application", cwd=self.folder, env=ENVIRONMENT)
        poll(lambda: any("Booting worker" in line for line in self.gunicorn.err), what="gunicorn")

    def stop(self):
        if self.gunicorn:
            self.gunicorn.terminate()

    def get(self, target, headers=(), **kw):
        return self.edge.get(target, headers, host=HOST, **kw)

    def url(self, name):
        return "/static/" + json.loads((self.collected / "staticfiles.json").read_text())["paths"][name]


@pytest.fixture(scope="module")
def world(shared_cdn):
    world = World(shared_cdn)
    world.start("-k", "gthread", "--threads", "2")
    return world


# ---------------------------------------------------------------------------------------------------- WhiteNoise


@pytest.mark.parametrize("name", ["app.css", "app.js", "sans.woff2"])
def test_whitenoise_files_with_hashed_names(world, name):
    url, body = world.url(name), (world.folder / "files" / name).read_bytes()
    for verdict in ("MISS", "HIT"):
        r = world.get(url + "?utm_source=x")
        assert (r["X-Cache"], r.body) == (verdict, body)
        assert r["Cache-Control"] == "max-age=315360000, public, immutable" and r.all("Access-Control-Allow-Origin") == ["*"]
    world.edge.clock_advance("300d")
    assert world.get(url)["X-Cache"] == "HIT", "for ever"
    part = world.get(url, {"Range": "bytes=5-9"})
    assert (part.status, part.body) == (206, body[5:10])
    assert world.get(url, {"If-Modified-Since": r["Last-Modified"]}).status == 304
    small = world.get(url, {"Accept-Encoding": "gzip"})
    if name == "sans.woff2":  # WhiteNoise does not pack what is packed
        assert "Content-Encoding" not in small and small.body == body
    else:
        assert small["Content-Encoding"] == "gzip" and gzip.decompress(small.body) == body
        assert "Accept-Encoding" in small["Vary"]


def test_whitenoise_files_with_plain_names(world):
    """max-age=60 by default, then asked again: 304."""
    assert [world.get("/static/app.css")["X-Cache"] for _ in range(2)] == ["MISS", "HIT"]
    world.edge.clock_advance("61s")
    again = world.get("/static/app.css")
    assert (again["X-Cache"], again.body) == ("REVALIDATED", CSS)
    assert world.get("/static/none.css").status == 404


# ---------------------------------------------------------------------------------------------------- gunicorn


@pytest.mark.parametrize("workers", [["-k", "sync"], ["-k", "gthread", "--threads", "2"]], ids=["sync", "gthread"])
def test_gunicorn_on_a_unix_socket(world, workers):
    world.start(*workers)
    word = workers[1]
    said = world.get(f"/say/{word}", {"Cookie": "_ga=1; theme=dark"}).json()
    assert (said["host"], said["scheme"], said["client"], said["cookies"]) == (HOST, "http", "127.0.0.1", [])
    assert world.get(f"/say/{word}", {"Cookie": "_ga=2"}).json() == said, "analytics cookies share the cache"
    mine = world.get(f"/say/{word}", {"Cookie": "sessionid=s; _ga=2"})
    assert mine["X-Cache"] == "BYPASS" and mine.json()["cookies"] == ["sessionid"]
    assert world.edge.head(f"/say/{word}", host=HOST)["X-Cache"] == "HIT"
    for n in (0, 10, 3_000_000):
        assert world.edge.request("POST", f"/say/{word}", body=b"x" * n, host=HOST).json()["body"] == n


def test_gunicorn_starts_anew(world):
    """By HUP, which gives it new workers, and by an end and a start: nobody sees an error."""
    seen = len(world.gunicorn.err)
    world.gunicorn.signal(signal.SIGHUP)
    poll(lambda: any("Booting worker" in line for line in world.gunicorn.err[seen:]), what="a new worker")
    assert all(world.get(f"/say/hup-{i}").status == 200 for i in range(10))
    world.start("-k", "gthread", "--threads", "2")
    assert all(world.get(f"/say/new-{i}").status == 200 for i in range(10))
    world.stop()
    world.edge.clock_advance("61s")
    assert world.get("/say/new-1")["X-Cache"] == "STALE", "while it is away"
    world.gunicorn = None
    world.start("-k", "sync")
    poll(lambda: world.get("/say/back")["X-Cache"] == "HIT", what="it is back")


# ---------------------------------------------------------------------------------------------------- CMSs


class PurgeRequest(urllib.request.Request):
    """wagtail/contrib/frontend_cache/backends.py, HTTPBackend.purge: sent to the cache's address, with the site's name."""

    def get_method(self):
        return "PURGE"


def wagtail_purge(edge, path):
    request = PurgeRequest(url=edge.url + path, headers={"Host": HOST, "User-Agent": "Wagtail-frontendcache/2.15.6"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60 * SLOW) as answer:
        return answer.status


def test_wagtail_purges_a_page(world):
    first = world.get("/say/page").json()
    assert world.get("/say/page").json() == first
    assert wagtail_purge(world.edge, "/say/page") == 200
    again = world.get("/say/page")
    assert again["X-Cache"] == "MISS" and again.json()["made"] > first["made"]


def test_foshttpcache_purges_and_refreshes_a_page(world):
    """src/ProxyClient/Varnish.php: purge() is PURGE with Host, refresh() is GET with Cache-Control: no-cache."""
    first = world.get("/say/fos").json()
    assert world.edge.raw(f"PURGE /say/fos HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: FOSHttpCache\r\n\r\n".encode()).status == 200
    second = world.get("/say/fos").json()
    refreshed = world.get("/say/fos", {"Cache-Control": "no-cache"}).json()
    assert first["made"] < second["made"] < refreshed["made"]
    assert world.get("/say/fos").json() == refreshed, "and is kept for the next"
