"""Functions of at most 80 lines, files of at most 600. (Columns are clang-format's business.)"""
import re

import source

FUNCTION_LINES, FILE_LINES = 80, 600


def functions(lines):
    """(name, first line, length) of each function: its body stands between braces in the first column."""
    start = None
    for i, line in enumerate(lines):
        if line == "{":
            start = i
            while start > 0 and lines[start - 1].strip() and not lines[start - 1].startswith(("}", "#", "/*", " */")):
                start -= 1
        elif line == "}" and start is not None:
            head = " ".join(lines[start:i])
            name = re.search(r"(\w+)\s*\(", head)
            yield (name.group(1) if name else "?"), start + 1, i - start + 1
            start = None


def test_the_measure_itself():
    text = ["static int f(int a,", "             int b)", "{", "    return a + b;", "}"]
    assert list(functions(text)) == [("f", 1, 5)]


def test_lengths():
    wrong = []
    for path in source.c_files():
        lines = path.read_text().split("\n")
        if len(lines) - 1 > FILE_LINES:
            wrong.append(f"{source.show(path)}: {len(lines) - 1} lines")
        for name, at, length in functions(lines):
            if length > FUNCTION_LINES:
                wrong.append(f"{source.show(path)}:{at}: {name}() has {length} lines")
    assert not wrong, "\n".join(wrong)
