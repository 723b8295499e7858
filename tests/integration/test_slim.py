"""slim: the thin image of a fat one starts as the fat one did, has its users, folders and settings, and says what is gone."""

import hashlib
import json
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import peers
import programs
from jettison.image.store import open_store
from jettison.oci.config import History, ImageConfig
from jettison.oci.platform import Platform
from making import Item, archive, dirs, image, tar
from peers import Docker, Jettison, OrdinaryUser, Peer

LOADER = Path(os.path.realpath("/lib64/ld-linux-x86-64.so.2"))

ENTRYPOINT = """\
#!/bin/sh
set -e
[ -w /var/lib/app ]
exec "$@"
"""
STATUS = """\
Package: shell
Status: install ok installed
Version: 1
Architecture: amd64

Package: app
Status: install ok installed
Version: 2
Architecture: amd64

Package: docs
Status: install ok installed
Version: 3
Architecture: all

"""
LISTS = {
    "shell": "/.\n/bin\n/bin/sh\n/usr\n/usr/share\n/usr/share/man\n",
    "app": "/.\n/usr\n/usr/bin\n/usr/bin/greet\n/usr/lib/libgreeting.so.1\n/etc\n/etc/app\n/var/lib/app\n/var/log/app\n",
    "docs": "/.\n/usr\n/usr/share\n/usr/share/doc\n/usr/share/doc/book\n",
}
CONFIG: dict[str, Any] = {
    "Entrypoint": ["/entrypoint.sh"],
    "Cmd": ["greet"],
    "User": "app",
    "WorkingDir": "/srv/work",
    "Env": ["PATH=/usr/bin:/bin", "COLOUR=blue"],
    "Volumes": {"/data": {}},
    "ExposedPorts": {"8080/tcp": {}},
    "StopSignal": "SIGQUIT",
    "Labels": {"a": "b"},
    "Healthcheck": {"Test": ["CMD-SHELL", "check --all || exit 1"]},
    "OfTomorrow": {"x": 1},
}


def file(name: str, text: str | bytes = "x", mode: int = 0o644, owner: tuple[int, int] = (0, 0)) -> Item:
    return Item("file", name, text, mode, owner, mtime=1_600_000_000)


def fat_layer(folder: Path) -> bytes:
    """A small distribution: a shell, an application with a library of its own, users, settings, logs, documentation."""
    program = programs.with_private_library(folder / "app")
    libraries = [LOADER, LOADER.parent / "libc.so.6"]
    return tar(
        *dirs("bin", "etc", "etc/app", "lib64", "proc", "srv/work", "tmp", "usr/bin", "usr/lib", "usr/share/doc"),
        Item("dir", "var/lib/app", mode=0o2770, owner=(1000, 1000)),
        Item("dir", "var/log/app", owner=(1000, 4)),
        Item("dir", "data", mode=0o1777, owner=(1000, 1000)),
        Item("dir", "run/app", owner=(1000, 0)),
        Item("symlink", "var/log/app/log", "/dev/stdout"),
        file("bin/sh", Path(peers.require("busybox")).read_bytes(), 0o755),
        *(file(str(library)[1:], library.read_bytes(), 0o755) for library in libraries),
        Item("symlink", "lib64/ld-linux-x86-64.so.2", str(LOADER)),
        file("usr/bin/greet", program.read_bytes(), 0o4755),
        file("usr/lib/libgreeting.so.1", (folder / "app/lib/libgreeting.so.1").read_bytes()),
        file("usr/bin/check", "#!/bin/sh\n", 0o755),
        file("usr/bin/other", "#!/bin/sh\n", 0o755),
        file("entrypoint.sh", ENTRYPOINT, 0o755),
        file("etc/passwd", "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/srv/work:/bin/sh\n"),
        file("etc/group", "root:x:0:\napp:x:1000:\n"),
        file("etc/os-release", "ID=debian\nVERSION_ID=12\n"),
        file("etc/app/own.conf", "colour = blue\n", 0o640, (0, 1000)),
        file("data/seed", "1"),
        file("srv/work/page", "2", owner=(1000, 1000)),
        Item("char", "dev/sda", device=(8, 0)),
        file("usr/share/doc/book", b"x" * 1_000_000),
        *(file(f"var/lib/dpkg/info/{name}.list", text) for name, text in LISTS.items()),
        file("var/lib/dpkg/info/app.md5sums", "0  usr/bin/greet\n1  usr/share/doc/gone\n"),
        file("var/lib/dpkg/status", STATUS),
    )


