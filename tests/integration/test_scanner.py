"""Somebody else's scanner sees in a slim image exactly the packages whose files are in it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import peers
from peers import Jettison

SYFT = Path(sys.executable).parent / "syft"


def test_syft_sees_the_packages_whose_files_are_there(jettison: Jettison, require: Callable[[str], str], tmp_path: Path) -> None:
    """By the part of dpkg's database that slim keeps."""
    require("dpkg-query")
    if not SYFT.exists():
        peers.lacking("no syft in this environment")
    database = ["--include", "/var/lib/dpkg/status", "--include", "/var/lib/dpkg/info", "--include", "/etc/os-release"]
    jettison("pack", "-q", "-t", "fat", "/usr/bin/sort", *database, "--include", "/usr/bin/tar")
    jettison("slim", "-q", "fat", "-t", "thin", "--report", str(tmp_path / "report.json"))
    jettison("save", "-q", "thin", "-o", str(tmp_path / "thin.tar"))
    report = json.loads((tmp_path / "report.json").read_text())
    kept = {item["package"] for item in report["kept"] if item["package"]}

    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin", "SYFT_CHECK_FOR_APP_UPDATE": "false"}
    done = peers.call([str(SYFT), "scan", f"oci-archive:{tmp_path}/thin.tar", "-q", "-o", "json"], env=environment)

    seen = {f"{item['name']} {item['version']}" for item in json.loads(done.stdout)["artifacts"] if item["type"] == "deb"}
    assert seen == kept
    assert any(name.startswith("coreutils ") for name in seen)
    assert not any(name.startswith("tar ") for name in seen)
