"""Runs clang-tidy (and with it clang's own warnings) and include-what-you-use over the C files, a process for each
processor. What was clean is remembered in build/lint under a hash of all that the verdict depends on: the file, every
header of the project below it, the flags and the tool. So a second run looks only at what changed.

The files of tests are looked at by `make test-long` only (CDN_LONG=yes): they are a third of all.

As a program, `analysis.py [FILE...]` writes the includes that include-what-you-use asks for (`make includes`), and
`analysis.py --analyze` runs clang's static analyzer, which takes minutes (`make test-long`)."""
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
LONG = os.environ.get("CDN_LONG") == "yes"
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"][^>"]+[>"])', re.M)
TIDY = ("clang-tidy", "--quiet")
ANALYZER = "--checks=-*,clang-analyzer-core.*,clang-analyzer-unix.*,clang-analyzer-deadcode.*"
MODEL = "tests/lint/analyzer.h"
IWYU = ["include-what-you-use"] + [word for option in (
    "--error=1", "--no_fwd_decls", "--keep=*/banned.h", "--max_line_length=200", "--mapping_file=cmake/iwyu.imp")
    for word in ("-Xiwyu", option)]


@functools.lru_cache(None)
def text_of(name):
    return (source.ROOT / name).read_text()


def hash_of(name):
    return hashlib.sha256(text_of(name).encode()).hexdigest()[:16]


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
    """A compile command without the compiler, the file, where the object goes and what only a compiler needs: the headers
    of a library with checks of sizes take twice as long to read."""
    words = shlex.split(command)
    while not words[0].startswith("-"):
        words.pop(0)
    return [w for i, w in enumerate(words) if w not in ("-o", "-c", "-O2", "-g", "-D_FORTIFY_SOURCE=2") and words[i - 1] not in ("-o", "-c")]


@functools.lru_cache(None)
def units():
    """[(file, flags)]: every C file, and the headers that no C file of their name includes. What this build does not
    compile takes the flags of a near file."""
    commands = json.loads((BUILD / "compile_commands.json").read_text())
    compiled = {os.path.relpath(c["file"], source.ROOT): flags_of(c["command"]) for c in commands}
    names = {source.show(path) for path in source.c_files()}
    for name in sorted(names - set(compiled)):
        if name.endswith(".c") or name[:-2] + ".c" not in names:
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


def run(command, name, findings_of):
    """What a tool finds in a file: nothing when it was clean before."""
    stamp = stamp_of(command, name)
    if stamp.exists():
        return []
    done = subprocess.run(command, capture_output=True, text=True, cwd=source.ROOT)
    found = findings_of(name, done)
    if not found:
        STAMPS.mkdir(exist_ok=True)
        stamp.touch()
    return found


def over_all(command_for, findings_of, only=()):
    jobs = [(command_for(name, flags), name) for name, flags in units()
            if (name in only if only else LONG or not name.startswith("tests/"))]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return [x for found in pool.map(lambda job: run(*job, findings_of), jobs) for x in found]


def tidy(names=None, checks=(), more_flags=()):
    """["file:line:column: error: ..."] of clang-tidy and clang."""
    def findings_of(name, done):
        said = done.stdout + done.stderr
        lines = [line for line in said.split("\n") if re.search(r": (error|warning): ", line)]
        return [] if done.returncode == 0 else lines or [f"{name}: {said}"]
    names = names or [n for n, _ in units() if n.endswith(".c") and (LONG or not n.startswith("tests/"))]
    found = over_all(lambda name, flags: [*TIDY, *checks, name, "--", *flags, *more_flags], findings_of, names)
    return sorted({line.replace(f"{source.ROOT}/", "") for line in found})


def analyze():
    """The same of clang's static analyzer, which follows the paths through each file of the programs."""
    names = [n for n, _ in units() if n.endswith(".c") and not n.startswith("tests/")]
    changes = f"-DMODEL={hash_of(MODEL)}"  # nobody reads it: with the model the flags, and so the stamps, change
    return tidy(names, [ANALYZER], ["-include", str(source.ROOT / MODEL), changes])


def includes(only=()):
    """{(file, "add" or "remove", line)} by include-what-you-use. It knows forward declarations, too, but its taste in
    them changes with the file it comes from: not asked."""
    def findings_of(name, done):
        lists = re.findall(r"^(\S+) should (add|remove) these lines:\n((?:.+\n)*)", done.stderr, re.M)
        if done.returncode not in (0, 1) or (done.returncode and not lists):
            return [(name, "look at", done.stdout + done.stderr)]
        return [(os.path.relpath(os.path.join(source.ROOT, path), source.ROOT), verb, line.removeprefix("- "))
                for path, verb, lines in lists for line in lines.split("\n") if "#include" in line]
    return set(over_all(lambda name, flags: [*IWYU, *flags, name], findings_of, only))


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


def in_order(name):
    """Whether the first lines of includes of a file stand in their order."""
    return with_includes(name, text_of(name)) == text_of(name)


def main(only):
    found = includes(only)
    unordered = {source.show(p) for p in source.c_files() if not in_order(source.show(p))}
    for name in sorted({name for name, _, _ in found} | unordered):
        add, remove = ([line for n, v, line in found if (n, v) == (name, verb)] for verb in ("add", "remove"))
        (source.ROOT / name).write_text(with_includes(name, text_of(name), add, remove))
        print(f"{name}: {len(add)} added, {len(remove)} removed")


if __name__ == "__main__":
    if sys.argv[1:] == ["--analyze"]:
        sys.exit("\n".join(analyze()) or 0)
    main(sys.argv[1:])
