"""docs/django.md, from its first line to its last, as somebody types it: the shell's lines in one shell, what is to be added
to files is added, every cdn.yaml is written. Ports and paths are replaced by some that are free here."""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest
import requests
import yaml
from browser import chromium
from cdn import BIN, LIMIT, SOURCE, clean_environment, poll, unused_port

pytest.importorskip("whitenoise")

PARTS = re.compile(r"^(?:`([^`\n]+)`[^\n]*:\n\n)?```(\w+)\n(.*?)^```$|^#+ ([^\n]+)$", re.M | re.S)


def parts():
    """(heading, kind, file, text) of every block: sh, python and yaml."""
    heading, found = "", []
    for file, kind, text, title in PARTS.findall((SOURCE / "docs" / "django.md").read_text()):
        heading = title or heading
        if kind:
            found.append((heading, kind, file, text))
    return found


class Shell:
    """One bash that is told line after line, with what it starts in the background."""

    def __init__(self, folder, env):
        self.log = open(folder / "shell.log", "w+b")
        self.process = subprocess.Popen(["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, cwd=folder,
                                        env=env, start_new_session=True)

    def run(self, line):
        """Its output; AssertionError when it fails."""
        self.process.stdin.write(f"{line}\nprintf '\\n=%s=\\n' $?\n".encode())
        self.process.stdin.flush()
        said = b""
        while not (end := re.search(rb"\n=(\d+)=\n$", said)):
            piece = self.process.stdout.readline()
            assert piece, "the shell is gone"
            said += piece
        text = said[:end.start()].decode()
        assert end[1] == b"0", (line, text, self.said())
        return text

    def said(self):
        self.log.seek(0)
        return self.log.read().decode()[-3000:]

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(LIMIT)
        self.process.stdin.close()
        self.process.stdout.close()
        self.log.close()


class Reader:
    """Does what the page says, in a folder of its own."""

    def __init__(self, cdn):
        self.cdn, self.folder = cdn, cdn.folder("page")
        programs = cdn.folder("bin")
        (programs / "python3").symlink_to("/usr/bin/python3")  # Debian's
        env = {"PATH": f"{programs}:{BIN}:/usr/bin:/bin", "XDG_STATE_HOME": str(cdn.folder("state")), "TERM": "dumb",
               "HOME": str(cdn.folder("home")), "PYTHONPATH": str(SOURCE / "tests" / "scenarios"), "DJANGO_SUPERUSER_PASSWORD": "secret", "PYTHONDONTWRITEBYTECODE": "1"}
        self.state = env["XDG_STATE_HOME"] + "/pocketcdn"
        self.shell, self.project, self.said = Shell(self.folder, clean_environment(env)), self.folder / "mysite", []
        self.django, self.in_file = unused_port(), unused_port()
        self.router = self.in_file  # what stands for 8080; `up` without a file chooses another
        self.socket = self.folder / "mysite.sock"
        cdn.keep(self)

    def here(self, text):
        text = text.replace("127.0.0.1:8000", f"127.0.0.1:{self.django}").replace("runserver 8000", f"runserver {self.django}")
        return text.replace("127.0.0.1:8080", f"127.0.0.1:{self.router}").replace("/run/mysite.sock", str(self.socket))

    def do(self, part):
        heading, kind, file, text = part
        if kind == "python":
            self.edit(self.project / file, self.here(text))
        elif kind == "yaml":
            (self.project / file).write_text(json.dumps(self.config(yaml.safe_load(self.here(text)))))
        for line in text.splitlines() if kind == "sh" else ():
            self.said.append((line, self.shell.run(self.command(line))))
            self.after(line)

    def edit(self, file, text, again_s=5):
        """As an editor does, and until runserver has seen it: an edit before the reloader's first look is none to it."""
        starts = self.starts()
        file.write_text(file.read_text() + text)
        if "DEBUG = False" in text:  # for gunicorn, which is not there yet
            return

        def reloaded():
            if time.time() - file.stat().st_mtime > again_s:
                file.touch()
            return self.starts() > starts
        poll(reloaded, what="runserver starts anew", every=0.1)
        poll(self.is_steady, what="runserver has seen all edits", every=0.1)
        self.wait_django()

    def is_steady(self, looks_s=1.5):
        """A file that was touched while it started makes it start once more; it looks once a second."""
        starts = self.starts()
        time.sleep(looks_s)
        return self.starts() == starts

    def starts(self):
        return (self.project / "background.log").read_text().count("Watching for file changes")

    def config(self, config):
        """The same with two edges, and ports that are free."""
        listen = {"listen": f"127.0.0.1:{self.in_file}", "dns_listen": f"127.0.0.1:{unused_port()}",
                  "admin": f"127.0.0.1:{unused_port()}"}
        edges = [{"name": n, "listen": f"127.0.0.{i}:{unused_port()}", "admin": f"127.0.0.1:{unused_port()}"}
                 for i, n in enumerate(("fra", "nrt"), 7)]
        return {**config, "router": {**config.get("router", {}), **listen}, "edges": edges}

    def command(self, line):
        line = self.here(line)
        if "createsuperuser" in line:
            line += " --noinput --username me --email me@example.org"
        if "pocketcdn up --origin" in line:
            line += " --port 0"
        if "pocketcdn browse" in line:
            line += " -- --headless --no-sandbox --disable-gpu --dump-dom"
        return line[:-1] + ">>background.log 2>&1 &" if line.endswith("&") else line

    def after(self, line):
        if "pocketcdn up" in line:
            self.router = int(self.up()["router"].rpartition(":")[2])
        if "pocketcdn down" in line:
            self.router = self.in_file
        if "runserver" in line:
            self.wait_django()
        if ">>mysite/settings.py" in line:
            (self.project / "mysite" / "settings.py").open("a").write('MIDDLEWARE.insert(0, "origin_check.OriginCheck")\n')
        if "gunicorn" in line:
            poll(self.socket.exists, what="gunicorn's socket")

    def wait_django(self):
        ask = ["curl", "-sf", f"http://127.0.0.1:{self.django}/admin/login/"]
        poll(lambda: "csrfmiddlewaretoken" in subprocess.run(ask, capture_output=True, text=True, check=False).stdout, what="runserver", every=0.1)

    def up(self):
        return json.loads((pathlib.Path(self.state) / "up.json").read_text())

    def edge(self, name):
        return next(n["url"] for n in self.up()["nodes"] if n["name"] == name)

    def output(self, heading_line):
        return [said for line, said in self.said if heading_line in line]

    def stop(self):
        with contextlib.suppress(Exception):
            self.shell.run("pocketcdn down || true")
        self.shell.stop()

    def dump(self):
        return self.shell.said() + "\n".join(f"$ {line}\n{said}" for line, said in self.said)


def sign_in(*args, **more):
    """Again when runserver, which has just seen an edit, ends in the middle of an answer to start anew."""
    for _ in range(4):
        with contextlib.suppress(requests.RequestException):
            return signed_in(*args, **more)
        time.sleep(1)
    return signed_in(*args, **more)


def signed_in(url, host=None, verify=True, origin=None):
    """The status of the form's answer, as Django checks Origin since 4.0, and the cookies."""
    scheme = url.partition(":")[0]
    origin = origin or f"{scheme}://{host or url.partition('://')[2]}"
    session = requests.Session()
    session.trust_env, session.verify = False, verify
    session.headers.update({"Host": host} if host else {})
    page = session.get(f"{url}/admin/login/", timeout=LIMIT)
    assert page.status_code == 200, page.text
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[1]
    answer = session.post(f"{url}/admin/login/", {"csrfmiddlewaretoken": token, "username": "me", "password": "secret"},
                          headers={"Origin": origin, "Referer": f"{origin}/admin/login/"}, allow_redirects=False, timeout=LIMIT)
    return answer.status_code, {c.name: c.secure for c in session.cookies}


def five_commands(page):
    url = f"http://127.0.0.1:{page.router}"
    assert sign_in(url) == (302, {"csrftoken": False, "sessionid": False})
    assert sign_in(url, origin="http://elsewhere.example")[0] == 403, "the check is there"


def one_host(page):
    for name in ("iad", "syd"):
        assert sign_in(page.edge(name))[0] == 302


def by_dns(page):
    assert sign_in(page.edge("nrt"), host="www.cdn.test:8088")[0] == 302
    assert sign_in(page.edge("nrt"), host="www.cdn.test")[0] == 302


def static_files_alone(page, cdn):
    """A page of runserver's own address loads styles, fonts and modules from the CDN."""
    with chromium(cdn.folder("browser")) as driver:
        driver.get(f"http://127.0.0.1:{page.django}/admin/login/")
        seen = driver.execute_async_script("""
            const [at, done] = arguments;
            Promise.all([...document.fonts].map(f => f.load())).then(() => import(at)).then(() => done({
                fonts: [...document.fonts].filter(f => f.status === 'loaded').length,
                styles: [...document.styleSheets].map(s => s.href)}), e => done(String(e)))""",
                                           f"http://127.0.0.1:{page.router}/static/admin/js/cancel.js")
        console = [e["message"] for e in driver.get_log("browser") if "favicon" not in e["message"]]
    assert seen["fonts"] >= 1 and all(f":{page.router}/static/" in href for href in seen["styles"]), (seen, console)
    assert not [line for line in console if "CORS" in line or "404" in line], console


def production(page):
    verify, edge = f"{page.state}/tls/authority.crt", page.edge("fra")
    assert sign_in(edge, "shop.example", verify) == (302, {"csrftoken": True, "sessionid": True})
    names = json.loads((page.project / "static" / "staticfiles.json").read_text())["paths"]
    url = f"{edge}/static/{names['admin/css/base.css']}"
    for verdict in ("MISS", "HIT"):
        file = requests.get(url, headers={"Host": "shop.example"}, verify=verify, timeout=LIMIT)
        assert file.headers["X-Cache"] == verdict and "immutable" in file.headers["Cache-Control"]
        assert file.headers["Access-Control-Allow-Origin"] == "*" and file.headers["Content-Encoding"] == "gzip"


def test_every_line_of_the_page(cdn):
    page, checks = Reader(cdn), {"--mode proxy": five_commands, "--one-host": one_host, "browse --from": by_dns,
                                 "grep -o": lambda page: static_files_alone(page, cdn), "browse /admin/login/": production}
    blocks, done = parts(), []
    assert [kind for _, kind, _, _ in blocks].count("sh") >= 7 and len(blocks[0][3].splitlines()) == 5
    for heading, kind, file, text in blocks:
        lines = text.splitlines() if kind == "sh" else [None]
        for line in lines:
            page.do((heading, kind, file, f"{line}\n" if line else text))
            for mark, check in checks.items():
                if line and mark in line:
                    check(page)
                    done.append(mark)
    assert sorted(done) == sorted(checks)
    assert all("csrfmiddlewaretoken" in said for said in page.output("pocketcdn browse")), page.output("pocketcdn browse")
    first, second = page.output("base.css --from Tokyo")[-2:]
    assert "MISS" in first and "HIT" in second
