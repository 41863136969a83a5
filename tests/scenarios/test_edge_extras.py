"""What an edge does beside caching: TLS on both sides, the access log, compression."""

import ctypes
import gzip
import json
import os
import signal
import ssl
import subprocess

import pytest
from cdn import Reply, in_parallel, poll
from tls import Pair

FRESH = ("Cache-Control", "max-age=3600")


# ---------------------------------------------------------------------------------------------------- certificates


@pytest.fixture
def pair(cdn):
    return Pair(cdn.folder("tls"))


def secure(edge, pair, name="test.example"):
    return edge.connect(tls=pair.client(), server_hostname=name)


def tls_edge(cdn, origin, pair, **settings):
    return cdn.edge(origin, tls_certificate=pair.certificate, tls_key=pair.key, **settings)


def served_certificate(edge):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with edge.connect(tls=context) as client:
        return client.sock.getpeercert(binary_form=True)


def der(pair):
    return ssl.PEM_cert_to_DER_cert(pair.certificate.read_text())


# ---------------------------------------------------------------------------------------------------- TLS, public side


def test_hits_misses_and_ranges_over_tls_on_one_connection(cdn, pair):
    origin = cdn.fake_origin()
    big = bytes(range(256)) * 12288  # 3 MiB: from the disk
    origin.on("/small", Reply(body=b"hello", headers=[FRESH]))
    origin.on("/big", Reply(body=big, headers=[FRESH]))
    edge = tls_edge(cdn, origin, pair)
    with secure(edge, pair) as client:
        assert client.get("/small").header("X-Cache") == "MISS"
        for _ in range(3):
            again = client.get("/small")
            assert (again.header("X-Cache"), again.body) == ("HIT", b"hello")
        assert client.get("/big").body == big
        poll(lambda: edge.status()["cache"]["disk_objects"] == 2, what="both on disk")
        whole = client.get("/big")
        assert whole.header("X-Cache") == "HIT" and whole.body == big
        part = client.get("/big", [("Range", "bytes=1000000-1999999")])
        assert part.status == 206 and part.body == big[1000000:2000000]
        assert client.request("HEAD", "/small").header("Content-Length") == "5"
    assert origin.count("/small") == 1
    assert origin.last("/small").header("X-Forwarded-Proto") == "https"


def test_early_hints_over_tls(cdn, pair):
    origin = cdn.fake_origin()
    origin.on("/page", Reply(body=b"page", headers=[FRESH], interim=[(103, [("Link", "</a.css>; rel=preload")])]))
    edge = tls_edge(cdn, origin, pair)
    with secure(edge, pair) as client:
        answer = client.get("/page")
        assert answer.body == b"page" and [i.status for i in answer.interim] == [103]
        assert client.get("/page").header("X-Cache") == "HIT"


def test_a_purge_hits_what_was_stored_over_https(cdn, pair):
    origin = cdn.fake_origin()
    origin.on("/a/b", Reply(body=b"x", headers=[FRESH]))
    edge = tls_edge(cdn, origin, pair)
    with secure(edge, pair) as client:
        for body in ({"url": "http://test.example/a/b"}, {"url": "https://test.example/a/b"},
                     {"prefix": "http://test.example/a/"}):
            client.get("/a/b")
            assert client.get("/a/b").header("X-Cache") == "HIT"
            assert edge.admin_post("/purge", body)["purged"] == 1
            assert client.get("/a/b").header("X-Cache") == "MISS"


def test_the_purge_method_hits_the_other_scheme_too(cdn, pair):
    """What was stored over TLS and outlived the listener's change to plain HTTP."""
    origin, folder = cdn.fake_origin(), cdn.folder("cache")
    origin.on("/a", Reply(body=b"x", headers=[FRESH]))
    before = tls_edge(cdn, origin, pair, cache_dir=folder)
    with secure(before, pair) as client:
        client.get("/a")
    assert before.terminate() == 0
    after = cdn.edge(origin, cache_dir=folder)
    poll(lambda: not after.status()["loading"], what="the cache loaded")
    after.get("/a")
    assert after.request("PURGE", "/a").json()["purged"] == 2


