"""What runs in a program's place while its image is verified: the image, with the caller's folder and variables."""

import os
import sys

from jettison.errors import JettisonError
from jettison.sandbox.operations import Bind
from jettison.sandbox.plan import Options
from jettison.verbs.run import Call, run


def main() -> None:
    """argv: settings as JSON, then the program's arguments. Ends with the program's status."""
    import json

    settings = json.loads(sys.argv[1])
    mounts = [Bind(folder, folder) for folder in settings["folders"]]
    options = Options(interactive=True, mounts=sorted(mounts, key=lambda mount: mount.target.count("/")))
    env = _own_variables(settings["environment"])
    call = Call(settings["image"], sys.argv[2:], env, settings["entrypoint"], os.getcwd(), options=options)
    try:
        status = run(call, settings["store"])
    except JettisonError as error:
        sys.stderr.write(f"error: {error.message}\n")
        sys.stderr.flush()
        status = error.exit_status
    os._exit(status)


def _own_variables(usual: "dict[str, str]") -> "list[str]":
    """The variables that the command set for the program."""
    passing = ("PATH", "PWD", "OLDPWD", "SHLVL", "_")
    return [f"{name}={value}" for name, value in os.environ.items() if name not in passing and usual.get(name) != value]
