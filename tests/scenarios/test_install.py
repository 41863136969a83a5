"""What `make install` brings: programs, man pages, completion, systemd units; and `make uninstall` takes away exactly that."""
import os
import pathlib
import shutil
import subprocess

import pytest

SOURCE = pathlib.Path(os.environ["CDN_SOURCE"])
BUILD = pathlib.Path(os.environ["CDN_BUILD"])
DAEMONS = ("pocketcdn-origin", "pocketcdn-edge", "pocketcdn-router", "pocketcdn-wan")


def run(*command, **more):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=120, check=True, **more).stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder below which everything was installed to /usr/local, and the manifest."""
    root = tmp_path_factory.mktemp("install")
    run("cmake", "--install", BUILD, "--prefix", "/usr/local", env={**os.environ, "DESTDIR": str(root)})
    manifest = root / "manifest.txt"
    shutil.copy(BUILD / "install_manifest.txt", manifest)
    return root, manifest


def files_below(folder):
    return {p for p in folder.rglob("*") if not p.is_dir()}


@pytest.mark.skipif(not shutil.which("man"), reason="man is not installed")
@pytest.mark.parametrize("program, section", [("pocketcdn", 1), *((d, 8) for d in DAEMONS)])
def test_man_pages(installed, program, section):
    page = installed[0] / f"usr/local/share/man/man{section}/{program}.{section}"
    done = subprocess.run(["man", "-l", "--warnings", page], capture_output=True, text=True, timeout=60, check=True,
                          env={**os.environ, "MANWIDTH": "100", "LC_ALL": "C.UTF-8"})
    assert f"{program} - " in " ".join(done.stdout.split()) and "SEE ALSO" in done.stdout
    wrong = [line for line in done.stderr.split("\n") if line and "adjust line" not in line and "break line" not in line]
    assert not wrong, wrong


def complete(script, *words):
    """What bash offers for the last word."""
    line = " ".join(words)
    code = (f"source '{script}'; COMP_WORDS=({line}{' ' + chr(39) * 2 if words[-1] == '' else ''}); "
            f"COMP_CWORD={len(words) - 1}; $(complete -p pocketcdn | sed 's/.*-F \\([^ ]*\\).*/\\1/'); printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    return run("bash", "-c", code).split()


def test_bash_completion(installed):
    script = installed[0] / "usr/local/share/bash-completion/completions/pocketcdn"
    assert {"geo", "get"} == set(complete(script, "pocketcdn", "ge"))
    assert {"--soft", "--state"} == set(complete(script, "pocketcdn", "purge", "--s"))


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_completion_is_sound(installed):
    run("zsh", "-n", installed[0] / "usr/local/share/zsh/site-functions/_pocketcdn")


@pytest.mark.parametrize("program", DAEMONS)
def test_units_name_programs_that_are_there(installed, program):
    root = installed[0]
    unit = root / "usr/local/lib/systemd/system" / (program + ("@" if program.endswith("edge") else "") + ".service")
    lines = dict(line.split("=", 1) for line in unit.read_text().split("\n") if "=" in line)
    assert lines["ExecStart"].split()[0] == f"/usr/local/bin/{program}"
    assert (root / "usr/local/bin" / program).stat().st_mode & 0o111
    assert (root / f"usr/local/share/man/man8/{program}.8").is_file() and f"man:{program}(8)" in lines["Documentation"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_units_are_sound(installed):
    """In this empty root there is no /bin/kill, no sysinit.target and no man-db; nothing else may be wrong."""
    root = installed[0]
    names = ("pocketcdn-origin.service", "pocketcdn-edge@fra.service", "pocketcdn-router.service", "pocketcdn-wan.service")
    done = subprocess.run(["systemd-analyze", f"--root={root}", "--man=no", "verify", *names], capture_output=True,
                          text=True, timeout=60)
    wrong = [line for line in done.stderr.split("\n") if line and "sysinit.target" not in line and "/bin/kill" not in line]
    assert not wrong, wrong


def test_uninstall_takes_away_exactly_that(installed, tmp_path):
    copy = tmp_path / "root"
    shutil.copytree(installed[0] / "usr", copy / "usr", symlinks=True)
    kept = [copy / "usr/local/bin/mine", copy / "usr/local/share/doc/pocketcdn/mine"]
    for path in kept:
        path.write_text("")
    said = run(SOURCE / "cmake" / "uninstall.sh", installed[1], copy)
    assert files_below(copy) == set(kept)
    assert said.split()[1] == str(len(files_below(installed[0] / "usr")))
    kept[1].unlink()
    run(SOURCE / "cmake" / "uninstall.sh", installed[1], copy)
    assert not (copy / "usr/local/share/pocketcdn").exists() and not (copy / "usr/local/share/doc/pocketcdn").exists()
