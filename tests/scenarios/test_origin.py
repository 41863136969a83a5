"""pocketcdn-origin, the real program: what it answers to whom, and what it never gives out."""

import gzip
import hashlib
import os
import re
import signal
import socket
import time
from email.utils import parsedate_to_datetime

import pytest
from cdn import Client, in_parallel, poll, unused_port

OLD = 1_600_000_000  # a Last-Modified long ago: Sun, 13 Sep 2020 12:26:40 GMT
OLD_TEXT = "Sun, 13 Sep 2020 12:26:40 GMT"
TEXT = b"0123456789" * 10


def write(path, data, when=OLD):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (when, when))
    return path


@pytest.fixture(scope="module")
def site(shared_cdn):
    """One origin for all tests that only read."""
    outer = shared_cdn.folder("outer", {"secret.txt": b"secret\n"})
    root = outer / "root"
    for name, data in {
        "index.html": b"<h1>home</h1>\n", "plain.txt": TEXT, "empty.txt": b"", "one.bin": b"x",
        "app.db8f2edc0c8a.js": b"console.log(1)\n", "sub/index.html": b"<h1>sub</h1>\n", "noindex/a.txt": b"a\n",
        "style.css": b"body{color:red}\n" * 50, "style.css.gz": gzip.compress(b"body{color:red}\n" * 50),
        "style.css.br": b"not really brotli, but nobody here decodes it", "style.css.zst": b"nor Zstandard", "only.js": b"1\n" * 100,
        "only.js.gz": gzip.compress(b"1\n" * 100), "font.woff2": b"wOF2" + bytes(100), "data.json": b"{}",
        "logo.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>", "upper.PNG": b"\x89PNG", "noext": b"?",
        ".env": b"SECRET=1\n", ".git/config": b"[core]\n", ".well-known/security.txt": b"Contact: x\n",
        "a b&c.txt": b"space\n", "café.txt": "é\n".encode(), "per%cent.txt": b"percent\n", "dir.d/x.txt": b"x\n",
        "stale.txt": b"new\n" * 10, "stale.txt.gz": gzip.compress(b"old\n"), "mid.bin": os.urandom(256 * 1024),
        "large.bin": os.urandom(3_000_000), "just.bin": os.urandom(256 * 1024 + 1),
    }.items():
        write(root / name, data)
    os.utime(root / "stale.txt.gz", (OLD - 3600, OLD - 3600))
    (root / "inside").symlink_to("plain.txt")
    (root / "inside-dir").symlink_to("sub")
    (root / "outside").symlink_to("../secret.txt")
    (root / "outside-abs").symlink_to(outer / "secret.txt")
    (root / "outside-dir").symlink_to("..")
    (root / "to-etc").symlink_to("/etc")
    (root / "loop").symlink_to("loop")
    (root / "dangling").symlink_to("nowhere")
    (root / "magic").symlink_to(f"/proc/{os.getpid()}/root/etc/passwd")
    os.mkfifo(root / "fifo")
    write(root / "locked.txt", b"x").chmod(0)
    daemon = shared_cdn.origin(root, place="Berlin")
    daemon.root = root
    return daemon


# ---------------------------------------------------------------------------------------------------- plain answers


def test_get(site):
    r = site.get("/plain.txt")
    assert r.status == 200 and r.body == TEXT and r.complete
    assert r["Content-Length"] == "100"
    assert r["Content-Type"] == "text/plain; charset=utf-8"
    assert r["Last-Modified"] == OLD_TEXT
    assert re.fullmatch(r'"[0-9a-f]{32}"', r["ETag"])
    assert r["Cache-Control"] == "public, max-age=60"
    assert r["Accept-Ranges"] == "bytes"
    assert r["Access-Control-Allow-Origin"] == "*"
    assert len(r.all("Date")) == 1
    assert "Vary" not in r and "Content-Encoding" not in r


@pytest.mark.parametrize("target", ["/plain.txt", "/large.bin", "/style.css", "/empty.txt", "/nothing", "/sub"])
def test_head_is_get_without_body(site, target):
    with site.connect() as client:
        get = client.get(target)
        head = client.request("HEAD", target)
        assert head.status == get.status and head.body == b""
        assert [h for h in head.headers if h[0] != "Date"] == [h for h in get.headers if h[0] != "Date"]
        assert client.get("/one.bin").body == b"x"  # nothing was left on the connection


@pytest.mark.parametrize("name, kind", [
    ("style.css", "text/css; charset=utf-8"), ("app.db8f2edc0c8a.js", "text/javascript; charset=utf-8"),
    ("index.html", "text/html; charset=utf-8"), ("font.woff2", "font/woff2"), ("data.json", "application/json"),
    ("logo.svg", "image/svg+xml"), ("upper.PNG", "image/png"), ("noext", "application/octet-stream"),
])
def test_media_types(site, name, kind):
    assert site.get("/" + name)["Content-Type"] == kind


def test_hashed_names_are_immutable(site):
    assert site.get("/app.db8f2edc0c8a.js")["Cache-Control"] == "public, max-age=31536000, immutable"


HASHES = {"app.4f3a2b1c.js": 8, "index-4f3a2b1c9d.css": 10, "a/app-db8f2edc0c8a.js": 12, "app.0123456789abcdef.js": 16,
          "app.0123456789abcdef0123.js": 20, "app-0123456789abcdef0123456789abcdef.woff2": 32}


