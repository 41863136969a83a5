"""TLS of the public listeners, edge and router alike: several certificates by name, reloads, and where a router that
speaks TLS sends its clients."""
import signal
import ssl
import subprocess

import pytest
from cdn import Reply, poll
from tls import Pair

FRESH = ("Cache-Control", "max-age=3600")


@pytest.fixture(params=["edge", "router"])
def node(cdn, request):
    """Starts one of either kind with these settings."""
    def start(wait=True, **settings):
        if request.param == "edge":
            origin = cdn.fake_origin()
            origin.on("/", Reply(body=b"x", headers=[FRESH]))
            return cdn.edge(origin, wait=wait, name="fra", **settings)
        return cdn.router(None, "--edge", "name=fra,url=https://fra.example", wait=wait, **settings)
    return start


def served(node, name=None):
    """The certificate that a client of this name is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with node.connect(tls=context, server_hostname=name) as client:
        return ssl.DER_cert_to_PEM_cert(client.sock.getpeercert(binary_form=True)).strip()


def text_of(pair):
    return pair.certificate.read_text().strip()


def s_client(node, name):
    """As OpenSSL sees it, with TLS 1.2: the subject."""
    got = subprocess.run(["openssl", "s_client", "-tls1_2", "-connect", "%s:%d" % node.public,
                          *(["-servername", name] if name else ["-noservername"])], input="", capture_output=True, text=True)
    return next(line for line in got.stdout.splitlines() if line.startswith("subject="))


def test_each_name_its_certificate(cdn, node):
    folder = cdn.folder("tls")
    one = Pair(folder, "one.example", "DNS:one.example,IP:127.0.0.1")
    two = Pair(folder, "two.example", "DNS:two.example,DNS:*.two.example")
    both = folder / "both.pem"
    three = Pair(folder, "three.example", "DNS:three.example")
    both.write_text(three.key.read_text() + three.certificate.read_text())
    served_by = node(tls_certificate=[one.certificate, two.certificate, both], tls_key=[one.key, two.key, three.key])
    for name, pair in (("one.example", one), ("two.example", two), ("a.two.example", two), ("TWO.example", two),
                       ("three.example", three), ("a.b.two.example", one), ("else.example", one), (None, one)):
        assert served(served_by, name) == text_of(pair), name
    assert s_client(served_by, "a.two.example").endswith("two.example")
    assert s_client(served_by, None).endswith("one.example")
    with served_by.connect(tls=two.client(), server_hostname="www.two.example") as client:
        assert client.get("/").status in (200, 307)
    names = [c["names"] for c in served_by.status()["certificates"]]
    assert names == [["one.example"], ["two.example", "*.two.example"], ["three.example"]]
    assert all(0 < c["expires_in_s"] <= 2 * 86400 for c in served_by.status()["certificates"])


def test_a_folder_that_grows_and_is_spoilt(cdn, node):
    """A certificate laid into the folder is there after a reload; one without its key is refused, and all stay."""
    folder = cdn.folder("tls")
    one = Pair(folder, "a.example", "DNS:a.example")
    at = node(tls_certificate=folder)
    assert served(at, "b.example") == text_of(one)
    two = Pair(folder, "b.example", "DNS:b.example")
    at.signal(signal.SIGHUP)
    poll(lambda: served(at, "b.example") == text_of(two), what="the second one is served")
    two.key.unlink()
    refused = at.reload()
    assert refused.status >= 400 and "b.example.crt: no private key in it" in refused.json()["detail"]
    assert served(at, "b.example") == text_of(two) and served(at, "a.example") == text_of(one)
    two.certificate.unlink()
    assert at.reload().status == 200
    poll(lambda: served(at, "b.example") == text_of(one), what="the second one is gone")
    ends = ssl.cert_time_to_seconds(ssl._ssl._test_decode_cert(str(one.certificate))["notAfter"])
    assert at.metric("certificate_expires_seconds") == ends


@pytest.mark.parametrize("version, fine", [(ssl.TLSVersion.TLSv1, False), (ssl.TLSVersion.TLSv1_1, False),
                                           (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_versions(cdn, node, version, fine):
    """RFC 8996: what is older than TLS 1.2 is refused, also where a client would do it."""
    pair = Pair(cdn.folder("tls"))
    at = node(tls_certificate=pair.certificate, tls_key=pair.key)
    context = pair.client()
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    try:
        with at.connect(tls=context, server_hostname="test.example") as client:
            assert fine and client.get("/").status in (200, 307)
    except ssl.SSLError:
        assert not fine


def test_half_a_pair(cdn, node):
    pair = Pair(cdn.folder("tls"))
    for settings, text in (({"tls_certificate": pair.certificate}, "tls_certificate is set without tls_key"),
                           ({"tls_key": pair.key}, "tls_key is set without tls_certificate"),
                           ({"tls_certificate": [pair.certificate] * 2, "tls_key": pair.key}, "names 2 files and tls_key 1")):
        half = node(wait=False, **settings)
        assert half.wait() == 2 and text in half.err[-1]


def test_tls_is_not_switched_by_a_reload(cdn):
    pair = Pair(cdn.folder("tls"))
    off, on = "router: {}\n", f"router: {{tls_certificate: {pair.certificate}, tls_key: {pair.key}}}\n"
    for first, then in ((off, on), (on, off)):
        config = cdn.folder("config") / "cdn.yaml"
        config.write_text(first)
        router = cdn.router(config)
        config.write_text(then)
        refused = router.reload()
        assert refused.status == 409 and "turning TLS on or off needs a restart" in refused.json()["detail"]


ROUTES = """
edge: {edge}
router: {{tls_certificate: {crt}, tls_key: {key}}}
edges:
  - {{name: fra, listen: "127.0.0.1:8088"{one}}}
"""


@pytest.mark.parametrize("edge, one, target", [
    ("{}", "", "http://127.0.0.1:8088/a?b"),
    ("{}", ", tls_certificate: x.crt", "https://127.0.0.1:8088/a?b"),
    ("{tls_certificate: x.crt}", "", "https://127.0.0.1:8088/a?b"),
    ("{tls_certificate: [x.crt, y.crt]}", "", "https://127.0.0.1:8088/a?b"),
    ("{tls_certificate: x.crt}", ', tls_certificate: ""', "http://127.0.0.1:8088/a?b"),
    ("{tls_certificate: x.crt}", ', url: "https://fra.example"', "https://fra.example/a?b"),
    ("{tls_certificate: x.crt}", ', url: "http://fra.example"', "http://fra.example/a?b"),
])
def test_redirects_lead_to_how_the_edge_speaks(cdn, edge, one, target):
    pair = Pair(cdn.folder("tls"))
    router = cdn.router(ROUTES.format(edge=edge, one=one, crt=pair.certificate, key=pair.key))
    with router.connect(tls=pair.client(), server_hostname="127.0.0.1") as client:
        answer = client.get("/a?b")
        assert (answer.status, answer.header("Location")) == (307, target)
    warned = any("event=edge_without_tls edge=fra" in line for line in router.err)
    assert warned == target.startswith("http:")