@pytest.mark.parametrize("how", ["sighup", "post"])
def test_a_new_certificate_without_a_drop(cdn, pair, how):
    origin = cdn.fake_origin()
    origin.on("/a", Reply(body=b"x", headers=[FRESH]))
    edge = tls_edge(cdn, origin, pair, threads=2)
    other = Pair(cdn.folder("other"))
    with secure(edge, pair) as old:
        assert old.get("/a").status == 200
        pair.certificate.write_bytes(other.certificate.read_bytes())
        pair.key.write_bytes(other.key.read_bytes())
        if how == "sighup":
            edge.signal(signal.SIGHUP)
            edge.wait_log("reloaded")
        else:
            assert edge.reload().status == 200
        poll(lambda: served_certificate(edge) == der(other), what="the new certificate on new connections")
        assert old.get("/a").header("X-Cache") == "HIT"  # the old connection goes on


def break_missing(pair):
    pair.key.unlink()
    return pair.key.name


def break_rubbish(pair):
    pair.certificate.write_text("not a certificate\n")
    return pair.certificate.name


def break_mismatch(pair):
    other = Pair(pair.key.parent, "other")
    pair.key.write_bytes(other.key.read_bytes())
    return f"{pair.key.name} is not the key of the certificate in "


@pytest.mark.parametrize("break_it", [break_missing, break_rubbish, break_mismatch])
def test_bad_files_leave_the_old_certificate(cdn, pair, break_it):
    origin = cdn.fake_origin()
    origin.on("/a", Reply(body=b"x", headers=[FRESH]))
    edge = tls_edge(cdn, origin, pair)
    before = der(pair)
    said = break_it(pair)
    answer = edge.reload()
    assert answer.status >= 400 and said in answer.json()["detail"]
    assert served_certificate(edge) == before
    # and at the start the same files are refused with the same words
    second = cdn.edge(origin, name="second", wait=False, tls_certificate=pair.certificate, tls_key=pair.key)
    assert second.wait() in (2, 3)
    assert said in second.err[-1]


def test_half_a_pair_and_switching_tls_are_refused(cdn, pair):
    origin = cdn.fake_origin()
    half = cdn.edge(origin, name="half", wait=False, tls_certificate=pair.certificate)
    assert half.wait() == 2 and "tls_certificate is set without tls_key" in half.err[-1]
    config = cdn.config({"edges": [{"name": "fra"}]})
    edge = cdn.edge(origin, config=config)
    config.write_text(json.dumps({"edges": [{"name": "fra", "tls_certificate": str(pair.certificate),
                                             "tls_key": str(pair.key)}]}))
    answer = edge.reload()
    assert answer.status == 409 and "restart" in answer.json()["detail"]


def test_plain_http_on_a_tls_port_does_no_harm(cdn, pair):
    origin = cdn.fake_origin()
    origin.on("/a", Reply(body=b"x", headers=[FRESH]))
    edge = tls_edge(cdn, origin, pair)
    assert edge.raw("GET /a HTTP/1.1\r\nHost: test.example\r\n\r\n") is None
    with secure(edge, pair) as client:
        assert client.get("/a").status == 200
    assert edge.metric("certificate_expires_seconds") > 1.7e9


# ---------------------------------------------------------------------------------------------------- TLS, origin side


def test_an_https_origin_is_verified(cdn, pair):
    origin = cdn.fake_origin(tls=pair.server())
    origin.on("/a", Reply(body=b"x" * 100000, headers=[FRESH]))
    url = f"https://127.0.0.1:{origin.address[1]}"
    stranger = cdn.edge(url, name="stranger")
    assert stranger.get("/a").status == 502
    assert origin.count("/a") == 0
    edge = cdn.edge(url, origin_ca=pair.certificate)
    assert edge.get("/a").body == b"x" * 100000
    assert edge.get("/a").header("X-Cache") == "HIT"
    assert origin.last("/a").header("Host") == f"127.0.0.1:{origin.address[1]}"
    careless = cdn.edge(url, name="careless", origin_insecure=True)
    assert careless.get("/a").status == 200