@pytest.mark.parametrize("digits", [None, "8", "8,10,12,16,20,32", "32,20"])
def test_lengths_of_content_hashes(cdn, digits):
    root = cdn.folder("r", {name: b"1" for name in [*HASHES, "report-20240131.pdf"]})
    daemon = cdn.origin(root, env={} if digits is None else {"POCKETCDN_ORIGIN_IMMUTABLE_DIGITS": digits})
    known = {12} if digits is None else {int(n) for n in digits.split(",")}
    for name, n in [*HASHES.items(), ("report-20240131.pdf", 0)]:
        assert ("immutable" in daemon.get("/" + name)["Cache-Control"]) == (n in known), name


def test_lengths_of_content_hashes_by_reload(cdn):
    root = cdn.folder("r", {"app.4f3a2b1c.js": b"1"})
    config = cdn.config("origin:\n  immutable_digits: [12]\n")
    daemon = cdn.origin(root, config=config)
    assert "immutable" not in daemon.get("/app.4f3a2b1c.js")["Cache-Control"]
    config.write_text("origin:\n  immutable_digits: [8, 12]\n")
    assert daemon.reload().status == 200
    poll(lambda: "immutable" in daemon.get("/app.4f3a2b1c.js")["Cache-Control"])
    config.write_text("origin:\n  immutable_digits: [8, 7]\n")
    r = daemon.reload()
    assert r.status >= 400 and b"immutable_digits" in r.body and b'\\"7\\"' in r.body and b":2" in r.body
    assert "immutable" in daemon.get("/app.4f3a2b1c.js")["Cache-Control"]


def test_sizes_at_the_limits(site):
    for name in ("empty.txt", "one.bin", "mid.bin", "just.bin", "large.bin"):
        r = site.get("/" + name)
        assert r.status == 200 and r.complete and r.body == (site.root / name).read_bytes(), name


def test_names(site):
    assert site.get("/a%20b%26c.txt").body == b"space\n"
    assert site.get("/a%20b&c.txt?x=1").body == b"space\n"
    assert site.get("/caf%C3%A9.txt").body == "é\n".encode()
    assert site.get("/caf%c3%a9.txt").body == "é\n".encode()
    assert site.get("/per%25cent.txt").body == b"percent\n"
    assert site.get("/%70lain.txt").body == TEXT
    assert site.get("/.well-known/security.txt").body == b"Contact: x\n"


def test_query_does_not_matter(site):
    with site.connect() as client:
        assert client.get("/plain.txt?v=1").body == client.get("/plain.txt?").body == TEXT


def test_absolute_target(site):
    r = site.raw(b"GET http://x.example/plain.txt HTTP/1.1\r\nHost: x.example\r\n\r\n")
    assert r.status == 200 and r.body == TEXT


def test_folders(site):
    assert site.get("/").body == b"<h1>home</h1>\n"
    assert site.get("/sub/").body == b"<h1>sub</h1>\n"
    assert site.get("/sub/")["Content-Type"] == "text/html; charset=utf-8"
    r = site.get("/sub?a=b")
    assert (r.status, r["Location"]) == (301, "/sub/?a=b")
    assert site.get("/inside-dir")["Location"] == "/inside-dir/"
    assert site.get("/dir.d")["Location"] == "/dir.d/"
    assert site.get("/noindex/").status == 404
    assert site.get("/plain.txt/").status == 404
    assert site.get("/plain.txt/x").status == 404


def test_redirect_never_leaves_the_site(site):
    for target in ("//sub", "//evil.example/sub", "/\\evil.example", "/%2fevil.example/..", "///sub"):
        r = site.get(target)
        assert r.status in (400, 404) and "Location" not in r, target


# ---------------------------------------------------------------------------------------------------- nothing else


@pytest.mark.parametrize("target, status", [
    ("/../secret.txt", 400), ("/sub/../../secret.txt", 400), ("/%2e%2e/secret.txt", 400), ("/%2E%2e/secret.txt", 400),
    ("/.%2e/secret.txt", 400), ("/sub/%2e%2e/plain.txt", 400), ("/./plain.txt", 400), ("/sub/..", 400), ("/..", 400),
    ("/..%2fsecret.txt", 404), ("/..%2Fsecret.txt", 404), ("/%2e%2e%2fsecret.txt", 404), ("/%2fetc%2fpasswd", 404),
    ("/..%5csecret.txt", 404), ("/..\\secret.txt", 404), ("/%252e%252e/secret.txt", 404),
    ("/%252e%252e%252fsecret.txt", 404), ("/..%c0%afsecret.txt", 403), ("/..%ef%bc%8fsecret.txt", 403),
    ("//etc/passwd", 404), ("///etc/passwd", 404), ("/plain.txt%00.html", 400), ("/%00", 400), ("/plain.txt%0a", 400),
    ("/%", 400), ("/%2", 400), ("/%zz", 400), ("/%u002e", 400), ("/..;/secret.txt", 403), ("/.../secret.txt", 403),
    ("/.env", 403), ("/%2eenv", 403), ("/.git/config", 403), ("/sub/.hidden", 403), ("/.nothing", 403),
    ("/outside", 403), ("/outside-abs", 403), ("/outside-dir/secret.txt", 403), ("/outside-dir/", 403), ("/to-etc/passwd", 403),
    ("/loop", 404), ("/dangling", 404), ("/nothing", 404), ("/sub/nothing", 404), ("/fifo", 403),
    ("/" + "a" * 255, 404), ("/" + "a" * 256, 404), ("/" + "a/" * 1100, 414), ("/" + "%61" * 300, 404),
])
def test_nothing_outside_the_root(site, target, status):
    r = site.get(target)
    assert r.status == status, r
    assert b"secret\n" not in r.body and b"root:" not in r.body
    assert r["Access-Control-Allow-Origin"] == "*"
    assert r["Cache-Control"] == "no-cache"
    assert r["Content-Type"].startswith("text/plain")


