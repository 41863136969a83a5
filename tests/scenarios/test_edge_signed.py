"""Signed URLs and cookies as CloudFront has them, made by botocore's own signer."""

import datetime

import pytest
from botocore.signers import CloudFrontSigner
from cdn import Reply
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

HOST = "shop.example"
KEPT = [("Cache-Control", "max-age=3600")]
NOW = datetime.datetime.now(datetime.timezone.utc)
RSA, OTHER, ELLIPTIC = rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048), ec.generate_private_key(
    ec.SECP256R1())


def pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM,
                                         serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def signer(key_id="KRSA", key=RSA, algorithm=None):
    """botocore's signer with the usual RSA and SHA-1, or another key and hash."""
    algorithm = algorithm or hashes.SHA1()
    if isinstance(key, rsa.RSAPrivateKey):
        return CloudFrontSigner(key_id, lambda message: key.sign(message, padding.PKCS1v15(), algorithm))
    return CloudFrontSigner(key_id, lambda message: key.sign(message, ec.ECDSA(algorithm)))


def url(path):
    return f"http://{HOST}{path}"


def target(signed):
    return signed.removeprefix(f"http://{HOST}")


def canned(path, seconds=600, by=None):
    return target((by or signer()).generate_presigned_url(url(path), date_less_than=NOW + datetime.timedelta(seconds=seconds)))


def custom(path, resource, by=None, seconds=600, **conditions):
    by = by or signer()
    policy = by.build_policy(resource, NOW + datetime.timedelta(seconds=seconds), **conditions)
    return target(by.generate_presigned_url(url(path), policy=policy))


def cookies(signed):
    """The same as cookies: what Django's view would set."""
    query = signed.partition("?")[2]
    return "; ".join(f"CloudFront-{part}" for part in query.split("&"))


class Site:
    def __init__(self, cdn, **rule):
        self.origin = cdn.fake_origin()
        self.origin.default = Reply(body=b"secret", headers=KEPT)
        folder = cdn.folder("keys", {"rsa.pem": pem(RSA), "keys.yaml": "KRSA: rsa.pem\nKEC: |\n" + "".join(
            f"  {line}\n" for line in pem(ELLIPTIC).splitlines())})
        self.keys = folder / "keys.yaml"
        rules = [{"path": "/open/"}, {"path": "/", "signed": {"keys": str(self.keys)}, **rule}]
        config = {"cdn": {"simulate": "yes", "trusted_proxies": ["127.0.0.1"]},
                  "sites": {"shop": {"hosts": [HOST], "origins": [self.origin.url], "rules": rules}}}
        self.edge = cdn.edge(config=cdn.config(config), origin=None)

    def get(self, path, headers=(), **kw):
        return self.edge.get(path, headers, host=HOST, **kw)

    def why(self, path, headers=()):
        """The word of a refusal."""
        answer = self.get(path, headers)
        assert answer.status == 403 and answer["Content-Type"].startswith("application/problem+json"), answer
        assert answer["Cache-Control"] == "no-store" and answer["Cache-Status"] == "fra; detail=signature"
        return answer.json()["detail"].partition(":")[0]


@pytest.fixture(scope="module")
def site(shared_cdn):
    return Site(shared_cdn)


def test_good_ones_share_one_object(site):
    first = site.get(canned("/one.mp4"))
    assert first.status == 200 and first.body == b"secret" and first["X-Cache"] == "MISS"
    ways = [canned("/one.mp4", by=signer("KRSA", RSA, hashes.SHA256())) + "&Hash-Algorithm=SHA256",
            canned("/one.mp4", by=signer("KEC", ELLIPTIC)),
            canned("/one.mp4", by=signer("KEC", ELLIPTIC, hashes.SHA256())) + "&Hash-Algorithm=SHA256",
            custom("/one.mp4", url("/*")), custom("/one.mp4", url("/one.mp?"), ip_address="127.0.0.0/8"),
            custom("/one.mp4", "http*://shop.example/*", date_greater_than=NOW - datetime.timedelta(seconds=60))]
    for way in ways:
        answer = site.get(way)
        assert answer.status == 200 and answer["X-Cache"] == "HIT", (way, answer)
    for way in ways[3:]:
        assert site.get("/one.mp4", {"Cookie": cookies(way)})["X-Cache"] == "HIT"
    assert site.origin.count("/one.mp4") == 1
    asked = site.origin.last("/one.mp4")
    assert asked.target == "/one.mp4" and "Cookie" not in asked


def test_the_rest_of_the_query_stays(site):
    assert site.get(canned("/q?b=2&a=1")).status == 200
    assert site.origin.last("/q").target == "/q?b=2&a=1"
    front, _, query = canned("/q?b=2&a=1").partition("?")
    signs = [p for p in query.split("&") if p[0].isupper()]
    assert site.get(f"{front}?{'&'.join(signs)}&b=2&a=1")["X-Cache"] == "HIT"  # in any order
    assert site.why(canned("/q?b=2") + "&a=1") == "bad-signature"


def test_other_cookies_go_on(site):
    sent = cookies(custom("/c", url("/c")))
    assert site.get("/c", {"Cookie": f"a=1; {sent}; sid=2"}).status == 200
    assert site.origin.last("/c").header("Cookie", "").find("CloudFront") < 0


