"""pack: from a program to an image, as a user calls it."""

import gzip
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

import programs
from peers import Jettison


def packed(jettison: Jettison, *arguments: str) -> dict[str, Any]:
    """Pack and give what `--json` says."""
    value: dict[str, Any] = json.loads(jettison("pack", "--json", "--explain", *arguments))
    return value


def layer(jettison: Jettison, result: dict[str, Any]) -> bytes:
    """The tar bytes of the image's only layer."""
    (only,) = result["layers"]
    data = (jettison.store / "blobs/sha256" / only["digest"].removeprefix("sha256:")).read_bytes()
    return gzip.decompress(data)


def members(jettison: Jettison, result: dict[str, Any]) -> dict[str, tarfile.TarInfo]:
    """The layer's entries by name."""
    with tarfile.open(fileobj=BytesIO(layer(jettison, result))) as archive:
        return {f"/{member.name}": member for member in archive}


@pytest.mark.parametrize(("flags", "limit"), [(["--bare"], 4 << 10), ([], 16 << 10)])
def test_a_static_program_is_shipped_with_next_to_nothing(
    jettison: Jettison, tmp_path: Path, flags: list[str], limit: int
) -> None:
    """The layer is the binary and a few small files."""
    program = programs.static_hello(tmp_path)

    result = packed(jettison, *flags, str(program))

    assert len(layer(jettison, result)) - program.stat().st_size <= limit
    assert members(jettison, result)["/hello"].size == program.stat().st_size


def test_bare_means_the_closure_and_nothing_else(jettison: Jettison, tmp_path: Path) -> None:
    """Not even a folder."""
    assert set(members(jettison, packed(jettison, "--bare", str(programs.static_hello(tmp_path))))) == {"/hello"}


def test_what_every_program_expects_is_there_with_its_reason(jettison: Jettison, tmp_path: Path) -> None:
    """Accounts, /tmp, and the places where a runtime mounts."""
    result = packed(jettison, str(programs.static_hello(tmp_path)))

    found = members(jettison, result)
    assert found["/tmp"].mode == 0o1777
    assert {"/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/proc", "/sys", "/dev"} <= set(found)
    files = {path for path, member in found.items() if not member.isdir()}
    assert files <= set(result["reasons"])


def test_a_private_library_lies_beside_its_program(jettison: Jettison, tmp_path: Path) -> None:
    """`$ORIGIN/../lib` of `/greet` is `/lib`, and the loader of the image finds it there by the same rule."""
    program = programs.with_private_library(tmp_path)

    result = packed(jettison, str(program))

    found = members(jettison, result)
    library = next(path for path in found if path.endswith("libgreeting.so.1"))
    assert library in ("/lib/libgreeting.so.1", "/usr/lib/libgreeting.so.1")
    assert "$ORIGIN/../lib" in json.dumps(result["reasons"][library])
    assert str(tmp_path) not in json.dumps(result["reasons"])


def test_a_program_of_the_system_keeps_its_path_and_its_links(jettison: Jettison) -> None:
    """A merged /usr stays merged: /lib64 is a link as it is here."""
    result = packed(jettison, "/bin/sort")

    found = members(jettison, result)
    here = os.path.realpath("/bin/sort")
    assert here in found
    for folder in ("/bin", "/lib", "/lib64"):
        if folder in found and os.path.islink(folder):
            assert (found[folder].type, found[folder].linkname) == (tarfile.SYMTYPE, os.readlink(folder))


def test_a_script_brings_its_interpreter(jettison: Jettison, tmp_path: Path) -> None:
    """`#!/usr/bin/env -S sh -e` needs env, and the sh that env finds."""
    script = tmp_path / "greet.sh"
    script.write_text("#!/usr/bin/env -S sh -e\necho hi\n")
    script.chmod(0o755)

    reasons = packed(jettison, str(script))["reasons"]

    assert reasons["/greet.sh"][0]["kind"] == "entry"
    assert "/usr/bin/env" in reasons
    assert any(path.rpartition("/")[2] in ("sh", "dash", "bash") for path in reasons)
    assert "libc" in json.dumps(sorted(reasons))


