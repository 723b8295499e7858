"""Ship the application, not the distribution."""

__version__ = "0.1.0"
__all__ = ["Flags", "NotStarted", "__version__", "run"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jettison.sandbox.supervise import NotStarted
    from jettison.verbs.process import Flags, run


def __getattr__(name: str) -> object:
    """The public names, imported when somebody asks for one: each start of the command imports this module."""
    if name not in __all__:
        raise AttributeError(f"module 'jettison' has no attribute '{name}'")
    from jettison.verbs import process

    return getattr(process, name)
