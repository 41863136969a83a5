"""What an edge does beside caching: TLS on both sides, the access log, compression."""

import json
import signal
import ssl
import subprocess

import pytest
from cdn import Reply, poll

FRESH = ("Cache-Control", "max-age=3600")


# ---------------------------------------------------------------------------------------------------- certificates


class Pair:
    """A self-signed certificate and its key in files."""

    def __init__(self, folder, name="test.example", names="DNS:test.example,IP:127.0.0.1"):
        self.name, self.certificate, self.key = name, folder / f"{name}.crt", folder / f"{name}.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                        "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName={names}", "-out", self.certificate, "-keyout",
                        self.key], check=True, capture_output=True)

    def server(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def client(self):
        return ssl.create_default_context(cafile=self.certificate)


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
