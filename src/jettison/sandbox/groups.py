"""Groups that the caller adds."""

from jettison.sandbox.enter import Failure
from jettison.sandbox.operations import Operation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from jettison.sandbox.enter import World


class AddedGroups(Operation):
    """The program is to be in these groups: whoever cannot give them refuses."""

    def __init__(self, groups: "Sequence[int]") -> None:
        self.groups = groups

    def describe(self) -> str:
        return f"add the groups {' '.join(map(str, self.groups))}"

    def execute(self, world: "World") -> None:
        if not world.has_many_users:  # user_namespaces(7): setgroups(2) is denied
            message = f"cannot {self.describe()}: an ordinary user's world has one user and one group"
            raise Failure(message, "run it as root, or choose the one group with `--user USER:GROUP`")
