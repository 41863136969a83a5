"""`pocketcdn geo` with logs and plain lines as people have them: spellings, clients, annotation, summary, refusals."""

import bz2
import gzip
import json
import lzma
import subprocess

import pytest
from cdn import BIN

CLIENT = "193.0.6.139"  # Amsterdam, in the built-in database
SERVER = "133.11.0.1"   # Tokyo

FORMATS = {
    "nginx": f'{CLIENT} - - [22/Nov/2026:14:30:45 +0000] "GET / HTTP/1.1" 200 5 "http://{SERVER}/" "Chrome/120.0.0.0"',
    "apache vhost": f'www.example.org:443 {CLIENT} - - [22/Nov/2026:14:30:45 +0000] "GET / HTTP/1.1" 200 5',
    "haproxy": f"Nov 22 14:30:45 web haproxy[7]: {CLIENT}:5678 [22/Nov/2026:14:30:45.1] fe be/s1 0/0/1/2/3 200 5",
    "alb": f"h2 2026-11-22T14:30:45.186641Z app/lb/50dc6c {CLIENT}:2817 {SERVER}:80 0.086 0.048 0.037 200 200 0 57",
    "squid": f"1763822345.123     45 {CLIENT} TCP_MISS/200 512 GET http://example.org/ - HIER_DIRECT/{SERVER} text/html",
    "caddy": json.dumps({"level": "info", "ts": 1.5, "server": SERVER, "request": {"remote_ip": CLIENT, "remote_port": "5"}}),
    "caddy behind a proxy": json.dumps({"request": {"remote_ip": SERVER, "client_ip": CLIENT}}),
    "traefik": json.dumps({"BackendAddr": f"{SERVER}:80", "ClientAddr": f"{CLIENT}:5678", "ClientHost": CLIENT}),
    "google": json.dumps({"httpRequest": {"serverIp": SERVER, "remoteIp": CLIENT}}),
    "prefixed json": f'web-1  | {{"upstream": "{SERVER}:80", "remote_addr": "{CLIENT}"}}',
    "java": f"INFO Accepted connection from [/{CLIENT}:5678]",
    "java host": f"INFO host/{CLIENT}:5678 connected",
    "key": f"client:{CLIENT} status:200", "equals": f"client={CLIENT},status=200",
    "quotes": f"\u201c{CLIENT}\u201d said hello", "bom": f"\ufeff{CLIENT} x", "tabs": f"\t{CLIENT}\tx",
}
IIS = "\r\n".join(["#Software: Microsoft Internet Information Services 10.0", "#Version: 1.0",
                   "#Fields: date time s-ip cs-method cs-uri-stem s-port c-ip sc-status",
                   f"2026-11-22 14:30:45 {SERVER} GET / 443 {CLIENT} 200", f"2026-11-22 14:30:46 {SERVER} GET / 443 - 200", ""])
CLOUDFRONT = (f"#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method\n"
              f"2026-11-22\t14:30:45\tAMS1-C1\t500\t{CLIENT}\tGET\n")


def geo(cdn, *args, stdin=None):
    return cdn.cli("geo", *args, stdin=stdin)


def raw(data, *args):
    """Bytes in, (exit code, stdout, stderr) as text out."""
    done = subprocess.run([BIN / "pocketcdn", "geo", *args], input=data, capture_output=True, timeout=120, check=False)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


# ---------------------------------------------------------------------------------------------------- logs

@pytest.mark.parametrize("name", FORMATS)
def test_the_client_of_usual_logs(cdn, name):
    line = FORMATS[name]
    done = geo(cdn, "-q", "--annotate", "-f", "%{ip}", stdin=line + "\n")
    assert done.stdout == line.lstrip("\ufeff") + f"\t{CLIENT}\n"
    assert CLIENT in geo(cdn, "-q", "--log", "-f", "%{ip}", stdin=line).stdout.split()
    report = json.loads(geo(cdn, "--explain-log", "-", "--json", stdin=line).stdout)
    assert [e["edge"] for e in report["edges"] if e["clients"]] == ["lhr"]


@pytest.mark.parametrize("log", [IIS, CLOUDFRONT])
def test_w3c_logs_name_their_columns(cdn, log):
    assert geo(cdn, "-q", "--log", "-f", "%{ip}", stdin=log).stdout.split() == [CLIENT]
    report = json.loads(geo(cdn, "--explain-log", "-", "--json", stdin=log).stdout)
    assert report["clients"] == 1
    back = geo(cdn, "-q", "--annotate", stdin=log).stdout.splitlines()
    fields = next(line for line in back if line.startswith("#Fields:"))
    assert fields.endswith("\tx-country\tx-edge\tx-asn")
    assert [line for line in back if CLIENT in line][0].endswith(f"\tNL\tlhr\t-")
    assert "-\t-\t-" in back[-1] or log == CLOUDFRONT


