"""`pocketcdn geo`: inputs, outputs, exit codes, and that it says what a router says."""

import csv
import io
import ipaddress
import json
import random
import re
from xml.etree import ElementTree

import pytest
from cdn import BIN, SOURCE, Client, Reply

FIELDS = "%{ip} %{network} %{special} %{country} %{source} %{reason} %{edge}"


def lines(done):
    return done.stdout.splitlines()


# ---------------------------------------------------------------------------------------------------- addresses

@pytest.mark.parametrize("address, special", [
    ("10.1.2.3", "private"), ("192.168.0.1", "private"), ("172.31.255.255", "private"), ("100.64.0.1", "cgnat"),
    ("127.0.0.1", "loopback"), ("169.254.1.1", "link-local"), ("192.0.2.7", "documentation"),
    ("224.0.0.1", "multicast"), ("255.255.255.255", "broadcast"), ("0.0.0.0", "unspecified"),
    ("::1", "loopback"), ("fe80::1", "link-local"), ("fd00::1", "unique-local"), ("2001:db8::1", "documentation"),
    ("ff02::1", "multicast"), ("::ffff:10.0.0.1", "private"),
])
def test_special_addresses_are_named(cdn, address, special):
    done = cdn.cli("geo", "--json", address)
    answer = json.loads(done.stdout)
    assert done.returncode == 0
    assert (answer["special"], answer["reason"]) == (special, "special")
    assert "RFC" in answer["special_text"]
    assert "RFC" in cdn.cli("geo", address).stdout


