"""What a program's names bring: by whom a path is shipped, and what the program can do with it."""

from collections.abc import Mapping, Sequence

import pytest

from elves import make_elf
from jettison.closure.choices import Choices, Level
from jettison.closure.resolve import resolve
from jettison.closure.why import Closure, Need, Reason
from jettison.tree.node import Node, made_dir, made_file, made_symlink
from jettison.tree.root import Tree, parents
from making import setting

LIBC = "/usr/lib/x86_64-linux-gnu/libc.so.6"
PACKAGES = {
    "app": ("libc6, app-data", ["/usr/bin/app", "/usr/lib/app", "/usr/lib/app/helper", "/etc/app.conf", "/etc/init.d/app"]),
    "app-data": ("", ["/usr/share/words", "/usr/share/words/list", "/usr/share/words/examples/one", "/usr/share/words/secret"]),
    "other": ("", ["/usr/share/words", "/usr/share/words/more", "/usr/bin/other", "/usr/share/other.txt"]),
    "libc6": ("", [LIBC]),
    "libextra1": ("", ["/usr/lib/x86_64-linux-gnu/libextra.so.1"]),
}


def root(strings: Sequence[str], imports: Sequence[str] = (), extra: Mapping[str, Node] | None = None) -> Tree:
    """A machine with a program that has these strings in its data and imports these functions."""
    program = make_elf(needed=["libc.so.6"], imports=imports) + "\0".join(["", *strings, ""]).encode()
    nodes = {path: made_file(b"data") for _, files in PACKAGES.values() for path in files}
    nodes |= {
        "/usr/bin/app": made_file(program, 0o755),
        "/usr/bin/other": made_file(make_elf(), 0o755),
        "/usr/lib/app/helper": made_file(make_elf(), 0o755),
        "/usr/lib/app": made_dir(),
        "/usr/share/words": made_dir(),
        "/usr/share/words/secret": made_file(b"key", 0o600),
        LIBC: made_file(make_elf(soname="libc.so.6")),
        "/usr/lib/x86_64-linux-gnu/libextra.so.1": made_file(make_elf(soname="libextra.so.1")),
        "/usr/bin/dash": made_file(make_elf(), 0o755),
        "/usr/bin/sh": made_symlink("dash"),
        "/bin": made_symlink("usr/bin"),
        "/etc/alternatives/other": made_symlink("/usr/bin/other"),
        "/usr/bin/either": made_symlink("/etc/alternatives/other"),
        "/usr/share/loose": made_file(b""),
        **(extra or {}),
    }
    status = [
        f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\nDepends: {depends}\n"
        + ("Conffiles:\n /etc/app.conf 0\n /etc/init.d/app 0\n" if name == "app" else "")
        for name, (depends, _) in PACKAGES.items()
    ]
    nodes["/var/lib/dpkg/status"] = made_file("\n".join(status).encode())
    for name, (_, files) in PACKAGES.items():
        nodes[f"/var/lib/dpkg/info/{name}.list"] = made_file("\n".join(["/.", *files, ""]).encode())
    folders = {folder: made_dir() for path in nodes for folder in parents(path)}
    return Tree({**folders, **nodes})


def closure(tree: Tree, level: Level = "balanced", shell: str = "none") -> Closure:
    """The closure of the program."""
    entry = Need("/usr/bin/app", Reason("entry", "", "the program"))
    return resolve(tree, [entry], setting(tree, Choices(level, shell=shell)))


def test_a_named_folder_brings_what_the_package_and_its_dependencies_ship_in_it() -> None:
    """Not their examples, nothing that only some may read, and what others put there only where hints count."""
    tree = root(["/usr/share/words"])

    balanced, safe = closure(tree), closure(tree, "safe")

    assert [path for path in balanced.reasons if path.startswith("/usr/share/words/")] == ["/usr/share/words/list"]
    reason = balanced.reasons["/usr/share/words/list"][0]
    assert reason.kind == "string"
    assert reason.detail == "`/usr/share/words` in its data, of app-data 1, which its package depends on"
    assert {path for path in safe.reasons if path.startswith("/usr/share/words/")} == {
        "/usr/share/words/list",
        "/usr/share/words/more",
    }
    assert "/usr/share/words/list" not in closure(tree, "minimal")


def test_a_named_file_of_others_is_a_hint() -> None:
    """A program that names it may do well without."""
    tree = root(["/usr/share/other.txt", "/usr/share/loose"])

    assert "/usr/share/other.txt" not in closure(tree)
    assert {"/usr/share/other.txt", "/usr/share/loose"} <= set(closure(tree, "safe").reasons)


@pytest.mark.parametrize(
    ("name", "imports", "level"),
    [
        ("/usr/bin/other", ["execv"], "balanced"),
        ("/usr/bin/other", ["g_spawn_async"], "balanced"),
        ("/usr/bin/other", ["open"], "safe"),
        ("/usr/bin/either", ["execv"], "safe"),
    ],
)
def test_a_named_program_comes_with_what_starts_it(name: str, imports: list[str], level: Level) -> None:
    """Of alternatives the machine's owner chose one, which says nothing of what the program needs."""
    tree = root([name], imports)

    assert ("/usr/bin/other" in closure(tree)) == (level == "balanced")
    assert "/usr/bin/other" in closure(tree, "safe")