@pytest.mark.parametrize("which, line", [
    ("2", f"{SERVER} {CLIENT} x"), ("2", f"{SERVER}\t{CLIENT}:80"), ("3", f"a  b   [{CLIENT}] {SERVER}"),
    ("a.b", json.dumps({"x": SERVER, "a": {"b": CLIENT}})), ("a.b", json.dumps({"x": SERVER, "a.b": [CLIENT, SERVER]})),
    ("who", "prefix " + json.dumps({"x": SERVER, "who": f"{CLIENT}:1"})),
    ("c-ip", f"#Fields: s-ip c-ip\n{SERVER} {CLIENT}"), ("s-ip", f"#Fields: c-ip s-ip\n{SERVER} {CLIENT}"),
    ("xff", f'{SERVER} - - "GET /" 200 "-" "Mozilla" "{CLIENT}"'),
    ("xff", f'10.0.0.1 - - "GET /" 200 "-" "Mozilla" "{SERVER}, {CLIENT}, 10.1.2.3, 192.168.0.1"'),
    ("xff", f"{SERVER} x_forwarded_for={SERVER}, {CLIENT},10.0.0.1 status=200 upstream={SERVER}"),
    ("xff", json.dumps({"peer": SERVER, "X-Forwarded-For": f"{SERVER}, {CLIENT}", "to": SERVER})),
    ("xff", json.dumps({"peer": SERVER, "headers": {"X-Forwarded-For": [f"{CLIENT}"]}, "to": SERVER})),
    ("xff", f'{SERVER} Forwarded: for={CLIENT};proto=https'), ("XFF", f'{CLIENT} - - "GET /" 200 "-" "Mozilla" "-"'),
])
def test_which_address_is_the_client(cdn, which, line):
    done = geo(cdn, "-q", "--client", which, "-f", "%{ip}", stdin=line + "\n")
    assert (done.returncode, done.stdout.split()) == (0, [CLIENT])


def test_trusted_proxies_are_no_clients(cdn):
    path = cdn.config({"router": {"trusted_proxies": [f"{SERVER}/32"]}})
    line = f'x "{CLIENT}, {SERVER}"'
    assert geo(cdn, "-q", "--client", "xff", "-f", "%{ip}", stdin=line).stdout == f"{SERVER}\n"
    assert geo(cdn, "-q", "-c", path, "--client", "xff", "-f", "%{ip}", stdin=line).stdout == f"{CLIENT}\n"


@pytest.mark.parametrize("which", ["0", "10001", ""])
def test_bad_clients_are_refused(cdn, which):
    done = geo(cdn, "--client", which, stdin=CLIENT)
    assert done.returncode == 2 and "--client" in done.stderr


def test_annotate_keeps_every_line(cdn):
    log = f"{CLIENT} a\r\nnothing here\n\n10.0.0.1 b\n" + "x" * 200_000 + f" {CLIENT}\nlast {CLIENT}"
    back = geo(cdn, "--annotate", stdin=log)
    lines = back.stdout.split("\n")
    assert lines[0] == f"{CLIENT} a\tNL\tlhr\t-" and lines[1] == "nothing here\t-\t-\t-" and lines[2] == "\t-\t-\t-"
    assert lines[3].startswith("10.0.0.1 b\t-\t") and len(lines[4]) > 200_000 and lines[5] == f"last {CLIENT}\tNL\tlhr\t-"
    assert "2 lines without a client" in back.stderr


def test_annotated_json_stays_json(cdn):
    lines = [{"client_ip": CLIENT, "n": 1}, {"n": 2}, {}]
    back = geo(cdn, "-q", "--annotate", stdin="\n".join(json.dumps(line) for line in lines)).stdout.splitlines()
    assert [json.loads(line) for line in back] == [
        {**line, "geo_country": "NL" if "n" in line and line["n"] == 1 else None,
         "geo_edge": "lhr" if line.get("n") == 1 else None, "geo_asn": None} for line in lines]


def test_summaries_say_unknown(cdn):
    text = f"{CLIENT}\n{CLIENT}\n{SERVER}\n10.0.0.1\n"
    counts = json.loads(geo(cdn, "-q", "--summary", "--json", stdin=text).stdout)
    assert counts["addresses"] == 4
    assert counts["country"] == {"NL": 2, "JP": 1, "unknown": 1} and counts["asn"] == {"unknown": 4}
    assert sum(counts["edge"].values()) == 4
    table = geo(cdn, "-q", "--summary", "country", stdin=text).stdout.splitlines()
    assert [row.split()[1:3] for row in table[1:]] == [["NL", "2"], ["JP", "1"], ["unknown", "1"]]
    assert geo(cdn, "-q", "--summary", "country", "-l", stdin=f"x {CLIENT} y {SERVER}").stdout.count("\n") == 3
    for bad in (["--summary", "--fields", "colour"], ["--summary", "--csv"], ["--annotate", "--json"], ["--annotate", "--summary"]):
        assert geo(cdn, *bad, stdin=text).returncode == 2


# ---------------------------------------------------------------------------------------------------- plain lines

