"""Who a container runs as."""

import pytest

from jettison.errors import InvalidData
from jettison.image.accounts import Account, find_account

PASSWD = """root:x:0:5:root:/root:/bin/sh
bob:x:1000:1001:Bob:/home/bob:/bin/sh
homeless:x:1002:1002::
brief:x
bad:x:abc:0::/:
huge:x:4294967296:0::/:
minus:x:-1:0::/:
"""
GROUP = """root:x:0:
five:x:5:root
team:x:50:bob,root
other:x:60:alice
bad:x:y:bob
short:x:70
"""

KNOWN = {
    "": Account(0, 5, (5, 50), "/root"),
    "root": Account(0, 5, (5, 50), "/root"),
    "0": Account(0, 5, (5, 50), "/root"),
    "bob": Account(1000, 1001, (1001, 50), "/home/bob"),
    "1000": Account(1000, 1001, (1001, 50), "/home/bob"),
    "01000": Account(1000, 1001, (1001, 50), "/home/bob"),
    "1234": Account(1234, 0, (0,), "/"),
    "2147483648": Account(2147483648, 0, (0,), "/"),
    "homeless": Account(1002, 1002, (1002,), "/"),
    "bob:team": Account(1000, 50, (50,), "/home/bob"),
    "bob:7": Account(1000, 7, (7,), "/home/bob"),
    "bob:": Account(1000, 1001, (1001, 50), "/home/bob"),
    "1234:team": Account(1234, 50, (50,), "/"),
    ":team": Account(0, 50, (50,), "/root"),
}


@pytest.mark.parametrize("user", KNOWN)
def test_docker_agrees(user: str) -> None:
    """Ids, groups and home as docker works them out; the primary group is among the groups (CVE-2022-2989)."""
    assert find_account(user, PASSWD, GROUP) == KNOWN[user]


ODD = ["4294967295", "4294967296", "-1", "+5", " 1", "1 ", "1e3", "٣", "99999999999999999999", "0x0", "1_0", "²"]


@pytest.mark.parametrize("user", ODD)
@pytest.mark.parametrize("field", ["user", "group"])
def test_what_is_no_name_and_no_number_is_never_looked_up(user: str, field: str) -> None:
    """An image could list it as a user of uid 0: CVE-2016-3697, CVE-2024-40635, CVE-2026-30892."""
    evil_passwd, evil_group = f"{user}:x:0:0::/root:/bin/sh\n", f"{user}:x:0:\n"

    with pytest.raises(InvalidData):
        find_account(user if field == "user" else f"1:{user}", evil_passwd, evil_group)


def test_numbers_are_never_names() -> None:
    """A passwd that calls root `1000` does not make 1000 root."""
    assert find_account("1000", "1000:x:0:0::/root:/bin/sh\n", "1000:x:0:\n") == Account(1000, 0, (0,), "/")
    assert find_account("1:1000", "", "1000:x:0:\n").gid == 1000


@pytest.mark.parametrize("user", ["nobody", "bad", "huge", "minus", "brief", "bob:nogroup"])
def test_unknown_names_are_an_error(user: str) -> None:
    """Never root; so are entries whose numbers are none."""
    with pytest.raises(InvalidData, match="the image's /etc/"):
        find_account(user, PASSWD, GROUP)


def test_without_databases() -> None:
    """An image with nothing but a program runs as root, or as a number."""
    assert find_account("", "", "") == Account(0, 0, (0,), "/")
    assert find_account("7:8", "", "") == Account(7, 8, (8,), "/")
