"""Runs clang-tidy (and with it clang's own warnings) and include-what-you-use over the C files, a process for each
processor. What was clean is remembered in build/lint under a hash of all that the verdict depends on: the file, every
header of the project below it, the flags and the tool. So a second run looks only at what changed.

As a program, `analysis.py [FILE...]` writes the includes that include-what-you-use asks for: `make includes`."""
import functools
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import source

BUILD = Path(os.environ.get("CDN_BUILD") or source.ROOT / "build")
STAMPS = BUILD / "lint"
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"][^>"]+[>"])', re.M)
# The analyzer follows a function's paths, which takes ten times as long as all else; shallow is deep enough to find
# what is freed or null on a short path, and the tests go without.
TIDY = ("clang-tidy", "--quiet")
PROGRAMS = [f"--extra-arg={word}" for word in ("-Xclang", "-analyzer-config", "-Xclang", "mode=shallow")]
TESTS = ["--checks=-clang-analyzer-*"]
IWYU = ["include-what-you-use"] + [word for option in (
    "--error=1", "--no_fwd_decls", "--keep=*/banned.h", "--max_line_length=200", "--mapping_file=cmake/iwyu.imp")
    for word in ("-Xiwyu", option)]


@functools.lru_cache(None)
def text_of(name):
    return (source.ROOT / name).read_text()


@functools.lru_cache(None)
def direct_headers_of(name):
    """The project's files that one includes."""
    near = os.path.dirname(name)
    paths = ((include[1:-1], os.path.join(near, include[1:-1])) for include in INCLUDE.findall(text_of(name))
             if include[0] == '"')
    return [path for pair in paths for path in pair if os.path.isfile(os.path.join(source.ROOT, path))]


@functools.lru_cache(None)
def headers_of(name):
    """The project's files that one includes, directly or not, and itself."""
    found, new = set(), [name]
    while new:
        at = new.pop()
        if at not in found:
            found.add(at)
            new += direct_headers_of(at)
    return sorted(found)


def flags_of(command):
    """A compile command without the compiler, the file and where the object goes."""
    words = shlex.split(command)
    while not words[0].startswith("-"):
        words.pop(0)
    return [w for i, w in enumerate(words) if w not in ("-o", "-c") and words[i - 1] not in ("-o", "-c")]


@functools.lru_cache(None)
def units():
    """[(file, flags)]: every C file that is compiled, and the headers that no C file of their name includes."""
    commands = json.loads((BUILD / "compile_commands.json").read_text())
    compiled = {os.path.relpath(c["file"], source.ROOT): flags_of(c["command"]) for c in commands}
    for path in source.c_files():
        name = source.show(path)
        if path.suffix == ".h" and name[:-2] + ".c" not in compiled:
            near = min(compiled, key=lambda c: -len(os.path.commonprefix([c, name])))
            compiled[name] = ["-xc", *compiled[near]]
    return sorted((name, flags) for name, flags in compiled.items() if not name.startswith(".."))


@functools.lru_cache(None)
def version_of(tool):
    return subprocess.run([tool, "--version"], capture_output=True, text=True).stdout


def stamp_of(command, name):
    parts = [version_of(command[0]), *command, text_of(".clang-tidy"), text_of("cmake/iwyu.imp")]
    parts += [text for n in headers_of(name) for text in (n, text_of(n))]
    return STAMPS / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


def run(command, name):
    """What a tool says about a file: nothing when it was clean, or was so before."""
    stamp = stamp_of(command, name)
    if stamp.exists():
        stamp.touch()
        return name, ""
    done = subprocess.run(command, capture_output=True, text=True, cwd=source.ROOT)
    if done.returncode == 0:
        STAMPS.mkdir(exist_ok=True)
        stamp.touch()
        return name, ""
    return name, done.stdout + done.stderr


def over_all(command_for, only=()):
    jobs = [(command_for(name, flags), name) for name, flags in units() if not only or name in only]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return [(name, said) for name, said in pool.map(lambda job: run(*job), jobs) if said]


def tidy():
    """["file:line:column: error: ..."] of clang-tidy and clang."""
    def command(name, flags):
        return [*TIDY, *(TESTS if name.startswith("tests/") else PROGRAMS), name, "--", *flags]
    found = set()
    for name, said in over_all(command):
        lines = [line for line in said.split("\n") if re.search(r": (error|warning): ", line)]
        found |= set(lines) or {f"{name}: {said}"}
    return sorted(line.replace(f"{source.ROOT}/", "") for line in found)


def includes(only=()):
    """{file: (lines to add, lines to remove)} by include-what-you-use; a tool that fails says so as a line to add."""
    wanted = {}
    for name, said in over_all(lambda name, flags: [*IWYU, *flags, name], only):
        lists = re.findall(r"^(\S+) should (add|remove) these lines:\n((?:.+\n)*)", said, re.M)
        if not lists:
            wanted.setdefault(name, (set(), set()))[0].add(said)
        for path, verb, lines in lists:
            both = wanted.setdefault(os.path.relpath(path, source.ROOT) if path[0] == "/" else path, (set(), set()))
            both[verb == "remove"].update(line.removeprefix("- ") for line in lines.split("\n") if line)
    return {name: both for name, both in sorted(wanted.items()) if both[0] or both[1]}


# --- The order of includes: own header, project's, system's, a test's .c, banned.h ------------------------------

def kind_of(name, line):
    include = INCLUDE.match(line).group(1)
    if include == f'"{name[:-2]}.h"':
        return 0
    if include[0] == "<":
        return 2
    return 4 if include == '"common/banned.h"' else 3 if include.endswith('.c"') else 1


def ordered(name, lines):
    """The lines of includes in their order, with a blank line between kinds."""
    groups = [sorted({line for line in lines if kind_of(name, line) == k}, key=lambda x: INCLUDE.match(x).group(1))
              for k in range(5)]
    return "\n\n".join("\n".join(group) for group in groups if group)


def first_block(text):
    """Where the first lines that are all includes begin and end."""
    found = re.search(r"(?:^#include [^\n]*\n|(?<=\n)\n(?=#include))+", text, re.M)
    return (found.start(), found.end()) if found else None


def with_includes(name, text, add=(), remove=()):
    """The text with includes added and removed and all in order."""
    block = first_block(text)
    if not block:
        guard = re.search(r"^#define CDN_\w+_H\n", text, re.M) or re.match(r"/\*.*?\*/\n", text, re.S)
        at = guard.end() if guard else 0
        return text[:at] + ("\n" if guard else "") + ordered(name, add) + "\n" + text[at:] if add else text
    drop = {INCLUDE.match(line).group(1) for line in remove}
    lines = [line for line in text[block[0]:block[1]].split("\n") if line and INCLUDE.match(line).group(1) not in drop]
    have = {INCLUDE.match(line).group(1) for line in lines}
    lines += [f"#include {i}" for i in sorted({INCLUDE.match(line).group(1) for line in add} - have)]
    return text[:block[0]] + ordered(name, lines) + "\n" + text[block[1]:]


def main(only):
    for name, (add, remove) in includes(only).items():
        add, remove = ([line for line in lines if INCLUDE.match(line)] for lines in (add, remove))
        text = text_of(name)
        new = with_includes(name, text, add, remove)
        if new != text:
            (source.ROOT / name).write_text(new)
            print(f"{name}: {len(add)} added, {len(remove)} removed")


if __name__ == "__main__":
    main(sys.argv[1:])
