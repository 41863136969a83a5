"""Each file includes what it uses and nothing else, as include-what-you-use sees it, in one order."""
import re

import analysis
import source


def test_includes_are_in_order():
    wrong = [name for name in map(source.show, source.c_files()) if not analysis.in_order(name)]
    assert not wrong, "own header, the project's, the system's, banned.h; run `make includes`:\n" + "\n".join(wrong)


def test_includes_are_what_is_used():
    wrong = sorted(re.sub(" {2,}", " ", f"{name}: {verb} {line}") for name, verb, line in analysis.includes())
    assert not wrong, "run `make includes`:\n" + "\n".join(wrong)