def test_helpers_come_with_their_folder() -> None:
    """A folder of the program's own package."""
    assert "/usr/lib/app/helper" in closure(root(["/usr/lib/app"]))


def test_a_library_that_is_opened_by_name() -> None:
    """Only where the program can open it, and the linker finds it."""
    names = ["libextra.so.1", "libabsent.so.1"]

    found = closure(root(names, ["dlopen"]))

    reason = found.reasons["/usr/lib/x86_64-linux-gnu/libextra.so.1"][0]
    assert (reason.kind, reason.confidence) == ("string", "likely")
    assert "dlopen" in reason.detail
    assert not [item for item in found.missing if "absent" in item.name]
    assert "/usr/lib/x86_64-linux-gnu/libextra.so.1" not in closure(root(names))


def test_a_library_opens_for_few_what_its_package_does_not_depend_on() -> None:
    """libselinux opens libsepol to load a policy; no program that loads libselinux needs it."""
    path = "/usr/lib/x86_64-linux-gnu/libmiddle.so.1"
    library = make_elf(soname="libmiddle.so.1", imports=["dlopen"]) + b"\0libextra.so.1\0"
    program = make_elf(needed=["libmiddle.so.1"])
    tree = root([], extra={"/usr/bin/app": made_file(program, 0o755), path: made_file(library)})
    owned = tree.nodes["/var/lib/dpkg/info/libc6.list"]
    nodes = dict(tree.nodes) | {"/var/lib/dpkg/info/libc6.list": owned._replace(content=made_file(f"{path}\n".encode()).content)}

    assert "/usr/lib/x86_64-linux-gnu/libextra.so.1" not in closure(Tree(nodes))
    assert "/usr/lib/x86_64-linux-gnu/libextra.so.1" in closure(Tree(nodes), "safe")


def test_the_package_of_a_program_brings_its_settings() -> None:
    """Those that are for the program itself; where hints count, all that the package ships but other programs."""
    tree = root([], extra={"/usr/lib/app/link": made_symlink("helper")})
    files = made_file("\n".join([*PACKAGES["app"][1], "/usr/lib/app/link"]).encode())
    tree = Tree({**tree.nodes, "/usr/lib/app": made_dir(), "/var/lib/dpkg/info/app.list": files})

    found = closure(tree)

    reason = found.reasons["/etc/app.conf"][0]
    assert (reason.kind, reason.detail) == ("package", "configuration file of app 1, the package of /usr/bin/app")
    assert "/etc/init.d/app" not in found
    assert "/etc/init.d/app" in closure(tree, "safe")


def test_a_program_that_its_package_ships_needs_a_name() -> None:
    """Whoever starts openssl(1) does not start c_rehash(1), with all of Perl, that lies beside it; nor by a link."""
    extra = {"/usr/sbin/app-admin": made_file(b"#!/usr/bin/other\n", 0o755), "/usr/sbin/app-link": made_symlink("app-admin")}
    files = made_file("\n".join([*PACKAGES["app"][1], *extra]).encode())
    tree = Tree({**root([], extra=extra).nodes, "/var/lib/dpkg/info/app.list": files})
    named = Tree({**root(["app-admin"], ["execvp"], extra).nodes, "/var/lib/dpkg/info/app.list": files})

    assert {*extra, "/usr/bin/other"}.isdisjoint(closure(tree, "safe").reasons)
    assert {"/usr/sbin/app-admin", "/usr/bin/other"} <= set(closure(named, "safe").reasons)


def test_a_folder_of_a_languages_modules_is_not_brought_for_being_named() -> None:
    """perl names where it looks for modules; which of them a script wants, the script says."""
    modules = "/usr/share/perl5"
    extra = {modules: made_dir(), f"{modules}/Large.pm": made_file(b"1;")}

    assert f"{modules}/Large.pm" not in closure(root([modules], extra=extra), "safe")


def test_the_name_of_a_function_is_no_programs_name() -> None:
    """pam_getenv(3) stands in the data of who calls it, and pam_getenv(1) is a script in Perl."""
    extra = {"/usr/bin/app-call": made_file(b"", 0o755)}
    files = made_file("\n".join([*PACKAGES["app"][1], *extra]).encode())
    tree = Tree({**root(["app-call"], ["execvp", "app-call"], extra).nodes, "/var/lib/dpkg/info/app.list": files})

    assert "/usr/bin/app-call" not in closure(tree, "safe")