def test_the_name_in_the_certificate_counts(cdn):
    wrong = Pair(cdn.folder("tls"), "elsewhere.example", "DNS:elsewhere.example")
    origin = cdn.fake_origin(tls=wrong.server())
    origin.on("/a", Reply(body=b"x", headers=[FRESH]))
    edge = cdn.edge(origin, origin_ca=wrong.certificate)
    assert edge.get("/a").status == 502
    assert origin.count("/a") == 0


def test_server_name_and_host_towards_the_origin(cdn):
    names = []
    pair = Pair(cdn.folder("tls"), "localhost", "DNS:localhost")
    context = pair.server()
    context.sni_callback = lambda sock, name, ctx: names.append(name)
    origin = cdn.fake_origin(tls=context)
    origin.on("/a", Reply(body=b"x", headers=[FRESH]))
    port = origin.address[1]
    edge = cdn.edge(f"https://localhost:{port}", origin_ca=pair.certificate)
    assert edge.get("/a").status == 200
    assert (names[-1], origin.last("/a").header("Host")) == ("localhost", f"localhost:{port}")
    named = cdn.edge(f"https://localhost:{port}", name="named", origin_ca=pair.certificate, origin_host="shop.example")
    assert named.get("/a").status == 200
    assert (names[-1], origin.last("/a").header("Host")) == ("localhost", "shop.example")


# ---------------------------------------------------------------------------------------------------- access log


def lines_of(path, n, **kw):
    """The first n complete lines, once they are there."""
    def read():
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return lines if len(lines) >= n and lines[-1].endswith("\n") else None
    return poll(read, what=f"{n} lines in {path}", **kw)


def test_json_lines_say_what_happened(cdn):
    origin, path = cdn.fake_origin(), cdn.folder("log") / "access.log"
    origin.on("/a", Reply(body=b"0123456789", headers=[FRESH, ("ETag", '"1"')]))
    origin.on("/private", Reply(body=b"x", headers=[("Cache-Control", "no-store")]))
    edge = cdn.edge(origin, access_log=path, access_log_format="json", threads=1, trusted_proxies="127.0.0.0/8")
    edge.get("/a", [("User-Agent", "check/1"), ("Referer", "http://r.example/")])
    for _ in range(3):  # from the table of ready answers at last
        edge.get("/a", [("X-Forwarded-For", "198.51.100.9")])
    edge.get("/a", [("If-None-Match", '"1"')])
    edge.get("/a", [("Range", "bytes=2-4")])
    edge.get("/private")
    edge.request("POST", "/a", body=b"12")
    edge.get("/missing", [("Cache-Control", "only-if-cached")])
    rows = [json.loads(line) for line in lines_of(path, 9)]
    brief = [(r["status"], r["verdict"], r["cause"], r["bytes"]) for r in rows[:7]]
    assert brief == [(200, "MISS", "cold", 10), *[(200, "HIT", "", 10)] * 3, (304, "HIT", "", 0), (206, "HIT", "", 3),
                     (200, "BYPASS", "bypass-response", 1)]
    assert (rows[7]["method"], rows[7]["cause"]) == ("POST", "bypass-method")
    assert (rows[8]["status"], rows[8]["verdict"]) == (504, "REFUSED") and rows[8]["bytes"] > 20
    miss = rows[0]
    assert miss["fwd_status"] == 200 and miss["stored"] is True and 0 <= miss["origin_us"] <= miss["duration_us"] < 10_000_000
    assert (miss["user_agent"], miss["referer"]) == ("check/1", "http://r.example/")
    assert (miss["client"], rows[1]["client"], rows[1]["edge"]) == ("127.0.0.1", "198.51.100.9", "fra")
    assert rows[5]["range"] == "bytes=2-4" and "origin_us" not in rows[1]
    assert (miss["host"], miss["target"], miss["scheme"]) == ("test.example", "/a", "http")
    poll(lambda: edge.metric("access_log_written_total") == 9, what="nine lines counted")
    assert edge.metric("access_log_dropped_total") == 0


