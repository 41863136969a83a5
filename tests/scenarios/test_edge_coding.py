"""Accept-Encoding that refuses the plain form, in many spellings (RFC 9110 12.5.3)."""

import itertools
import re

import pytest
from cdn import Gate, poll
from test_edge_http import edge, ok, origin, told  # noqa: F401 (edge and origin are fixtures)

# what a request says, and the codings that it accepts ("": the plain form)
SPELLINGS = {
    None: {""}, "": {""}, "identity": {""}, "gzip": {"", "gzip"}, "br, gzip": {"", "br", "gzip"}, "*": {"", "br", "gzip"},
    "gzip;q=0": {""}, "*;q=0, identity": {""}, "identity;q=1, *;q=0": {""}, "identity;q=0.001": {""}, "br;q=0, gzip;q=0": {""},
    "*;q=0.5": {"", "br", "gzip"}, "identity;q=0.5, gzip": {"", "gzip"}, "gzip;q=0, *": {"", "br"},
    "identity;q=0": set(), "*;q=0": set(), "gzip;q=0, identity;q=0": set(), "identity;q=0.000": set(), "IDENTITY ; Q=0": set(),
    "identity;q=0, identity": set(), "identity, identity;q=0": set(), "br;q=0,gzip;q=0,*;q=0": set(), "*;q=0.0, br;q=0": set(),
    "gzip, identity;q=0": {"gzip"}, "br, *;q=0": {"br"}, "identity;q=0, gzip;q=0.1": {"gzip"}, "*;q=0,gzip": {"gzip"},
    "identity;q=0, *": {"br", "gzip"}, "identity;q=00, gzip": {"gzip"}, "identity;q=-0, gzip": {"gzip"},
}
REFUSING = [s for s, forms in SPELLINGS.items() if "" not in forms]
TAKING = [s for s, forms in SPELLINGS.items() if "" in forms]
BODY = b"a stylesheet" * 300


def asked_for(request):
    """The codings that an origin reads from what an edge sends, which is one of few forms."""
    text = request.header("Accept-Encoding", "")
    assert re.fullmatch(r"((br|gzip|identity;q=0)(, )?)*|identity", text), text
    return {t for t in text.split(", ") if t in ("br", "gzip")} | ({""} if "identity;q=0" not in text else set())


def negotiating(vary=True, forms=("br", "gzip", "")):
    """The best of what it has; where the request refuses all of it, the last."""
    def answer(request):
        coding = next((f for f in forms if f in asked_for(request)), forms[-1])
        fields = [("ETag", f'"{coding}"')] + ([("Vary", "Accept-Encoding")] if vary else [])
        if request.header("If-None-Match") == f'"{coding}"':
            return ok(b"", "max-age=60", *fields, status=304)
        return ok(coding.encode() + BODY, "max-age=60", *fields, *([("Content-Encoding", coding)] if coding else []))
    return answer


def get(edge, ask, path="/a", **kw):  # noqa: F811
    r = edge.get(path, [("Accept-Encoding", ask)] if ask is not None else [], **kw)
    coding = r.header("Content-Encoding", "")
    assert r.status == 200 and r.body == coding.encode() + BODY, (ask, r)
    return coding, r


@pytest.mark.parametrize("vary", [True, False])
@pytest.mark.parametrize("first", [None, "gzip", "br", "identity;q=0", "gzip, identity;q=0"])
def test_nobody_gets_a_form_that_he_refuses_where_there_is_another(edge, origin, first, vary):  # noqa: F811
    origin.on("/a", negotiating(vary))
    get(edge, first)
    for step in ("0s", "61s", "1s"):
        edge.clock_advance(step)
        for ask, forms in SPELLINGS.items():
            coding, _ = get(edge, ask)
            assert coding in forms or not forms, (ask, coding)


@pytest.mark.parametrize("ask", REFUSING)
def test_the_only_form_is_given_to_those_who_refuse_it(edge, origin, ask):  # noqa: F811
    """406 would help nobody: as the origin answered, and it is asked once."""
    origin.on("/a", ok(BODY, "max-age=60"))
    assert get(edge, None)[1]["X-Cache"] == "MISS" and get(edge, None)[1]["X-Cache"] == "HIT"
    assert told(get(edge, ask)[1]) == ("MISS", "vary")
    alike = [s for s in REFUSING if SPELLINGS[s] <= SPELLINGS[ask]]
    for each in [ask, None, *alike, *TAKING]:
        assert get(edge, each)[1]["X-Cache"] == "HIT", each
    assert origin.count("/a") == 2


