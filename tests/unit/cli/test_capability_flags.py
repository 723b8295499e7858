"""`--cap-add` and `--cap-drop`, in docker's words."""

import pytest

from jettison.cli.capability_flags import chosen
from jettison.errors import UsageError
from jettison.sandbox.capabilities import EVERY, NAMES, USUAL


def names(capabilities: int) -> set[str]:
    """Those of a set."""
    return {name for bit, name in enumerate(NAMES) if capabilities >> bit & 1}


def test_the_usual_ones() -> None:
    """About files and users, nothing of the network or the machine."""
    assert names(USUAL) == {"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID"}
    assert chosen([], []) == USUAL


@pytest.mark.parametrize("text", ["NET_RAW", "net_raw", "CAP_NET_RAW", "cap_net_raw", "Cap_Net_Raw"])
def test_every_way_to_write_a_name(text: str) -> None:
    """As docker reads them."""
    assert names(chosen([text], ["all"])) == {"NET_RAW"}
    assert chosen(["all"], [text]) == EVERY & ~(1 << NAMES.index("NET_RAW"))


def test_a_name_in_both_is_added() -> None:
    """Docker's rule; with all of them added, it is left out."""
    assert names(chosen(["CHOWN"], ["CHOWN", "KILL"])) == names(USUAL) - {"KILL"}
    assert "CHOWN" not in names(chosen(["ALL", "CHOWN"], ["CHOWN"]))


@pytest.mark.parametrize(
    ("text", "hint"),
    [("NET", "NET_BIND_SERVICE"), ("SYS_ADMINS", "SYS_ADMIN"), ("xyz", "capabilities(7)"), ("", "capabilities(7)")],
)
def test_an_unknown_name(text: str, hint: str) -> None:
    """Is an error that names it, and the next move."""
    with pytest.raises(UsageError) as caught:
        chosen([text], [])

    assert f"`{text}`" in caught.value.message and hint in caught.value.hint
