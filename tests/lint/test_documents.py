"""What the documents say exists, exists: commands of README.md, links between pages, every setting in docs/."""
import re
import subprocess

import pytest
import source

DAEMONS = ("pocketcdn-router", "pocketcdn-edge", "pocketcdn-origin", "pocketcdn-wan")


def run(program, *args):
    return subprocess.run([str(source.BIN / program), *args], capture_output=True, text=True, timeout=30)


def shell_blocks(text):
    return re.findall(r"^```(?:sh|console)\n(.*?)^```", text, re.M | re.S)


def commands_in(text):
    """The first words of each command line in shell blocks, behind `$ ` or plain."""
    for block in shell_blocks(text):
        for line in block.split("\n"):
            line = re.sub(r"(^|\s)#.*", "", line.removeprefix("$ "))
            for part in re.split(r"\s*(?:\||&&|;)\s*", line):
                words = part.split()
                if words:
                    yield words


def documents():
    return [source.ROOT / name for name in ("README.md", "CONTRIBUTING.md", "geo-data/README.md", "origin/django/README.md")
            ] + sorted((source.ROOT / "docs").glob("**/*.md"))


def test_make_targets_and_subcommands_exist():
    makefile = (source.ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    known = set(run("pocketcdn", "help", "--names").stdout.split())
    assert known, "pocketcdn help --names lists nothing"
    wrong = []
    for page in documents():
        for words in commands_in(page.read_text()):
            if words[0] == "make":
                wrong += [f"{page.name}: make {w}" for w in words[1:] if "=" not in w and w not in targets]
            elif words[0].endswith("pocketcdn") and len(words) > 1 and words[1][0] not in "-<[":
                if words[1] not in known:
                    wrong.append(f"{page.name}: pocketcdn {words[1]}")
    assert not wrong, "\n".join(wrong)


def test_links_lead_somewhere():
    wrong = []
    for page in documents():
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            if not re.match(r"[a-z]+:", target) and not (page.parent / target).exists():
                wrong.append(f"{source.show(page)}: {target}")
    assert not wrong, "\n".join(wrong)


PARTS = "|".join(("cli", "cmake", "common", "docker", "docs", "edge", "geo-data", "origin", "router", "tests", "wan"))
NAMED = re.compile(rf"`((?:{PARTS})/[\w./*-]*)(?::(\w+))?`")


def sources_of(name):
    """The files that a document means by edge/cache/cache, edge/cache, tests/lint/test_text.py or compiled*."""
    ways = [source.ROOT / (name + ending) for ending in ("", ".c", ".h", ".py")]
    return [p for p in ways if p.exists()] or list(source.ROOT.glob(name))


def test_named_files_and_functions_exist():
    """`edge/fetch/confirm` is a file without its ending, `edge/fetch/confirm:edge_confirm_by_head` a function in it."""
    wrong = []
    for page in documents():
        for name, function in NAMED.findall(page.read_text()):
            files = sources_of(name)
            if not files and not re.search("[A-Z]{3}", name):  # test_NAME.py stands for many
                wrong.append(f"{source.show(page)}: {name} is not there")
            elif function and not any(re.search(rf"\b{function}\(", p.read_text()) for p in files if p.is_file()):
                wrong.append(f"{source.show(page)}: no {function}() in {name}")
    assert not wrong, "\n".join(wrong)


def prose(text):
    """Numbered lines outside of code and tables."""
    code = False
    for i, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith("```"):
            code = not code
        elif not code and not line.lstrip().startswith(("|", "<")):
            yield i, line


def test_prose_is_wrapped():
    """At 100 columns, but for a single word (an address, a piece of code) that is longer."""
    wrong = [f"{source.show(page)}:{i}: {len(line)} columns" for page in documents() for i, line in prose(page.read_text())
             if len(line) > 100 and " " in line.strip().removeprefix("- ")]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ("settings", "words"))
def test_generated_pages_are_the_programs_own(name):
    page = (source.ROOT / "docs" / f"{name}.md").read_text()
    assert page == run("pocketcdn", "help", f"--{name}").stdout, "run `make docs`"


@pytest.mark.parametrize("program", DAEMONS)
def test_every_setting_is_documented(program):
    listed = run(program, "--help-config").stdout
    settings = set(re.findall(r"^\s*#?\s*(?:-\s)?([a-z][a-z0-9_]*):", listed, re.M))
    assert settings, f"{program} --help-config lists no settings"
    pages = "\n".join(p.read_text() for p in documents())
    missing = sorted(s for s in settings if not re.search(rf"`(?:\w+\.)?{s}`", pages))
    assert not missing, f"{program}: not in docs/: {', '.join(missing)}"


def test_locks_stand_in_their_order():
    header = (source.ROOT / "edge" / "memory" / "lock_order.h").read_text()
    ranks = [name.lower() for name in re.findall(r"X\(([A-Z]+)\)", header)]
    page = (source.ROOT / "docs" / "architecture.md").read_text()
    table = page[page.index("| lock | guards |"):].split("\n\n")[0]
    rows = [row.split()[1] for row in table.split("\n")[2:]]
    assert len(ranks) > 5 and [row for row in rows if row in ranks] == ranks