@pytest.fixture
def fat(tmp_path: Path) -> Path:
    """The archive."""
    return archive(tmp_path / "fat.tar", [fat_layer(tmp_path)], CONFIG)


@pytest.fixture
def thin(jettison: Jettison, fat: Path, tmp_path: Path, umoci: Peer) -> Path:
    """The thin image's root, unpacked by umoci, which keeps owners as root."""
    jettison("slim", "-q", str(fat), "-t", "thin")
    return unpacked(jettison, umoci, tmp_path)


def unpacked(jettison: Jettison, umoci: Peer, folder: Path, *flags: str) -> Path:
    jettison("save", "-q", "thin", "-o", str(folder / "layout"), "--format", "oci-dir")
    umoci("unpack", *flags, "--image", f"{folder}/layout:thin:latest", str(folder / "bundle"))
    return folder / "bundle/rootfs"


def config_of(jettison: Jettison, name: str) -> Mapping[str, Any]:
    """The configuration, as `inspect` prints it."""
    found: Mapping[str, Any] = json.loads(jettison("inspect", name))[0]["Config"]
    return found


def test_it_starts_as_before(jettison: Jettison, fat: Path, docker: Docker, tmp_path: Path) -> None:
    """In docker and here: by the entrypoint script, as the image's user, in its folder, with its environment."""
    jettison("slim", "-q", str(fat), "-t", "thin")
    jettison("save", "-q", "thin", "-o", str(tmp_path / "thin.tar"))
    docker("load", "-q", "-i", str(tmp_path / "thin.tar"))
    shell = ["sh", "-c", "id -u; pwd; echo $COLOUR; cat /etc/app/own.conf page /data/seed"]

    assert docker("run", "--rm", "--network", "none", "thin:latest") == "hello from a library\n"
    assert jettison("run", "thin") == "hello from a library\n"
    assert docker("run", "--rm", "--network", "none", "thin:latest", *shell) == "1000\n/srv/work\nblue\ncolour = blue\n21"


def test_users_owners_and_modes_are_kept(thin: Path, root: None) -> None:
    """Of files, of folders that are empty, and of links; only set-user-id bits are lost."""
    found = {}
    for name in ("var/lib/app", "var/log/app", "data", "run/app", "etc/app/own.conf", "srv/work/page", "usr/bin/greet"):
        info = (thin / name).lstat()
        found[name] = (oct(info.st_mode & 0o7777), info.st_uid, info.st_gid)

    assert found == {
        "var/lib/app": ("0o2770", 1000, 1000),
        "var/log/app": ("0o755", 1000, 4),
        "data": ("0o1777", 1000, 1000),
        "run/app": ("0o755", 1000, 0),
        "etc/app/own.conf": ("0o640", 0, 1000),
        "srv/work/page": ("0o644", 1000, 1000),
        "usr/bin/greet": ("0o755", 0, 0),
    }
    assert os.readlink(thin / "var/log/app/log") == "/dev/stdout"
    assert (thin / "usr/bin/greet").stat().st_mtime == 1_600_000_000


def test_what_nobody_needs_is_gone(thin: Path, root: None) -> None:
    """Programs that nothing starts, documentation, devices; the health check's program stays."""
    gone = [name for name in ("usr/bin/other", "usr/share/doc/book", "dev/sda") if (thin / name).exists()]

    assert gone == []
    assert (thin / "usr/bin/check").exists()


def test_the_package_database_is_of_what_is_there(thin: Path, root: None, require: Callable[[str], str]) -> None:
    """dpkg-query sees the packages whose files are there, with these files."""
    query = [require("dpkg-query"), f"--admindir={thin}/var/lib/dpkg"]
    listed = peers.call([*query, "--show", "--showformat", "${Package} ${Version}\\n"]).stdout
    files = peers.call([*query, "--listfiles", "app"]).stdout.split()

    assert listed == "app 2\nshell 1\n"
    assert [name for name in files if not (thin / name[1:]).exists()] == []
    assert "/usr/bin/greet" in files
    assert (thin / "var/lib/dpkg/info/app.md5sums").read_text() == "0  usr/bin/greet\n"