def test_magic_link_is_refused(site):
    r = site.get("/magic")
    assert r.status in (403, 404) and b"root:" not in r.body


def test_inside_links_work(site):
    assert site.get("/inside").body == TEXT
    assert site.get("/inside-dir/index.html").body == b"<h1>sub</h1>\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(site):
    assert site.get("/locked.txt").status == 403


def test_raw_bytes_in_the_target(site):
    for target in (b"/plain.txt\x00x", b"/pl\x01ain.txt", b"/plain\x7f.txt"):
        r = site.raw(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert r is None or r.status == 400, target


# ---------------------------------------------------------------------------------------------------- methods


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "PURGE", "PROPFIND", "get"])
def test_other_methods(site, method):
    r = site.request(method, "/plain.txt")
    assert (r.status, r["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert r["Access-Control-Allow-Origin"] == "*"


def test_post_with_body(site):
    with site.connect() as client:
        assert client.request("POST", "/plain.txt", body=b"x" * 1000).status == 405


def test_options(site):
    for target in ("/plain.txt", "*", "/nothing"):
        r = site.request("OPTIONS", target, [("Origin", "https://a.example"), ("Access-Control-Request-Method", "GET")])
        assert r.status == 204 and r["Allow"] == "GET, HEAD, OPTIONS", target
        assert r["Access-Control-Allow-Origin"] == "*" and "GET" in r["Access-Control-Allow-Methods"]


def test_get_with_body_is_read_past(site):
    with site.connect() as client:
        assert client.request("GET", "/one.bin", body=b"y" * 100).body == b"x"
        assert client.get("/one.bin").body == b"x"


def test_pipelining_and_keep_alive(site):
    with site.connect() as client:
        for target in ("/one.bin", "/large.bin", "/nothing", "/plain.txt"):
            client.send_request("GET", target)
        assert [client.response().status for _ in range(4)] == [200, 200, 404, 200]
        assert client.get("/one.bin").body == b"x"


def test_http10(site):
    r = site.raw(b"GET /plain.txt HTTP/1.0\r\n\r\n")
    assert r.status == 200 and r.body == TEXT


# ---------------------------------------------------------------------------------------------------- conditions


def test_conditions(site):
    etag = site.get("/plain.txt")["ETag"]
    before, after = "Sun, 13 Sep 2020 12:26:39 GMT", "Sun, 13 Sep 2020 12:26:41 GMT"
    rows = [
        ([("If-None-Match", etag)], 304), ([("If-None-Match", "W/" + etag)], 304), ([("If-None-Match", '"x"')], 200),
        ([("If-None-Match", f'"a", {etag}')], 304), ([("If-None-Match", '"a"'), ("If-None-Match", etag)], 304),
        ([("If-None-Match", "*")], 304), ([("If-None-Match", '"x"'), ("If-Modified-Since", OLD_TEXT)], 200),
        ([("If-Modified-Since", OLD_TEXT)], 304), ([("If-Modified-Since", after)], 304),
        ([("If-Modified-Since", before)], 200), ([("If-Modified-Since", "rubbish")], 200),
        ([("If-Modified-Since", OLD_TEXT), ("If-Modified-Since", OLD_TEXT)], 200),
        ([("If-Match", etag)], 200), ([("If-Match", "W/" + etag)], 412), ([("If-Match", '"x"')], 412),
        ([("If-Match", "*")], 200), ([("If-Match", '"x"'), ("If-Match", etag)], 200),
        ([("If-Match", '"x"'), ("If-None-Match", etag)], 412), ([("If-Unmodified-Since", before)], 412),
        ([("If-Unmodified-Since", OLD_TEXT)], 200), ([("If-Match", etag), ("If-Unmodified-Since", before)], 200),
    ]
    with site.connect() as client:
        for headers, status in rows:
            for method in ("GET", "HEAD"):
                r = client.request(method, "/plain.txt", headers)
                assert r.status == status, (headers, r)
                assert r["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("target", ["/plain.txt", "/large.bin", "/style.css"])
def test_304_has_the_validators_and_no_body(site, target):
    with site.connect() as client:
        full = client.get(target)
        r = client.get(target, {"If-None-Match": full["ETag"]})
        assert r.status == 304
        for name in ("ETag", "Cache-Control", "Last-Modified", "Vary"):
            assert r.header(name) == full.header(name)
        assert r.header("Content-Length", full["Content-Length"]) == full["Content-Length"]  # RFC 9110 8.6
        assert client.get("/one.bin").body == b"x"


def test_missing_file_ignores_conditions(site):
    assert site.get("/nothing", {"If-Match": '"x"'}).status == 404
    assert site.get("/nothing", {"If-None-Match": "*"}).status == 404


def test_etag_is_of_the_content(cdn):
    root = cdn.folder("r", {"a.txt": b"same", "b.txt": b"same", "c.txt": b"other"})
    first = cdn.origin(root)
    tags = [first.get("/" + n)["ETag"] for n in ("a.txt", "b.txt", "c.txt")]
    assert tags[0] == tags[1] != tags[2]
    assert first.terminate() == 0
    os.utime(root / "a.txt", (OLD, OLD))
    assert cdn.origin(root).get("/a.txt")["ETag"] == tags[0]  # a restart and another date change nothing


# ---------------------------------------------------------------------------------------------------- ranges


@pytest.mark.parametrize("name", ["plain.txt", "large.bin", "mid.bin", "just.bin"])
def test_single_ranges(site, name):
    data = (site.root / name).read_bytes()
    n = len(data)
    rows = [("0-0", 0, 0), ("0-", 0, n - 1), ("5-9", 5, 9), ("-1", n - 1, n - 1), (f"-{n + 5}", 0, n - 1),
            (f"{n - 1}-", n - 1, n - 1), (f"10-{n + 100}", 10, n - 1)]
    with site.connect() as client:
        for spec, first, last in rows:
            r = client.get("/" + name, {"Range": f"bytes={spec}"})
            assert r.status == 206, (spec, r)
            assert r["Content-Range"] == f"bytes {first}-{last}/{n}"
            assert r.body == data[first:last + 1] and r.complete
            assert r["Content-Type"] and r["ETag"]


@pytest.mark.parametrize("name", ["plain.txt", "large.bin"])
def test_unsatisfiable_and_ignored_ranges(site, name):
    n = (site.root / name).stat().st_size
    with site.connect() as client:
        for spec in (f"bytes={n}-", "bytes=-0", f"bytes={n}-{n + 5},{n + 7}-"):
            r = client.get("/" + name, {"Range": spec})
            assert r.status == 416 and r["Content-Range"] == f"bytes */{n}", spec
        for spec in ("bytes=5-1", "bytes=x", "items=0-1", "bytes", "bytes=", "bytes=0-,0-,0-",
                     "bytes=" + ",".join(["0-0"] * 100)):
            assert client.get("/" + name, {"Range": spec}).status == 200, spec
        assert client.get("/" + name, [("Range", "bytes=0-1"), ("Range", "bytes=2-3")]).status == 200
        assert client.request("HEAD", "/" + name, {"Range": "bytes=0-1"}).status == 200


def test_ranges_of_nothing(site):
    r = site.get("/empty.txt", {"Range": "bytes=0-"})
    assert r.status == 416 and r["Content-Range"] == "bytes */0"
    assert site.get("/empty.txt", {"Range": "bytes=-5"}).status == 200


def parts_of(response):
    """[(Content-Range, body)] of a multipart/byteranges answer."""
    boundary = re.fullmatch(r"multipart/byteranges; boundary=(\S+)", response["Content-Type"])[1].encode()
    pieces = (b"\r\n" + response.body).split(b"\r\n--" + boundary)
    assert pieces[0] == b"" and pieces[-1] == b"--\r\n", pieces[-1]
    result = []
    for piece in pieces[1:-1]:
        head, body = piece[2:].split(b"\r\n\r\n", 1)
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        result.append((fields["Content-Range"], body))
    return result


@pytest.mark.parametrize("name", ["plain.txt", "large.bin"])
def test_multiple_ranges(site, name):
    data = (site.root / name).read_bytes()
    n = len(data)
    r = site.get("/" + name, {"Range": "bytes=0-3, 50-59 ,-2"})
    assert r.status == 206 and r.complete
    assert parts_of(r) == [(f"bytes 0-3/{n}", data[:4]), (f"bytes 50-59/{n}", data[50:60]),
                           (f"bytes {n - 2}-{n - 1}/{n}", data[-2:])]
    r = site.get("/" + name, {"Range": "bytes=20-29,0-9"})
    assert [c for c, _ in parts_of(r)] == [f"bytes 20-29/{n}", f"bytes 0-9/{n}"]  # in the order asked for
    r = site.get("/" + name, {"Range": f"bytes=0-1,{n}-"})
    assert r["Content-Range"] == f"bytes 0-1/{n}"  # one that can be given is one part


def test_big_parts(site):
    data = (site.root / "large.bin").read_bytes()
    r = site.get("/large.bin", {"Range": "bytes=0-999999,2000000-2999999"})
    assert [body for _, body in parts_of(r)] == [data[:1000000], data[2000000:]]


def test_if_range(site):
    etag = site.get("/plain.txt")["ETag"]
    rows = [(etag, 206), ("W/" + etag, 200), ('"x"', 200), (OLD_TEXT, 206), ("Sun, 13 Sep 2020 12:26:41 GMT", 200), ("x", 200)]
    for value, status in rows:
        assert site.get("/plain.txt", {"Range": "bytes=0-1", "If-Range": value}).status == status, value


# ---------------------------------------------------------------------------------------------------- siblings


@pytest.mark.parametrize("accept, coding", [
    ("gzip", "gzip"), ("br", "br"), ("gzip, br", "br"), ("gzip, deflate, br, zstd", "br"), ("br;q=0.5, gzip", "gzip"),
    ("br;q=0, gzip", "gzip"), ("zstd, gzip", "zstd"), ("zstd;q=0.5, gzip", "gzip"), ("zstd", "zstd"), ("*", "br"), ("identity", None), ("", None), (None, None), ("br;q=0, gzip;q=0", None),
    ("deflate", None), ("GZIP", "gzip"), ("x-gzip", "gzip"),
])
def test_siblings(site, accept, coding):
    r = site.get("/style.css", {} if accept is None else {"Accept-Encoding": accept})
    assert r.header("Content-Encoding") == coding
    assert r["Vary"] == "Accept-Encoding"
    assert r["Content-Type"] == "text/css; charset=utf-8"
    name = "style.css" + {"gzip": ".gz", "br": ".br", "zstd": ".zst", None: ""}[coding]
    assert r.body == (site.root / name).read_bytes()


def test_siblings_have_their_own_validators(site):
    tags = {site.get("/style.css", {"Accept-Encoding": a})["ETag"] for a in ("br", "gzip", "identity")}
    assert len(tags) == 3
    gz = site.get("/style.css", {"Accept-Encoding": "gzip"})["ETag"]
    assert site.get("/style.css", {"Accept-Encoding": "gzip", "If-None-Match": gz}).status == 304
    assert site.get("/style.css", {"Accept-Encoding": "br", "If-None-Match": gz}).status == 200
    r = site.get("/style.css", {"Accept-Encoding": "gzip", "Range": "bytes=0-1"})
    assert (r.status, r.body, r["Content-Encoding"]) == (206, b"\x1f\x8b", "gzip")


def test_sibling_of_an_older_file_is_not_used(site):
    r = site.get("/stale.txt", {"Accept-Encoding": "gzip"})
    assert r.body == b"new\n" * 10 and "Content-Encoding" not in r


def test_sibling_itself_is_a_file(site):
    r = site.get("/style.css.gz", {"Accept-Encoding": "gzip"})
    assert r["Content-Type"] == "application/gzip" and "Content-Encoding" not in r


def test_siblings_can_be_switched_off(cdn):
    root = cdn.folder("r", {"a.css": b"a{}", "a.css.gz": gzip.compress(b"a{}")})
    r = cdn.origin(root, precompressed=False).get("/a.css", {"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in r and "Vary" not in r


# ---------------------------------------------------------------------------------------------------- change


def test_a_root_that_a_deploy_swaps_is_followed(cdn):
    """`current` is a link to the newest release; `ln -sfn` or a rename over it changes what is served, at once."""
    outer = cdn.folder("releases", {"1/a.txt": b"one", "1/gone.txt": b"gone", "2/a.txt": b"two two"})
    current = outer / "current"
    current.symlink_to("1")
    origin = cdn.origin(current)
    assert origin.get("/a.txt").body == b"one" and origin.get("/gone.txt").status == 200
    (outer / "next").symlink_to("2")
    (outer / "next").rename(current)
    assert origin.get("/a.txt").body == b"two two" and origin.get("/gone.txt").status == 404
    current.unlink()  # for a moment there is no link: what was served goes on
    assert origin.get("/a.txt").body == b"two two"
    current.symlink_to("1")
    assert origin.get("/a.txt").body == b"one"


def test_changes_are_seen(cdn):
    root = cdn.folder("r", {"a.txt": b"one"})
    daemon = cdn.origin(root)
    tag = daemon.get("/a.txt")["ETag"]
    (root / "a.txt").write_bytes(b"two")  # same length, in place, perhaps within one tick of the clock
    assert [daemon.get("/a.txt").body for _ in range(20)] == [b"two"] * 20  # at once, on every thread
    assert daemon.get("/a.txt")["ETag"] != tag
    assert daemon.get("/a.txt", {"If-None-Match": tag}).status == 200
    (root / "a.txt.gz").write_bytes(gzip.compress(b"two"))
    poll(lambda: daemon.get("/a.txt", {"Accept-Encoding": "gzip"}).header("Content-Encoding") == "gzip")
    (root / "a.txt").unlink()
    assert daemon.get("/a.txt").status == 404
    (root / "a.txt").write_bytes(b"three")
    assert daemon.get("/a.txt").body == b"three"


def test_a_large_file_changes(cdn):
    root = cdn.folder("r")
    old, new = os.urandom(1_000_000), os.urandom(1_000_000)
    write(root / "a.bin", old)
    daemon = cdn.origin(root)
    assert daemon.get("/a.bin").body == old
    write(root / "b.bin", new)
    os.replace(root / "b.bin", root / "a.bin")
    assert daemon.get("/a.bin").body == new


def slow_start(daemon, target):
    """A client that has the head and a first piece of a big body, and does not read on."""
    client = daemon.connect()
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.send_request("GET", target)
    head = client.final_head()
    return client, head, client.read_exactly(10000)


@pytest.fixture
def big(cdn):
    root = cdn.folder("r")
    data = os.urandom(1 << 20) * 100
    write(root / "big.bin", data)
    daemon = cdn.origin(root, threads=1)
    return daemon, root / "big.bin", data


def test_100_mb_by_sendfile(big):
    daemon, path, data = big
    r = daemon.get("/big.bin")
    assert r.complete and hashlib.sha256(r.body).digest() == hashlib.sha256(data).digest()
    assert daemon.metric("sendfile_total") == 1


def test_replaced_by_rename_while_sent(big):
    daemon, path, data = big
    client, head, first = slow_start(daemon, "/big.bin")
    write(path.parent / "new.bin", b"new" * 1000)
    os.replace(path.parent / "new.bin", path)
    body = first + client.read_exactly(len(data) - len(first))
    assert body == data  # the old file to its end: descriptors outlive names
    assert daemon.get("/big.bin").body == b"new" * 1000


def test_truncated_while_sent(big):
    daemon, path, data = big
    client, head, first = slow_start(daemon, "/big.bin")
    os.truncate(path, 20_000_000)
    rest = client.read_exactly(len(data))
    assert len(first) + len(rest) < len(data)  # broken off, and the length said so
    assert data.startswith(first)
    assert daemon.get("/big.bin").status == 200
    assert daemon.metric("aborted_total") == 1


def test_overwritten_while_sent(big):
    daemon, path, data = big
    client, head, first = slow_start(daemon, "/big.bin")
    with open(path, "r+b") as f:
        f.seek(50_000_000)
        f.write(b"changed")
    poll(lambda: daemon.metric("changed_while_sent_total") == 1)
    assert len(first) + len(client.read_exactly(len(data))) < len(data)


def test_ten_thousand_files(cdn):
    root = cdn.folder("r")
    for i in range(10_000):
        (root / f"f{i}.txt").write_bytes(b"%d" % i)
    daemon = cdn.origin(root, listing=True, memory="1MiB")

    def reader(k):
        with daemon.connect() as client:
            for i in range(k, 10_000, 8):
                assert client.get(f"/f{i}.txt").body == b"%d" % i
    in_parallel(8, reader)
    page = daemon.get("/").text
    assert page.count("<li>") == 10_000 and "f9999.txt" in page
    assert daemon.metric("ready_bytes") <= 1 << 20


def test_many_at_once(cdn):
    root = cdn.folder("r", {"a.txt": TEXT})
    daemon = cdn.origin(root)
    clients = [daemon.connect() for _ in range(300)]
    for client in clients:
        client.send_request("GET", "/a.txt")
    assert all(c.response().body == TEXT for c in clients)
    for client in clients:
        client.close()


def test_state_keeps_hashes_over_restarts(cdn):
    root, state = cdn.folder("r"), cdn.folder("s") / "new"
    write(root / "a.bin", os.urandom(1_000_000))

    def start():
        return cdn.origin(root, state=state, threads=1)

    first = start()
    tag = first.head("/a.bin")["ETag"]
    # kept once the file has been left alone for a moment
    poll(lambda: first.head("/a.bin")["ETag"] == tag and (state / "hashes").stat().st_size == 64)
    result = cdn.cli("--root", root, "--state", state, "--listen=127.0.0.1:0", program="pocketcdn-origin")
    assert result.returncode == 3 and "another process" in result.stderr
    first.kill()
    second = start()
    assert second.head("/a.bin")["ETag"] == tag and second.metric("hash_wait_total") == 0
    second.terminate()
    kept = (state / "hashes").read_bytes()
    (state / "hashes").write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]) + b"torn")
    third = start()
    assert third.head("/a.bin")["ETag"] == tag and third.metric("hash_wait_total") == 1
    assert (state / "hashes").stat().st_size == 64


def test_large_file_is_hashed_once_for_many(cdn):
    root = cdn.folder("r")
    data = os.urandom(1 << 20) * 30
    write(root / "a.bin", data)
    daemon = cdn.origin(root)
    tags = in_parallel(10, lambda i: daemon.head("/a.bin")["ETag"])
    assert len(set(tags)) == 1


# ---------------------------------------------------------------------------------------------------- listing


def test_listing(cdn):
    root = cdn.folder("r", {"sub/a&b <x>.txt": b"1", "sub/.hidden": b"2", "sub/deep/x": b"3", "sub/100%.txt": b"4"})
    daemon = cdn.origin(root, listing=True)
    r = daemon.get("/sub/")
    assert r.status == 200 and r["Content-Type"] == "text/html; charset=utf-8" and r["Cache-Control"] == "no-cache"
    assert ".hidden" not in r.text and "<x>" not in r.text and "../" in r.text
    for href in re.findall(r'href="\./([^"]+)"', r.text):
        assert daemon.get("/sub/" + href).status == 200, href
    assert daemon.get("/nothing/").status == 404
    assert "../" not in daemon.get("/").text


# ---------------------------------------------------------------------------------------------------- running it


def test_settings(cdn):
    root = cdn.folder("r", {"home.htm": b"home", "a.txt": b"a", "app.db8f2edc0c8a.js": b"1"})
    daemon = cdn.origin(root, max_age="5m", index="home.htm", immutable=False, env={"POCKETCDN_ORIGIN_MAX_AGE": "1h"})
    assert daemon.get("/").body == b"home"
    assert daemon.get("/a.txt")["Cache-Control"] == "public, max-age=300"  # a flag wins over the environment
    assert daemon.get("/app.db8f2edc0c8a.js")["Cache-Control"] == "public, max-age=300"


def test_reload_by_sighup(cdn):
    root = cdn.folder("r", {"a.txt": b"a"})
    config = cdn.config("origin:\n  max_age: 10s\n")
    daemon = cdn.origin(root, config=config)
    assert daemon.get("/a.txt")["Cache-Control"] == "public, max-age=10"
    config.write_text("origin:\n  max_age: 20s\n")
    daemon.signal(signal.SIGHUP)
    daemon.wait_log("reloaded")
    poll(lambda: daemon.get("/a.txt")["Cache-Control"] == "public, max-age=20")
    config.write_text("origin:\n  max_age: soon\n")
    daemon.signal(signal.SIGHUP)
    line = daemon.wait_log("reload_failed")
    assert "max_age" in line["error"] and ":2" in line["error"]
    config.write_text("origin:\n  max_age: 30s\n  threads: 7\n")
    assert daemon.reload().status == 409
    assert daemon.get("/a.txt")["Cache-Control"] == "public, max-age=20"


def test_sigterm_finishes_what_is_under_way(big):
    daemon, path, data = big
    client, head, first = slow_start(daemon, "/big.bin")
    idle = daemon.connect()
    assert idle.request("HEAD", "/big.bin").status == 200
    daemon.signal(signal.SIGTERM)
    assert idle.at_eof()  # idle connections are closed

    def refused():
        try:
            Client(daemon.public).close()
            return False
        except ConnectionRefusedError:
            return True
    poll(refused, what="the port to be closed")
    assert daemon.running()
    assert first + client.read_exactly(len(data) - len(first)) == data
    assert daemon.wait() == 0


def test_sigterm_when_idle_is_quick(cdn):
    daemon = cdn.origin(cdn.folder("r", {"a": b"a"}))
    daemon.get("/a")
    start = time.monotonic()
    assert daemon.terminate() == 0
    assert time.monotonic() - start < 5


def test_sigterm_during_a_delay(cdn):
    daemon = cdn.origin(cdn.folder("r", {"a": b"a"}), simulate=True)
    daemon.faults(delay="300ms")
    with daemon.connect() as client:
        client.send_request("GET", "/a")
        poll(lambda: daemon.metric("fault_total") == 1)
        daemon.signal(signal.SIGTERM)
        assert client.response().body == b"a"
    assert daemon.wait() == 0


@pytest.mark.parametrize("arguments, code, words", [
    ([], 2, "--root"), (["--root", "/does/not/exist"], 3, "/does/not/exist"), (["--root", "/etc/passwd"], 3, "/etc/passwd"),
    (["--root", "/", "--place", "Atlantis-on-Sea"], 2, "place"), (["--root", "/", "--place", "95,10"], 2, "place"),
    (["--root", "/", "--threads", "0"], 2, "threads"), (["--root", "/", "--threads", "x"], 2, "threads"),
    (["--root", "/", "--listen", "nowhere"], 2, "listen"), (["--root", "/", "--max-age", "-1s"], 2, "max-age"),
    (["--root", "/", "--index", "a/b"], 2, "index"), (["--root", "/", "--colour", "red"], 2, "colour"),
    (["--root", "/", "extra"], 2, "extra"), (["--root", "/", "--config", "/does/not/exist.yaml"], 3, "exist.yaml"),
    (["--root", "/", "--listen", "127.0.0.1:0", "--admin", "0.0.0.0:0"], 2, "token"),
    (["--root", "/", "--mime-types", "/etc"], 3, "/etc"), (["--root", "/", "--state", "/etc/passwd"], 3, "/etc/passwd"),
])
def test_bad_invocation(cdn, arguments, code, words):
    result = cdn.cli(*arguments, program="pocketcdn-origin")
    assert result.returncode == code, result
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("pocketcdn-origin: ") and words in lines[0], result.stderr
    assert result.stdout == ""


def test_port_in_use(cdn):
    root = cdn.folder("r")
    first = cdn.origin(root)
    port = first.public[1]
    result = cdn.cli("--root", root, "--listen", f"127.0.0.1:{port}", "--admin", "127.0.0.1:0", program="pocketcdn-origin")
    assert result.returncode == 3 and str(port) in result.stderr and len(result.stderr.splitlines()) == 1
    result = cdn.cli("--root", root, "--listen", "127.0.0.1:0", "--admin", f"127.0.0.1:{first.admin[1]}",
                     program="pocketcdn-origin")
    assert result.returncode == 3 and str(first.admin[1]) in result.stderr


def test_help(cdn):
    result = cdn.cli("--help", program="pocketcdn-origin")
    assert result.returncode == 0
    for flag in ("--root", "--listen", "--admin", "--place", "--state", "--max-age", "--[no-]listing"):
        assert flag in result.stdout
    assert cdn.cli("--version", program="pocketcdn-origin").returncode == 0


def test_default_admin_port(cdn):
    port = unused_port()
    daemon = cdn.origin(cdn.folder("r"), listen=f"127.0.0.1:{port}", admin=None)
    assert daemon.admin == ("127.0.0.1", port + 1000)


def test_status_and_metrics(cdn):
    daemon = cdn.origin(cdn.folder("r", {"a.txt": TEXT}), place="48.1,11.6", threads=1)
    with daemon.connect() as client:
        client.get("/a.txt")
        client.get("/a.txt")
        client.get("/a.txt", {"If-None-Match": "*"})
        client.get("/a.txt", {"Range": "bytes=0-9"})
        client.get("/nothing")
        client.request("POST", "/a.txt")
    status = daemon.status()
    assert status["healthy"] and status["threads"] == 1 and status["place"]["lat"] == 48.1
    assert daemon.admin_request("GET", "/health").status == 200

    def settled():
        m = daemon.metrics()
        return m['pocketcdn_origin_request_total{class="4xx"}'] == 2 and m
    m = poll(settled)
    assert m['pocketcdn_origin_request_total{class="2xx"}'] == 3
    assert m['pocketcdn_origin_request_total{class="3xx"}'] == m["pocketcdn_origin_not_modified_total"] == 1
    assert m['pocketcdn_origin_range_total{parts="one"}'] == 1
    assert m["pocketcdn_origin_body_bytes_total"] >= 210


def test_small_files_are_kept_ready(cdn):
    daemon = cdn.origin(cdn.folder("r", {"a.txt": TEXT, "app.db8f2edc0c8a.js": TEXT}), threads=1)
    for target in ("/a.txt", "/app.db8f2edc0c8a.js"):  # not before they have been left alone for a moment
        before = daemon.metric("ready_hit_total")
        poll(lambda: daemon.get(target).body == TEXT and daemon.metric("ready_hit_total") > before)
    assert daemon.metric("ready_files") == 2


def test_access_log(cdn):
    daemon = cdn.origin(cdn.folder("r", {"a.txt": TEXT}), access_log=True)
    daemon.get('/a.txt?x="y"%0alevel=error')
    line = daemon.wait_log("request")
    assert (line["method"], line["status"], line["bytes"], line["client"]) == ("GET", "200", "100", "127.0.0.1")
    assert line["target"] == '/a.txt?x="y"%0alevel=error'


# ---------------------------------------------------------------------------------------------------- simulation


def test_faults(cdn):
    daemon = cdn.origin(cdn.folder("r", {"a.txt": b"a", "static/b.txt": b"b"}), simulate=True)

    def statuses(n):
        result = []
        for _ in range(n):
            r = daemon.raw(b"GET /static/b.txt HTTP/1.1\r\nHost: x\r\n\r\n")
            result.append(r.status if r else None)
        return result

    rules = dict(error_rate=0.4, status=500, drop_rate=0.2, seed=9, paths="/static/*")
    daemon.faults(**rules)
    first = statuses(40)
    assert set(first) == {200, 500, None}
    assert daemon.get("/a.txt").status == 200
    daemon.faults(**rules)
    assert statuses(40) == first  # the same seed does the same again
    assert daemon.status()["faults"]["paths"] == "/static/*"
    daemon.faults(off=True)
    assert statuses(10) == [200] * 10
    assert daemon.admin_request("POST", "/faults", {"error_rate": 2}).status == 400
    assert daemon.admin_request("POST", "/faults", {"unknown": 2}).status == 400


def test_delay(cdn):
    daemon = cdn.origin(cdn.folder("r", {"a.txt": b"a"}), simulate=True)
    daemon.faults(delay="150ms")
    start = time.monotonic()
    answers = in_parallel(20, lambda i: daemon.get("/a.txt").status)
    assert answers == [200] * 20
    assert 0.15 <= time.monotonic() - start < 20 * 0.15


def test_client_gone_during_a_delay(cdn):
    daemon = cdn.origin(cdn.folder("r", {"a.txt": b"a"}), simulate=True)
    before = daemon.open_files()
    daemon.faults(delay="100ms")
    client = daemon.connect()
    client.send_request("GET", "/a.txt")
    poll(lambda: daemon.metric("fault_total") == 1)
    client.reset()
    daemon.faults(off=True)
    poll(lambda: daemon.open_files() <= before)
    assert daemon.get("/a.txt").body == b"a"


def test_no_faults_without_simulation(cdn):
    daemon = cdn.origin(cdn.folder("r", {"a.txt": b"a"}))
    assert daemon.admin_request("POST", "/faults", {"error_rate": 1}).status >= 400
    assert daemon.admin_request("POST", "/clock", {"advance": "1d"}).status >= 400
    assert daemon.get("/a.txt").status == 200


def test_clock_moves_date(cdn):
    daemon = cdn.origin(cdn.folder("r", {"a.txt": b"a", "d/b.txt": b"b"}), simulate=True, listing=True)
    before = daemon.get("/a.txt")
    daemon.clock_advance("30d")
    for r in (daemon.get("/a.txt"), daemon.get("/nothing"), daemon.get("/a.txt", {"If-None-Match": before["ETag"]}),
              daemon.get("/d"), daemon.get("/d/"), daemon.request("OPTIONS", "/a.txt"),
              daemon.get("/a.txt", {"Range": "bytes=0-0"})):
        assert len(r.all("Date")) == 1
        moved = parsedate_to_datetime(r["Date"]) - parsedate_to_datetime(before["Date"])
        assert 30 * 86400 <= moved.total_seconds() < 30 * 86400 + 60, r
    assert daemon.get("/a.txt")["Last-Modified"] == before["Last-Modified"]
