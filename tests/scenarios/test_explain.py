"""`pocketcdn explain`: what it says is what the edge does; from a running edge, from a file alone; the examples of docs/sites.md."""

import json
import re
import subprocess
import textwrap

import pytest
from cdn import BIN, SOURCE, clean_environment
from test_edge_http import ok

CONFIG = """
cdn: {simulate: yes}
router: {listen: "127.0.0.1:1"}
edges:
  - {name: fra, place: Frankfurt, listen: "%(public)s", admin: "%(admin)s"}
sites:
  shop:
    hosts: [shop.example, "*.shop.example"]
    origins: ["%(origin)s"]
    rules:
      - {path: /static/, key: {query: ignore, ignore: ["utm_*"]}, lifetime: {min: 1m}}
      - {path: /account/, cookies: {keep: [sessionid]}}
      - {path: /ways/, key: {fields: [X-Lang], device: yes}}
      - {path: /de/, allow_countries: [DE], rate: {limit: 10/s}, key: {fields: [CDN-Client-City]}, geo: {fields: [city]}}
      - {path: /read/, methods: [GET]}
      - {path: /api/, pass: yes}
      - {path: /secure/, redirect: https}
"""


class Shop:
    def __init__(self, cdn):
        self.cdn, self.origin = cdn, cdn.fake_origin()
        self.origin.default = lambda r: ok(r.target.encode(), "max-age=100", ("X-Own", "1"))
        text = CONFIG % {"public": "127.0.0.1:0", "admin": "127.0.0.1:0", "origin": self.origin.url}
        self.edge = cdn.edge(None, config=cdn.config(text), threads=1, trusted_proxies="127.0.0.0/8")
        addresses = {"public": "%s:%d" % self.edge.public, "admin": "%s:%d" % self.edge.admin}
        self.config = cdn.config(CONFIG % {**addresses, "origin": self.origin.url})

    def told(self, url, *args):
        result = self.cdn.cli("explain", url, "-c", self.config, "--json", *args)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)


@pytest.fixture(scope="module")
def shop(shared_cdn):
    return Shop(shared_cdn)


@pytest.mark.parametrize("url, args, rule, key, goes_to", [
    ("http://shop.example/static/a?utm_x=1&v=2", [], 1, "http://shop.example/static/a?v=2", "cache"),
    ("http://A.shop.example:80/x/../st%61tic/a", [], 1, "http://a.shop.example/static/a", "cache"),
    ("/static/a", [], 1, "http://shop.example/static/a", "cache"),
    ("https://shop.example/secure/a", [], 7, "https://shop.example/secure/a", "cache"),
    ("http://shop.example/secure/a", [], 7, "http://shop.example/secure/a", "redirected (308)"),
    ("http://shop.example/account/", ["-H", "Cookie: _ga=1"], 2, "http://shop.example/account/", "cache"),
    ("http://shop.example/account/", ["-H", "Cookie: _ga=1; sessionid=1"], 2, "http://shop.example/account/", "bypass-cookie"),
    ("http://shop.example/read/", ["-X", "POST"], 5, "http://shop.example/read/", "refused (405)"),
    ("http://shop.example/static/", ["-X", "POST"], 1, "http://shop.example/static/", "bypass-method"),
    ("http://shop.example/static/", ["-X", "QUERY"], 1, "http://shop.example/static/", "cache"),
    ("http://shop.example/api/", [], 6, "http://shop.example/api/", "bypass-rule"),
])
def test_site_rule_and_key(shop, url, args, rule, key, goes_to):
    told = shop.told(url, *args)
    assert (told["rule"]["number"], told["key"]["text"], told["request"]["goes_to"]) == (rule, key, goes_to)
    assert told["site"]["name"] == "shop" and re.fullmatch(r".*cdn\.yaml:\d+", told["rule"]["place"])
    assert told["edge"] == "fra" and told["origins"][0]["well"] is True
    assert told["origins"][0]["asks"] == shop.origin.url + key.partition("example")[2]


