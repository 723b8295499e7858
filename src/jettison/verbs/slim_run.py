"""slim by running: the fat image shows what it touches, and the thin one that it does the same."""

from collections.abc import Sequence

from jettison.errors import NotFound, UsageError
from jettison.events import SILENT, Reporter
from jettison.image.image import Image
from jettison.image.opened import is_path
from jettison.image.store import LocalStore
from jettison.image.tree import image_tree
from jettison.oci.digest import Digest
from jettison.oci.reference import Reference
from jettison.tree.observation import Observation, merge
from jettison.tree.root import Tree
from jettison.tree.root import resolve as follow
from jettison.verbs.load import take
from jettison.verbs.observe import observe_image
from jettison.verbs.slim import Slimmed, Thinning, command_of, make, plan_of
from jettison.verbs.verify import Verdict, verified, verify_image


def in_store(target: str, store: LocalStore, reporter: Reporter = SILENT) -> Digest:
    """The image in the store, where it can run: an archive's is brought in without a name, and is gone with the next clean-up.

    Errors: NotFound, UsageError where an archive has several images.
    """
    if not is_path(target, store):
        return store.resolve(target)[1]
    images = take(store, target, reporter)
    if len(images) != 1:
        raise UsageError(f"`{target}` has {len(images)} images", "load it, and name one of them")
    return images[0].image.digest


def observe_fat(
    digest: Digest, thinning: Thinning, commands: Sequence[str], store: LocalStore, reporter: Reporter = SILENT
) -> Observation:
    """What the image's program did in commands that ran in the image. Errors: as of `observe_image`, NotFound."""
    entry = entry_of(store.image(digest), image_tree(store, store.image(digest), reporter), thinning)
    return merge([observe_image(store, digest, command, entry, reporter) for command in commands])


def slim_verified(
    digest: Digest,
    reference: Reference,
    thinning: Thinning,
    store: LocalStore,
    commands: Sequence[str],
    fixes: bool = False,
    reporter: Reporter = SILENT,
) -> Slimmed:
    """Slim an image of the store, run each command in both, and name the thin one only if they do the same.

    `fixes`: what was lacking is added as observed, and all is tried again. Errors: InvalidData with the report where it fails.
    """

    def thinned(seen: tuple[Observation, ...], teller: Reporter) -> Slimmed:
        return make(str(digest), reference, thinning._replace(observations=seen), store, teller)

    def judge(slimmed: Slimmed, command: str) -> Verdict:
        entry = entry_of(slimmed.fat, slimmed.thin.fat, thinning)
        return verify_image(store, slimmed.fat.digest, slimmed.image.digest, command, entry, reporter)

    with store.writing():
        slimmed = verified(thinned, judge, commands, thinning.observations, fixes, reporter)
        store.tag(reference, slimmed.image.digest)
    return slimmed


def entry_of(image: Image, fat: Tree, thinning: Thinning) -> str:
    """The real path of the program that the image starts. Errors: NotFound where it starts none."""
    plan, _ = plan_of(fat, command_of(fat, image), image.config.env, thinning._replace(observations=(), includes=()))
    if not plan.seeds:
        raise NotFound("the image has no command that starts a program of it", "name one with `--entry PROGRAM`")
    return follow(fat, plan.entry).path
