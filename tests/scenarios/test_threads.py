"""A thread that cannot be made is an error at the start: no listener is left that nobody serves."""
import os
import pathlib
import subprocess

import pytest

BIN = pathlib.Path(os.environ["CDN_BIN"])

PRELOAD = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
int pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *arg)
{
    static _Atomic int made;
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = dlsym(RTLD_NEXT, "pthread_create");
    return ++made == atoi(getenv("FAIL_AT")) ? EAGAIN : real(t, a, f, arg);
}
"""


@pytest.fixture(scope="module")
def preload(tmp_path_factory):
    folder = tmp_path_factory.mktemp("preload")
    source = folder / "fail.c"
    source.write_text(PRELOAD)
    library = folder / "fail.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def command(program, folder):
    own = {
        "edge": ["--name=t", "--origin=http://127.0.0.1:1", f"--cache-dir={folder}/cache"],
        "origin": [f"--root={folder}"],
        "router": [],
    }[program]
    return [BIN / f"pocketcdn-{program}", "--threads=3", "--listen=127.0.0.1:0", "--admin=127.0.0.1:0", *own]


def run(program, preload, folder, at):
    """Exit code and what it said; it is told to end as soon as it says that it is ready."""
    p = subprocess.Popen(command(program, folder), env=dict(os.environ, LD_PRELOAD=str(preload), FAIL_AT=str(at)),
                         stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    said = []
    for line in p.stderr:
        said.append(line)
        if "event=ready" in line:
            p.terminate()
    return p.wait(), "".join(said)


@pytest.mark.skipif("asan" in os.environ["CDN_BUILD"] or "tsan" in os.environ["CDN_BUILD"],
                    reason="the sanitizers want to be loaded first")
@pytest.mark.parametrize("program", ["edge", "origin", "router"])
def test_every_thread_is_missed(program, preload, tmp_path):
    failed = 0
    for at in range(1, 9):
        code, said = run(program, preload, tmp_path, at)
        assert code in (0, 2, 3), (at, code, said)  # no signal
        if code == 0:  # ready: this thread is one that the daemon does without, or there were fewer
            assert "event=ready" in said, (at, said)
        else:
            failed += 1
            assert "event=ready" not in said, (at, said)
            assert "thread" in said.splitlines()[-1], (at, said)
    assert failed >= 3, failed  # each of the workers
