"""What `jettison slim` left and removed, as values for JSON: the same image gives the same."""

from typing import Any, NamedTuple

from jettison.closure.why import Reason
from jettison.tree.root import Tree
from jettison.verbs.slim import Slimmed


class Share(NamedTuple):
    """What of one package is gone; `name` is empty for files that no package owns."""

    name: str
    size_bytes: int
    files: int


def weight_bytes(tree: Tree) -> int:
    """The bytes of all files; hard links of one file weigh once."""
    sizes = {node.inode or path: node.size for path, node in tree.nodes.items() if node.kind == "file"}
    return sum(sizes.values())


def removed_packages(slimmed: Slimmed) -> list[Share]:
    """What is gone, the heaviest package first."""
    shares: dict[str, tuple[int, int]] = {}
    for item in slimmed.thin.removed.values():
        name = f"{item.package.name} {item.package.version}" if item.package else ""
        size_bytes, files = shares.get(name, (0, 0))
        shares[name] = (size_bytes + item.size, files + 1)
    return sorted((Share(name, *share) for name, share in shares.items()), key=lambda share: (-share.size_bytes, share.name))


def as_json(slimmed: Slimmed) -> dict[str, Any]:
    """The result in short."""
    image, thin = slimmed.image, slimmed.thin
    config = image.config
    return {
        "version": 1,
        "reference": slimmed.reference.familiar,
        "digest": str(image.digest),
        "id": str(image.manifest.config.digest),
        "from": {"digest": str(slimmed.fat.digest), "files": _count(thin.fat), "bytes": weight_bytes(thin.fat)},
        "platform": str(image.platform),
        "files": _count(thin.tree),
        "bytes": weight_bytes(thin.tree),
        "shippedBytes": sum(layer.size for layer in image.manifest.layers),
        "entrypoint": list(config.entrypoint),
        "cmd": list(config.cmd),
        "user": config.user,
        "ports": list(config.exposed_ports),
        "volumes": list(config.volumes),
        "setuidDropped": list(thin.setuid_dropped),
        "missing": [{"name": item.name, "by": item.reason.by, "detail": item.reason.detail} for item in thin.closure.missing],
        "removedPackages": [{"name": name, "bytes": size, "files": files} for name, size, files in removed_packages(slimmed)],
    }


def report(slimmed: Slimmed) -> dict[str, Any]:
    """The result in full: every path that was kept or removed, with its package and why."""
    thin = slimmed.thin
    kept = [
        {
            "path": path,
            "size": node.size,
            "package": str(thin.packages.get(path) or ""),
            "why": [_reason(reason) for reason in thin.closure.reasons.get(path, ())],
        }
        for path, node in sorted(thin.tree.nodes.items())
        if node.kind != "dir"
    ]
    removed = [
        {
            "path": path,
            "size": item.size,
            "package": f"{item.package.name} {item.package.version}" if item.package else "",
            "atLevelSafe": _reason(item.hint) if item.hint else None,
        }
        for path, item in sorted(thin.removed.items())
    ]
    return {**as_json(slimmed), "kept": kept, "removed": removed}


def _reason(reason: Reason) -> dict[str, str]:
    return dict(reason._asdict())


def _count(tree: Tree) -> int:
    return sum(node.kind != "dir" for node in tree.nodes.values())
