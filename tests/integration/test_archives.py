"""Images go out to everybody's tools and come in from them."""

import gzip
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import programs
from peers import Docker, Jettison, Peer

DOCKERFILE = """FROM scratch
COPY busybox /bin/busybox
COPY busybox /bin/sh
RUN /bin/busybox mkdir -p /d/e; echo a > /d/a; echo b > /d/e/b; /bin/busybox ln /d/a /d/hard; /bin/busybox chmod 4755 /d/a
RUN /bin/busybox rm /d/e/b; echo c > /d/e/c
RUN /bin/busybox rm -r /d/e; /bin/busybox mkdir /d/e; echo new > /d/e/n
ENV GREETING=hello
ENTRYPOINT ["/bin/busybox", "sh", "-c", "echo $GREETING $*; /bin/busybox find /d | /bin/busybox sort", "--"]
CMD ["world"]
"""
SAYS = "hello world\n/d\n/d/a\n/d/e\n/d/e/n\n/d/hard\n"
COMPRESSIONS = ("gzip", "zstd", "none")
FORMATS = ("both", "oci-archive", "docker-archive")


@pytest.fixture
def context(tmp_path: Path, require: Callable[[str], str]) -> Path:
    """A Dockerfile whose layers have whiteouts, an opaque folder, a hard link and a setuid bit."""
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "busybox").write_bytes(Path(require("busybox")).read_bytes())
    (folder / "busybox").chmod(0o755)
    return folder


@pytest.fixture
def hello(jettison: Jettison, tmp_path: Path) -> Callable[..., Path]:
    """`hello(compression, format)` packs a program and saves it as hello:1."""

    def make(compression: str = "gzip", format: str = "both") -> Path:
        target = tmp_path / f"{compression}.{format}"
        jettison("pack", str(programs.static_hello(tmp_path)), "-t", "hello:1", "--compression", compression)
        jettison("save", "hello:1", "-o", str(target), *(["--format", format] if format != "both" else []))
        return target

    return make


# Out


@pytest.mark.parametrize("format", ["both", "docker-archive"])
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_docker_takes_it(compression: str, format: str, docker: Docker, hello: Callable[..., Path]) -> None:
    """Docker 20.10 loads and runs it, also where the layer is compressed with zstd, which it cannot read."""
    said = docker("load", "--input", str(hello(compression, format)))

    assert said == "Loaded image: hello:1\n"
    assert docker("run", "--rm", "--pull", "never", "--network", "none", "hello:1") == "hello\n"
    docker("rmi", "hello:1")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_podman_takes_it(compression: str, format: str, podman: Peer, hello: Callable[..., Path]) -> None:
    """Podman 4.3 loads and runs it."""
    said = podman("load", "--quiet", "--input", str(hello(compression, format)))

    name = said.removeprefix("Loaded image: ").strip()
    assert name.endswith("/hello:1")
    assert podman("run", "--rm", "--pull", "never", "--network", "none", name) == "hello\n"


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_skopeo_takes_it(compression: str, format: str, skopeo: Peer, hello: Callable[..., Path], tmp_path: Path) -> None:
    """As every kind of archive that it claims to be; the layers are those that were packed."""
    archive = hello(compression, format)

    for transport in ("oci-archive", "docker-archive") if format == "both" else (format,):
        folder = tmp_path / f"copy.{transport}"
        skopeo("copy", f"{transport}:{archive}", f"dir:{folder}")
        assert len(json.loads((folder / "manifest.json").read_text())["layers"]) == 1


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_umoci_and_runc_take_it(
    compression: str, umoci: Peer, runc: Peer, skopeo: Peer, hello: Callable[..., Path], tmp_path: Path
) -> None:
    """umoci unpacks an OCI folder into a bundle, and runc runs it."""
    folder, bundle = hello(compression, "oci-dir"), tmp_path / "bundle"

    umoci("unpack", "--image", f"{folder}:hello:1", str(bundle))

    config = json.loads((bundle / "config.json").read_text())
    config["process"]["terminal"] = False
    config["process"].pop("rlimits", None)
    (bundle / "config.json").write_text(json.dumps(config))
    assert runc("run", "--bundle", str(bundle), "hello") == "hello\n"


def test_the_store_is_an_oci_layout(jettison: Jettison, skopeo: Peer, hello: Callable[..., Path], tmp_path: Path) -> None:
    """Other tools read images out of the store itself, by name."""
    hello()
    jettison("tag", "hello:1", "other:2")

    skopeo("copy", f"oci:{jettison.store}:other:2", f"dir:{tmp_path}/copy")


def test_the_same_images_give_the_same_bytes(jettison: Jettison, hello: Callable[..., Path], tmp_path: Path) -> None:
    """To a file, to a pipe, twice."""
    one = hello().read_bytes()

    two = subprocess.run([*jettison.command, "--store", str(jettison.store), "save", "hello:1"], check=True, capture_output=True)

    assert one == two.stdout
    assert hello().read_bytes() == one


def test_several_images_in_one_archive(docker: Docker, jettison: Jettison, hello: Callable[..., Path], tmp_path: Path) -> None:
    """With all the names that were asked for."""
    hello()
    jettison("tag", "hello:1", "hello:2")
    jettison("pack", "--bare", str(programs.dynamic_hello(tmp_path)), "-t", "dynamic")
    jettison("save", "hello:1", "hello:2", "dynamic", "-o", str(tmp_path / "all.tar"))

    assert sorted(docker("load", "--input", str(tmp_path / "all.tar")).splitlines()) == [
        "Loaded image: dynamic:latest",
        "Loaded image: hello:1",
        "Loaded image: hello:2",
    ]
    other = Jettison(tmp_path / "other", command=jettison.command)
    assert sorted(other("load", "-i", str(tmp_path / "all.tar")).split()) == ["dynamic:latest", "hello:1", "hello:2"]
    docker("rmi", "dynamic", "hello:1", "hello:2")


