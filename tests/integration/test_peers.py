"""The peers start, and end: what the other tests lean on."""

from collections.abc import Callable
from pathlib import Path

from peers import Docker, Jettison, OrdinaryUser, Peer

SCRATCH = "FROM scratch\nCOPY busybox /busybox\n"


def busybox(folder: Path, require_path: str) -> Path:
    folder.mkdir()
    (folder / "Dockerfile").write_text(SCRATCH)
    (folder / "busybox").write_bytes(Path(require_path).read_bytes())
    (folder / "busybox").chmod(0o755)
    return folder


def test_docker_builds_and_runs(docker: Docker, require: Callable[[str], str], tmp_path: Path) -> None:
    """The tests' own engine runs a container."""
    context = busybox(tmp_path / "context", require("busybox"))
    docker("build", "--network", "none", "--tag", "peer", str(context))

    said = docker("run", "--rm", "--network", "none", "peer", "/busybox", "echo", "hello")

    assert said == "hello\n"


def test_podman_builds_and_runs(podman: Peer, require: Callable[[str], str], tmp_path: Path) -> None:
    """Podman runs a container with runc, without a network."""
    context = busybox(tmp_path / "context", require("busybox"))
    podman("build", "--isolation", "chroot", "--tag", "peer", str(context))

    said = podman("run", "--rm", "--network", "none", "localhost/peer", "/busybox", "echo", "hello")

    assert said == "hello\n"


def test_buildah_pushes_what_skopeo_reads(buildah: Peer, skopeo: Peer, require: Callable[[str], str], tmp_path: Path) -> None:
    """Buildah writes an OCI folder, skopeo reads it."""
    context = busybox(tmp_path / "context", require("busybox"))
    buildah("bud", "--isolation", "chroot", "--tag", "peer", str(context))
    buildah("push", "localhost/peer", f"oci:{tmp_path}/out:peer")

    assert '"Architecture"' in skopeo("inspect", f"oci:{tmp_path}/out:peer")


def test_runc_and_umoci_answer(runc: Peer, umoci: Peer) -> None:
    """Both are there and no container is left over."""
    assert runc("list", "--quiet") == ""
    assert "umoci" in umoci("--version")


def test_the_ordinary_user_has_no_privileges(ordinary_user: OrdinaryUser) -> None:
    """No capability is left, and files in `home` are theirs."""
    status = ordinary_user.call("grep", "^Cap", "/proc/self/status").stdout
    made = ordinary_user.call("touch", "mine")

    assert {line.split()[1] for line in status.splitlines()} == {"0" * 16}
    assert made.returncode == 0
    assert (ordinary_user.home / "mine").stat().st_uid == ordinary_user.uid


def test_the_ordinary_user_has_the_command(rootless: Jettison) -> None:
    """It works although the checkout may not be theirs to read."""
    assert rootless("--version").startswith("jettison ")
