"""pytest glue: the `cdn` fixture, logs of failed tests, one place that knows where the programs are."""

import sys
import pathlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import cdn as harness  # noqa: E402  (needs the path above)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    setattr(item, f"report_{report.when}", report)
    if report.failed:
        for fixture in item.funcargs.values():
            if isinstance(fixture, harness.Cdn):
                report.sections.append((f"programs ({report.when})", fixture.dump()))


def _run():
    instance = harness.Cdn()
    yield instance
    problems = instance.close()
    assert not problems, "sanitizer reports:\n" + "\n".join(problems) + "\n" + instance.dump()


@pytest.fixture
def cdn():
    """A CDN for one test."""
    yield from _run()


@pytest.fixture(scope="module")
def shared_cdn():
    """A CDN that the tests of one file share, for tests that only read."""
    yield from _run()