def test_a_request_cannot_forge_a_line(cdn):
    origin, path = cdn.fake_origin(), cdn.folder("log") / "access.log"
    edge = cdn.edge(origin, access_log=path, access_log_format="combined")
    edge.get("/a", [("User-Agent", 'x" 200 5 "\tb\\\xe9')])
    (line,) = lines_of(path, 1)
    assert line.endswith(r'"-" "x\" 200 5 \"\x09b\\\xe9"' + "\n")


def test_clf_on_standard_output(cdn):
    origin = cdn.fake_origin()
    origin.on("/a", Reply(body=b"hello", headers=[FRESH]))
    edge = cdn.edge(origin, access_log="-", access_log_format="clf")
    edge.get("/a")
    line = poll(lambda: edge.out and edge.out[0], what="a line on standard output")
    assert line.startswith("127.0.0.1 - - [") and line.endswith('] "GET /a HTTP/1.1" 200 5')


def test_rotation_by_sighup(cdn):
    origin, path = cdn.fake_origin(), cdn.folder("log") / "access.log"
    origin.on("/a", Reply(body=b"hello", headers=[FRESH]))
    edge = cdn.edge(origin, access_log=path)
    edge.get("/a?1")
    assert len(lines_of(path, 1)) == 1
    old = path.rename(path.with_suffix(".1"))
    edge.get("/a?2")
    assert len(lines_of(old, 2)) == 2  # still the old file
    edge.signal(signal.SIGHUP)
    edge.wait_log("reloaded")
    poll(path.exists, what="a new file")

    def arrives():
        edge.get("/a?3")
        return path.stat().st_size
    poll(arrives, what="lines in the new file", every=0.15)
    total = len(edge_log_targets(path)) + len(edge_log_targets(old))
    assert total >= 3 and edge_log_targets(old)[:2] == ["/a?1", "/a?2"]


def edge_log_targets(path):
    return [json.loads(line)["target"] for line in path.read_text().splitlines()]


def test_a_log_that_cannot_be_opened_again_goes_on(cdn):
    origin, folder = cdn.fake_origin(), cdn.folder("log")
    origin.on("/a", Reply(body=b"hello", headers=[FRESH]))
    path = folder / "sub" / "access.log"
    path.parent.mkdir()
    edge = cdn.edge(origin, access_log=path)
    moved = folder / "moved"
    path.parent.rename(moved)
    answer = edge.reload()
    assert answer.status == 500 and str(path) in answer.json()["detail"]
    edge.get("/a")
    lines_of(moved / "access.log", 1)
    bad = cdn.edge(origin, name="bad", wait=False, access_log=path)
    assert bad.wait() == 3 and "access_log: cannot open" in bad.err[-1]


def test_a_reader_that_stops_reading_never_stops_the_edge(cdn):
    """Standard output is a pipe that nobody empties: hits go on, records are dropped and counted."""
    origin = cdn.fake_origin()
    origin.on("/a", Reply(body=b"hello", headers=[FRESH]))
    fifo = cdn.folder("log") / "pipe"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    edge = cdn.edge(origin, access_log=fifo, threads=1)
    agent = [("User-Agent", "x" * 500), ("Referer", "y" * 1000)]
    with edge.connect() as client:
        def dropped():
            for _ in range(100):
                assert client.get("/a?" + "q" * 2000, agent).status == 200
            return edge.metric("access_log_dropped_total")
        assert poll(dropped, what="dropped records") > 0
    os.close(reader)
    assert edge.terminate() == 0


