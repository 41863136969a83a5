"""What the lint tests share: the project's files, read once."""
import os
import subprocess
from pathlib import Path

ROOT = Path(os.environ.get("CDN_SOURCE") or Path(__file__).resolve().parents[2])
BIN = Path(os.environ.get("CDN_BIN") or ROOT / "build" / "bin")
FOLDERS = ("common", "geo-data", "router", "edge", "origin", "wan", "cli", "tests")


def c_files():
    return sorted(p for folder in FOLDERS for p in (ROOT / folder).rglob("*.[ch]"))


def text_files():
    """Every text file that belongs to the project but fuzz inputs, by git or, in an unpacked archive, by walking."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True)
    names = listed.stdout.split("\n") if listed.returncode == 0 else [
        str(p.relative_to(ROOT)) for p in ROOT.rglob("*") if not str(p.relative_to(ROOT)).startswith("build")]
    for name in filter(None, names):
        path = ROOT / name
        if "/corpus/" not in name and path.is_file() and path.stat().st_size < 1 << 20:
            try:
                yield path, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


def show(path):
    return str(path.relative_to(ROOT))
