"""Numbers and names at the edges of what the kernel takes: refused before anything is started, never cut to something else."""

import pytest

from worlds import World

EDGES = ("2147483648", "4294967295", "4294967296", "9223372036854775807", "9223372036854775808", "18446744073709551616", "-2",
         "-2147483649", "1e400", "nan", "inf", "0x10", "٣", "", " 1", "1 ", "1_000")  # fmt: skip
# What may be said of each, as it means what it says: an amount of bytes or files that no machine has is no limit.
MEANT = {
    "--memory": {"2147483648", "4294967295", "4294967296", "9223372036854775807"},
    "--memory-swap": set[str](),
    "--pids-limit": set[str](),
    "--cpus": set[str](),
    "--cpuset-cpus": set[str](),
    "--oom-score-adj": {"-2"},
    "--shm-size": {"2147483648", "4294967295", "4294967296", "9223372036854775807"},
    "--ulimit": {"2147483648", "4294967295", "4294967296", "9223372036854775807"},
    "--user": {"2147483648"},
    "--group-add": {"2147483648"},
}


@pytest.mark.parametrize("flag", MEANT)
def test_numbers_out_of_range_are_refused(world: World, flag: str) -> None:
    """In the words of an error, before the first step of the start (R26)."""
    for number in EDGES:
        value = f"core={number}" if flag == "--ulimit" else number
        done = world.call(f"{flag}={value}", "--limits=best-effort", "--explain", "box", "true")

        told = number == "" or done.returncode == 0
        assert done.returncode in (0, 125) and "internal error" not in done.stderr, (number, done.stderr)
        assert not told or number in ("", *MEANT[flag]) or number.strip() != number, (flag, number, done.stdout)


@pytest.mark.parametrize("user", ["2147483648", "4294967294", "2147483648:2147483648"])
def test_large_users_are_themselves(world: World, user: str) -> None:
    """Not root, not somebody else: the number arrives whole, or the world cannot have it and says so (R15)."""
    done = world.call("-u", user, "box", "grep", "^Uid", "/proc/self/status")

    assert done.returncode == 125 or done.stdout.split()[1] == user.partition(":")[0], done.stderr


NAMES = ("../x", "a/../../b", "..", ".", "-x", "a/b", "a\nb", "x" * 300, "/etc", "é", "a b", "~", "$(id)")
FLAGS = {
    "--name": "--name={}",
    "--secret": "--secret=id={},env=HOME",
    "--volume": "--volume={}:/v",
    "--mount": "--mount=type=volume,source={},target=/v",
}
# Such a word for a volume is a folder of the machine, as in docker.
IS_FOLDER = {("--volume", name) for name in NAMES if name.startswith(("/", "."))}


@pytest.mark.parametrize("flag", FLAGS)
def test_names_lead_nowhere(world: World, flag: str) -> None:
    """A container's, a secret's and a volume's are one file name each (R39, R44)."""
    before = sorted(path.name for path in world.store.iterdir())

    for name in NAMES:
        if (flag, name) not in IS_FOLDER:
            done = world.call(FLAGS[flag].format(name), "box", "true")
            assert (done.returncode, done.stderr.startswith("error: ")) == (125, True), (name, done.stderr)

    assert [path.name for path in world.store.iterdir() if path.name not in (*before, "names", "containers")] == []
    assert list(world.store.glob("names/*")) == list(world.store.glob("containers/*")) == []
    assert not (world.store.parent / "x").exists()