def test_all_lines_are_written_before_the_end(cdn):
    origin, path = cdn.fake_origin(), cdn.folder("log") / "access.log"
    origin.on("/a", Reply(body=b"hello", headers=[FRESH]))
    edge = cdn.edge(origin, access_log=path)
    with edge.connect() as client:
        for _ in range(500):
            client.get("/a")
    assert edge.terminate() == 0
    assert len(path.read_text().splitlines()) == 500


# ---------------------------------------------------------------------------------------------------- compression

TEXT = b"".join(b"line %d of a text that compresses well, as texts do\n" % i for i in range(2000))


def unbrotli(data):
    """By the decoder that libcurl brings along."""
    library = ctypes.CDLL("libbrotlidec.so.1")
    size = ctypes.c_size_t(1 << 22)
    into = ctypes.create_string_buffer(size.value)
    assert library.BrotliDecoderDecompress(ctypes.c_size_t(len(data)), data, ctypes.byref(size), into) == 1
    return into.raw[:size.value]


def unzstd(data):
    return subprocess.run(["zstd", "-dc"], input=data, stdout=subprocess.PIPE, check=True).stdout


PLAIN = {"gzip": gzip.decompress, "br": unbrotli, "zstd": unzstd}


def text_origin(cdn, body=TEXT, kind="text/plain; charset=utf-8", *more):
    origin = cdn.fake_origin()
    origin.on("/t", Reply(body=body, headers=[FRESH, ("Content-Type", kind), ("ETag", '"v1"'), *more]))
    return origin


def compressed(edge, coding, target="/t", client=None, **fields):
    """Asks until the edge has the compressed form ready."""
    headers = [("Accept-Encoding", coding), *((n.replace("_", "-"), v) for n, v in fields.items())]

    def ask():
        answer = (client or edge).get(target, headers)
        assert answer.status == 200
        return answer if "Content-Encoding" in answer else None
    return poll(ask, what=f"{target} in {coding}", every=0.02)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_a_hit_is_compressed_for_who_accepts_it(cdn, coding):
    origin = text_origin(cdn, TEXT, "text/plain", ("Accept-Ranges", "bytes"), ("Vary", "Accept-Language"),
                         ("Content-MD5", "x"))
    edge = cdn.edge(origin, threads=1)
    first = edge.get("/t", [("Accept-Encoding", coding)])
    assert first.body == TEXT and "Content-Encoding" not in first  # never waits for the compressor
    assert [v.strip() for v in first.header("Vary").split(",")] == ["Accept-Language", "Accept-Encoding"]
    answer = compressed(edge, coding)
    assert PLAIN[coding](answer.body) == TEXT and len(answer.body) < len(TEXT) / 4
    assert (answer["Content-Encoding"], answer["ETag"], answer["X-Cache"]) == (coding, 'W/"v1"', "HIT")
    assert answer["Vary"] == "Accept-Language, Accept-Encoding" and int(answer["Content-Length"]) == len(answer.body)
    assert "Accept-Ranges" not in answer and "Content-MD5" not in answer
    for _ in range(3):
        assert edge.get("/t", [("Accept-Encoding", coding)]).body == answer.body
    head = edge.head("/t", [("Accept-Encoding", coding)])
    assert (head["Content-Length"], head["ETag"], head["Content-Encoding"]) == (answer["Content-Length"], 'W/"v1"', coding)
    plain = edge.get("/t")
    assert (plain.body, plain["ETag"]) == (TEXT, '"v1"') and "Accept-Encoding" in plain["Vary"]
    assert origin.count() == 1 and edge.metric("compressed_total") == 1


