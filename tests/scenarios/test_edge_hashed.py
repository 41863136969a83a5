"""Content-hashed names whose bodies come coded: what is compared with the name, and what an edge says of it."""

import gzip
import hashlib
import subprocess

import pytest
from cdn import poll
from test_edge_http import edge, ok, origin, told  # noqa: F401 (edge and origin are fixtures)

JS = b"console.log('a content-hashed file');\n" * 50
GOOD, BAD = f"/app.{hashlib.md5(JS).hexdigest()[:12]}.js", "/app.0123456789ab.js"


def brotli(data):
    return subprocess.run(["brotli", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


def zstd(data):
    return subprocess.run(["zstd", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


def coded(coding, body=JS, cc="max-age=60", status=200):
    data = {"gzip": gzip.compress, "x-gzip": gzip.compress, "br": brotli, "zstd": zstd}.get(coding, lambda b: b)(body)
    return ok(data, cc, ("Content-Encoding", coding), ("Content-Type", "text/javascript"), status=status)


def why(edge, name):  # noqa: F811
    stored, = edge.admin_get(f"/why?url=http://test.example{name}")["stored"]
    return stored["next_cause"] or None


ROWS = [(GOOD, "gzip", None), (GOOD, "x-gzip", None), (GOOD, "br", None), (BAD, "gzip", "hash-mismatch"),
        (BAD, "br", "hash-mismatch"), (GOOD, "zstd", None), (BAD, "zstd", "hash-mismatch"), (BAD, "compress", "hash-unverified"),
        ("/app.0123456789ab.css", "gzip, br", "hash-unverified"), ("/app.js", "zstd", None)]


@pytest.mark.parametrize("name, coding, word", ROWS)
def test_a_coded_body_is_compared_in_its_plain_form(edge, origin, name, coding, word):  # noqa: F811
    origin.on(name, coded(coding))
    asks = [("Accept-Encoding", "gzip, br, zstd, compress")]
    assert "stored" in edge.get(name, asks)["Cache-Status"]
    for _ in range(4):  # the long way, then the ready answer
        assert told(edge.get(name, asks)) == ("HIT", word)
        edge.clock_advance("2s")
    assert why(edge, name) == word and edge.metric("mismatch_total") == (word == "hash-mismatch")
    assert origin.count(name) == 1


def test_one_that_is_damaged_cannot_be_compared(edge, origin):  # noqa: F811
    origin.on(GOOD, ok(gzip.compress(JS)[:-4], "max-age=60", ("Content-Encoding", "gzip")))
    edge.get(GOOD, [("Accept-Encoding", "gzip")])
    assert told(edge.get(GOOD, [("Accept-Encoding", "gzip")])) == ("HIT", "hash-unverified")


def test_a_bomb_is_not_decoded(edge, origin):  # noqa: F811
    origin.on(GOOD, ok(gzip.compress(bytes(200 << 20), 1), "max-age=60", ("Content-Encoding", "gzip")))
    asks, before = [("Accept-Encoding", "gzip")], edge.rss_kib()
    edge.get(GOOD, asks)
    poll(lambda: told(edge.get(GOOD, asks)) == ("HIT", "hash-unverified"), what="a hit")
    assert edge.rss_kib() - before < 48 * 1024


@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_a_coded_file_is_not_replaced_by_another(edge, origin, coding):  # noqa: F811
    asks = [("Accept-Encoding", coding)]
    origin.on(GOOD, coded(coding, cc="max-age=1"), coded(coding, b"another", "max-age=600"), coded(coding, cc="max-age=600"))
    first = edge.get(GOOD, asks).body
    edge.clock_advance("2s")
    edge.get(GOOD, asks)
    r = edge.get(GOOD, asks)
    assert r.body == first and origin.count(GOOD) == 3
    assert told(edge.get(GOOD, asks)) == ("HIT", None) and edge.metric("mismatch_total") == 1


def test_an_error_does_not_replace_what_could_not_be_compared(edge, origin):  # noqa: F811
    asks = [("Accept-Encoding", "compress")]
    origin.on(GOOD, coded("compress", cc="max-age=1"), ok(b"gone", "max-age=60", status=404))
    first = edge.get(GOOD, asks).body
    edge.clock_advance("2s")
    for _ in range(3):
        r = edge.get(GOOD, asks)
        assert (r.status, r.body) == (200, first)
