"""docker/: the compose file and its cdn.yaml agree with each other and with the programs. The containers' network is played by
127.88.1.0/24 of this machine, so everything in the files but the isolation is tried."""

import re
import shlex
import subprocess

import pytest
from cdn import BIN, SOURCE, poll

yaml = pytest.importorskip("yaml")

COMPOSE = yaml.safe_load((SOURCE / "docker" / "compose.yaml").read_text())
CDN = yaml.safe_load((SOURCE / "docker" / "cdn.yaml").read_text())
SERVICES = COMPOSE["services"]
EDGES = {e["name"]: e for e in CDN["edges"]}


def section_of(name):
    return EDGES[name.removeprefix("edge-")] if name.startswith("edge-") else CDN[name]


@pytest.mark.parametrize("program", ["pocketcdn", "pocketcdn-origin", "pocketcdn-edge", "pocketcdn-router", "pocketcdn-wan"])
def test_the_image_has_every_library(program):
    installed = set((SOURCE / "docker" / "Dockerfile").read_text().split())
    told = subprocess.run(["readelf", "-d", BIN / program], capture_output=True, text=True, check=True).stdout
    needed = [lib for lib in re.findall(r"NEEDED.*\[(.+)\]", told) if not re.match(r"lib((a|t|ub)san|gcc_s|[cm]\.)", lib)]
    assert len(needed) >= 3, told  # the pattern still fits
    for library in needed:
        owners = subprocess.run(["dpkg", "-S", f"*/{library}"], capture_output=True, text=True, check=False).stdout
        packages = {owner.split(":")[0] for owner in owners.splitlines()}
        assert packages & installed, (library, packages)


def test_services_are_the_nodes():
    assert set(SERVICES) == {"origin", "router", *(f"edge-{name}" for name in EDGES)}


@pytest.mark.parametrize("name", SERVICES)
def test_addresses_agree(name):
    service, section = SERVICES[name], section_of(name)
    ip = service["networks"]["cdn"]["ipv4_address"]
    assert section["listen"].startswith(ip + ":") and section["admin"].startswith(ip + ":")
    assert service["healthcheck"]["test"] == ["CMD", "pocketcdn", "get", f"http://{section['admin']}/health"]
    for mapping in service.get("ports", []):
        host, outside, inside = mapping.rsplit(":", 2)
        assert section["listen"] == f"{ip}:{inside}"
        if "url" in section:
            assert section["url"] == f"http://{host}:{outside}", "clients are sent to where it is published"
    assert bool(service.get("ports")) == (name != "origin")
    for other in service.get("depends_on", []):
        assert other in SERVICES
    if name == "origin":
        assert service["volumes"] == ["${SITE:-./site}:" + CDN["origin"]["root"] + ":ro"]
    else:
        assert service["volumes"] == [f"{name.removeprefix('edge-')}:/var/lib/pocketcdn"]
        assert name.removeprefix("edge-") in COMPOSE["volumes"]


def test_the_image_has_what_the_compose_file_runs():
    text = (SOURCE / "docker" / "Dockerfile").read_text()
    assert "USER pocketcdn" in text and "HEALTHCHECK" in text and "VOLUME /var/lib/pocketcdn" in text
    assert all((BIN / service["command"][0]).exists() for service in SERVICES.values())
    admin_ports = {section_of(name)["admin"].rsplit(":")[-1] for name in SERVICES}
    assert admin_ports == set(re.search(r"for port in ([\d ]+);", text)[1].split())


def test_the_nodes_come_up_and_serve(cdn):
    root = cdn.folder("site", {"app.css": b"body{}\n"})
    here = lambda text: text.replace("10.88.1.", "127.88.1.")  # noqa: E731
    config = cdn.folder("config") / "cdn.yaml"
    text = here((SOURCE / "docker" / "cdn.yaml").read_text()).replace("root: /srv", f"root: {root}")
    config.write_text(re.sub(r', url: "[^"]+"', "", text))
    env = {"POCKETCDN_CONFIG": str(config), "POCKETCDN_ADMIN_TOKEN": "choose-one"}
    for name, service in SERVICES.items():
        home = cdn.folder("home")
        program, *args = [here(word).replace("/var/lib/pocketcdn", str(home)) for word in service["command"]]
        cdn.daemon(program, args, env={**env, "HOME": str(home)}, name=name)
    for service in SERVICES.values():
        check = shlex.split(here(" ".join(service["healthcheck"]["test"][2:])))
        assert cdn.cli(*check).returncode == 0
    poll(lambda: cdn.cli("status", "-c", config, env=env).returncode == 0, what="all well")
    for place, edge in (("Berlin", "fra"), ("Auckland", "syd")):
        done = cdn.cli("get", "/app.css", "--from", place, "-c", config, env=env)
        assert done.returncode == 0 and here(EDGES[edge]["listen"]) in done.stdout, done
    done = cdn.cli("purge", "--wait", "/app.css", "-c", config, env=env)
    assert done.returncode == 0 and done.stdout.count("purged") == len(EDGES), done
    refused = cdn.cli("purge", "/app.css", "-c", config, env={"POCKETCDN_ADMIN_TOKEN": ""})
    assert refused.returncode == 2 and "bearer token" in refused.stderr, refused