def test_the_configuration_is_kept(jettison: Jettison, fat: Path, tmp_path: Path) -> None:
    """All of it, also what we do not know."""
    jettison("slim", "-q", str(fat), "-t", "thin")
    jettison("save", "-q", "thin", "-o", str(tmp_path / "thin.tar"))
    with tarfile.open(tmp_path / "thin.tar") as reader:
        manifest = json.load(reader.extractfile("manifest.json") or fat.open("rb"))
        config = json.load(reader.extractfile(manifest[0]["Config"]) or fat.open("rb"))

    kept = {key: value for key, value in config["config"].items() if key != "Env"}
    assert kept == {key: value for key, value in CONFIG.items() if key != "Env"}
    assert config["config"]["Env"][:2] == CONFIG["Env"]
    assert config["history"][-1]["created_by"].startswith("jettison slim sha256:")


def test_setuid_is_kept_where_it_is_allowed(jettison: Jettison, fat: Path, umoci: Peer, tmp_path: Path, root: None) -> None:
    """And who did not allow it is told."""
    said = jettison.call("slim", str(fat), "-t", "thin").stderr
    jettison("slim", "-q", str(fat), "-t", "thin", "--allow-setuid", "/usr/bin/greet")

    assert "`/usr/bin/greet` lost its set-user-id bits" in said
    assert (unpacked(jettison, umoci, tmp_path) / "usr/bin/greet").stat().st_mode & 0o7777 == 0o4755


def test_a_report_says_what_is_gone_and_why(jettison: Jettison, fat: Path, tmp_path: Path) -> None:
    """The same twice; every path of the fat image is in it once."""
    reports = []
    for name in ("one", "two"):
        said = jettison.call("slim", str(fat), "-t", "thin", "--report", str(tmp_path / name)).stderr
        reports.append((tmp_path / name).read_text())
    report = json.loads(reports[0])

    assert reports[0] == reports[1]
    assert report["version"] == 1
    removed = {item["path"]: item for item in report["removed"]}
    kept = {item["path"]: item for item in report["kept"]}
    assert (removed["/usr/share/doc/book"]["size"], removed["/usr/share/doc/book"]["package"]) == (1_000_000, "docs 3")
    assert kept["/usr/lib/libgreeting.so.1"]["why"][0]["kind"] == "needed"
    assert (report["ports"], report["volumes"], report["setuidDropped"]) == (["8080/tcp"], ["/data"], ["/usr/bin/greet"])
    assert not removed.keys() & kept.keys()
    assert "docs 3 1 MB" in said
    assert "(from " in said


def test_why_not_is_known_without_the_fat_image(jettison: Jettison, fat: Path) -> None:
    """The thin image remembers what was there, whose it was, and that nothing needed it; also after it was sent elsewhere."""
    jettison("slim", "-q", str(fat), "-t", "thin")
    jettison("save", "-q", "thin", "-o", str(fat))
    shutil.rmtree(jettison.store)
    jettison("load", "-q", "-i", str(fat))

    said = jettison("why", "--not", "thin", "/usr/share/doc/book")

    assert said.splitlines()[:2] == [
        "/usr/share/doc/book was removed: nothing needed it",
        "  it belongs to the package docs 3",
    ]


def test_every_kept_path_has_its_chain(jettison: Jettison, fat: Path, tmp_path: Path) -> None:
    """Back to what the image starts."""
    jettison("slim", "-q", str(fat), "-t", "thin", "--report", str(tmp_path / "report"))
    kept = [item["path"] for item in json.loads((tmp_path / "report").read_text())["kept"]]

    unexplained = [path for path in kept if "entry: " not in jettison("why", "thin", path)]

    assert unexplained == []