def test_hot_hits_and_304_of_the_compressed_form(cdn):
    origin = text_origin(cdn)
    edge = cdn.edge(origin, threads=1)
    compressed(edge, "gzip")
    before = edge.metric("hot_hit_total")
    for _ in range(5):
        assert gzip.decompress(edge.get("/t", [("Accept-Encoding", "gzip")]).body) == TEXT
    assert edge.metric("hot_hit_total") >= before + 4
    for tag in ('W/"v1"', '"v1"', '"other", W/"v1"'):
        for coding, own in (("gzip", 'W/"v1"'), ("identity", '"v1"')):
            again = edge.get("/t", [("Accept-Encoding", coding), ("If-None-Match", tag)])
            assert (again.status, again["ETag"], again["Vary"]) == (304, own, "Accept-Encoding"), (tag, coding)
            assert "Content-Encoding" not in again
    assert edge.get("/t", [("Accept-Encoding", "gzip"), ("If-None-Match", 'W/"v0"')]).status == 200
    assert edge.get("/t", [("Accept-Encoding", "gzip"), ("If-Match", '"v1"')]).body == TEXT


def test_ranges_come_from_the_plain_form(cdn):
    origin = text_origin(cdn)
    edge = cdn.edge(origin, threads=1)
    compressed(edge, "br")
    for headers in ([], [("If-Range", '"v1"')]):
        part = edge.get("/t", [("Accept-Encoding", "br"), ("Range", "bytes=10-99"), *headers])
        assert (part.status, part.body, part["ETag"]) == (206, TEXT[10:100], '"v1"') and "Content-Encoding" not in part
        assert part["Vary"] == "Accept-Encoding"
    whole = edge.get("/t", [("Accept-Encoding", "br"), ("Range", "bytes=10-99"), ("If-Range", 'W/"v1"')])
    assert whole.status == 200


@pytest.mark.parametrize("why, kind, more", [
    ("no-transform", "text/plain", [("Cache-Control", "no-transform")]),
    ("encoded already", "text/plain", [("Content-Encoding", "gzip")]),
    ("type", "image/png", []),
    ("no type", None, []),
])
def test_what_is_left_alone(cdn, why, kind, more):
    origin = cdn.fake_origin()
    origin.on("/t", Reply(body=TEXT, headers=[FRESH, ("ETag", '"v1"'), *([("Content-Type", kind)] if kind else []), *more]))
    edge = cdn.edge(origin, threads=1)
    for _ in range(5):
        answer = edge.get("/t", [("Accept-Encoding", "gzip, br")])
        assert (answer.body, answer["ETag"]) == (TEXT, '"v1"') and "Vary" not in answer, why
        assert answer.header("Content-Encoding") == dict(more).get("Content-Encoding")
    assert edge.metric("hot_hit_total") >= 2
    assert edge.metric("compress_in_bytes_total") == 0


def test_small_and_incompressible_bodies_stay_as_they_are(cdn):
    origin, noise = cdn.fake_origin(), os.urandom(5000)
    origin.on("/small", Reply(body=b"x" * 1023, headers=[FRESH, ("Content-Type", "text/css")]))
    origin.on("/noise", Reply(body=noise, headers=[FRESH, ("Content-Type", "text/css")]))
    edge = cdn.edge(origin, threads=1)
    accept = [("Accept-Encoding", "gzip")]
    for _ in range(3):
        assert edge.get("/small", accept).body == b"x" * 1023
    assert "Vary" not in edge.get("/small", accept)
    poll(lambda: edge.get("/noise", accept).body == noise and edge.metric("compress_useless_total") == 1,
         what="the noise was tried")
    before = edge.metric("hot_hit_total")
    for _ in range(4):
        assert edge.get("/noise", accept).body == noise
    assert edge.metric("hot_hit_total") >= before + 2


@pytest.mark.parametrize("accept, want", [
    ("gzip;q=1.0, br;q=0.5", "gzip"), ("br, gzip", "br"), ("*", "br"), ("identity, gzip;q=0.5", None), ("gzip;q=0", None),
    ("deflate", None), ("", None), ("x-gzip", "gzip"),
])
def test_the_client_decides(cdn, accept, want):
    edge = cdn.edge(text_origin(cdn), threads=1)
    compressed(edge, "gzip"), compressed(edge, "br")
    if want:
        assert compressed(edge, accept)["Content-Encoding"] == want
    else:
        for _ in range(2):
            assert "Content-Encoding" not in edge.get("/t", [("Accept-Encoding", accept)])


