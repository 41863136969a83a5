"""The command itself: help for everything, exit codes, one-line errors."""

import re

import pytest

COMMANDS = ["up", "down", "status", "geo", "get", "why", "purge", "clock", "fault", "demo"]


def test_overview_names_every_command(cdn):
    shown = cdn.cli("help")
    assert shown.returncode == 0 and not shown.stderr
    names = cdn.cli("help", "--names").stdout.split()
    assert set(COMMANDS) <= set(names)
    assert re.findall(r"^  ([a-z]+) ", shown.stdout, re.M) == names[:-1]  # the last one is help itself


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(cdn, command):
    by_help, by_flag = cdn.cli("help", command), cdn.cli(command, "--help")
    assert by_help.returncode == by_flag.returncode == 0
    assert by_help.stdout == by_flag.stdout
    assert by_help.stdout.startswith(f"usage: pocketcdn {command} ")
    assert all(len(line) <= 120 for line in by_help.stdout.splitlines())


def test_version_carries_the_attribution_of_the_data(cdn):
    shown = cdn.cli("--version")
    assert shown.returncode == 0
    assert re.match(r"pocketcdn \d+\.\d+\.\d+\n", shown.stdout) and "DB-IP" in shown.stdout


@pytest.mark.parametrize("args, code, words", [
    ([], 2, "usage: pocketcdn"),
    (["nonsense"], 2, "no command 'nonsense'"),
    (["help", "nonsense"], 2, "no command 'nonsense'"),
    (["up", "--nonsense"], 2, "unknown option '--nonsense'"),
    (["up", "x"], 2, "takes no argument, but got 'x'"),
    (["up", "--root", "a", "--origin", "b"], 2, "exclude each other"),
    (["up", "--root"], 2, "'--root' needs a value"),
    (["up", "--state", "s"], 2, "nothing to serve"),
    (["up", "--state", "s", "-c", "missing.yaml"], 3, "missing.yaml"),
    (["up", "--state", "/proc/none", "--root", "."], 3, "/proc/none"),
    (["down", "--state", "s"], 1, "no CDN runs on"),
    (["status", "--state", "s"], 1, "no CDN runs on"),
    (["get"], 2, "one URL or path"),
    (["get", "ftp://x/"], 2, "neither a path"),
    (["get", "/x", "--state", "s"], 1, "no CDN runs on"),
    (["get", "http://127.0.0.1:1/", "--from", "Atlantis"], 1, "Atlantis"),
    (["get", "http://127.0.0.1:1/"], 3, "127.0.0.1"),
    (["demo", "--root", "missing"], 3, "missing"),
    (["demo", "x"], 2, "takes no argument"),
    (["purge"], 2, "purge what?"),
    (["fault"], 2, "which fault?"),
    (["fault", "slow"], 2, "neither KEY=VALUE nor off"),
    (["fault", "off", "--state", "s"], 1, "no CDN runs on"),
    (["purge", "/x", "--state", "s"], 1, "no CDN runs on"),
    (["why"], 2, "one URL or path"),
    (["why", "/x", "--state", "s"], 1, "no CDN runs on"),
    (["clock", "1d", "--reset"], 2, "only one of"),
    (["clock", "--state", "s"], 1, "no CDN runs on"),
])
def test_errors_are_one_line_and_say_what(cdn, args, code, words):
    done = cdn.cli(*args)
    assert done.returncode == code, done
    assert words in done.stderr
    if args:
        assert done.stderr.count("\n") == 1, done.stderr


@pytest.mark.parametrize("text, words", [
    ("edges: [{name: fra, colour: red}]", "colour"),
    ("edges: [{place: Berlin}]", "name"),
    ("router: {policy: best}", "policy"),
    ("nonsense: 1", "nonsense"),
    ("router: [", "cdn.yaml"),
    ("edges: [{name: fra, place: Atlantis}]", "Atlantis"),
])
def test_a_bad_configuration_is_refused_with_its_place(cdn, text, words):
    path = cdn.config(text)
    done = cdn.cli("up", "-c", path, "--root", ".", "--state", cdn.folder("state"), limit=30)
    assert done.returncode in (2, 3), done
    assert words in done.stdout + done.stderr and "cdn.yaml" in done.stdout + done.stderr, done