def test_refusals_have_a_word_and_no_more(site):
    words = {
        "/x": "missing",
        canned("/x", -1): "expired",
        canned("/x", by=signer("KNONE")): "wrong-key",
        canned("/x", by=signer("KRSA", OTHER)): "bad-signature",
        canned("/x").replace("/x?", "/y?"): "bad-signature",
        canned("/x") + "x": "wrong-key",
        canned("/x").replace("Signature=", "Signature=!"): "malformed",
        canned("/x").replace("Expires=", "Expires=x"): "malformed",
        "/x?Expires=1": "malformed",
        custom("/x", url("/other/*")): "resource",
        custom("/x", url("/*"), ip_address="192.0.2.0/24"): "address",
        custom("/x", url("/*"), date_greater_than=NOW + datetime.timedelta(seconds=300)): "not-yet",
        custom("/x", url("/*"), seconds=-1): "expired",
        custom("/media/../x", url("/media/*")): "resource",
        custom("/media/%2e%2e/x", url("/media/*")): "resource",
    }
    for path, word in words.items():
        assert site.why(path) == word, path
    assert site.why("/x", {"Cookie": cookies(custom("/x", url("/other/*")))}) == "resource"
    assert site.why(canned("/x", -1), {"Cookie": cookies(custom("/x", url("/*")))}) == "expired"  # the URL counts
    assert site.origin.count("/x") == 0
    refusals = site.edge.metric("signature_refused_total")
    assert refusals >= len(words)
    leaked = site.get(custom("/x", url("/other/*"))).text
    assert "other" not in leaked and "KRSA" not in leaked


def test_the_address_is_what_a_trusted_proxy_says(site):
    path = custom("/p", url("/*"), ip_address="192.0.2.0/24")
    assert site.get(path, {"X-Forwarded-For": "192.0.2.9"}).status == 200
    assert site.get(path, {"X-Forwarded-For": "192.0.3.9"}).status == 403
    assert site.get(path, {"X-Forwarded-For": "192.0.2.9"}, source="127.0.0.2").status == 403  # not trusted


def test_a_page_of_files_costs_one_verification(site):
    header = {"Cookie": cookies(custom("/", url("/page/*")))}
    before = site.edge.metric("signature_verified_total")
    with site.edge.connect() as client:
        for i in range(20):
            assert client.get(f"/page/{i}", header, host=HOST).status == 200
    assert site.edge.metric("signature_verified_total") == before + 1


def test_what_is_open_stays_open_and_methods_are_held_too(site):
    assert site.get("/open/a?Expires=1&Signature=x").status == 200
    assert site.origin.last("/open/a").target == "/open/a?Expires=1&Signature=x"
    assert site.edge.request("POST", "/form", body=b"x" * 100000, host=HOST).status == 403
    assert site.edge.request("HEAD", "/h", host=HOST).status == 403
    assert site.edge.request("POST", canned("/form"), body=b"x" * 1000, host=HOST).status == 200
    assert site.origin.count("/form") == 1


def test_a_hit_expires_with_its_signature(cdn):
    site = Site(cdn)
    path = canned("/e")
    for _ in range(5):
        assert site.get(path).status == 200
    site.edge.clock_advance("11m")
    assert site.why(path) == "expired"


def test_a_reload_changes_keys(cdn):
    site = Site(cdn)
    old, new = canned("/k"), canned("/k", by=signer("KNEW", OTHER))
    assert site.get(old).status == 200 and site.why(new) == "wrong-key"
    (site.keys.parent / "other.pem").write_text(pem(OTHER))
    site.keys.write_text("KNEW: other.pem\n")
    assert site.edge.reload().status // 100 == 2
    assert site.get(new).status == 200 and site.why(old) == "wrong-key"
    site.keys.write_text("KNEW: none.pem\n")
    answer = site.edge.reload()
    assert answer.status >= 400 and "keys.yaml:1: KNEW:" in answer.text, answer
    assert site.get(new).status == 200


@pytest.mark.parametrize("signed, says", [
    ({}, "signed: nothing is in it"),
    ({"keys": ""}, "signed_keys: a rule that wants signatures needs a file with public keys"),
    ({"keys": "/nonexistent/keys.yaml"}, "signed_keys: /nonexistent/keys.yaml: No such file"),
    ({"key": "x"}, 'unknown key "key"'),
])
def test_a_rule_that_cannot_be_held_is_refused(shared_cdn, signed, says):
    config = {"sites": {"shop": {"hosts": [HOST], "origins": ["http://127.0.0.1:1"],
                                 "rules": [{"path": "/", "signed": signed}]}}}
    path = shared_cdn.config(config)
    result = shared_cdn.cli("-c", path, "--name", "fra", "--check", program="pocketcdn-edge")
    assert result.returncode == 2 and says in result.stderr and f"{path}:" in result.stderr, result


def test_explain_says_that_it_must_be_signed(cdn):
    site = Site(cdn, rate={"limit": "6/m"}, deny_countries=["FR"], over_limit="cached-only")
    config = next(arg for arg in site.edge.argv if arg.startswith("--config=")).partition("=")[2]
    told = cdn.cli("explain", url("/a?b=1&Signature=x&Key-Pair-Id=K&Expires=1"), "-c", config).stdout
    for line in ("key      http://shop.example/a?b=1", "           query, left out: what signs the request (signed_keys)",
                 f"given    only with a good signature (signed_keys: {site.keys})",
                 "given    by the client's country (deny_countries; others get 451)",
                 "given    within the rates for the client's network (rate_limit, miss_limit)"):
        assert line in told.splitlines(), told