def test_a_purge_a_new_version_and_a_304_from_the_origin(cdn):
    origin = cdn.fake_origin()
    newer = TEXT.replace(b"line", b"LINE")
    kind = ("Content-Type", "text/plain")
    origin.on("/t", Reply(body=TEXT, headers=[("Cache-Control", "max-age=60"), kind, ("ETag", '"v1"')], date=False),
              Reply(304, headers=[("Cache-Control", "max-age=60"), ("ETag", '"v1"')], date=False),
              Reply(body=newer, headers=[("Cache-Control", "max-age=60"), kind, ("ETag", '"v2"')], date=False))
    edge = cdn.edge(origin, threads=1, simulate=True)
    accept = [("Accept-Encoding", "gzip")]
    compressed(edge, "gzip")
    held = edge.status()["cache"]["memory_bytes"]
    edge.clock_advance("61s")
    again = edge.get("/t", accept)
    assert (again["X-Cache"], again["Content-Encoding"]) == ("REVALIDATED", "gzip") and gzip.decompress(again.body) == TEXT
    assert edge.metric("compressed_total") == 1 and edge.status()["cache"]["memory_bytes"] == held
    edge.clock_advance("61s")
    changed = edge.get("/t", accept)
    assert changed.body == newer and "Content-Encoding" not in changed
    assert gzip.decompress(compressed(edge, "gzip").body) == newer
    assert compressed(edge, "gzip")["ETag"] == 'W/"v2"'
    assert edge.admin_post("/purge", {"url": "http://test.example/t"})["purged"] == 1
    assert edge.get("/t", accept)["X-Cache"] == "MISS"


def test_compressed_forms_count_against_the_memory(cdn):
    edge = cdn.edge(text_origin(cdn), threads=1)
    edge.get("/t"), edge.get("/t")
    before = edge.status()["cache"]["memory_bytes"]
    body = compressed(edge, "gzip").body
    assert len(body) <= edge.status()["cache"]["memory_bytes"] - before <= len(body) + 100
    edge.admin_post("/purge", {"all": True})
    assert edge.status()["cache"]["memory_bytes"] == 0


def test_compression_can_be_switched_off(cdn):
    origin = text_origin(cdn)
    off = cdn.edge(origin, name="off", compress="none")
    some = cdn.edge(origin, name="some", compress="gzip", threads=1)
    for _ in range(3):
        answer = off.get("/t", [("Accept-Encoding", "gzip, br")])
        assert answer.body == TEXT and "Vary" not in answer
    assert compressed(some, "br, gzip")["Content-Encoding"] == "gzip"
    bad = cdn.edge(origin, name="bad", wait=False, compress="zip")
    assert bad.wait() == 2 and '"zip" is not br, zstd, gzip' in bad.err[-1]


def test_many_clients_and_many_objects_while_forms_are_made(cdn):
    origin = cdn.fake_origin()
    for i in range(40):
        origin.on(f"/{i}", Reply(body=TEXT + b"%d" % i, headers=[FRESH, ("Content-Type", "text/html")]))
    edge = cdn.edge(origin, threads=2, memory="4MiB")

    def visit(n):
        with edge.connect() as client:
            for i in range(200):
                name = (i * 7 + n) % 40
                coding = ("gzip", "br", "identity")[(i + n) % 3]
                answer = client.get(f"/{name}", [("Accept-Encoding", coding)])
                body = PLAIN.get(answer.header("Content-Encoding"), bytes)(answer.body)
                assert body == TEXT + b"%d" % name
    in_parallel(8, visit)
    cache = edge.status()["cache"]
    assert cache["memory_bytes"] <= cache["memory_capacity"]