@pytest.mark.parametrize("tunnelled", ["2002:0808:0808::1", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"])
def test_embedded_ipv4_is_what_is_looked_up(cdn, tunnelled):
    plain = json.loads(cdn.cli("geo", "--json", "8.8.8.8").stdout)
    answer = json.loads(cdn.cli("geo", "--json", tunnelled).stdout)
    assert answer.get("address", answer["ip"]) == "8.8.8.8"
    assert [answer[k] for k in ("lat", "lon", "edge")] == [plain[k] for k in ("lat", "lon", "edge")]


@pytest.mark.parametrize("bad, words", [
    ("nonsense", "is not an IP address"), ("fe80::1%eth0", "zone"), ("1.2.3.4/33", "prefix"), ("1.2.3", "is not an IP address"), ("1.2.3.4.5", "is not"), ("256.1.1.1", "is not"),
    ("::1::", "is not"), ("1.2.3.4:800000", "is not"), ("0x1.2.3.4", "is not"), ("01.2.3.4", "is not"),
])
def test_bad_addresses_are_refused_and_do_not_stop_the_others(cdn, bad, words):
    done = cdn.cli("geo", "-q", "--format", "%{ip}", "8.8.8.8", bad, "1.1.1.1")
    assert done.returncode == 2
    assert lines(done) == ["8.8.8.8", "1.1.1.1"]
    assert bad in done.stderr and words in done.stderr and done.stderr.count("\n") == 1


def test_strict_stops_at_the_first_bad_line(cdn):
    done = cdn.cli("geo", "-q", "--strict", "--format", "%{ip}", "-", stdin="8.8.8.8\nbad\n1.1.1.1\n")
    assert (done.returncode, lines(done)) == (2, ["8.8.8.8"])
    assert "line 2" in done.stderr


def test_networks_are_walked_without_gaps(cdn):
    """Every network of the answer inside, in order, next to one another, up to the end."""
    done = cdn.cli("geo", "-q", "--format", "%{ip} %{network}", "1.1.0.0/16")
    at = ipaddress.ip_address("1.1.0.0")
    for line in lines(done):
        ip, network = line.split()
        assert ipaddress.ip_address(ip) == at
        assert at in ipaddress.ip_network(network)
        at = ipaddress.ip_network(network).broadcast_address + 1
    assert len(lines(done)) > 1 and at == ipaddress.ip_address("1.2.0.0")


@pytest.mark.parametrize("network", ["255.255.255.0/24", "ffff::/16", "::/128", "0.0.0.0/32", "10.0.0.0/8"])
def test_networks_at_the_ends_of_the_address_space_end(cdn, network):
    done = cdn.cli("geo", "-q", "--format", "%{ip}", network)
    assert done.returncode in (0, 1) and 1 <= len(lines(done)) <= 2


# ---------------------------------------------------------------------------------------------------- input

def test_standard_input_keeps_order_and_skips_comments(cdn):
    text = "# two\n8.8.8.8\r\n\n  1.1.1.1  \n9.9.9.9"
    for args in ([], ["-"]):
        done = cdn.cli("geo", "--format", "%{line} %{ip}", *args, stdin=text)
        assert lines(done) == ["2 8.8.8.8", "4 1.1.1.1", "5 9.9.9.9"]
        assert done.stderr == "3 addresses: 3 found, 0 special, 0 not in the database\n"


def test_addresses_inside_log_lines(cdn):
    log = ('8.8.8.8 - - [22/Nov/2026:14:30:45 +0000] "GET / HTTP/1.1" 200 "Chrome/120.0.0.0"\n'
           "no address\n"
           "error: [2001:4860:4860::8888]:443 via 1.1.1.1:80 refused\n")
    done = cdn.cli("geo", "--log", "--format", "%{line} %{ip}", stdin=log)
    assert done.returncode == 0
    assert lines(done) == ["1 8.8.8.8", "3 2001:4860:4860::8888", "3 1.1.1.1"]


def test_a_closed_pipe_is_no_error(cdn):
    reader = cdn.spawn("/bin/sh", "-c", f"yes 8.8.8.8 | {BIN / 'pocketcdn'} geo -q | head -n 1 >/dev/null")
    assert reader.wait() == 0


# ---------------------------------------------------------------------------------------------------- output

def test_csv_and_tsv_have_a_header_and_equal_rows(cdn):
    addresses = ["8.8.8.8", "10.0.0.1", "2001:4860:4860::8888"]
    rows = list(csv.DictReader(io.StringIO(cdn.cli("geo", "--csv", *addresses).stdout)))
    tabs = [line.split("\t") for line in lines(cdn.cli("geo", "--tsv", *addresses))]
    assert [row["ip"] for row in rows] == addresses
    assert [list(row) for row in rows][0] == tabs[0]
    assert [list(row.values()) for row in rows] == tabs[1:]


def test_json_and_format_agree(cdn):
    keys = ["ip", "network", "country", "lat", "lon", "precision", "source", "reason", "edge", "km", "runner_up"]
    answer = json.loads(cdn.cli("geo", "--json", "8.8.8.8").stdout)
    shown = cdn.cli("geo", "--format", "|".join(f"%{{{k}}}" for k in keys), "8.8.8.8").stdout.strip().split("|")
    for key, text in zip(keys, shown):
        value = answer[key]
        assert (abs(float(text) - value) < 0.06 if isinstance(value, float) else text == str(value)), key


def test_format_knows_escapes_and_refuses_unknown_fields(cdn):
    assert cdn.cli("geo", "-f", r"%%\t%{ip}\n.", "8.8.8.8").stdout == "%\t8.8.8.8\n.\n"
    for bad in ("%{nonsense}", "%{ip", "%d"):
        done = cdn.cli("geo", "-f", bad, "8.8.8.8")
        assert (done.returncode, done.stdout) == (2, "")


def test_a_place_far_from_every_city_is_not_near_one(cdn):
    """The built-in database knows cells: the city that one is near stands for it, one beyond 75 km only with the distance."""
    assert "  near Amsterdam, Netherlands " in cdn.cli("geo", "-q", "193.0.6.139").stdout
    assert re.search(r"  anycast \(Google Public DNS\), \d{3} km from Little Rock, United States ", cdn.cli("geo", "-q", "8.8.8.8").stdout)
    rows = cdn.cli("geo", "-q", "--csv", "ip,city,near", "193.0.6.139", "8.8.8.8").stdout.splitlines()
    assert rows[1:] == ["193.0.6.139,Amsterdam,Amsterdam", "8.8.8.8,,Little Rock"]


def test_the_example_of_raw_works_with_the_built_in_database(cdn):
    path = re.search(r"record, as (\S+);", cdn.cli("help", "geo").stdout)[1]
    assert cdn.cli("geo", "--raw", path, "193.0.6.139").stdout == "NL\n"


def test_raw_gives_the_value_of_the_database(cdn):
    whole = json.loads(cdn.cli("geo", "--raw", ".", "8.8.8.8").stdout)
    assert cdn.cli("geo", "--raw", "country_code", "8.8.8.8").stdout == whole["country_code"] + "\n"
    missing = cdn.cli("geo", "-q", "--raw", "no.such.path", "8.8.8.8")
    assert (missing.returncode, missing.stdout) == (1, "\n")


def test_why_and_all_edges(cdn):
    why = cdn.cli("geo", "--why", "8.8.8.8").stdout
    assert re.search(r"^    database +8\.8\.8\.8 ", why, re.M) and re.search(r"^    pick ", why, re.M)
    answer = json.loads(cdn.cli("geo", "--json", "--why", "--all-edges", "8.8.8.8").stdout)
    assert len(answer["candidates"]) == 10 and answer["candidates"][0]["edge"] == answer["edge"]
    assert [c["rtt_ms"] for c in answer["candidates"]] == sorted(c["rtt_ms"] for c in answer["candidates"])
    assert answer["steps"]
    edges = cdn.cli("geo", "--all-edges", "--csv", "8.8.8.8").stdout.strip().split(",")[-1].split("|")
    assert [e.split(":")[0] for e in edges] == [c["edge"] for c in answer["candidates"]]


@pytest.mark.parametrize("args", [["--json", "--csv"], ["--tsv", "--format", "x"], ["--raw", ".", "--json"],
                                  ["--why", "--csv"]])
def test_forms_that_exclude_each_other(cdn, args):
    assert cdn.cli("geo", *args, "8.8.8.8").returncode == 2


# ---------------------------------------------------------------------------------------------------- databases

def test_exit_codes(cdn):
    nowhere = cdn.folder(files={"text.mmdb": b"not a database", "empty.mmdb": b""})
    assert cdn.cli("geo", "8.8.8.8").returncode == 0
    assert cdn.cli("geo", "10.0.0.1").returncode == 0
    for name in ("text.mmdb", "empty.mmdb", "missing.mmdb"):
        done = cdn.cli("geo", "--db", nowhere / name, "8.8.8.8")
        assert done.returncode == 3 and name in done.stderr and done.stderr.count("\n") == 1


def test_info_and_verify(cdn):
    info = json.loads(cdn.cli("geo", "info", "--json").stdout)
    assert info["path"] == "embedded" and info["ipv4"] and info["ipv6"] and info["file_size"] <= 1_600_000
    assert "DB-IP" in cdn.cli("geo", "info").stdout
    done = cdn.cli("geo", "verify")
    assert done.returncode == 0 and "sound" in done.stdout
    assert json.loads(cdn.cli("geo", "verify", "--json").stdout)["sound"] is True


def test_network_owner_and_keys_of_rich_databases(cdn):
    """JSON has a key for everything that --format has a name for, null where the database says nothing."""
    answer = json.loads(cdn.cli("geo", "--as-router", "--json", "8.8.8.8").stdout)
    assert answer["continent"] == "NA"
    for key in ("registered_country", "postcode", "time_zone", "asn", "organization"):
        assert answer[key] is None
        assert cdn.cli("geo", "-f", f"[%{{{key}}}]", "8.8.8.8").stdout == "[]\n"


def test_a_truncated_database_is_found_out(cdn):
    whole = (SOURCE / "geo-data" / "world.mmdb").read_bytes()
    folder = cdn.folder(files={"half.mmdb": whole[: len(whole) // 2], "tail.mmdb": whole[len(whole) // 2:]})
    for name in ("half.mmdb", "tail.mmdb"):
        assert cdn.cli("geo", "--db", folder / name, "verify").returncode == 3


def test_bench_measures(cdn):
    done = cdn.cli("geo", "--bench")
    assert done.returncode == 0 and re.search(r"^decisions +\d+ a second", done.stdout, re.M)


# ---------------------------------------------------------------------------------------------------- the router

def random_addresses(n):
    """IPv4 mostly, some IPv6, with a fixed seed."""
    rng = random.Random(20261122)
    for i in range(n):
        if i % 10:
            yield str(ipaddress.IPv4Address(rng.getrandbits(32)))
        else:
            yield str(ipaddress.IPv6Address((0x2 << 124) | rng.getrandbits(124)))


def test_agrees_with_the_router_on_10000_addresses(cdn):
    edges = cdn.fake_origin()  # answers the router's probes
    edges.on("/health", Reply(body=b'{"healthy": true}'))
    config = {"router": {"overrides": {"203.0.113.0/24": "Tokyo", "8.8.8.0/24": "edge:syd", "2001:db8::/32": "-33,18"}},
              "edges": [{"name": n, "place": p, "url": f"http://127.0.1.{i}:1", "admin": edges.url}
                        for i, (n, p) in enumerate([("iad", "Ashburn"), ("fra", "Frankfurt"), ("syd", "Sydney"),
                                                    ("nrt", "Tokyo"), ("jnb", "Johannesburg"), ("gru", "São Paulo")], 1)]}
    path = cdn.config(config)
    addresses = list(random_addresses(10_000)) + ["8.8.8.8", "203.0.113.9", "2001:db8::1", "10.0.0.1"]
    done = cdn.cli("geo", "-q", "-c", path, "--json", stdin="\n".join(addresses))
    ours = [json.loads(line) for line in done.stdout.splitlines()]
    assert [a["ip"] for a in ours] == [str(ipaddress.ip_address(a)) for a in addresses]
    router = cdn.router(path)
    differing = []
    with Client(router.admin) as client:
        for address, mine in zip(addresses, ours):
            theirs = client.get(f"/route?ip={address}", host="127.0.0.1").json()
            for key in ("steps", "candidates", "scope"):  # which only a router tells
                theirs.pop(key, None)
            if theirs != mine:
                differing.append((address, theirs, mine))
    assert not differing, f"{len(differing)} differ, such as {differing[0]}"


@pytest.mark.parametrize("columns", [["--csv", "--fields", "ip,country,network,edge,line"],
                                     ["--csv", "ip,country,network,edge,line", "-"],
                                     ["--csv", "ip,country,network,edge,line"]])
def test_chosen_columns_and_lines_of_known_records(cdn, columns):
    """Lines that come from memory equal those that were made anew."""
    addresses = list(random_addresses(2000)) * 2 + ["10.0.0.1", "2002:808:808::1"]
    rows = list(csv.reader(io.StringIO(cdn.cli("geo", "-q", *columns, stdin="\n".join(addresses)).stdout)))
    assert rows[0] == ["ip", "country", "network", "edge", "line"]
    slowly = cdn.cli("geo", "-q", "--json", stdin="\n".join(addresses))
    answers = [json.loads(line) for line in lines(slowly)]
    for number, (row, answer) in enumerate(zip(rows[1:], answers, strict=True), 1):
        assert row == [answer["ip"], answer["country"] or "", answer["network"], answer["edge"], str(number)]


@pytest.mark.parametrize("args, says", [
    (["--csv", "--fields", "ip,colour"], "colour"), (["--csv", "ip,colour"], "colour"), (["--fields", "ip"], "--csv"), (["--csv", "--fields", ""], "no field"),
])
def test_bad_columns(cdn, args, says):
    done = cdn.cli("geo", *args, "8.8.8.8")
    assert done.returncode == 2 and says in done.stderr and not done.stdout


def test_overrides_of_the_configuration_count(cdn):
    path = cdn.config({"router": {"overrides": {"8.8.8.0/24": "edge:syd", "9.9.9.9/32": "Tokyo"}}})
    done = cdn.cli("geo", "-q", "-c", path, "--format", FIELDS, "8.8.8.8", "9.9.9.9")
    rows = [line.split(" ") for line in lines(done)]
    assert [(r[-2], r[-1]) for r in rows] == [("override", "syd"), ("override", "nrt")]


# ---------------------------------------------------------------------------------------------------- pictures, logs

@pytest.mark.parametrize("locale, marks", [("C.UTF-8", "✕●"), ("C", "X@")])
def test_a_map_of_80_columns(cdn, locale, marks):
    done = cdn.cli("route", "--map", "133.11.0.1", env={"LC_ALL": locale})
    drawn = done.stdout.split("client")[0].splitlines()
    assert done.returncode == 0 and 12 <= len(drawn) <= 24
    assert all(len(line) <= 80 for line in drawn)
    assert marks[0] in "".join(drawn[:-1])
    assert f"{marks[1]} nrt" in done.stdout and "modelled path" in done.stdout
    assert locale != "C" or drawn == [line.encode("ascii", "replace").decode() for line in drawn]


def test_a_picture_is_well_formed(cdn, tmp_path):
    """Also for edges at the poles, over the date line, and without any edge that could serve."""
    for edges in ([{"name": "n", "place": "90,0"}, {"name": "s", "place": "-90,0"}],
                  [{"name": "east", "place": "-17,179.9"}],
                  [{"name": "none", "place": "Oslo", "weight": 0}]):
        path = cdn.config({"edges": [{**e, "url": "http://127.0.1.1:1"} for e in edges]})
        for ip in ("200.160.2.3", "133.11.0.1", "10.0.0.1"):
            done = cdn.cli("route", "-m", "-c", path, "--svg", tmp_path / "a.svg", ip)
            assert done.returncode == 0, done.stderr
            root = ElementTree.parse(tmp_path / "a.svg").getroot()
            titles = [t.text for t in root.iter("{http://www.w3.org/2000/svg}title")]
            assert [t.split(",")[0] for t in titles] == [e["name"] for e in edges] + ["client"]


@pytest.mark.parametrize("args, code", [([], 2), (["nonsense"], 2), (["8.8.8.8", "1.1.1.1"], 2), (["-m", "-j", "8.8.8.8"], 2),
                                        (["--svg", "/nowhere/a.svg", "8.8.8.8"], 3), (["8.8.8.8"], 0)])
def test_route_refuses(cdn, args, code):
    done = cdn.cli("route", *args)
    assert (done.returncode, bool(done.stderr)) == (code, code != 0)


def test_explain_log_adds_up(cdn):
    addresses = list(random_addresses(500))
    log = [f'{a} - - [01/Jan/2026:00:00:00 +0000] "GET /{i} HTTP/1.1" 200 1 "http://9.9.9.9/" "Chrome/120.0.0.0"'
           for i, a in enumerate(addresses)]
    path = cdn.folder("log", {"access.log": ("\n".join(log * 3) + "\nno address\n").encode()}) / "access.log"
    report = json.loads(cdn.cli("geo", "--explain-log", path, "--json").stdout)
    answers = [json.loads(line) for line in lines(cdn.cli("geo", "-q", "--json", stdin="\n".join(addresses)))]
    assert (report["lines"], report["lines_without_address"]) == (3 * len(addresses) + 1, 1)
    assert (report["requests"], report["clients"]) == (3 * len(addresses), len(addresses))
    for edge in report["edges"]:
        mine = [a for a in answers if a["edge"] == edge["edge"]]
        assert (edge["clients"], edge["requests"]) == (len(mine), 3 * len(mine))
        assert edge["clients_percent"] == pytest.approx(100 * len(mine) / len(answers))
        if mine:
            times = sorted(a["rtt_ms"] for a in mine)
            for share, key in ((0.5, "rtt_ms_p50"), (0.95, "rtt_ms_p95")):
                at = max(round(len(times) * share + 1e-9), 1) - 1
                assert edge[key] == pytest.approx(times[at], abs=0.3) or len(times) * share % 1 == 0.5
            assert edge["ambiguous_percent"] == pytest.approx(100 * sum(a["ambiguous"] for a in mine) / len(mine))
    table = cdn.cli("geo", "--explain-log", "-", stdin="\n".join(log)).stdout
    assert "P95 MS" in table and f"{len(addresses)} lines, 0 without" in table
    assert cdn.cli("route", "--explain-log", "-", stdin="\n".join(log)).stdout == table
    missing = cdn.cli("geo", "--explain-log", "/nowhere.log")
    assert missing.returncode == 3 and "/nowhere.log" in missing.stderr
