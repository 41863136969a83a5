"""A public function is named after its part and its header: edge_ + store_ + what it does. Read from the headers of the
programs; common, geo-data and cli/base are libraries, whose names are the nouns they are about."""
import re

import source

COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
DIRECTIVE = re.compile(r"^#(?:.*\\\n)*.*$", re.M)
DECLARATION = re.compile(r"^(?!struct \w+ \{|enum \w+ \{|extern |typedef )[a-zA-Z][\w \t*]*?\b([a-z]\w+)\(", re.M)
TYPE = re.compile(r"^(?:struct|enum|union) (\w+) \{", re.M)


LIBRARIES = ("common", "geo-data", "cli/base", "tests")


def headers():
    names = ((path, source.show(path)) for path in source.c_files() if path.suffix == ".h")
    return [path for path, name in names if not name.startswith(LIBRARIES)]


def stem(path):
    return path.stem.removesuffix("_private")


def read(path):
    return COMMENT.sub("", path.read_text())


def words_of(path):
    """How a name may go on after the part: the header's name, its first or last word, its room, and the types that it or
    its .c file makes; of a private header also the names of the room's files."""
    words = {stem(path), stem(path).split("_")[0], stem(path).split("_")[-1], path.parent.name}
    body = path.with_suffix(".c")
    for text in [read(path)] + ([read(body)] if body.exists() else []):
        words |= {name.split("_", 1)[-1] for name in TYPE.findall(text)}
    if path.stem.endswith("_private"):
        words |= {word for other in path.parent.glob("*.c") for word in (other.stem, other.stem.split("_")[-1])}
    return words | {w.removesuffix("s") for w in words} | {w + "s" for w in words}


def functions(path):
    return DECLARATION.findall(DIRECTIVE.sub("", read(path)))


def is_named(name, words):
    rest = name.partition("_")[2]
    return any(each == word or each.startswith(word + "_") for each in (rest, name) for word in words)


def test_a_prefix_is_the_headers():
    wrong = [f"{source.show(path)}: {name}" for path in headers() for words in [words_of(path)]
             for name in functions(path) if not is_named(name, words)]
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong)


def test_a_name_is_declared_once():
    seen = {}
    for path in source.c_files():
        if path.suffix == ".h" and not source.show(path).startswith("tests"):
            for name in functions(path):
                seen.setdefault(name, set()).add(source.show(path))
    assert len(seen) > 1000, "declarations are not read"
    assert not {n: p for n, p in seen.items() if len(p) > 1}
