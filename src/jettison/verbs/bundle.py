"""An image → an OCI runtime bundle: its files in one folder, and the config.json that runc starts them by."""

import os

from jettison.errors import HostileData, InvalidData, UsageError
from jettison.events import SILENT, Reporter
from jettison.image.durable import remove_tree, sync_filesystem
from jettison.image.folder import write_tree
from jettison.image.image import Image
from jettison.image.record import image_account
from jettison.image.store import LocalStore
from jettison.image.tree import image_tree
from jettison.oci.documents import serialise
from jettison.oci.process import DEFAULT_PATH, Process, Record, User, command, environment
from jettison.oci.reference import Reference
from jettison.sandbox.bundle import Identity, configuration
from jettison.sandbox.enter import Failure, World
from jettison.sandbox.operations import File, Folder, Operation
from jettison.sandbox.places import own_mount_point
from jettison.tree.root import Root

_UMASK = 0o022  # that of `run`, which makes some of these folders itself
_HOSTS = b"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"


def bundle(store: LocalStore, name: str, folder: str, reporter: Reporter = SILENT) -> Image:
    """Write the image as a bundle: `folder` appears whole or not at all, and is its owner's alone.

    `runc run` starts it as `jettison run` would without flags; as root a bundle is written for root, else for this user.
    Errors: UsageError where something is there, NotFound, InvalidData, HostileData, HostError, OSError.
    """
    if os.path.lexists(folder) and not (os.path.isdir(folder) and not os.listdir(folder)):
        raise UsageError(f"`{folder}` is there already", "name a new folder")
    reference, digest = store.resolve(name)
    image = store.image(digest)
    staging = f"{folder.rstrip('/')}.{os.urandom(4).hex()}"
    umask = os.umask(_UMASK)
    try:
        os.mkdir(staging, 0o700)
        _fill(staging, store, image, _annotations(image, reference), reporter)
        sync_filesystem(staging)
        os.rename(staging, folder)
    except BaseException:
        if os.path.lexists(staging):
            remove_tree(staging)
        raise
    finally:
        os.umask(umask)
    return image


def _fill(folder: str, store: LocalStore, image: Image, annotations: dict[str, str], reporter: Reporter) -> None:
    tree = image_tree(store, image, reporter)
    process = _process(image, tree)
    owner = None if os.geteuid() == 0 else Identity(os.geteuid(), os.getegid())
    document = configuration(process, image.platform.architecture, annotations, owner)
    os.mkdir(f"{folder}/rootfs", 0o700)
    write_tree(f"{folder}/rootfs", tree, reporter, f"the image {image.digest.short}")
    _prepare(f"{folder}/rootfs", [process.cwd, *image.config.volumes])
    with open(f"{folder}/config.json", "xb") as stream:
        stream.write(serialise(document))


def _process(image: Image, root: Root) -> Process:
    """As `run` without flags has it; but no HOSTNAME, which would be that of the machine that wrote the bundle."""
    config = image.config
    if not config.entrypoint and not config.cmd:
        raise UsageError(f"image {image.digest.short} names no program, so a bundle of it would start nothing")
    account = image_account(root, config.user)
    user = User(account.uid, account.gid, account.groups, account.home)
    record = Record(env=[f"{key}={value}" for key, value in config.env], entrypoint=config.entrypoint, cmd=config.cmd)
    defaults = [f"PATH={DEFAULT_PATH}", f"HOME={user.home}"]
    return Process(command(record, ()), environment(record.env, (), defaults), config.working_dir or "/", user)


def _prepare(rootfs: str, folders: list[str]) -> None:
    """What a runtime would make in the root folder itself: by descriptor, as in a world, wherever the image's links lead."""
    world = World(-1, -1)
    world.root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    files: list[Operation] = [File("/etc/hosts", _HOSTS), File("/etc/resolv.conf", b"")]
    try:
        for name in ("proc", "sys", "dev"):
            os.close(own_mount_point(world.root, name))
        for operation in [*files, *map(Folder, folders)]:
            _execute(operation, world)
    except Failure as error:
        raise HostileData(error.message, error.hint) from error
    finally:
        os.close(world.root)


def _execute(operation: Operation, world: World) -> None:
    try:
        operation.execute(world)
    except (FileExistsError, NotADirectoryError) as error:
        raise InvalidData(f"cannot {operation.describe()} in the image's files: {error.strerror}") from error


def _annotations(image: Image, reference: Reference | None) -> dict[str, str]:
    """Where the bundle comes from. The image's labels are not among them: to some runtimes annotations are orders."""
    found = {"org.opencontainers.image.ref.name": reference.familiar} if reference and reference.tag else {}
    found["org.jettison.image.digest"] = str(image.digest)
    if image.config.stop_signal:
        found["org.opencontainers.image.stopSignal"] = image.config.stop_signal
    return found
