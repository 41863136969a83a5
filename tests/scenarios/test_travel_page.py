"""Chromium, far from the origin and beside it, loads a page of 40 files from the Django site, with the CDN and without.

`make test` does it from Tokyo; with CDN_LONG=yes (`make test-long`) from all places. The table of README.md is made by
tests/bench/wan/run.py, on a machine that does nothing else."""

import os

import pytest
from cdn import SLOW
from page import FILES, Page, own_of

PLACES = ["Tokyo", "New York", "Frankfurt"] if os.environ.get("CDN_LONG") == "yes" else ["Tokyo"]
BUSY_MS = 4000 * SLOW


@pytest.fixture(scope="module")
def page(shared_cdn):
    pytest.importorskip("selenium.webdriver")
    return Page(shared_cdn)


@pytest.mark.parametrize("place", PLACES)
def test_a_page_loads_whole_and_takes_its_way(page, place):
    loads = {}
    for host in ("origin.cdn.test", "www.cdn.test"):
        node = "origin" if host.startswith("origin") else page.nearest(place)
        if node != "origin":
            page.load(node, host)  # the edge has everything from now on
        own = own_of(page.load(node, host))
        loaded = page.load(place, host)
        assert len(loaded["files"]) == FILES and not loaded["broken"], loaded["broken"]
        for path, text in loaded["files"].items():
            assert text == page.fetch(path).decode(), f"{path} from {host} is what Django says"
        sizes = [len(text) for text in loaded["files"].values()]
        way, whole = page.model_ms(place, node, sizes), page.model_ms(place, node, sizes, own)
        print(f"{place}, {host}: {loaded['load']:.0f} ms; the way has {way:.0f} by the model, all of it {whole:.0f}")
        assert 0.9 * way <= loaded["load"] <= 1.1 * whole + BUSY_MS, (host, loaded["load"], way, whole)
        loads[host] = loaded["load"], way
    if place != "Frankfurt":
        assert loads["www.cdn.test"][1] < loads["origin.cdn.test"][1] / 3, "the model's gain"
        assert loads["www.cdn.test"][0] < loads["origin.cdn.test"][0] + BUSY_MS / 4, "is felt"