def test_what_it_says_of_hits_is_what_comes(shop):
    for way, asked in (("X-Lang: de", 1), ("X-Lang: fr", 2), ("User-Agent: iPhone", 3), ("X-Nothing: 1", 4)):
        name, _, value = way.partition(": ")
        before = shop.told("http://shop.example/ways/a", "-H", way)
        assert before["now"]["next"] == "MISS" and before["now"]["cause"] == ("cold" if asked == 1 else "vary")
        for _ in range(2):
            r = shop.edge.get("/ways/a", [(name, value)], host="shop.example")
        after = shop.told("http://shop.example/ways/a", "-H", way)
        assert r["X-Cache"] == after["now"]["next"] == "HIT" and 0 < after["now"]["ttl_s"] <= 100
        assert shop.origin.count("/ways/a") == asked
    parts = {p["part"]: p["value"] for p in shop.told("http://shop.example/ways/a", "-H", "X-Lang: de")["key"]["parts"]}
    assert parts["field x-lang"] == "de" and parts["field cdn-device"] == "desktop"


def test_who_may_have_it(shop):
    told = shop.told("http://shop.example/de/", "-H", "CDN-Client-City: Rome")
    assert told["given"] == ["by the client's country (allow_countries; others get 451)",
                             "within the rates for the client's network (rate_limit, miss_limit)"]
    assert {"part": "field cdn-client-city", "value": "(by the client's address)", "because": "key_fields"} in told["key"]["parts"]
    assert "now" not in told and shop.told("http://shop.example/static/a")["given"] == []


def test_an_answer_here_and_elsewhere(shop):
    told = shop.told("http://shop.example/static/a.css", "--answer", "Cache-Control: no-cache, max-age=5")
    assert told["answer"]["stored"] and told["answer"]["lifetime_s"] == 60 and told["answer"]["validated_each_time"]
    assert [(o["cdn"], o.get("ttl_s")) for o in told["others"]] == \
        [("CloudFront", 1), ("CloudFront", None), ("Cloudflare", None), ("Fastly", 5)]
    pages = (SOURCE / "docs" / "explain.md").read_text()
    assert all(f"[{o['page']}](https://" in pages for o in told["others"])
    told = shop.told("http://shop.example/static/a.css", "--answer", "Set-Cookie: a=1")
    assert told["answer"] | {"status": 0} == {"status": 0, "stored": False, "reason": "set-cookie", "section": "9111 7.3"}


def test_every_page_that_is_named_is_in_the_list():
    pages = re.findall(r'X\(\w+, *"((?:CloudFront|Cloudflare|Fastly): [^"]+)"\)', (SOURCE / "cli/explain/others.h").read_text())
    text = (SOURCE / "docs" / "explain.md").read_text()
    assert len(pages) > 10 and all(f"[{p}](https://" in text for p in pages)


def test_fetch_asks_and_explains(shop):
    told = shop.told("http://shop.example/static/fetched.css", "--fetch")
    assert shop.origin.count("/static/fetched.css") == 1
    assert told["before"]["next"] == "MISS" and told["now"]["next"] == "HIT" and told["answer"]["lifetime_s"] == 100
    text = shop.cdn.cli("explain", "http://shop.example/static/fetched.css", "-c", shop.config, "--fetch").stdout
    assert "answer   200: stored for 100 s (max-age)" in text and "Cloudflare, no cache rule: kept for 100 s" in text


def test_over_http(shop):
    told = shop.edge.admin_get("/explain?url=http://shop.example/account/&method=HEAD&fields=Cookie:%20sessionid=1%0AX-A:%20b")
    assert told["request"]["goes_to"] == "bypass-cookie" and told["method"] == "HEAD" and told["cookies_sent"] == "sessionid=1"
    for path in ("/explain", "/explain?url=http://x.example/", "/explain?url=/static/&method=G%20T", "/explain?url=/%25",
                 "/explain?url=/static/&fields=nonsense", "/explain?url=/nowhere"):
        assert shop.edge.admin_request("GET", path).status == 400, path
    for body in ({}, {"url": 1}, {"url": "/static/", "fields": "x"}, {"url": "/static/", "fields": [1]},
                 {"url": "/static/", "status": 99}, {"url": "/static/", "method": 3}, {"url": "/static/", "answer": {}},
                 {"url": "/static/", "fields": ["a: b"] * 101}, {"url": "/static/", "fields": ["a: b\r\nc: d"]}, []):
        assert shop.edge.admin_request("POST", "/explain", body).status == 400, body