def test_a_name_in_the_store_gives_the_same(jettison: Jettison, skopeo: Peer, tmp_path: Path) -> None:
    """The same digest as the archive, compressed or not; an OCI folder and archive have one, and all have the same layers.

    Nothing of the fat image is unpacked.
    """
    config = {key: value for key, value in CONFIG.items() if key != "Healthcheck"}  # docker's own: OCI images have none
    fat = archive(tmp_path / "fat.tar", [fat_layer(tmp_path)], config)
    jettison("load", "-q", "-i", str(fat))
    peers.call(["gzip", "--keep", str(fat)])
    skopeo("copy", "-q", f"docker-archive:{fat}", f"oci:{tmp_path}/folder:1")

    skopeo("copy", "-q", f"docker-archive:{fat}", f"oci-archive:{tmp_path}/oci.tar:1")

    digests, layers = [], []
    for target in ("fat:1", str(fat), f"{fat}.gz", str(tmp_path / "folder"), str(tmp_path / "oci.tar")):
        digests.append(json.loads(jettison("slim", target, "-t", "thin", "--json", "-q"))["digest"])
        layers.append(json.loads(jettison("inspect", "thin"))[0]["RootFS"]["Layers"])

    # skopeo's images have other configurations than docker's, so that what they were made from has another name.
    assert (len(set(digests[:3])), len(set(digests[3:]))) == (1, 1)
    assert all(layer == layers[0] for layer in layers)
    assert not list((jettison.store / "layers").iterdir())
    assert not list((jettison.store / "tmp").iterdir())


def test_weigh_says_what_slim_leaves(jettison: Jettison, fat: Path) -> None:
    """Net is what slim keeps, but for the database, of which slim keeps a part."""
    value = json.loads(jettison("slim", "-q", str(fat), "-t", "thin", "--json"))
    weights = json.loads(jettison("weigh", "--json", str(fat)))

    assert abs(weights["total"]["netBytes"] - value["bytes"]) < 2000
    assert weights["heaviestTare"][0]["name"] == "docs 3"


def test_an_ordinary_user_slims(rootless: Jettison, ordinary_user: OrdinaryUser, tmp_path: Path) -> None:
    """Without root, and with the same digest: owners come from the archive, not from files."""
    image = archive(ordinary_user.home / "fat.tar", [fat_layer(tmp_path)], CONFIG)
    ordinary_user.give(image)

    value = json.loads(rootless("slim", "-q", str(image), "-t", "thin", "--json"))
    again = json.loads(Jettison(tmp_path / "other")("slim", "-q", str(image), "-t", "thin", "--json"))

    assert value["digest"] == again["digest"]
    assert rootless("run", "--entrypoint", "greet", "thin") == "hello from a library\n"


def test_an_image_of_another_architecture_is_slimmed(
    jettison: Jettison, umoci: Peer, require: Callable[[str], str], root: None, tmp_path: Path
) -> None:
    """Nothing is executed: an arm64 Debian that was only unpacked gives its perl, for arm64."""
    done = peers.call(
        [require("debootstrap"), "--arch=arm64", "--foreign", "--variant=minbase", "bookworm", str(tmp_path / "root")]
    )
    if done.returncode != 0:
        peers.lacking(f"debootstrap cannot fetch arm64's packages: {done.stdout[-300:]}")
    peers.call(["tar", "-C", str(tmp_path / "root"), "-cf", str(tmp_path / "layer.tar"), "."])
    layer = (tmp_path / "layer.tar").read_bytes()
    command = ["perl", "-MPOSIX=floor", "-e", "print floor(42.5)"]
    image = archive(tmp_path / "fat.tar", [layer], {"Cmd": command}, architecture="arm64")

    value = json.loads(jettison("slim", "-q", str(image), "-t", "thin", "--json"))
    thin = unpacked(jettison, umoci, tmp_path)

    assert value["platform"].startswith("linux/arm64")
    assert value["bytes"] < value["from"]["bytes"] / 4
    programs_of_it = [path for path in thin.rglob("*") if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]
    assert len(programs_of_it) > 5
    said = peers.call([require("readelf"), "-h", *map(str, programs_of_it)]).stdout
    assert said.count("AArch64") == len(programs_of_it)
    needed = set(re.findall(r"\(NEEDED\).*\[(.+)\]", peers.call([require("readelf"), "-d", *map(str, programs_of_it)]).stdout))
    assert "libc.so.6" in needed
    assert needed <= {path.name for path in thin.rglob("*")}
    emulator = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    if emulator:
        assert peers.call([emulator, "-L", str(thin), f"{thin}/usr/bin/perl", *command[1:]]).stdout == "42"


