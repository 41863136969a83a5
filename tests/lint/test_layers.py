"""common knows nobody; geo-data knows common; router, edge and origin know both and never each other; cli and tests
know all. Read from the #include lines, which name the folder."""
import re

import source

BELOW = {
    "common": set(),
    "geo-data": {"common"},
    "router": {"common", "geo-data"},
    "edge": {"common", "geo-data"},
    "origin": {"common", "geo-data"},
    "cli": {"common", "geo-data", "router", "edge", "origin"},
    "tests": {"common", "geo-data", "router", "edge", "origin", "cli"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)


def test_layers():
    wrong = []
    for path in source.c_files():
        folder = source.show(path).split("/")[0]
        for quote, name in INCLUDE.findall(path.read_text()):
            target = name.split("/")[0]
            if quote == "<":
                if target in BELOW:
                    wrong.append(f"{source.show(path)}: <{name}> should be in quotes")
            elif "/" not in name and folder == "tests":
                continue  # a helper beside the test
            elif "/" not in name:
                wrong.append(f'{source.show(path)}: "{name}" does not name its folder')
            elif target != folder and target not in BELOW[folder]:
                wrong.append(f'{source.show(path)}: {folder} may not include "{name}"')
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


def test_banned_comes_last():
    wrong = []
    for path in source.c_files():
        if path.suffix == ".c" and not source.show(path).startswith("tests/"):
            names = [name for _, name in INCLUDE.findall(path.read_text())]
            if not names or names[-1] != "common/banned.h":
                wrong.append(f"{source.show(path)}: the last include is not common/banned.h")
    assert not wrong, "\n".join(wrong)