def test_a_library_that_is_not_there_is_named_with_who_wants_it_and_where_it_was_looked_for(
    jettison: Jettison, tmp_path: Path
) -> None:
    """No image is made of a program that cannot start."""
    program = programs.with_private_library(tmp_path)
    shutil.rmtree(tmp_path / "lib")

    done = jettison.call("pack", str(program))

    assert done.returncode == 1
    assert "libgreeting.so.1" in done.stderr
    assert str(program) in done.stderr
    assert f"{tmp_path}/bin/../lib" in done.stderr
    assert "Traceback" not in done.stderr
    assert jettison("images", "-q") == ""


def test_a_symbol_version_that_is_lacking_is_reported(jettison: Jettison, tmp_path: Path) -> None:
    """The library is there, too old: the version, who needs it and which file lacks it."""
    script = tmp_path / "v2.map"
    script.write_text("GREETING_2 { global: greeting; };\n")
    new = programs.build(
        tmp_path, "lib/libgreeting.so.1", programs.GREET, "-shared", "-fPIC", "-Wl,-soname,libgreeting.so.1",
        f"-Wl,--version-script={script}",
    )  # fmt: skip
    program = programs.build(tmp_path, "bin/greet", programs.CALLER, str(new), "-Wl,-rpath,$ORIGIN/../lib")
    script.write_text("GREETING_1 { global: greeting; };\n")
    programs.build(
        tmp_path, "lib/libgreeting.so.1", programs.GREET, "-shared", "-fPIC", "-Wl,-soname,libgreeting.so.1",
        f"-Wl,--version-script={script}",
    )  # fmt: skip

    done = jettison.call("pack", str(program))

    assert done.returncode == 1
    assert "GREETING_2" in done.stderr
    assert "libgreeting.so.1" in done.stderr


def test_included_files_lie_beside_the_program_or_where_they_are_told(jettison: Jettison, tmp_path: Path) -> None:
    """Beside the program by their place relative to it; elsewhere by name; or at the path that is given."""
    program = programs.static_hello(tmp_path / "app")
    (tmp_path / "app/data").mkdir()
    (tmp_path / "app/data/words").write_text("a")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/conf").write_text("b")
    (tmp_path / "elsewhere/link").symlink_to("conf")

    (tmp_path / "app.conf").write_text("c")

    includes = [str(tmp_path / "app/data"), str(tmp_path / "elsewhere"), f"{tmp_path}/app.conf:/etc/app/conf"]
    result = packed(jettison, *(f"--include={path}" for path in includes), "--exclude=*.c", str(program))

    found = members(jettison, result)
    assert {"/data/words", "/elsewhere/conf", "/etc/app/conf"} <= set(found)
    assert (found["/elsewhere/link"].type, found["/elsewhere/link"].linkname) == (tarfile.SYMTYPE, "conf")
    assert result["reasons"]["/data/words"][0]["kind"] == "kept"


def test_excluded_paths_are_left_out(jettison: Jettison, tmp_path: Path) -> None:
    """By path, by folder and by pattern."""
    program = programs.static_hello(tmp_path)
    for name in ("data/a.txt", "data/b.log", "data/cache/c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")

    result = packed(jettison, f"--include={tmp_path}/data", "--exclude=*.log", "--exclude=/data/cache", str(program))

    found = set(members(jettison, result))
    assert "/data/a.txt" in found
    assert not {"/data/b.log", "/data/cache", "/data/cache/c"} & found


def test_the_configuration_says_what_was_asked_for(jettison: Jettison, tmp_path: Path) -> None:
    """Entry point, arguments, environment, user, folder, ports, labels; labels are annotations too."""
    program = programs.static_hello(tmp_path)

    jettison(
        "pack", "-t", "team/app:2", "-e", "MODE=fast", "--user", "nonroot", "-w", "/srv",
        "--expose", "8080", "--expose", "53/udp", "--label", "org.opencontainers.image.title=App",
        str(program), "--", "serve", "--verbose",
    )  # fmt: skip

    (image,) = json.loads(jettison("inspect", "team/app:2"))
    config = image["Config"]
    assert config["Entrypoint"] == ["/hello"]
    assert config["Cmd"] == ["serve", "--verbose"]
    assert "MODE=fast" in config["Env"]
    assert any(item.startswith("PATH=/") for item in config["Env"])
    assert (config["User"], config["WorkingDir"]) == ("nonroot", "/srv")
    assert set(config["ExposedPorts"]) == {"8080/tcp", "53/udp"}
    assert config["Labels"] == {"org.opencontainers.image.title": "App"}
    assert image["Manifest"]["annotations"]["org.opencontainers.image.title"] == "App"


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_every_compression_gives_the_same_layer(jettison: Jettison, tmp_path: Path, compression: str) -> None:
    """The diff id is that of the tar bytes, whatever is around them, and the image runs."""
    program = programs.static_hello(tmp_path)
    plain = packed(jettison, "--compression=none", "-t", "plain", str(program))

    result = packed(jettison, f"--compression={compression}", "-t", "other", str(program))

    assert result["layers"][0]["diffId"] == plain["layers"][0]["digest"]
    assert jettison("run", "other") == "hello\n"


