"""Everything that no name refers to is removed."""

from jettison.events import SILENT, Reporter
from jettison.image.layers import forget_lost_layers
from jettison.image.prune import Swept, all_parts, named_parts, sweep, sweep_leftovers
from jettison.image.store import LocalStore
from jettison.sandbox.errand import as_root


def prune(store: LocalStore, reporter: Reporter = SILENT) -> Swept:
    """Remove what no name keeps alive: blobs, unpacked layers, run records, leftovers of dead writers.

    Waits for those who write. What running containers use stays.
    """
    with store.cleaning_if_idle() as is_idle:
        if is_idle:
            return _prune(store)
    reporter.notice("waiting for another jettison that writes to the store")
    with store.cleaning():
        return _prune(store)


def _prune(store: LocalStore) -> Swept:
    leftovers = sweep_leftovers(store, as_root)
    swept = sweep(store, all_parts(store).without(named_parts(store)))
    forget_lost_layers(store)
    store.write_index()
    return swept._replace(freed_bytes=swept.freed_bytes + leftovers)
