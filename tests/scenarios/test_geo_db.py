"""Databases of `pocketcdn geo` and of the router: schemas, several at once, files that are no good or change."""

import json
import os
import random

import mmdb
import pytest
from cdn import Client, Reply, poll

PLACE = "%{country}|%{city}|%{asn}|%{precision}|%{edge}"
EDGES = [{"name": n, "place": p, "url": f"http://127.0.1.{i}:1"}
         for i, (n, p) in enumerate([("iad", "Ashburn"), ("fra", "Frankfurt"), ("nrt", "Tokyo"), ("gru", "São Paulo")], 1)]


def database(cdn, networks, **kw):
    return cdn.folder(files={"test.mmdb": mmdb.write(networks, **kw)}) / "test.mmdb"


@pytest.mark.parametrize("record, shown", [
    ({"country": "JP", "country_name": "Japan"}, "JP|||country|nrt"),
    ({"country_code": "JP", "latitude": "35.6", "longitude": "139.7", "city": "Tokyo"}, "JP|Tokyo||city|nrt"),
    ({"country_code": "JP", "latitude": mmdb.Float(35.6), "longitude": 139.7}, "JP|||country|nrt"),
    ({"asn": "AS2497", "as_name": "IIJ", "country": "Japan", "country_code": "JP", "continent": "Asia"}, "JP||2497|country|nrt"),
    ({"autonomous_system_number": 15169, "autonomous_system_organization": "Google"}, "||15169|default|iad"),
    ({"continent": {"code": "SA"}}, "|||continent|gru"),
    ({"country": {"iso_code": "EU"}}, "EU|||continent|fra"),
    ({"country": {"iso_code": "JP"}, **{f"k{i}": i for i in range(3000)}, "list": list(range(3000))}, "JP|||country|nrt"),
    ("no map", "|||default|iad"), ({}, "|||default|iad"),
])
def test_schemas(cdn, record, shown):
    path = database(cdn, {"1.0.0.0/8": record})
    done = cdn.cli("geo", "-q", "--db", path, "-f", PLACE, "1.2.3.4")
    assert (done.returncode, done.stdout) == (0, shown + "\n")
    assert "sound" in cdn.cli("geo", "--db", path, "verify").stdout


@pytest.mark.parametrize("leave_out", [("languages",), ("description",), ("languages", "description"), ()])
def test_metadata_that_the_format_does_not_ask_for(cdn, leave_out):
    path = database(cdn, {"1.0.0.0/8": {"country": "JP"}}, leave_out=leave_out)
    assert cdn.cli("geo", "-q", "--db", path, "-f", "%{country}", "1.2.3.4").stdout == "JP\n"
    assert "sound" in cdn.cli("geo", "--db", path, "verify").stdout
    assert cdn.cli("geo", "--db", path, "info").returncode == 0


@pytest.mark.parametrize("left_out", ["node_count", "record_size", "ip_version", "database_type", "build_epoch"])
def test_metadata_that_it_does(cdn, left_out):
    path = database(cdn, {"1.0.0.0/8": {"country": "JP"}}, leave_out=(left_out,))
    done = cdn.cli("geo", "--db", path, "1.2.3.4")
    assert done.returncode == 3 and left_out in done.stderr and str(path) in done.stderr


@pytest.mark.parametrize("epoch", [2**63, 2**64 - 1, 253402300800])
def test_a_date_that_is_none(cdn, epoch):
    path = database(cdn, {"1.0.0.0/8": {"country": "JP"}}, build_epoch=mmdb.Uint64(epoch))
    assert "no sensible date" in cdn.cli("geo", "--db", path, "info").stdout
    info = json.loads(cdn.cli("geo", "--db", path, "info", "--json").stdout)
    assert info["build_epoch"] is None and info["age_days"] is None


