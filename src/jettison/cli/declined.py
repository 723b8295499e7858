"""The flags of docker that jettison does not have: why, and what to do instead.

Looked up only on the way to an error, and by the reference.
"""

_WINDOWS = ("it is for Windows containers", "leave it out")
_BLOCKS = (
    "a world writes to memory and to the folders that you mount, whose disks others use too",
    "ionice(1) or systemd-run(1) with IOWeight= and IOReadBandwidthMax= around `jettison run`",
)
_REAL_TIME = ("kernels for control groups of version 2 do not have it", "`--ulimit rtprio=…`, and chrt(1) around `jettison run`")
_NO_BRIDGE = ("there is no network that containers share", "names of machines: `--add-host NAME:IP`")
_KEYS = ("nothing is detached from by keys", "`--detach` at once, and `jettison logs -f` and `jettison exec -it` later")
_HOSTS = "it would show the program what it is kept from, and let it reach that"

_RUN = {
    "blkio-weight": _BLOCKS,
    "blkio-weight-device": _BLOCKS,
    "cgroup-parent": (
        "a world's control group is beside that of its caller",
        "systemd-run(1) with --slice= around `jettison run`",
    ),
    "cgroupns": ("a world always has its own", "leave it out"),
    "cpu-count": _WINDOWS,
    "cpu-percent": _WINDOWS,
    "cpu-rt-period": _REAL_TIME,
    "cpu-rt-runtime": _REAL_TIME,
    "detach-keys": _KEYS,
    "device-cgroup-rule": ("nobody in a world may make device files, so there is nothing to allow", "`--device` shows one"),
    "device-read-bps": _BLOCKS,
    "device-read-iops": _BLOCKS,
    "device-write-bps": _BLOCKS,
    "device-write-iops": _BLOCKS,
    "disable-content-trust": ("no image is pulled, so none is trusted on its way", "leave it out"),
    "gpus": (
        "it needs programs of the GPU's maker beside the daemon",
        "`--device /dev/nvidia0 …`, and `-v` for the driver's libraries, or `-v /dev/dri:/dev/dri`",
    ),
    "health-start-interval": ("during its start a program is checked as often as later", "`--health-interval` alone"),
    "io-maxbandwidth": _WINDOWS,
    "io-maxiops": _WINDOWS,
    "ip": _NO_BRIDGE,
    "ip6": _NO_BRIDGE,
    "ipc": (_HOSTS, "leave it out for `private`; programs that share memory belong into one container, or share a `--volume`"),
    "isolation": _WINDOWS,
    "kernel-memory": ("Linux has given it up, and docker with it", "`--memory` counts the kernel's memory too"),
    "link": _NO_BRIDGE,
    "link-local-ip": _NO_BRIDGE,
    "mac-address": _NO_BRIDGE,
    "network-alias": _NO_BRIDGE,
    "oom-kill-disable": (
        "a program that may not be ended hangs, and with it the machine",
        "`--oom-score-adj`, or a higher `--memory`",
    ),
    "pid": (_HOSTS, "`jettison exec` starts a debugger beside a container's program"),
    "privileged": (
        "it cannot be had, as a world is always shut off from the machine",
        "say what it needs: `--cap-add NAME`, `--device /dev/NAME`, `--security-opt seccomp=unconfined`",
    ),
    "publish-all": (
        "which ports an image serves is often not what it says",
        "`--publish PORT` for each; `jettison port` tells where",
    ),
    "runtime": ("jettison is the runtime", "`jettison save --format bundle` makes what runc and others start"),
    "storage-opt": ("what a program writes goes to memory", "`--memory` bounds it"),
    "use-api-socket": ("there is no daemon whose socket it could be", "leave it out"),
    "userns": ("every world has a user namespace", "leave it out; as root, users keep their numbers in it"),
    "uts": ("a world always has a name of its own, which at first is the machine's", "leave it out"),
    "volume-driver": ("volumes are folders of the store", "mount it on this machine, and show it with `-v`"),
    "volumes-from": ("a container's volumes are told to nobody else", "name a volume, `-v NAME:TARGET`, in both calls"),
}
DECLINED = {
    "run": _RUN,
    "exec": {
        "detach-keys": _KEYS,
        "privileged": ("nobody gets more privileges than the container's program", "`--cap-add` of `jettison run`"),
    },
    "logs": {"details": ("a log has no attributes", "`jettison inspect` tells labels")},
    "ps": {"size": ("what a program has written is in memory that only its world sees", "`jettison exec NAME du -xs /`")},
    "rm": {"link": ("there are no links between containers", "leave it out")},
}
_SHORT = {("run", "-P"): "publish-all", ("ps", "-s"): "size", ("rm", "-l"): "link"}


def declined(command: str, flag: str) -> "tuple[str, str]":
    """The reason and the next move for a flag as it was given; empty where docker does not have it either."""
    return DECLINED.get(command, {}).get(_SHORT.get((command, flag), flag.removeprefix("--")), ("", ""))