def test_a_file_alone(cdn):
    config = cdn.config(CONFIG % {"public": "127.0.0.1:1", "admin": "127.0.0.1:1", "origin": "http://127.0.0.1:2"})
    result = cdn.cli("explain", "http://shop.example/static/a", "-c", config)
    assert result.returncode == 0 and "alone is read: no edge answers" in result.stdout and "rule     1: /static/" in result.stdout
    assert "fra " not in result.stdout


@pytest.mark.parametrize("args, code, said", [
    ([], 2, "one URL or path, please"), (["/a", "/b"], 2, "one URL or path, please"), (["/a", "--bogus"], 2, "unknown option '--bogus'"),
    (["/a", "-H", "x"], 2, "-H: 'x' is not a field"), (["/a", "--status", "1"], 2, "--status: '1' is not from 200 to 599"),
    (["/a", "-X", "G T"], 2, "-X: 'G T' is not a method"), (["/a", "--fetch", "--status", "200"], 2, "--fetch brings the answer"),
    (["http://x.example/"], 2, "no site here has this host (421)"), (["http://shop.example/x"], 2, "no rule of the site is for this path (404)"),
    (["nonsense"], 2, "the host is missing or malformed"), (["/a%"], 2, "without two hex digits"),
    (["/static/", "--edge", "nrt"], None, "nrt"), (["/a", "--state", "x"], 2, "only one of"),
])
def test_what_it_cannot_explain_is_said_in_one_line(shop, args, code, said):
    result = shop.cdn.cli("explain", *args, "-c", shop.config)
    assert result.returncode == (code or result.returncode) != 0 and not result.stdout
    assert said in result.stderr and result.stderr.count("\n") == 1


def test_no_cdn_runs(cdn):
    result = cdn.cli("explain", "/a", env={"XDG_STATE_HOME": str(cdn.tmp)})
    assert result.returncode != 0 and "no CDN runs" in result.stderr and result.stderr.count("\n") == 1


# ---------------------------------------------------------------------------------------------------- the page


def examples():
    """(yaml, commands, lines of what they print) of docs/sites.md; the last two may be empty. A file of keys is none."""
    text = (SOURCE / "docs" / "sites.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```\n(?:```sh\n(pocketcdn explain.*?)^```\n```text\n(.*?)^```)?", text, re.M | re.S)
    return [(textwrap.dedent(y), sh, out) for y, sh, out in blocks if not y[0].isupper()]


def whole(yaml, folder):
    """A cdn.yaml of an example: the whole, keys of a site, or its rules; what it needs beside is made."""
    shop = "sites:\n  shop:\n    hosts: [shop.example]\n    origins: ['http://127.0.0.1:8000']\n"
    if yaml.startswith("- "):
        yaml = shop + "    rules:\n" + textwrap.indent(yaml, " " * 6)
    elif not yaml.startswith("sites:"):
        yaml = shop + textwrap.indent(yaml, " " * 4)
    if "keys.yaml" in yaml:
        make = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 | openssl pkey -pubout -out shop.pem"
        subprocess.run(["bash", "-c", make], cwd=folder, check=True)
        (folder / "keys.yaml").write_text("K2JCJMDEHXQW5F: shop.pem\n")
    return yaml + "".join(["edges:\n", *(f"  - {{name: {n}, listen: '127.0.0.1:1'}}\n" for n in ("fra", "ams"))])


@pytest.mark.parametrize("number", range(len(examples())))
def test_the_examples_of_the_page(cdn, number):
    yaml, commands, printed = examples()[number]
    folder = cdn.folder("page")
    (folder / "cdn.yaml").write_text(whole(yaml, folder))
    check = cdn.cli("-c", "cdn.yaml", "--name", "fra", "--check", program="pocketcdn-edge", cwd=folder)
    assert check.returncode == 0, check.stderr
    out = ""
    for line in commands.splitlines():
        done = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, check=False,
                              env=clean_environment({"PATH": f"{BIN}:/usr/bin:/bin"}))
        assert done.returncode == 0, done.stderr
        out += done.stdout
    for line in printed.splitlines():
        assert line in out.splitlines(), out