def test_a_root_elsewhere_is_packed_without_executing_anything(jettison: Jettison, tmp_path: Path) -> None:
    """With --root every path is the root's own; its links do not lead to this machine."""
    root = tmp_path / "root"
    program = programs.static_hello(root / "opt/app")
    program.rename(root / "opt/app/server")
    (root / "usr").mkdir()
    (root / "usr/bin").symlink_to("/opt/app")

    result = packed(jettison, "--root", str(root), "/usr/bin/server")

    found = members(jettison, result)
    assert {"/usr/bin", "/opt/app/server"} <= set(found)


def test_quiet_leaves_the_answer_alone(jettison: Jettison, tmp_path: Path) -> None:
    """So that calls chain: jettison run $(jettison pack -q ./app)."""
    done = jettison.call("pack", "-q", str(programs.static_hello(tmp_path)))

    assert (done.stdout, done.stderr) == ("hello:latest\n", "")


def test_set_user_id_bits_do_not_travel(jettison: Jettison, tmp_path: Path) -> None:
    """Nothing in a packed image gains rights by being executed."""
    program = programs.static_hello(tmp_path)
    program.chmod(0o6755)

    assert members(jettison, packed(jettison, str(program)))["/hello"].mode == 0o755


NOTE = r"""
#include <stdint.h>
#define TEXT \
    "[{\"feature\":\"gz\",\"description\":\"compression\",\"priority\":\"PRIORITY\",\"soname\":[\"libnone.so.9\",\"libz.so.1\"]}]"
__attribute__((used, section(".note.dlopen"), aligned(4))) static const struct {
    uint32_t name_size, text_size, type; char name[4]; char text[sizeof(TEXT)];
} note = {4, sizeof(TEXT), 0x407c0c0a, "FDO", TEXT};
int main(void) { return 0; }
"""


@pytest.mark.parametrize(("priority", "is_there"), [("required", True), ("recommended", True), ("suggested", False)])
def test_a_library_that_a_program_says_it_opens_comes_along(
    jettison: Jettison, tmp_path: Path, priority: str, is_there: bool
) -> None:
    """`.note.dlopen`: the first soname of the list that is there, unless it is only a suggestion."""
    program = programs.build(tmp_path, "app", NOTE.replace("PRIORITY", priority))

    reasons = packed(jettison, str(program))["reasons"]

    found = [reasons[path][0] for path in reasons if path.endswith("/libz.so.1")]
    assert bool(found) == is_there
    if is_there:
        assert (found[0]["kind"], found[0]["by"]) == ("dlopen", "/app")
        assert priority in found[0]["detail"]


def test_a_library_that_only_the_cache_leads_to_gets_a_cache(jettison: Jettison, tmp_path: Path) -> None:
    """ld.so would not search /srv/libs by itself: the image gets an ld.so.cache of that library alone, and its program runs."""
    root = tmp_path / "root"
    library = programs.build(
        root, "srv/libs/libgreeting.so.1", programs.GREET, "-shared", "-fPIC", "-Wl,-soname,libgreeting.so.1"
    )
    program = programs.build(root, "usr/bin/greet", programs.CALLER, str(library))
    for path in (path for path in packed(jettison, "-t", "host", "/bin/true")["reasons"] if "/ld-" in path or "/libc." in path):
        (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, root / path[1:])
    for link in ("lib", "lib64"):
        if Path("/", link).is_symlink():
            (root / link).symlink_to(os.readlink(f"/{link}"))
    (root / "etc").mkdir()
    (root / "etc/ld.so.conf").write_text("/srv/libs\n")

    result = packed(jettison, "-t", "greet", "--root", str(root), f"/usr/bin/{program.name}")

    assert result["reasons"]["/etc/ld.so.cache"][0]["kind"] == "rule"
    assert "ld.so.cache" in json.dumps(result["reasons"]["/srv/libs/libgreeting.so.1"])
    assert jettison("run", "greet") == "hello from a library\n"


