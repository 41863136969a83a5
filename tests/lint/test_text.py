"""No unfinished business in the sources, and C formatted by clang-format."""
import re
import shutil
import subprocess

import pytest
import source

UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b")


def test_nothing_is_unfinished():
    wrong = [f"{source.show(path)}:{text[:m.start()].count(chr(10)) + 1}: {m.group()}"
             for path, text in source.text_files() for m in UNFINISHED.finditer(text)]
    assert not wrong, "\n".join(wrong)


def test_no_trailing_blanks():
    wrong = [f"{source.show(path)}:{i}" for path, text in source.text_files() if path.suffix not in (".md", ".diff")
             for i, line in enumerate(text.split("\n"), 1) if line != line.rstrip() and not line.endswith("\r")]
    assert not wrong, "\n".join(wrong)


@pytest.mark.skipif(not shutil.which("clang-format"), reason="clang-format is not installed")
def test_clang_format():
    files = [str(p) for p in source.c_files()]
    done = subprocess.run(["clang-format", "--dry-run", *files], capture_output=True, text=True, cwd=source.ROOT)
    wrong = sorted({line.split(":")[0] for line in done.stderr.split("\n") if ": warning: " in line})
    assert done.returncode == 0 and not wrong, "run `make format`:\n" + "\n".join(wrong)


def test_comments_close_where_they_end():
    """`*/` has a line of its own only below the comment at a file's head or one of several paragraphs."""
    wrong = []
    for path in source.c_files():
        for m in re.finditer(r"/\*(.*?)\*/", text := path.read_text(), re.S):
            if m.start() and re.search(r"\n\s*$", m.group(1)) and "\n *\n" not in m.group(1):
                wrong.append(f"{source.show(path)}:{text[:m.end()].count(chr(10)) + 1}")
    assert not wrong, "\n".join(wrong)


def test_comments_are_wrapped():
    """At 110 columns, as the code; clang-format leaves comments alone."""
    wrong = [f"{source.show(path)}:{i}: {len(line)} columns" for path in source.c_files()
             for i, line in enumerate(path.read_text().split("\n"), 1) if len(line) > 110]
    assert not wrong, "\n".join(wrong)


DIALECT = (  # what is not written, and what is
    (re.compile(r"\bsizeof [^\n]"), "sizeof(x)"),
    (re.compile(r"!status\b|\b(?:if|while) \(status(?: &&| \|\||\))"), "status == CDN_OK, status != CDN_OK"),
    (re.compile(r"\b(?:if|while) \([^;?\n]*[=!]= (?:NULL|true|false)\)? ?(?:\{|&&|\|\|)"), "if (p), if (!p)"),
)


def test_one_dialect():
    wrong = []
    for path in source.c_files():
        code = re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:[^\"\\\n]|\\.)*\"", lambda m: re.sub(r"[^\n]", "_", m.group()),
                      path.read_text(), flags=re.S)
        for pattern, want in DIALECT:
            wrong += [f"{source.show(path)}:{code[:m.start()].count(chr(10)) + 1}: {m.group()}: write {want}"
                      for m in pattern.finditer(code)]
    assert not wrong, "\n".join(wrong)