def test_a_database_without_networks_is_sound_and_knows_nothing(cdn):
    path = database(cdn, {})
    assert "sound" in cdn.cli("geo", "--db", path, "verify").stdout
    done = cdn.cli("geo", "-q", "--db", path, "-f", PLACE, "1.2.3.4")
    assert (done.returncode, done.stdout) == (1, "|||default|iad\n")


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "::1", "fd00::1", "203.0.113.7"])
def test_nobody_is_in_the_default_places_country(cdn, address):
    answer = json.loads(cdn.cli("geo", "--json", address).stdout)
    assert (answer["country"], answer["country_name"], answer["continent"], answer["city"]) == (None,) * 4
    assert answer["edge"] and answer["precision"] == "default"
    assert cdn.cli("geo", "-f", "[%{country}%{country_name}%{continent}%{city}%{near}]", address).stdout == "[]\n"


def test_several_databases_and_a_router_with_them(cdn):
    """Each field from the first that has it; the router's table of all of them says the same as the chain."""
    rng = random.Random(7)
    city = {"1.2.0.0/16": {"city": "Tokyo", "country": "JP", "loc": "35.6,139.7"}, "9.0.0.0/8": {"country": "DE"}}
    asn = {f"1.2.{i}.0/24": {"asn": f"AS{64496 + i}", "as_name": f"Net {i}"} for i in range(0, 200, 3)}
    late = {"1.0.0.0/8": {"country": "BR", "asn": "AS7"}, "2a00::/12": {"country": "DE"}}
    folder = cdn.folder(files={n: mmdb.write(d) for n, d in (("city", city), ("asn", asn), ("late", late))})
    files = [str(folder / n) for n in ("city", "asn", "late")]
    edges = cdn.fake_origin()  # answers the router's probes
    edges.on("/health", Reply(body=b'{"healthy": true}'))
    path = cdn.config({"router": {"database": files}, "edges": [{**e, "admin": edges.url} for e in EDGES]})
    addresses = [f"1.2.{rng.randrange(256)}.{rng.randrange(256)}" for _ in range(300)]
    addresses += ["1.3.0.1", "9.1.1.1", "7.7.7.7", "2a00::1", "2c00::1", "10.0.0.1"]
    shown = cdn.cli("geo", "-q", *(a for f in files for a in ("--db", f)), "-f", PLACE, "1.2.3.4", "1.2.4.4", "1.3.1.1", "9.1.1.1")
    assert [line.rsplit("|", 2)[0] for line in shown.stdout.splitlines()] == ["JP|Tokyo|64499", "JP|Tokyo|7", "BR||7", "DE||"]
    ours = [json.loads(line) for line in cdn.cli("geo", "-q", "-c", path, "--json", *addresses).stdout.splitlines()]
    router = cdn.router(path)
    with Client(router.admin) as client:
        for address, mine in zip(addresses, ours, strict=True):
            theirs = client.get(f"/route?ip={address}", host="127.0.0.1").json()
            for key in ("steps", "candidates", "scope"):
                theirs.pop(key, None)
            assert theirs == mine