def test_a_program_that_asks_for_a_locale_gets_one(jettison: Jettison) -> None:
    """`sort` imports setlocale: where the system has C.UTF-8, the image has it too, and LANG says so."""
    reasons = packed(jettison, "-t", "sort", "/usr/bin/sort")["reasons"]

    if Path("/usr/lib/locale/C.utf8").is_dir():
        assert "/usr/lib/locale/C.utf8/LC_CTYPE" in reasons
        assert "LANG=C.UTF-8" in json.loads(jettison("inspect", "sort"))[0]["Config"]["Env"]


def test_a_folder_that_a_search_path_leads_through_is_kept(jettison: Jettison, tmp_path: Path) -> None:
    """`$ORIGIN/plugins/../lib` needs the folder plugins, though nothing is taken from it."""
    library = programs.build(tmp_path, "lib/libgreeting.so.1", programs.GREET, "-shared", "-fPIC", "-Wl,-soname,libgreeting.so.1")
    (tmp_path / "plugins").mkdir()
    program = programs.build(tmp_path, "greet", programs.CALLER, str(library), "-Wl,-rpath,$ORIGIN/plugins/../lib")

    result = packed(jettison, str(program))

    assert members(jettison, result)["/plugins"].isdir()
    assert jettison("run", "greet") == "hello from a library\n"


def test_a_broken_library_among_included_files_is_shipped_as_it_is(jettison: Jettison, tmp_path: Path) -> None:
    """What nothing starts need not be whole."""
    program = programs.static_hello(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/broken.so").write_bytes(Path("/proc/self/exe").read_bytes()[:4000])

    result = packed(jettison, f"--include={tmp_path}/data", str(program))

    assert members(jettison, result)["/data/broken.so"].size == 4000


def test_file_capabilities_travel(jettison: Jettison, tmp_path: Path, root: None, require: Callable[[str], str]) -> None:
    """They are the program's own; owners and the user's attributes are not."""
    program = programs.static_hello(tmp_path)
    subprocess.run([require("setcap"), "cap_net_raw=p", str(program)], check=True)
    os.setxattr(program, "user.note", b"mine")

    headers = members(jettison, packed(jettison, str(program)))["/hello"].pax_headers

    assert set(headers) == {"SCHILY.xattr.security.capability"}


def test_a_name_in_a_strangers_file_cannot_forge_a_message(jettison: Jettison, tmp_path: Path) -> None:
    """A line break in the name of a library stays on its line."""
    program = programs.with_private_library(tmp_path)
    program.write_bytes(program.read_bytes().replace(b"libgreeting.so.1", b"\nerror: you.so"[:16].ljust(16, b"x")))

    done = jettison.call("pack", str(program))

    assert done.returncode == 1
    assert sum(line.startswith("error:") for line in done.stderr.splitlines()) == 1


def test_a_link_of_the_system_into_a_private_folder_leads_there_in_the_image(jettison: Jettison, tmp_path: Path) -> None:
    """`/usr/bin/greet → /home/me/app/hello`: an absolute link must not end in nothing."""
    root = tmp_path / "root"
    programs.static_hello(root / "home/me/app")
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/greet").symlink_to("/home/me/app/hello")

    packed(jettison, "--root", str(root), "greet")

    assert jettison("run", "greet") == "hello\n"


def test_what_the_kernel_would_not_execute_is_refused(jettison: Jettison, tmp_path: Path) -> None:
    """A shell would run it, a container would not."""
    script = tmp_path / "app"
    script.write_text("echo hello\n")
    script.chmod(0o755)

    done = jettison.call("pack", str(script))

    assert done.returncode == 1
    assert "neither an ELF program nor a script" in done.stderr
