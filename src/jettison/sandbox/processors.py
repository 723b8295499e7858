"""What /sys tells of each processor and a world shall not see."""

import os

from jettison.sandbox import syscalls
from jettison.sandbox.operations import Masked, Operation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jettison.sandbox.enter import World

_PROCESSORS = "devices/system/cpu"


class HiddenHeat(Operation):
    """How often each processor was slowed for its heat: it tells what others compute. docker hides it as well."""

    def describe(self) -> str:
        return f"hide in /sys: {_PROCESSORS}/cpu*/thermal_throttle"

    def execute(self, world: "World") -> None:
        try:
            folder = syscalls.open_in_root(world.mounts["sys"], _PROCESSORS, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return
        names = [name for name in os.listdir(folder) if name[:3] == "cpu" and name[3:].isdigit()]
        os.close(folder)
        Masked("sys", [f"{_PROCESSORS}/{name}/thermal_throttle" for name in names]).execute(world)