@pytest.mark.parametrize("text, ip", [
    (f"{CLIENT}:443", CLIENT), (f"[{CLIENT}]:443", CLIENT), ("[2a00:1450::1]:443", "2a00:1450::1"),
    ("[2a00:1450::1]", "2a00:1450::1"), (f"{CLIENT},", CLIENT), (f"\t{CLIENT};\r", CLIENT), (f'"{CLIENT}",', CLIENT),
    (f"\u201c{CLIENT}\u201d", CLIENT), (f"::ffff:{CLIENT}", CLIENT), (f"\ufeff{CLIENT}", CLIENT),
    ("2002:c100:68b::1", "2002:c100:68b::1"), (f"'{CLIENT}:80'", CLIENT), (f"{CLIENT}-{CLIENT}", CLIENT), (f"{CLIENT}/32", CLIENT),
])
def test_plain_spellings(cdn, text, ip):
    done = geo(cdn, "-q", "-f", "%{ip}", stdin=text + "\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, ip + "\n", "")


@pytest.mark.parametrize("text, says", [
    ("010.0.0.1", "leading zero"), ("1.2.3.08", "leading zero"), ("0x7f000001", "hexadecimal"), ("0x7f.0.0.1", "hexadecimal"),
    ("127.1", "four numbers"), ("2130706433", "four numbers"), ("1.2.3.256", "four numbers"), ("fe80::1%eth0", "zone"),
    ("1.2.3.4/33", "prefix"), ("1.2.3.4/255.255.255.0", "prefix"), ("1.2.3.9-1.2.3.1", "ends before"),
    ("1.2.3.4-2a00::1", "family"), ("1.2.3.4:99999", "is not"), ("1.2.3.4 x", "--log"), ("1.2.3.4\0", "\\x00"),
    ("\x1b[31mred", "\\x1b"), ("é", "\\xc3\\xa9"),
])
def test_plain_refusals_say_why(text, says):
    code, out, err = raw(text.encode() + b"\n", "-q", "-f", "%{ip}")
    assert code == 2 and out == "" and says in err and err.count("\n") == 1
    assert all(c.isprintable() or c == "\n" for c in err)


def test_ranges_and_host_bits(cdn):
    whole = geo(cdn, "-q", "-f", "%{ip}", stdin="1.1.0.0/16\n").stdout
    assert geo(cdn, "-q", "-f", "%{ip}", stdin="1.1.0.0-1.1.255.255\n").stdout == whole
    assert geo(cdn, "-q", "-f", "%{ip}", stdin="1.1.0.0 - 1.1.255.255\n").stdout == whole
    part = geo(cdn, "-q", "-f", "%{ip}", "1.1.7.9-1.1.8.0").stdout.split()
    assert part[0] == "1.1.7.9" and len(part) <= 3
    assert geo(cdn, "-q", "-f", "%{ip}", "2a00:1450::-2a00:1450:ffff:ffff:ffff:ffff:ffff:ffff").returncode == 0
    end = geo(cdn, "-q", "-f", "%{ip}", "255.255.255.250-255.255.255.255", "ffff::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
    assert end.returncode == 0
    done = geo(cdn, "-f", "%{ip}", stdin="1.1.77.3/16\n1.1.5.1/24\n")
    assert done.stdout.startswith(whole) and done.returncode == 0
    assert done.stderr.count("said once") == 1 and "2 networks with bits behind the prefix" in done.stderr


# ---------------------------------------------------------------------------------------------------- no text

@pytest.mark.parametrize("data, says", [
    (gzip.compress(b"8.8.8.8\n"), "gzip -dc"), (bz2.compress(b"8.8.8.8\n"), "bzip2 -dc"), (lzma.compress(b"8.8.8.8\n"), "xz -dc"),
    (b"\x28\xb5\x2f\xfd\x04\x00\x41\x00\x00", "zstd -dc"), (b"PK\x03\x04\x14\x00\x00", "unzip -p"),
    ("8.8.8.8\n".encode("utf-16"), "iconv"), ("8.8.8.8\n".encode("utf-16-le"), "UTF-16LE"), ("8.8.8.8\n".encode("utf-16-be"), "UTF-16BE"),
])
@pytest.mark.parametrize("args", [["-q"], ["--log"], ["--annotate"], ["--explain-log", "-"]])
def test_what_is_no_text_gets_a_hint(data, says, args):
    code, out, err = raw(data, *args)
    assert (code, out) == (2, "") and says in err and err.count("\n") == 1


@pytest.mark.parametrize("data, out", [
    (b"", ""), (b"\n\n\n", ""), (b"\xef\xbb\xbf", ""), (b"8.8.8.8", "8.8.8.8\n"), (b"\xef\xbb\xbf8.8.8.8\r\n9.9.9.9\r\n", "8.8.8.8\n9.9.9.9\n"),
    (b"# only\n", ""),
])
def test_edges_of_input(data, out):
    assert raw(data, "-q", "-f", "%{ip}") == (0, out, "")
    assert raw(b"\0" * 500 + b" 8.8.8.8 \0\xff\xfe\n", "-q", "--log", "-f", "%{ip}") == (0, "8.8.8.8\n", "")