def test_a_folder_of_others_brings_neither_programs_nor_much() -> None:
    """That a folder is named says little: not that its programs are started, and nothing of what a language keeps there."""
    words = "/usr/share/words"
    extra = {f"{words}/tool": made_file(b"#!/bin/sh\n", 0o755), f"{words}/link": made_symlink("tool")}
    extra |= {f"{words}/mask": made_symlink("/dev/null"), "/dev/null": Node("char", 0o666)}
    large = {f"{words}/large": made_file(bytes(9 << 20))}

    few, many = closure(root([words], extra=extra), "safe"), closure(root([words], extra=large), "safe")

    assert f"{words}/more" in few
    assert {*extra}.isdisjoint(few.reasons)
    assert f"{words}/more" not in many
    assert f"{words}/list" in many


def test_a_folder_with_the_programs_name_brings_its_data() -> None:
    """Programs beside data are for people, those in /usr/lib a hint: whatever starts them names them."""
    folder, helpers = "/usr/share/app", "/usr/libexec/app"
    tool = made_file(b"#!/bin/sh\n", 0o755)
    extra = {folder: made_dir(), f"{folder}/data": made_file(b""), f"{folder}/tool": tool}
    extra |= {helpers: made_dir(), f"{helpers}/tool": tool}
    tree = root([], extra=extra)
    files = "\n".join([*PACKAGES["app"][1], *extra])
    nodes = dict(tree.nodes) | {"/var/lib/dpkg/info/app.list": made_file(files.encode())}

    balanced, safe = closure(Tree(nodes)), closure(Tree(nodes), "safe")

    assert f"{folder}/data" in balanced
    assert f"{folder}/tool" not in safe
    assert f"{helpers}/tool" not in balanced
    assert f"{helpers}/tool" in safe


@pytest.mark.parametrize(("shell", "expected"), [("auto", True), ("none", False)])
def test_a_program_that_calls_system_has_a_shell(shell: str, expected: bool) -> None:
    """The Root's own /bin/sh, unless the user wants none."""
    assert ("/usr/bin/dash" in closure(root([], ["system"]), shell=shell)) == expected


def test_a_chosen_shell_is_bin_sh() -> None:
    """Also where nothing asks for one."""
    found = closure(root([]), shell="/usr/bin/other")

    assert "/usr/bin/other" in found
    assert found.made["/usr/bin/sh"].target == "/usr/bin/other"
    assert "/bin" in found


def test_a_hint_of_what_only_a_hint_brought_is_none() -> None:
    """It would lead on to half of the Root; what is likely for a program that a hint brought comes along, so that it works."""
    other = make_elf(needed=["libc.so.6"], imports=["system"]) + b"\0/usr/share/loose\0/usr/share/other.txt\0"
    extra = {"/usr/bin/other": made_file(other, 0o755), "/usr/share/other.txt": made_file(b"text")}
    tree = root(["/usr/bin/other"], extra=extra)

    found = closure(tree, "safe")

    assert "/usr/bin/other" in found
    assert "/usr/share/other.txt" in found
    assert "/usr/share/loose" not in found
    assert [link.path for link in found.why("/usr/share/other.txt")] == ["/usr/share/other.txt", "/usr/bin/other", "/usr/bin/app"]


@pytest.mark.parametrize(
    ("text", "imports", "expected"),
    [
        ("other -q %s", ["popen"], True),
        ("other -q %s", ["open"], False),
        ("other %s", ["popen"], False),
        ("other '%s' > '%s'", ["popen"], True),
        ('other "%s" 2>/dev/null', ["popen"], True),
        ("other < %s", ["popen"], True),
        ('other "%s" is too long', ["popen"], False),
        ("other '%s': %s", ["popen"], False),
        ("other <from> to <to>", ["popen"], False),
        ("other <= limit", ["popen"], False),
        ("other", ["execvp"], False),
        ("own", ["execvp"], True),
    ],
)
def test_bare_names_of_commands_are_hints(text: str, imports: list[str], expected: bool) -> None:
    """Of a command line, and words that stand alone where they are programs of the program's own package or its dependencies."""
    program = made_file(make_elf(), 0o755)
    tree = root([text], imports, {"/usr/bin/own": program})
    files = made_file("\n".join([*PACKAGES["app-data"][1], "/usr/bin/own"]).encode())
    tree = Tree({**tree.nodes, "/var/lib/dpkg/info/app-data.list": files})

    name = text.partition(" ")[0]
    assert (f"/usr/bin/{name}" in closure(tree, "safe")) == expected
    assert f"/usr/bin/{name}" not in closure(tree)


def test_programs_in_a_folder_of_another_package_are_hints() -> None:
    """Its libraries are plugins, and come along."""
    extra = {"/usr/share/words/list": made_file(b"#!/bin/sh\n", 0o755), "/usr/share/words/x.so": made_file(make_elf(), 0o755)}
    tree = root(["/usr/share/words"], extra=extra)
    files = made_file("\n".join([*PACKAGES["app-data"][1], "/usr/share/words/x.so"]).encode())
    tree = Tree({**tree.nodes, "/var/lib/dpkg/info/app-data.list": files})

    assert "/usr/share/words/list" not in closure(tree)
    assert "/usr/share/words/list" in closure(tree, "safe")
    assert "/usr/share/words/x.so" in closure(tree)
