"""Caches of plugins name what came into the image, and nothing else."""

from jettison.closure.caches import gio_modules, pixbuf_loaders
from jettison.tree.node import Node, made_dir, made_file
from jettison.tree.root import Tree

FOLDER = "/usr/lib/gdk-pixbuf-2.0/2.10.0"
LOADERS = f"""\
# a comment

"{FOLDER}/loaders/png.so"
"png" 5 "gdk-pixbuf" "PNG" "LGPL"

"{FOLDER}/loaders/svg.so"
"svg" 6 "gdk-pixbuf" "SVG" "LGPL"

"""


def tree(**files: str) -> Tree:
    nodes: dict[str, Node] = {}
    for name, text in files.items():
        parts = name.split("/")
        nodes |= {"/".join(parts[:end]): made_dir() for end in range(2, len(parts))}
        nodes[name] = made_file(text.encode())
    return Tree(nodes)


def text_of(node: Node) -> str:
    assert node.content is not None
    return node.content.open().read().decode()


def test_a_loader_that_stayed_behind_is_not_named() -> None:
    """Each has a paragraph."""
    image = tree(**{f"{FOLDER}/loaders/png.so": "", f"{FOLDER}/loaders.cache": LOADERS})

    found = text_of(pixbuf_loaders(image)[f"{FOLDER}/loaders.cache"])

    assert "png.so" in found and "svg.so" not in found


def test_a_module_that_stayed_behind_is_not_named() -> None:
    """Each has a line."""
    cache = "libtls.so: gio-tls-backend\nlibdconf.so: gsettings-backend\n"
    image = tree(**{"/usr/lib/gio/modules/libtls.so": "", "/usr/lib/gio/modules/giomodule.cache": cache})

    assert text_of(gio_modules(image)["/usr/lib/gio/modules/giomodule.cache"]) == "libtls.so: gio-tls-backend\n"


def test_without_a_cache_there_is_nothing_to_make() -> None:
    """GIO opens what it finds then."""
    assert gio_modules(tree(**{"/usr/lib/gio/modules/libtls.so": ""})) == {}
