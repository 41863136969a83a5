"""Which room may include which: a room is a folder with its own purpose, and sees only those below it. Read from the
#include lines, which name the room. docs/architecture.md says what each room is for."""
import re

import source


# room: what it sees. "+x" is x and all that x sees, "x*" is x and all rooms inside.
GRAPH = {room: names.split() for room, names in (line.split(":") for line in """
common:
common/config:       common
common/http/syntax:  common
common/http/client:  +common/http/syntax
common/http/server:  +common/http/syntax
common/daemon:       +common/http/server

geo-data:            common
geo-data/tools:      +geo-data

origin/base:         common*
origin/release:      common* origin/base
origin:              common* geo-data origin/base origin/release

router/base:         common* geo-data
router/choice:       +router/base
router/table:        +router/choice
router/decide:       +router/table
router/dns:          +router/decide
router/purge:        +router/base
router/proxy:        +router/decide
router:              +router/dns +router/purge +router/proxy

edge/semantics:      common*
edge/signed:         common* edge/semantics
edge/geo:            common* geo-data
edge/memory:         common*
edge/store:          common* edge/memory
edge/site:           common* edge/semantics edge/signed edge/geo
edge/base:           common* geo-data edge/semantics edge/signed edge/geo edge/site edge/store edge/memory
edge/log:            common* edge/semantics edge/signed edge/geo edge/site edge/base
edge/cache:          common* edge/semantics edge/store edge/memory
edge/fetch:          common* edge/semantics edge/signed edge/geo edge/site edge/store edge/memory edge/base edge/cache
edge/purge:          common* edge/semantics edge/signed edge/geo edge/site edge/store edge/memory edge/base edge/cache
edge/request:        +edge/log +edge/fetch +edge/purge
edge/control:        +edge/request
edge:                +edge/control

wan/path:            common
wan/relay:           common* geo-data wan/path
wan:                 +wan/relay

cli/base:            common*
cli/run:             +cli/base geo-data router* edge* origin* wan*
cli/travel:          +cli/run
cli/get:             +cli/travel
cli/geo:             +cli/base geo-data router*
cli/route:           +cli/geo
cli/demo:            +cli/travel
cli/browse:          +cli/travel
cli/explain:         +cli/get
cli/warm:            +cli/run
cli/release:         +cli/warm
cli/compare/stats:   common*
cli/compare/model:   +cli/geo wan/path origin cli/compare/stats
cli/compare/output:  +cli/compare/model
cli/compare/run:     +cli/compare/model +cli/travel
cli/compare/report:  +cli/compare/output
cli/compare:         +cli/compare/report +cli/compare/run
cli:                 +cli/run +cli/travel +cli/get +cli/route +cli/demo +cli/explain +cli/warm +cli/release +cli/compare +cli/browse
""".split("\n") if line)}
# Libraries that a room may use; common's and geo-data's rooms are linked each to its own, so a room that takes in one
# more makes all who link it link that too.
LIBRARIES = {
    "common": set(),
    "common/config": {"yaml"},
    "common/http/syntax": set(),
    "common/http/client": {"curl", "gnutls"},
    "common/http/server": {"microhttpd", "gnutls", "jansson"},
    "common/daemon": {"microhttpd", "gnutls", "jansson"},
    "geo-data": {"maxminddb"},
    "geo-data/tools": {"maxminddb"},
}
KNOWN_LIBRARIES = ("brotli", "curl", "gnutls", "jansson", "libknot", "maxminddb", "microhttpd", "sqlite3", "xxh", "yaml",
                   "zlib", "zstd")
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)




def room_of(name):
    return name.rsplit("/", 1)[0]


def sees(room):
    """The rooms that a room may include, itself among them."""
    seen = {room}
    for name in GRAPH[room]:
        if name.startswith("+"):
            seen |= sees(name[1:])
        elif name.endswith("*"):
            seen |= {r for r in GRAPH if r == name[:-1] or r.startswith(name[:-1] + "/")}
        else:
            seen.add(name)
    return seen


def includes():
    """(file, its room, quote, name) of each #include of the programs."""
    for path in source.c_files():
        name = source.show(path)
        for quote, target in INCLUDE.findall(path.read_text()):
            yield name, room_of(name), quote, target


