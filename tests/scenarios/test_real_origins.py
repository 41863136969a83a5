"""Servers that people develop with, as origins: Django's runserver that starts itself anew at every edit, and an idle gunicorn."""

import pathlib
import threading
import time

import pytest
from cdn import LIMIT, poll, unused_port
from test_up import Up

SITE = """import sys
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

VERSION = "@"
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], DEBUG=True, SECRET_KEY="-")
urlpatterns = [path("page", lambda request: HttpResponse(VERSION, headers={"Cache-Control": "no-cache"}))]

if __name__ == "__main__":
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
"""

APP = """def app(environ, start_response):
    body = b"hello" + environ["PATH_INFO"].encode()
    start_response("200 OK", [("Content-Length", str(len(body))), ("Cache-Control", "no-cache")])
    return [body]
"""


class Visitor(threading.Thread):
    """Asks for the page all the time on connections of its own; every answer is kept."""

    def __init__(self, edge, method):
        super().__init__(daemon=True)
        self.edge, self.method, self.answers, self.ends = edge, method, [], False
        self.start()

    def run(self):
        while not self.ends:
            with self.edge.connect(timeout=3 * LIMIT) as client:
                answer = client.request(self.method, "/page", [("Cache-Control", "no-cache")])
            self.answers.append((answer.status, answer.text))

    def stop(self):
        self.ends = True
        self.join(3 * LIMIT)


def edits(script, version, again_s=10):
    """Saves the version, and again after a while: an edit before the reloader's first look is none to it."""
    text = SITE.replace("@", version)
    if script.read_text() != text or time.time() - script.stat().st_mtime > again_s:
        script.write_text(text)
    return True


@pytest.mark.parametrize("threads", [[], ["--nothreading"]])
def test_a_reloading_runserver_gives_no_502(cdn, threads):
    folder, port = cdn.folder("site"), unused_port()
    script = folder / "site_of_one_file.py"
    script.write_text(SITE.replace("@", "v1"))
    django = cdn.spawn("/usr/bin/python3", script, "runserver", *threads, f"127.0.0.1:{port}", cwd=folder,
                       env={"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"})
    poll(lambda: any("Quit the server" in line for line in django.out), what="runserver")
    edge = cdn.edge(f"http://127.0.0.1:{port}", origin_retry="60s", connect_timeout="60s", first_byte_timeout="60s", simulate="yes")
    poll(lambda: edge.get("/page").text == "v1", what="the first version")
    visitors = [cdn.keep(Visitor(edge, method)) for method in ("GET", "GET", "HEAD", "OPTIONS")]
    for version in ("v2", "v3"):
        poll(lambda v=version: edits(script, v) and all((200, v) in visitor.answers for visitor in visitors
                                                        if visitor.method == "GET"), what=f"{version} is there")
    for visitor in visitors:
        visitor.stop()
        assert {status for status, _ in visitor.answers} == {200}, visitor.method
    assert not [line for line in edge.log if line.get("event") == "origin_failed"], edge.dump()


@pytest.fixture(params=[["-k", "sync"], ["-k", "gthread", "--threads", "2"]], ids=["sync", "gthread"])
def gunicorn(request, cdn):
    """With its usual 2 s for idle connections."""
    folder, port = cdn.folder("app", {"hello.py": APP}), unused_port()
    server = cdn.spawn("/usr/bin/gunicorn", *request.param, "-w", "1", "-b", f"127.0.0.1:{port}", "--access-logfile", "-",
                       "--keep-alive", "2", "hello:app", cwd=folder,
                       env={"PYTHONDONTWRITEBYTECODE": "1"})
    server.url = f"http://127.0.0.1:{port}"
    poll(lambda: any("Booting worker" in line for line in server.err), what="gunicorn")
    return server


def connections_to(server):
    """Clients' ends of connections to it that its side has not finished."""
    port = f":{int(server.url.rpartition(':')[2]):04X}"
    rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [row for row in rows if row[2].endswith(port) and row[3] in ("01", "08")]  # ESTABLISHED, CLOSE_WAIT


def test_an_idle_gunicorn_is_asked_again(cdn, gunicorn):
    """It closes what was idle for 2 s; whether the edge sees that first or sends a request there is a matter of luck."""
    edge = cdn.edge(gunicorn.url)
    for i in range(3):
        for k in range(3):
            assert edge.get(f"/{i}-{k}").text == f"hello/{i}-{k}"
        poll(lambda: not connections_to(gunicorn), what="gunicorn has closed its idle connections")
    assert not [line for line in edge.log if line.get("event") == "origin_failed"], edge.dump()


def test_up_does_not_cry_at_an_idle_gunicorn(cdn, gunicorn):
    up = Up(cdn, edges=1)
    up.process = cdn.spawn("pocketcdn", "up", "-c", up.path, "--origin", gunicorn.url, "--state", up.state)
    up.wait_up()
    poll(lambda: sum('"HEAD / ' in line for line in gunicorn.out) >= 3, what="looked at every ten seconds")
    assert not up.says("does not answer"), up.process.dump()
    assert up.get("/a").text == "hello/a"