# In


@pytest.mark.parametrize("compress", [False, True])
def test_docker_save_comes_in(compress: bool, docker: Docker, jettison: Jettison, context: Path, tmp_path: Path) -> None:
    """Whiteouts, links and configuration survive; jettison runs it as docker does."""
    docker("build", "--network", "none", "--tag", "app:1", "--tag", "app:2", str(context))
    expected = docker("run", "--rm", "--network", "none", "app:1")
    docker("save", "app:1", "app:2", "--output", str(tmp_path / "app.tar"))
    data = (tmp_path / "app.tar").read_bytes()
    (tmp_path / "app.tar").write_bytes(gzip.compress(data, 1) if compress else data)

    assert jettison("load", "-i", str(tmp_path / "app.tar")) == "app:1\napp:2\n"

    assert expected == SAYS
    assert jettison("run", "--rm", "app:1") == SAYS
    image_id = docker("images", "--quiet", "--no-trunc", "app:1").strip()
    assert json.loads(jettison("inspect", "app:2"))[0]["Id"] == image_id
    assert jettison("fsck").endswith("no findings\n")
    docker("rmi", "app:1", "app:2")


def test_what_came_in_goes_out_again(docker: Docker, jettison: Jettison, context: Path, tmp_path: Path) -> None:
    """Docker gets the image back that it gave."""
    docker("build", "--network", "none", "--tag", "app:1", str(context))
    image_id = docker("images", "--quiet", "--no-trunc", "app:1")
    docker("save", "app:1", "--output", str(tmp_path / "app.tar"))
    jettison("load", "-i", str(tmp_path / "app.tar"))
    jettison("save", "app:1", "-o", str(tmp_path / "again.tar"))
    docker("rmi", "app:1")

    docker("load", "--input", str(tmp_path / "again.tar"))

    assert docker("images", "--quiet", "--no-trunc", "app:1") == image_id
    docker("rmi", "app:1")


@pytest.mark.parametrize("format", ["docker-archive", "oci-archive", "oci-dir"])
def test_podman_save_comes_in(format: str, podman: Peer, jettison: Jettison, context: Path, tmp_path: Path) -> None:
    """In each of its formats."""
    podman("build", "--isolation", "chroot", "--tag", "app:1", str(context))
    podman("save", "--quiet", "--format", format, "--output", str(tmp_path / "app"), "localhost/app:1")

    assert jettison("load", "-i", str(tmp_path / "app")) == "localhost/app:1\n"

    assert jettison("run", "--rm", "localhost/app:1") == SAYS
    assert jettison("fsck").endswith("no findings\n")


@pytest.mark.parametrize("compression", ["gzip", "zstd", "zstd:chunked"])
def test_buildah_push_comes_in(compression: str, buildah: Peer, jettison: Jettison, context: Path, tmp_path: Path) -> None:
    """An OCI folder, its layers compressed in each way that buildah knows."""
    buildah("bud", "--isolation", "chroot", "--layers", "--tag", "app:1", str(context))
    buildah("push", "--compression-format", compression, "localhost/app:1", f"oci:{tmp_path}/out:app:1")

    assert jettison("load", "-i", str(tmp_path / "out")) == "app:1\n"

    assert jettison("run", "--rm", "app:1") == SAYS
    assert jettison("fsck").endswith("no findings\n")


def test_an_ordinary_user_loads_and_runs(rootless: Jettison, docker: Docker, context: Path, shared_folder: Path) -> None:
    """Whiteouts and opaque folders need no privilege."""
    docker("build", "--network", "none", "--tag", "app:1", str(context))
    docker("save", "app:1", "--output", str(shared_folder / "app.tar"))
    (shared_folder / "app.tar").chmod(0o644)

    rootless("load", "-i", str(shared_folder / "app.tar"))

    assert rootless("run", "--rm", "app:1") == SAYS
    assert rootless("fsck").endswith("no findings\n")
    docker("rmi", "app:1")


def test_the_machine_takes_its_platform(jettison: Jettison, skopeo: Peer, hello: Callable[..., Path], tmp_path: Path) -> None:
    """Of an image for several platforms comes the one for this machine, and that is said."""
    folder = hello("gzip", "oci-dir")
    index = json.loads((folder / "index.json").read_text())
    (entry,) = index["manifests"]
    foreign = {**entry, "digest": f"sha256:{'0' * 64}", "platform": {"os": "linux", "architecture": "mips64"}}
    inner = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [foreign, entry]}
    data = json.dumps(inner).encode()
    digest = subprocess.run(["sha256sum"], input=data, check=True, capture_output=True).stdout.decode().split()[0]
    (folder / "blobs/sha256" / digest).write_bytes(data)
    outer = {
        "mediaType": inner["mediaType"],
        "digest": f"sha256:{digest}",
        "size": len(data),
        "annotations": entry["annotations"],
    }
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [outer]}))
    other = Jettison(tmp_path / "other", command=jettison.command)

    done = other.call("load", "-i", str(folder))

    assert (done.returncode, done.stdout) == (0, "hello:1\n")
    assert "linux/mips64" in done.stderr