def test_layers():
    tops = {room.split("/")[0] for room in GRAPH} | {"tests"}
    wrong = []
    for name, room, quote, target in includes():
        in_tests = name.startswith("tests/")
        if quote == "<":
            if target.split("/")[0] in tops:
                wrong.append(f"{name}: <{target}> should be in quotes")
        elif in_tests:
            continue  # tests may see all, and helpers beside them
        elif "/" not in target:
            wrong.append(f'{name}: "{target}" does not name its folder')
        elif room not in GRAPH or room_of(target) not in sees(room):
            wrong.append(f'{name}: {room} may not include "{target}"')
        elif target.endswith("_private.h") and room_of(target) != room:
            wrong.append(f'{name}: "{target}" is private to its room')
    assert not wrong, "\n".join(wrong)


def test_the_graph_has_no_circle():
    """Rooms can be taken away one by one, each when all that it sees are gone. And each has files."""
    left = {room: sees(room) - {room} for room in GRAPH}
    while any(not below for below in left.values()):
        free = {room for room, below in left.items() if not below}
        left = {room: below - free for room, below in left.items() if room not in free}
    assert not left, "\n".join(f"{room} sees {', '.join(sorted(below))}" for room, below in left.items())
    rooms = {room for name, room, _, _ in includes() if not name.startswith("tests/")}
    assert rooms == set(GRAPH)


def test_rooms_use_their_own_libraries_only():
    wrong = []
    for name, room, quote, target in includes():
        used = {library for library in KNOWN_LIBRARIES if quote == "<" and target.startswith(library)}
        if room in LIBRARIES and used - LIBRARIES[room]:
            wrong.append(f"{name}: <{target}>: {room} is not linked to it")
    assert not wrong, "\n".join(wrong)


def test_headers_are_guarded_and_explained():
    wrong = []
    for path in source.c_files():
        text = path.read_text()
        if path.suffix == ".h" and not re.search(r"^#ifndef CDN_\w+_H\n#define CDN_\w+_H\n", text, re.M):
            wrong.append(f"{source.show(path)}: no include guard CDN_..._H")
        if (path.suffix == ".h" or path.name.startswith("main")) and not text.startswith("/*"):
            wrong.append(f"{source.show(path)}: does not begin with a comment that says what it is for")
    assert not wrong, "\n".join(wrong)


def explanation(text):
    """The words of the comment at a file's top, but its name and 'see x.h'."""
    comment = re.match(r"/\*(.*?)\*/", text, re.S)
    words = comment.group(1).replace("\n *", " ") if comment else ""
    return re.sub(r"^\s*\w+:|[Ss]ee (the header|[\w/]+\.h)\.?", "", words).split()


def test_every_source_file_says_why_it_is_so():
    """What a file is for and why it is as it is: a sentence or two at its top, not "see x.h"."""
    wrong = [source.show(path) for path in source.c_files()
             if path.suffix == ".c" and len(explanation(path.read_text())) < 12]
    assert not wrong, "these begin with no explanation:\n" + "\n".join(wrong)


def test_banned_comes_last():
    wrong = []
    for path in source.c_files():
        if path.suffix == ".c" and not source.show(path).startswith("tests/"):
            names = [name for _, name in INCLUDE.findall(path.read_text())]
            if not names or names[-1] != "common/banned.h":
                wrong.append(f"{source.show(path)}: the last include is not common/banned.h")
    assert not wrong, "\n".join(wrong)


def test_no_circle_among_the_states_of_a_request():
    """Which file of edge/request calls which, read from the names: the states go on through the table alone."""
    text, where = {}, {}
    for path in source.c_files():
        if source.show(path).startswith("edge/request/") and path.suffix == ".c" and path.stem != "step":
            text[path.stem] = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
            for name in re.findall(r"^(?!static)[\w* ]+?\b(edge_\w+)\([^;]*?\)\n\{", text[path.stem], re.M):
                where[name] = path.stem
    calls = {f: {where[n] for n in re.findall(r"\b(edge_\w+)\(", t) if n in where} - {f} for f, t in text.items()}
    assert len(where) > 40 and calls["lookup"]
    done = set()
    while ready := {f for f in calls if f not in done and calls[f] <= done}:
        done |= ready
    assert not set(calls) - done, {f: sorted(calls[f] - done) for f in set(calls) - done}