def tool_layer(*more: Item) -> bytes:
    """A script, its shell, another script, and what no program needs."""
    shell = Path(peers.require("busybox")).read_bytes()
    return tar(
        *dirs("bin", "etc", "usr/bin", "usr/share/dead"),
        file("bin/sh", shell, 0o755),
        file("usr/bin/tool", "#!/bin/sh\necho tool\n", 0o755),
        file("usr/bin/other", "#!/bin/sh\necho other\n", 0o755),
        file("usr/share/dead/book", "x" * 10_000),
        *more,
    )


def contents(jettison: Jettison, umoci: Peer, name: str, folder: Path) -> dict[str, tuple[int, int, int, str]]:
    """Every path of an image: mode, owner, and a link's target or the digest of a file."""
    jettison("save", "-q", name, "-o", f"{folder}/{name}.layout", "--format", "oci-dir")
    umoci("unpack", "--image", f"{folder}/{name}.layout:{name}:latest", f"{folder}/{name}.bundle")
    root = folder / f"{name}.bundle/rootfs"
    found = {}
    for path in root.rglob("*"):
        info = path.lstat()
        content = os.readlink(path) if path.is_symlink() else ""
        if path.is_file() and not path.is_symlink():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path.relative_to(root))] = (info.st_mode, info.st_uid, info.st_gid, content)
    return found


def test_a_thin_image_is_as_thin_as_it_gets(jettison: Jettison, umoci: Peer, fat: Path, tmp_path: Path, root: None) -> None:
    """Slimming it again changes no file, no owner, no mode, and not the package database."""
    jettison("slim", "-q", str(fat), "-t", "thin")
    jettison("slim", "-q", "thin", "-t", "thinner")

    assert contents(jettison, umoci, "thinner", tmp_path) == contents(jettison, umoci, "thin", tmp_path)


def test_why_not_is_known_after_a_clean_up(jettison: Jettison, fat: Path) -> None:
    """The fat image was in the store under a name, and neither the name nor its blobs are there any more."""
    fat_id = jettison("load", "-q", "-i", str(fat)).strip()
    jettison("slim", "-q", fat_id, "-t", "thin")
    jettison("rmi", fat_id)
    jettison("prune")
    fat.unlink()

    assert jettison.call("inspect", fat_id).returncode == 1
    assert "belongs to the package docs 3" in jettison("why", "--not", "thin", "/usr/share/doc/book")


def test_the_history_goes_on(jettison: Jettison, skopeo: Peer, tmp_path: Path) -> None:
    """skopeo shows the fat image's own lines, without layers, and ours with one."""
    lines = (History("the base"), History("LABEL a=b", empty_layer=True))
    config = ImageConfig(Platform.host(), cmd=("/usr/bin/tool",), history=lines)
    fat = image(open_store(str(jettison.store)), tool_layer(), config=config)
    jettison("slim", "-q", str(fat.digest), "-t", "thin")
    jettison("save", "-q", "thin", "-o", str(tmp_path / "thin.tar"))

    shown = json.loads(skopeo("inspect", "--config", f"oci-archive:{tmp_path}/thin.tar"))

    ours = f"jettison slim {fat.manifest.config.digest}"
    assert [line["created_by"] for line in shown["history"]] == ["the base", "LABEL a=b", ours]
    assert [line.get("empty_layer", False) for line in shown["history"]] == [True, True, False]
    assert len(shown["rootfs"]["diff_ids"]) == 1


def test_a_database_of_apk_is_of_what_is_there(jettison: Jettison, umoci: Peer, tmp_path: Path, root: None) -> None:
    """Whole paragraphs go, and of those that stay the lines of files that are gone."""
    shell = "P:shell\nV:1\nF:bin\nM:0:0:755\nR:sh\na:0:0:755\nZ:Q1aa=\n\n"
    tool = "P:tool\nV:2\nF:usr/bin\nR:tool\n{}\n"
    dead = "P:dead\nV:3\nF:usr/share/dead\nR:book\n\n"
    database = shell + tool.format("F:usr/share/dead\nR:of-tool\n") + dead
    layer = tool_layer(file("usr/share/dead/of-tool"), file("lib/apk/db/installed", database))
    jettison("slim", "-q", str(archive(tmp_path / "fat.tar", [layer], {"Cmd": ["tool"]})), "-t", "thin")

    assert (unpacked(jettison, umoci, tmp_path) / "lib/apk/db/installed").read_text() == shell + tool.format("")


