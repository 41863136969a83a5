"""What programs keep on disk: folders that are deleted while they run, and folders that are not theirs."""

import os
import shutil
import stat

import pytest
from cdn import poll
from test_edge_http import edge, ok, origin  # noqa: F401 (edge and origin are fixtures)

DAY = 86400
LARGE = 600_000  # a file of its own


def fill(edge, origin, names, size=5000):  # noqa: F811
    bodies = {f"/{name}": os.urandom(size) for name in names}
    for path, body in bodies.items():
        origin.on(path, ok(body, f"max-age={DAY}"))
        assert edge.get(path).body == body
    return bodies


LOSSES = {
    "folder": lambda f: shutil.rmtree(f),
    "content": lambda f: [shutil.rmtree(p) if p.is_dir() else p.unlink() for p in map(f.__truediv__, os.listdir(f))],
    "segments": lambda f: shutil.rmtree(f / "segments"),
    "files": lambda f: shutil.rmtree(f / "files"),
    "lock": lambda f: (f / "lock").unlink(),
    "moved": lambda f: os.rename(f, f"{f}.old"),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_deleted_cache_folder_is_made_again(cdn, origin, tmp_path, loss):  # noqa: F811
    folder = tmp_path / "above" / "cache"
    edge = cdn.edge(origin, cache_dir=folder, memory="1MiB")  # noqa: F811
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    bodies = fill(edge, origin, [f"old-{i}" for i in range(20)])
    bodies |= fill(edge, origin, ["old-large", "old-larger"], LARGE)
    poll(lambda: edge.metric("disk_objects") == len(bodies), what="all on disk")
    LOSSES[loss](folder)
    for path, body in bodies.items():  # before anybody noticed
        r = edge.get(path)
        assert r.status == 200 and r.body == body
    edge.wait_log("store", kind="remade")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path, body in bodies.items():
        assert edge.get(path).body == body
    new = fill(edge, origin, [f"new-{i}" for i in range(20)])
    new |= fill(edge, origin, ["new-large"], LARGE)
    poll(lambda: edge.metric("disk_objects") >= len(new), what="stored again")
    assert sum(line.get("kind") == "remade" for line in edge.log) == 1
    assert edge.terminate() == 0
    origin.forget()
    edge = cdn.edge(origin, cache_dir=folder, memory="1MiB")
    for path, body in new.items():
        r = edge.get(path)
        assert r["X-Cache"] == "HIT" and r.body == body
    assert origin.count() == 0


@pytest.mark.parametrize("loss", ["index.db*", "segments/*"])
def test_deleted_part_of_the_cache(cdn, origin, tmp_path, loss):  # noqa: F811
    folder = tmp_path / "cache"
    edge = cdn.edge(origin, cache_dir=folder)  # noqa: F811
    bodies = fill(edge, origin, [f"old-{i}" for i in range(20)])
    poll(lambda: edge.metric("disk_objects") == len(bodies), what="all on disk")
    poll(lambda: list((folder / "segments").iterdir()), what="written")
    for path in folder.glob(loss):
        path.unlink()
    edge.wait_log("store", kind="index_error" if "index" in loss else "torn")
    new = fill(edge, origin, [f"new-{i}" for i in range(20)])
    poll(lambda: edge.metric("disk_objects") >= len(new), what="stored again")
    assert edge.terminate() == 0
    hits = new | bodies if "index" in loss else new
    edge = cdn.edge(origin, cache_dir=folder)
    before = origin.count()
    for path, body in hits.items():
        assert edge.get(path).body == body
    assert origin.count() == before or "index" in loss  # a rebuilt one is confirmed first
    for path, body in bodies.items():
        assert edge.get(path).body == body


# ---------------------------------------------------------------------------------------------------- not theirs


def refuses(cdn, origin, folder, words):  # noqa: F811
    edge = cdn.edge(origin, cache_dir=folder, wait=False)  # noqa: F811
    assert edge.wait() == 3
    assert words in "\n".join(edge.err), edge.err


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770])
def test_cache_folder_of_others_is_refused(cdn, origin, mode):  # noqa: F811
    folder = cdn.folder("cache")
    folder.chmod(mode)
    refuses(cdn, origin, folder, "others may write")
    assert not list(folder.iterdir())


@pytest.mark.parametrize("name", ["lock", "index.db", "index.db-wal", "segments", "files", "tmp"])
def test_links_within_the_cache_folder_are_refused(cdn, origin, name):  # noqa: F811
    folder, target = cdn.folder("cache"), cdn.folder("victim")
    if "." in name or name == "lock":
        target = target / "file"
        target.write_text("mine")
    (folder / name).symlink_to(target)
    refuses(cdn, origin, folder, f"/{name}")
    assert target.is_dir() or target.read_text() == "mine"


def test_cache_folder_may_be_reached_by_a_link(cdn, origin):  # noqa: F811
    folder, link = cdn.folder("cache"), cdn.folder("links") / "cache"
    folder.chmod(0o755)
    link.symlink_to(folder)
    edge = cdn.edge(origin, cache_dir=link)  # noqa: F811
    fill(edge, origin, ["a"])
    assert edge.terminate() == 0
    for path in folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
