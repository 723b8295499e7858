"""Is the store whole?"""

from jettison.events import SILENT, Reporter
from jettison.image.check import Finding, Health, check_store
from jettison.image.check import repair as remove_broken
from jettison.image.store import LocalStore


def fsck(store: LocalStore, repair: bool = False, reporter: Reporter = SILENT) -> tuple[Health, list[Finding]]:
    """Check every blob, name and unpacked layer; with `repair` remove what is broken and can come anew, and tell it."""
    if not repair:
        return check_store(store, reporter), []
    with store.cleaning():
        health = check_store(store, reporter)
        return health, remove_broken(store, health)