def test_a_database_of_one_file_a_package_is_of_what_is_there(
    jettison: Jettison, umoci: Peer, tmp_path: Path, root: None
) -> None:
    """As distroless images have it: status.d."""
    owned = {"shell": "bin/sh", "tool": "usr/bin/tool", "dead": "usr/share/dead/book"}
    folder = "var/lib/dpkg/status.d"
    database = [file(f"{folder}/{name}", f"Package: {name}\nVersion: 1\nArchitecture: amd64\n") for name in owned]
    database += [file(f"{folder}/{name}.md5sums", f"{'0' * 32}  {path}\n") for name, path in owned.items()]
    fat = archive(tmp_path / "fat.tar", [tool_layer(*database)], {"Cmd": ["tool"]})
    jettison("slim", "-q", str(fat), "-t", "thin")

    left = {path.name for path in (unpacked(jettison, umoci, tmp_path) / folder).iterdir()}

    assert left == {"shell", "shell.md5sums", "tool", "tool.md5sums"}


def test_more_is_kept_where_it_is_asked_for(jettison: Jettison, tmp_path: Path) -> None:
    """Another program, and a folder with all below it; --exclude takes away."""
    fat = str(archive(tmp_path / "fat.tar", [tool_layer()], {"Cmd": ["tool"]}))

    jettison("slim", "-q", fat, "-t", "more", "--entry", "other", "--include", "/usr/share", "--exclude", "/usr/share/dead")

    assert jettison("run", "more", "/usr/bin/other") == "other\n"
    assert jettison("run", "more") == "tool\n"
    assert "--include /usr/share" in jettison("why", "more", "/usr/share")
    assert jettison.call("why", "more", "/usr/share/dead/book").returncode == 1
    assert jettison.call("slim", "-q", fat, "-t", "none", "--include", "/nowhere").returncode == 1


def test_capabilities_of_files_are_kept(jettison: Jettison, umoci: Peer, tmp_path: Path, root: None) -> None:
    """They are how an image's user may bind a low port; getcap sees them."""
    capability = "\x01\0\0\x02\0\x04" + "\0" * 14  # revision 2, effective: CAP_NET_BIND_SERVICE
    shell = Path(peers.require("busybox")).read_bytes()
    server = Item("file", "usr/bin/server", shell, 0o755, pax={"SCHILY.xattr.security.capability": capability})
    fat = archive(tmp_path / "fat.tar", [tool_layer(server)], {"Cmd": ["server"]})
    jettison("slim", "-q", str(fat), "-t", "thin")

    said = peers.call([peers.require("getcap"), str(unpacked(jettison, umoci, tmp_path) / "usr/bin/server")]).stdout

    assert "cap_net_bind_service=ep" in said


def test_variables_come_to_an_image_that_has_no_settings(jettison: Jettison, tmp_path: Path) -> None:
    """Its config may be null."""
    rules = tmp_path / "rules.toml"
    rules.write_text('[tool]\nfiles = ["tool"]\nenv = { COLOUR = "blue" }\ndetail = "it asks"\nsource = "tool(1)"\n')
    fat = str(archive(tmp_path / "fat.tar", [tool_layer()], None))

    jettison("slim", "-q", fat, "-t", "thin", "--entry", "/usr/bin/tool", "--rules", str(rules))

    assert config_of(jettison, "thin")["Env"] == ["COLOUR=blue"]


