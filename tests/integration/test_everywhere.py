"""What jettison packs runs wherever containers run, and what others build comes in."""

import json
import subprocess
from pathlib import Path

import pytest

import programs
from peers import Docker, Jettison, Peer

FORMATS = ["", "oci-archive", "docker-archive"]


@pytest.fixture
def image(jettison: Jettison, tmp_path: Path) -> str:
    """A dynamically linked program with a library of its own, packed."""
    return jettison("pack", "-q", "-t", "greet:1", str(programs.with_private_library(tmp_path / "app"))).strip()


def saved(jettison: Jettison, image: str, target: Path, archive_format: str = "") -> Path:
    """The image in a file or folder."""
    jettison("save", image, "-o", str(target), *(["--format", archive_format] if archive_format else []))
    return target


@pytest.mark.parametrize("archive_format", ["", "docker-archive"])
def test_docker_loads_and_runs_it(jettison: Jettison, docker: Docker, image: str, tmp_path: Path, archive_format: str) -> None:
    """By the name it was packed under."""
    docker("load", "-i", str(saved(jettison, image, tmp_path / "image.tar", archive_format)))

    assert docker("run", "--rm", "--network=none", image) == "hello from a library\n"


@pytest.mark.parametrize("archive_format", FORMATS)
def test_podman_loads_and_runs_it(jettison: Jettison, podman: Peer, image: str, tmp_path: Path, archive_format: str) -> None:
    """From every kind of archive."""
    podman("load", "-i", str(saved(jettison, image, tmp_path / "image.tar", archive_format)))

    assert podman("run", "--rm", "--network=none", image) == "hello from a library\n"


def test_skopeo_copies_it_with_its_digest(jettison: Jettison, skopeo: Peer, image: str, tmp_path: Path) -> None:
    """Archive and folder hold one image, and its manifest is ours to the byte."""
    archive = saved(jettison, image, tmp_path / "image.tar")
    folder = saved(jettison, image, tmp_path / "folder", "oci-dir")
    digest = json.loads(jettison("inspect", image))[0]["Digest"]

    skopeo("copy", f"oci-archive:{archive}", f"dir:{tmp_path}/copy")

    said = [
        json.loads(skopeo("inspect", f"{kind}:{path}"))["Digest"] for kind, path in [("oci-archive", archive), ("oci", folder)]
    ]
    assert said == [digest, digest]
    assert (tmp_path / "copy/manifest.json").exists()


def test_umoci_unpacks_it_and_runc_runs_it(jettison: Jettison, umoci: Peer, runc: Peer, image: str, tmp_path: Path) -> None:
    """A bundle of the packed program prints what the program prints."""
    folder = saved(jettison, image, tmp_path / "folder", "oci-dir")
    umoci("unpack", "--image", f"{folder}:{image}", str(tmp_path / "bundle"))
    config = json.loads((tmp_path / "bundle/config.json").read_text())
    config["process"]["terminal"] = False
    (tmp_path / "bundle/config.json").write_text(json.dumps(config))

    done = subprocess.run([*runc.command, "run", "greet"], cwd=tmp_path / "bundle", capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "hello from a library\n"), done.stderr


def test_what_docker_saves_comes_in_and_runs(jettison: Jettison, docker: Docker, image: str, tmp_path: Path) -> None:
    """A round trip through docker keeps the image's identity: its configuration to the byte."""
    docker("load", "-i", str(saved(jettison, image, tmp_path / "image.tar")))
    docker("save", "-o", str(tmp_path / "docker.tar"), image)
    before = json.loads(jettison("inspect", image))[0]["Id"]
    jettison("rmi", image)

    jettison("load", "-i", str(tmp_path / "docker.tar"))

    assert jettison("run", image) == "hello from a library\n"
    assert json.loads(jettison("inspect", image))[0]["Id"] == before


@pytest.mark.parametrize("archive_format", ["docker-archive", "oci-archive"])
def test_what_podman_saves_comes_in_and_runs(
    jettison: Jettison, podman: Peer, image: str, tmp_path: Path, archive_format: str
) -> None:
    """From both kinds of archive."""
    podman("load", "-i", str(saved(jettison, image, tmp_path / "image.tar")))
    podman("save", "--format", archive_format, "-o", str(tmp_path / "podman.tar"), image)

    name = jettison("load", "-q", "-i", str(tmp_path / "podman.tar")).strip()

    assert jettison("run", name) == "hello from a library\n"


def test_what_buildah_pushes_to_a_folder_comes_in_and_runs(jettison: Jettison, buildah: Peer, tmp_path: Path) -> None:
    """`FROM scratch` and a static program, pushed to an OCI folder."""
    programs.static_hello(tmp_path / "context")
    (tmp_path / "context/Dockerfile").write_text('FROM scratch\nCOPY hello /\nCMD ["/hello"]\n')
    buildah("bud", "-t", "app:9", str(tmp_path / "context"))
    buildah("push", "app:9", f"oci:{tmp_path}/folder:app:9")

    name = jettison("load", "-q", "-i", str(tmp_path / "folder")).strip()

    assert jettison("run", name) == "hello\n"


def test_the_reasons_travel_with_the_archive(jettison: Jettison, image: str, tmp_path: Path) -> None:
    """Another store, filled from the archive alone, tells why as the first one did, and weighs the same."""
    here = jettison("why", image, "/usr/lib/libgreeting.so.1") if Path("/lib").is_symlink() else ""
    weight = jettison("weigh", "--json", image)
    other = Jettison(tmp_path / "other")

    other("load", "-i", str(saved(jettison, image, tmp_path / "image.tar")))

    assert other("weigh", "--json", image) == weight
    if here:
        assert other("why", image, "/usr/lib/libgreeting.so.1") == here
        assert "$ORIGIN/../lib" in here
