"""The network between places notices that the CDN has changed, and gives listeners back that nobody uses."""

import json
import os
import signal

import pytest

from cdn import Reply, poll
from wan import World


def change(world, edit):
    """Another cdn.yaml in the place of the one there is."""
    config = json.loads(world.path.read_text())
    edit(config)
    world.path.write_text(json.dumps(config))


def reload(world):
    return world.wan.admin_request("POST", "/reload")


def listener(world, place):
    return world.wan.admin_post("/listeners", {"place": place})["proxy"]


@pytest.mark.parametrize("by", ["verb", "signal"])
def test_other_edges(cdn, by):
    world = World(cdn, links=["listen=127.0.0.1:0,to=nrt,rtt=10ms"])
    gru = cdn.fake_origin(host="127.0.77.4")
    gru.default = Reply(200, b"sao2")
    before = listener(world, "nrt"), listener(world, "Tokyo")
    kept = world.connect("nrt.cdn.test", user="fra")
    assert kept.get("/", host="nrt").text == "nrt"
    world.wan.admin_post("/faults", {"link": "fra-origin", "delay": "1ms"})
    far = world.path_of("Tokyo", "nrt")["rtt"]

    def edit(config):
        edges = {e["name"]: e for e in config["edges"]}
        edges["nrt"]["place"] = "Sydney"
        address = "%s:%d" % gru.address
        config["edges"] = [edges["fra"], edges["nrt"], {"name": "sao2", "place": "S\u00e3o Paulo", "listen": address,
                                                        "admin": address}]
    change(world, edit)
    if by == "verb":
        assert reload(world).status < 300
    else:
        os.kill(world.wan.pid, signal.SIGHUP)
    poll(lambda: {n["name"] for n in world.wan.status()["nodes"]} >= {"sao2"}, what="the new edge is known")
    assert "iad" not in {n["name"] for n in world.wan.status()["nodes"]}
    assert world.get("sao2.cdn.test", user="Lima").text == "sao2"
    with world.connect("iad.cdn.test", user="Lima") as client:
        assert client.reply != 0
    assert world.path_of("Tokyo", "nrt")["rtt"] > far + 0.05
    assert kept.get("/", host="nrt").text == "nrt"  # as it began
    assert before == (listener(world, "nrt"), listener(world, "Tokyo"))
    assert [f["link"] for f in world.wan.admin_get("/faults")["faults"]] == ["fra-origin"]
    world.wan.admin_post("/faults", {"link": "sao2-origin", "delay": "1ms"})
    change(world, lambda config: config["edges"].pop())
    assert reload(world).status < 300
    assert [f["link"] for f in world.wan.admin_get("/faults")["faults"]] == ["fra-origin"], "that of a node that is gone is gone"
    kept.close()
    assert world.get("nrt.cdn.test", user="fra").text == "nrt"
    assert world.wan.terminate() == 0


@pytest.mark.parametrize("edit, words", [
    (lambda c: c["edges"].__setitem__(1, {**c["edges"][1], "place": "Tokjo"}), "Tokjo"),
    (lambda c: c["edges"].pop(1), "nrt"),  # a link leads there
    (lambda c: c["wan"].update(window="1MiB"), "window"),
])
def test_a_bad_file_changes_nothing(cdn, edit, words):
    world = World(cdn, links=["listen=127.0.0.1:0,to=nrt,rtt=10ms"])
    before = world.wan.status()["nodes"]
    change(world, edit)
    answer = reload(world)
    assert answer.status >= 400 and words in answer.text
    assert world.wan.status()["nodes"] == before
    assert world.get("nrt.cdn.test", user="fra").text == "nrt"


def test_listeners_that_nobody_uses_are_given_back(cdn):
    world = World(cdn, "--listener-idle", "1h")
    place = "{:.2f},{:.2f}".format
    all_of = [listener(world, place(i % 60, i / 8)) for i in range(1024)]
    assert len(set(all_of)) == 1024
    refused = world.wan.admin_request("POST", "/listeners", {"place": "Oslo"})
    assert refused.status >= 400 and "used within listener_idle" in refused.text
    world = World(cdn, "--listener-idle", "0s")
    first = [listener(world, place(i % 60, i / 8)) for i in range(1024)]
    again = listener(world, place(0, 0))  # used last
    assert listener(world, "Oslo") not in first[2:]
    there = json.dumps(world.wan.admin_get("/listeners"))
    assert again.rpartition("//")[2] in there and first[1].rpartition("//")[2] not in there