MISTAKES = {
    "a program that is not there": (("--entry", "tol"), "no program `tol` in the image", "did you mean `tool`?"),
    "no set-user-id bits": (("--allow-setuid", "/usr/bin/tool"), "`/usr/bin/tool` has no set-user-id bits", "leave the flag out"),
    "a file that is not there": (("--allow-setuid", "/usr/bin/sudo"), "`/usr/bin/sudo` is not there", "leave the flag out"),
    "an empty path": (("--include", ""), "`--include` needs a path in the image", ""),
    "an empty pattern": (("--exclude", ""), "`--exclude` needs a path in the image", ""),
    "a report nowhere": (("--report", "/nowhere/report"), "No such file or directory: `/nowhere/report`", ""),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistaken_flag_is_told_and_no_image_made(jettison: Jettison, tmp_path: Path, mistake: str) -> None:
    """Each names the thing and the next move."""
    flags, message, hint = MISTAKES[mistake]
    fat = str(archive(tmp_path / "fat.tar", [tool_layer()], {"Cmd": ["tool"]}))

    answer = jettison.call("slim", "-q", fat, "-t", "thin", *flags)

    assert answer.returncode != 0
    assert message in answer.stderr
    assert hint in answer.stderr
    assert jettison("images", "-q") == ""


def test_a_report_that_is_there_stays_where_slim_fails(jettison: Jettison, tmp_path: Path) -> None:
    """A new one is not left empty."""
    fat = str(archive(tmp_path / "fat.tar", [tool_layer()], {"Cmd": ["tool"]}))
    (tmp_path / "old").write_text("kept")
    for name in ("old", "new"):
        jettison.call("slim", "-q", fat, "-t", "thin", "--entry", "nothing", "--report", str(tmp_path / name))

    assert (tmp_path / "old").read_text() == "kept"
    assert not (tmp_path / "new").exists()

    jettison("slim", "-q", fat, "-t", "thin", "--report", str(tmp_path / "old"))
    assert json.loads((tmp_path / "old").read_text())["reference"] == "thin:latest"


def test_the_first_day_of_1970_is_a_date(jettison: Jettison, umoci: Peer, tmp_path: Path, root: None) -> None:
    """As reproducible builds of others give it."""
    old = Item("file", "usr/bin/tool", "#!/bin/sh\n", 0o755, mtime=0)
    fat = archive(tmp_path / "fat.tar", [tool_layer(old)], {"Cmd": ["tool"]})
    jettison("slim", "-q", str(fat), "-t", "thin")

    assert (unpacked(jettison, umoci, tmp_path) / "usr/bin/tool").stat().st_mtime == 0


def test_what_was_removed_first_is_known_after_a_second_slim(jettison: Jettison, fat: Path) -> None:
    """Nobody can look into the fat image any more."""
    jettison("slim", "-q", str(fat), "-t", "thin")
    jettison("slim", "-q", "thin", "-t", "thinner", "--exclude", "/data")

    assert "belongs to the package docs 3" in jettison("why", "--not", "thinner", "/usr/share/doc/book")
    assert jettison.call("why", "--not", "thinner", "/data/seed").returncode == 0


def test_a_package_without_checksums_gets_none(thin: Path, root: None) -> None:
    """dpkg takes an empty list for one of no files."""
    lists = {path.name for path in (thin / "var/lib/dpkg/info").iterdir()}

    assert lists == {"shell.list", "app.list", "app.md5sums"}


@pytest.mark.parametrize("form", ["docker", "oci"])
@pytest.mark.parametrize("megabytes", [0, 9])  # a large layer is compared beside the work
def test_a_changed_layer_is_refused(jettison: Jettison, tmp_path: Path, form: str, megabytes: int) -> None:
    """By one byte, in a file that nobody reads; of an uncompressed layer, whose digest is that of its archive."""
    layer = tool_layer(file("usr/share/dead/large", b"x" * (megabytes << 20) + b"the byte: a"))
    fat = archive(tmp_path / "fat.tar", [layer], {"Cmd": ["tool"]})
    if form == "oci":
        jettison("load", "-q", "-i", str(fat))
        jettison("save", "-q", "fat:1", "-o", str(tmp_path / "fat.oci"), "--format", "oci-dir")
        fat = tmp_path / "fat.oci"
        jettison("rmi", "fat:1")
    files = [fat] if fat.is_file() else [path for path in (fat / "blobs/sha256").iterdir() if path.stat().st_size > 8000]
    for path in files:
        data = path.read_bytes()
        assert b"the byte: a" in data
        path.write_bytes(data.replace(b"the byte: a", b"the byte: b"))

    for verb in (("slim", "-q", str(fat), "-t", "thin"), ("weigh", str(fat)), ("why", str(fat), "/usr/bin/tool")):
        answer = jettison.call(*verb)
        assert answer.returncode != 0
        assert "sha256:" in answer.stderr
        assert "expected" in answer.stderr or "says" in answer.stderr
    assert jettison("images", "-q") == ""
