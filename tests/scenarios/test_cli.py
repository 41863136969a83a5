"""The command itself: help for everything, exit codes, one-line errors."""

import os
import re
import subprocess

import pytest
from cdn import BIN

COMMANDS = ["up", "down", "status", "reload", "geo", "route", "get", "travel", "rtt", "why", "explain", "purge", "publish",
            "releases", "diff", "rollback", "gc", "verify", "clock", "fault", "demo"]


def test_completion_for_bash_completes(cdn):
    script = cdn.tmp / "completion.bash"
    script.write_text(cdn.cli("help", "--completion", "bash").stdout)
    for words, expected in (("pocketcdn ge", "geo get"), ("pocketcdn get --fr", "--from"), ("pocketcdn down --s", "--state")):
        run = subprocess.run(
            ["bash", "-c", f"source {script}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _pocketcdn;"
             " echo ${COMPREPLY[@]}"], capture_output=True, text=True, check=True)
        assert run.stdout.strip() == expected and not run.stderr
    assert cdn.cli("help", "--completion", "zsh").stdout.startswith("#compdef pocketcdn\n")
    assert cdn.cli("help", "--completion", "fish").returncode == 2


@pytest.mark.parametrize("program", ["pocketcdn", "pocketcdn-edge", "pocketcdn-router", "pocketcdn-origin", "pocketcdn-wan"])
def test_man_pages_name_every_option(cdn, program):
    page = cdn.cli("help", "--man", program).stdout
    assert page.startswith(f".TH {program.upper() if program == 'pocketcdn' else program} ")
    options = set()
    for args in [["--help"]] if program != "pocketcdn" else [["help", command] for command in COMMANDS]:
        options |= set(re.findall(r"^ +(?:-\w, )?--(?:\[no-\])?([a-z-]+)", cdn.cli(*args, program=program).stdout, re.M))
    options -= {"help", "version", "help-config", "print-config"}
    plain = page.replace("\\-", "-")
    assert len(options) > 10 and [o for o in options if f"--{o}" not in plain and f"--[no-]{o}" not in plain] == []


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
    (["up", "--state", "s", "--root", "missing"], 3, "cannot open folder missing"),
    (["up", "--state", "s", "--root", "/etc/hostname"], 3, "/etc/hostname"),
    (["up", "--state", "s", "--origin", "nonsense"], 2, "is not a URL"),
    (["up", "--state", "s", "--origin", "ftp://127.0.0.1/"], 2, "is not a URL"),
    (["up", "--state", "s", "--root", ".", "--port", "80"], 2, "--port: 80 is not from 1051"),
    (["up", "--state", "s", "--root", ".", "--port", "8o80"], 2, "'8o80' is not a port"),
    (["up", "--state", "s", "-c", "x.yaml", "--port", "9000"], 2, "the ports are in x.yaml"),
    (["down", "--state", "s"], 1, "no CDN runs"),
    (["status", "--state", "s"], 1, "no CDN runs"),
    (["get"], 2, "one URL or path"),
    (["get", "ftp://x/"], 2, "neither a path"),
    (["get", "/x", "--state", "s"], 1, "no CDN runs"),
    (["get", "http://127.0.0.1:1/", "--from", "Atlantis"], 1, "Atlantis"),
    (["get", "http://127.0.0.1:1/"], 3, "127.0.0.1"),
    (["get", "http://127.0.0.1:1/", "--profile", "4g"], 2, "--profile needs --from"),
    (["get", "http://127.0.0.1:1/", "--repeat", "0"], 2, "--repeat: '0' is not from 1 to 10000"),
    (["get", "http://127.0.0.1:1/", "--har", "--json"], 2, "only one of"),
    (["get", "http://127.0.0.1:1/", "--latency", "--repeat", "3"], 2, "--repeat goes with"),
    (["travel"], 2, "where to?"),
    (["travel", "--", "ls"], 2, "where to?"),
    (["travel", "New", "York", "--", "ls"], 2, "a name of two words needs quotes"),
    (["travel", "Tokyo", "--proxy", "--", "ls"], 2, "--proxy goes without a command"),
    (["travel", "Tokyo", "--state", "s"], 1, "`pocketcdn up --wan` starts one"),
    (["fault", "link", "--state", "s"], 1, "`pocketcdn up --wan` starts one"),
    (["fault", "link", "fra-origin"], 2, "which fault?"),
    (["fault", "link", "fra-origin", "slow"], 2, "'slow' is none of cut"),
    (["demo", "--root", "missing"], 3, "missing"),
    (["demo", "x"], 2, "takes no argument"),
    (["purge"], 2, "purge what?"),
    (["fault"], 2, "which fault?"),
    (["fault", "slow"], 2, "neither KEY=VALUE nor off"),
    (["fault", "off", "--state", "s"], 1, "no CDN runs"),
    (["purge", "/x", "--state", "s"], 1, "no CDN runs"),
    (["why"], 2, "one URL or path"),
    (["why", "/x", "--state", "s"], 1, "no CDN runs"),
    (["why", "/x", "--state", "s", "-c", "x.yaml"], 2, "only one of"),
    (["why", "/x", "-c", "missing.yaml"], 3, "missing.yaml"),
    (["why", "/x", "--router", "http://127.0.0.1:1"], 3, "the router at http://127.0.0.1:1"),
    (["status", "--router", "http://127.0.0.1:1"], 3, "the router at http://127.0.0.1:1"),
    (["clock", "1d", "--reset"], 2, "only one of"),
    (["clock", "reset", "--set", "2027-01-01T00:00:00Z"], 2, "only one of"),
    (["clock", "+1x"], 2, "'+1x' is not a time"),
    (["clock", "-1x"], 2, "'-1x' is not a time"),
    (["clock", "advance"], 2, "advance needs one value"),
    (["clock", "set", "a", "b"], 2, "set needs one value"),
    (["clock", "+1d", "+2d"], 2, "more behind '+1d'"),
    (["clock", "--state", "s"], 1, "no CDN runs"),
    (["reload", "--state", "s"], 1, "no CDN runs"),
    (["reload", "now"], 2, "takes no argument"),
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
    ("edges: [{name: fra on main, place: Berlin}]", "fra on main"),
    ("router: {policy: best}", "policy"),
    ("nonsense: 1", "nonsense"),
    ("router: [", "cdn.yaml"),
    ("edges: [{name: fra, place: Atlantis}]", "Atlantis"),
    ("origin: {place: Atlantis}\nedges: [{name: fra}]", "cdn.yaml:1: origin: place: "),
    ("router: {default_place: Atlantis}\nedges: [{name: fra}]", "Atlantis"),
    ("router: {overrides: {203.0.113.0/24: Atlantis}}\nedges: [{name: fra}]", "Atlantis"),
])
def test_a_bad_configuration_is_refused_with_its_place(cdn, text, words):
    path = cdn.config(text)
    done = cdn.cli("up", "-c", path, "--root", ".", "--state", cdn.folder("state"), limit=30)
    assert done.returncode in (2, 3), done
    assert words in done.stderr and "cdn.yaml" in done.stderr and done.stderr.count("\n") == 1, done
    assert "starting" not in done.stdout and not done.stdout, "nothing starts before all is known to be right"