@pytest.mark.parametrize("damage", ["shortened", "emptied", "overwritten", "deleted"])
def test_a_router_outlives_what_happens_to_its_database(cdn, damage):
    path = database(cdn, {"1.0.0.0/8": {"country": "JP"}, **{f"9.{i}.0.0/16": {"country": "DE"} for i in range(256)}})
    router = cdn.router(cdn.config({"router": {"database": [str(path)]}, "edges": EDGES}))
    whole = path.read_bytes()
    if damage == "deleted":
        path.unlink()
    elif damage == "overwritten":
        with path.open("r+b") as file:
            file.write(b"\xff" * len(whole))
    else:
        os.truncate(path, 0 if damage == "emptied" else len(whole) // 3)
    for address, country in (("1.2.3.4", "JP"), ("9.99.1.1", "DE"), ("8.8.8.8", None)):
        assert router.admin_get(f"/route?ip={address}")["country"] == country
    router.reload()
    poll(lambda: router.status()["reloads_failed"] >= 1, what="the reload with a bad file fails")
    assert str(path) in router.status()["reload_error"]
    assert router.admin_get("/route?ip=1.2.3.4")["country"] == "JP"
    path.write_bytes(mmdb.write({"1.0.0.0/8": {"country": "FR"}}))
    router.reload()
    poll(lambda: router.admin_get("/route?ip=1.2.3.4")["country"] == "FR", what="the new file counts")


@pytest.mark.parametrize("kind, says", [("folder", "not a regular file"), ("fifo", "not a regular file"), ("empty", "is empty"),
                                        ("huge", "at most"), ("hole", "not a MaxMind database"), ("missing", "No such file"),
                                        ("device", "not a regular file")])
def test_files_that_are_no_databases(cdn, kind, says):
    path = cdn.folder() / "x.mmdb"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind in ("empty", "huge", "hole"):
        path.touch()
        os.truncate(path, {"empty": 0, "huge": 5 << 30, "hole": 3 << 30}[kind])  # holes: no bytes on the disk
    elif kind == "device":
        path = "/dev/zero"
    done = cdn.cli("geo", "--db", path, "8.8.8.8")
    assert done.returncode == 3 and says in done.stderr and str(path) in done.stderr and done.stderr.count("\n") == 1


def test_raw_reads_the_configurations_database(cdn):
    path = database(cdn, {"1.0.0.0/8": {"a": {"b": ["x", "y"]}}})
    config = cdn.config({"router": {"database": [str(path)]}, "edges": EDGES})
    assert cdn.cli("geo", "-c", config, "--raw", "a.b.1", "1.2.3.4").stdout == "y\n"


def test_as_numbers_beside_the_embedded_database(cdn):
    """`database: [embedded, ASN]` in either order; the older asn_database says the same."""
    asn = str(database(cdn, {"193.0.0.0/21": {"asn": "AS3333", "as_name": "RIPE NCC"}, "10.0.0.0/8": {"asn": 64500}}))
    fields = ("-q", "-f", "%{country}|%{asn}|%{organization}|%{edge}", "193.0.6.139", "193.0.9.1", "8.8.8.8")
    wanted = "NL|3333|RIPE NCC|fra\nNL|||fra\nUS|||iad\n"
    for router in ({"database": ["embedded", asn]}, {"database": [asn, "embedded"]}, {"asn_database": [asn]}):
        config = cdn.config({"router": {**router, "overrides": {"AS3333": "prefer:fra"}}, "edges": EDGES})
        assert cdn.cli("geo", "-c", config, *fields).stdout == wanted, router
    assert cdn.cli("geo", "-c", cdn.config({"edges": EDGES}), "--db", "embedded", "--db", asn, *fields).stdout == wanted
    for router in ({}, {"database": ["embedded"]}):
        config = cdn.config({"router": {**router, "overrides": {"AS3333": "prefer:fra"}}, "edges": EDGES})
        done = cdn.cli("geo", "-c", config, "8.8.8.8")
        assert done.returncode == 2 and "knows no AS numbers; put one that does behind it" in done.stderr


@pytest.mark.parametrize("args, says", [
    (["FILE"], "is a file, not an address: '--log < FILE' for a log, '- < FILE' for an address a line"),
    (["--csv", "ip,edge", "FILE"], "is a file, not an address"), (["--log", "FILE"], "the log is read from standard input"),
    (["--annotate", "FILE"], "the log is read from standard input"), (["test.mmdb"], "is a database, not an address: --db FILE"),
    ([""], "is a folder, not an address"), (["no-such-file"], "is not an IP address or network"),
])
def test_a_file_given_as_an_address(cdn, args, says):
    folder = cdn.folder(files={"FILE": b"8.8.8.8\n", "test.mmdb": mmdb.write({})})
    done = cdn.cli("geo", "-q", *(str(folder / a) if a in ("FILE", "test.mmdb", "no-such-file", "") else a for a in args))
    assert done.returncode == 2 and says in done.stderr and done.stderr.count("\n") == 1
