"""What every test may ask for. A test that asks for a peer, or lies among the long ones, is not part of `make check`."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import peers
import worlds
from peers import Docker, Jettison, OrdinaryUser, Peer
from worlds import World

PEER_FIXTURES = {"require", "root", "docker", "podman", "buildah", "skopeo", "umoci", "runc", "ordinary_user", "rootless"}
LONG_FOLDERS = {"integration", "escape", "fuzz"}

# Machines differ in speed, and the first draw in a clean clone makes hypothesis's tables.
settings.register_profile("jettison", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("jettison")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark by what a test asks for and where it lies, so that nobody has to remember it."""
    for item in items:
        if PEER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("peer")
        if LONG_FOLDERS & set(item.path.relative_to(Path(__file__).parent).parts):
            item.add_marker("slow")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A place for a store; nothing is there yet."""
    return tmp_path / "store"


@pytest.fixture
def jettison(store: Path) -> Jettison:
    """The installed command: `jettison(...)` gives its stdout and wants status 0, `jettison.call(...)` the whole result."""
    return Jettison(store)


@pytest.fixture
def require() -> Callable[[str], str]:
    """`require("readelf")`: the tool's path; without it the test is skipped, in CI it fails."""
    return peers.require


@pytest.fixture
def root() -> None:
    """This test needs to be root."""
    peers.require_root()


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's own; with a short path, as sockets need it."""
    folder = Path(tempfile.mkdtemp(prefix="jt.", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def ordinary_user(shared_folder: Path) -> OrdinaryUser:
    """A user without privileges and with an empty home; this process's own user where it is not root."""
    home = shared_folder / "home"
    home.mkdir()
    return OrdinaryUser(home)


@pytest.fixture(scope="session")
def readable_packages() -> Iterator[Path]:
    """jettison and its libraries where every user may read them."""
    folder = Path(tempfile.mkdtemp(prefix="jp.", dir="/tmp"))
    yield peers.readable_packages(folder)
    shutil.rmtree(folder)


@pytest.fixture
def rootless(ordinary_user: OrdinaryUser, readable_packages: Path) -> Jettison:
    """The command as an ordinary user who may make user namespaces."""
    ordinary_user.require_user_namespaces()
    return ordinary_user.jettison(readable_packages)


@pytest.fixture(scope="session")
def docker() -> Iterator[Docker]:
    """An engine of the tests' own, without a network: containers want `--network none` or `host`."""
    peers.require_root()
    engine = Docker()
    yield engine
    engine.close()


@pytest.fixture
def podman(shared_folder: Path) -> Iterator[Peer]:
    """Podman with an empty storage; containers want `--network none` or `host`."""
    peers.require_root()
    tool = peers.podman(shared_folder / "podman")
    yield tool
    tool.call("rm", "--all", "--force")


@pytest.fixture
def buildah(shared_folder: Path) -> Peer:
    """Buildah with an empty storage."""
    peers.require_root()
    return peers.buildah(shared_folder / "buildah")


@pytest.fixture
def skopeo() -> Peer:
    """Skopeo, which trusts unsigned images as everybody's default policy does."""
    return Peer([peers.require("skopeo"), "--insecure-policy"])


@pytest.fixture
def umoci() -> Peer:
    """umoci; as an ordinary user its `unpack` wants `--rootless`."""
    return Peer([peers.require("umoci")])


@pytest.fixture
def runc(shared_folder: Path) -> Peer:
    """runc with a state folder of its own."""
    peers.require_root()
    return Peer([peers.require("runc"), "--root", str(shared_folder / "runc")])


@pytest.fixture(params=["root", "ordinary"])
def world(request: pytest.FixtureRequest) -> World:
    """A runner with the image `box`."""
    made = worlds.world(request)
    made.image()
    return made


@pytest.fixture
def detach(world: World) -> Iterator[Callable[..., str]]:
    """`jettison run -d …`: the container's id. Whatever happens, the containers end with the test."""

    def run(*arguments: str) -> str:
        return world("-d", *arguments).strip()

    yield run
    world.end_all()