@pytest.mark.parametrize("text, here, there", [
    ("edges:\n  - {name: fra, listen: '127.0.1.1:8088'}\n  - {name: nrt, listen: '127.0.1.1:8088'}\n",
     "cdn.yaml:3: edges[nrt]: listen: 127.0.1.1:8088", "cdn.yaml:2: edges[fra]: listen"),
    ("edges:\n  - {name: fra, listen: '127.0.1.1:8088'}\n  - {name: nrt, listen: '127.0.1.2:8088', admin: '127.0.1.1:9088'}\n",
     "cdn.yaml:3: edges[nrt]: admin: 127.0.1.1:9088", "cdn.yaml:2: edges[fra]: admin"),
    ("router: {listen: '127.0.0.1:9000'}\norigin: {listen: '127.0.0.1:9000'}\nedges: [{name: fra}]\n",
     "cdn.yaml:1: router: listen: 127.0.0.1:9000", "cdn.yaml:2: origin: listen"),
    ("router:\n  listen: 0.0.0.0:8090\nedges: [{name: fra}]\n", "cdn.yaml:2: router: listen: 0.0.0.0:8090", "cdn.yaml: origin: listen"),
])
def test_two_listeners_on_one_address_are_refused_with_both_lines(cdn, text, here, there):
    done = cdn.cli("up", "-c", cdn.config(text), "--root", ".", "--state", cdn.folder("state"), limit=30)
    assert done.returncode == 2 and here in done.stderr and there in done.stderr, done


@pytest.mark.parametrize("command", [
    "pocketcdn help", "pocketcdn help geo", "pocketcdn help --settings",
    *(f"pocketcdn-{name} {flag}" for name in ("origin", "edge", "router") for flag in ("--help", "--help-config", "--version")),
])
def test_a_reader_that_has_seen_enough_is_no_error(cdn, command):
    """`COMMAND | head -0`: the pipe is closed before the first byte."""
    program, *args = command.split()
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([BIN / program, *args], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("program, args, words", [
    ("pocketcdn-origin", ["--root", ".", "--place", "Atlantis"], "place: no place 'Atlantis' is known"),
    ("pocketcdn-edge", ["--origin", "http://127.0.0.1:1", "--name", "a b"], '"a b" is not a name'),
])
def test_a_daemon_refuses_in_one_line(cdn, program, args, words):
    done = cdn.cli(*args, "--listen", "127.0.0.1:0", program=program, limit=30)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and words in done.stderr, done