@pytest.mark.parametrize("first, second", itertools.product([None, "identity;q=0", "gzip"], repeat=2))
def test_the_only_form_is_gzip(edge, origin, first, second):  # noqa: F811
    origin.on("/a", negotiating(False, ("gzip",)))
    for ask in (first, second, *SPELLINGS):
        assert get(edge, ask)[0] == "gzip"
    assert origin.count("/a") <= 4  # for those who accept less than was asked for before, it is not asked again
    for ask in SPELLINGS:
        assert get(edge, ask)[1]["X-Cache"] == "HIT"


def test_who_refuses_the_plain_form_waits_for_no_plain_form(edge, origin):  # noqa: F811
    gate, plain, other = Gate(), negotiating(True), negotiating(True)
    origin.on("/a", lambda r: (gate._pass() if asked_for(r) == {""} else None, plain(r))[1])
    with edge.connect() as slow:
        slow.send_request("GET", "/a")
        gate.wait_reached()
        others = {ask: edge.connect() for ask in ("gzip, identity;q=0", "br, *;q=0")}
        for ask, client in others.items():
            client.send_request("GET", "/a", [("Accept-Encoding", ask)])
        gate.open()
        assert slow.response().body == BODY
        for ask, client in others.items():
            assert client.response().header("Content-Encoding") in SPELLINGS[ask]
            client.close()


@pytest.mark.parametrize("ask", ["gzip, identity;q=0", "*;q=0, gzip", "identity;q=0, *"])
def test_a_form_that_the_edge_makes_itself(cdn, origin, ask):  # noqa: F811
    edge = cdn.edge(origin, compress=["gzip"])  # noqa: F811
    body = BODY * 4
    origin.on("/a", ok(body, "max-age=60", ("Content-Type", "text/css")))
    edge.get("/a")
    poll(lambda: edge.get("/a", [("Accept-Encoding", ask)]).header("Content-Encoding") == "gzip", what="the gzip form")
    assert edge.get("/a").body == body and origin.count("/a") <= 2


@pytest.mark.parametrize("fields, stored", [([], False), ([("Vary", "Accept-Encoding")], True)])
def test_a_406_is_for_the_one_who_asked(edge, origin, fields, stored):  # noqa: F811
    """Without Vary nothing says for whom else it is (RFC 9110 15.5.7)."""
    def answer(request):
        return (ok(BODY, "max-age=60", *fields) if "" in asked_for(request)
                else ok(b"nothing acceptable", "max-age=60", *fields, status=406))
    origin.on("/a", answer)
    for ask in ("*;q=0", None, "*;q=0", None):
        r = edge.get("/a", [("Accept-Encoding", ask)] if ask else [])
        assert r.status == (406 if ask else 200)
    assert told(r) == ("HIT", None)
    assert origin.count("/a") == (2 if stored else 3)


@pytest.mark.parametrize("vary", [True, False])
@pytest.mark.parametrize("first", [None, "gzip", "br", "identity;q=0, gzip"])
@pytest.mark.parametrize("asked", ["bytes=0-9", "bytes=-5", "bytes=5-"])
def test_a_range_is_of_a_form_that_the_request_accepts(edge, origin, vary, first, asked):  # noqa: F811
    """One entity tag for all: parts and wholes of one form never stand for another."""
    size = len(BODY)

    def form(coding):
        return (coding.upper().encode() + BODY)[:size]

    def answer(request):
        coding = next((f for f in ("br", "gzip") if f in asked_for(request)), "")
        fields = [("ETag", '"same"'), *([("Vary", "Accept-Encoding")] if vary else []),
                  *([("Content-Encoding", coding)] if coding else [])]
        if request.header("If-None-Match"):
            return ok(b"", "max-age=60", *fields, status=304)
        if not request.header("Range"):
            return ok(form(coding), "max-age=60", *fields)
        a, b = request["Range"].removeprefix("bytes=").split("-")
        a, b = (size - int(b), size - 1) if not a else (int(a), min(int(b or size), size - 1))
        return ok(form(coding)[a:b + 1], "max-age=60", *fields, ("Content-Range", f"bytes {a}-{b}/{size}"), status=206)
    origin.on("/a", answer)
    edge.get("/a", [("Accept-Encoding", first)] if first else [])
    for step in ("0s", "61s", "1s"):
        edge.clock_advance(step)
        for ask, forms in SPELLINGS.items():
            for more in ([("Range", asked)], []):
                r = edge.get("/a", ([("Accept-Encoding", ask)] if ask is not None else []) + more)
                coding = r.header("Content-Encoding", "")
                assert coding in forms or not forms, (ask, coding)
                part = r.header("Content-Range", f"bytes 0-{size - 1}/{size}").removeprefix("bytes ").split("/")[0].split("-")
                assert r.body == form(coding)[int(part[0]):int(part[1]) + 1], (ask, more)
