"""docker's own examples of `run`, `exec`, `logs`, `stop`, `kill`, `wait`, `ps`, `inspect` and `rm`, as scripts that a test runs twice:
`docker` is docker, and `docker` is jettison. docs/reference/docker-run.md is made from them.

The words are those of https://docs.docker.com/reference/cli/docker/container/ and https://docs.docker.com/engine/containers/run/. A script
is an example without what needs a registry or another image than `busybox` and `app`, whose ENTRYPOINT is `echo entry` and whose
CMD is `default`; it prints what the example shows.
"""

from typing import NamedTuple


class Example(NamedTuple):
    """`words`: as docker documents it. `typed`: what somebody types on the terminal that is its stdin; None for no terminal.
    `differs`: why jettison's result is another; empty where it is the same."""

    words: str
    script: str
    typed: str | None = None
    differs: str = ""


class Unrun(NamedTuple):
    """An example that needs something that a test cannot have, and what jettison makes of it."""

    words: str
    why: str


# How the scripts look from outside at what holds a container: `limit CONTROLLER FILE-OF-VERSION-1 FILE-OF-VERSION-2`.
HELPERS = """\
limit() {
    pid=$(docker inspect -f '{{.State.Pid}}' test)
    group=$(grep -E "[:,]$1[:,]" /proc/$pid/cgroup | cut -d: -f3)
    if [ -n "$group" ]; then cat "/sys/fs/cgroup/$1$group/$2"
    else cat "/sys/fs/cgroup$(grep ^0:: /proc/$pid/cgroup | cut -d: -f3)/$3"
    fi
}
health() {
    for turn in $(seq 100); do
        if [ "$(docker inspect --format='{{.State.Health.Status}}' test)" = "$1" ]; then echo "$1"; return; fi
        sleep 0.2
    done
    echo "never $1"
}
logged() {
    for turn in $(seq 100); do
        if docker logs "$1" 2>&1 | grep -q "$2"; then return; fi
        sleep 0.1
    done
}
sleeping() { docker run -d --name test "$@" busybox sleep 60 > /dev/null; }
"""

_STATELESS = (
    "who runs a program in the foreground has its output and its status; only what runs with `-d` leaves a state and a log"
)
_INIT = "process 1 is an init of jettison's, as with docker's `--init`; `--init=false` leaves it out"
_NO_DAEMON = "declined: see below"
_EARLY = "whatever fails before the program is executed has the status 125, where docker's client has 1 for some of it"

EXAMPLES = {
    "Exit status": (
        Example("docker run --foo busybox; echo $?", "docker run --foo busybox; echo $?"),
        Example("docker run busybox /etc; echo $?", "docker run busybox /etc; echo $?"),
        Example("docker run busybox foo; echo $?", "docker run busybox foo; echo $?"),
        Example("docker run busybox /bin/sh -c 'exit 3'; echo $?", "docker run busybox /bin/sh -c 'exit 3'; echo $?"),
        Example("docker run --pull=never hello-world", "docker run --pull=never hello-world; echo $?"),
        Example("docker run IMAGE[:TAG] [COMMAND] [ARG...]", "docker run busybox:latest echo --name -d fine"),
        Example("docker run busybox kill -9 $$ (128 and the signal)", "docker run --init busybox sh -c 'kill -9 $$'; echo $?"),
    ),
    "Foreground, background, terminal": (
        Example("docker run -d nginx", "docker run -d busybox sleep 60; docker ps --format '{{.Image}} {{.Command}} {{.State}}'"),
        Example(
            "docker run -d nginx; docker logs -n 5 0246aa4d1448",
            'id=$(docker run -d busybox seq 1 9); docker wait $id; docker logs -n 5 "$(echo $id | cut -c 1-12)"',
        ),
        Example(
            "docker run --name test -it debian (exit 13)",
            "docker run --name test -it busybox sh > /dev/null; echo $?",
            "exit 13\n",
        ),
        Example(
            "docker ps -a | grep test (after a container in the foreground)",
            "docker run --name test busybox sh -c 'exit 13'; docker ps -a --format '{{.Names}} {{.State}}'",
            differs=_STATELESS,
        ),
        Example(
            "docker run -it debian (factor 90)",
            "docker run -it busybox sh | tr -d '\\r' | grep ': 2'",
            "factor 90\nexit\n",
        ),
        Example("docker run -t busybox (a terminal without input)", "docker run -t busybox sh -c 'tty; stty size | wc -w'"),
        Example("docker run busybox (no terminal)", "docker run busybox tty; echo $?; echo lost | docker run busybox cat"),
        Example("echo hello | docker run --rm -i busybox cat", "echo hello | docker run --rm -i busybox cat"),
        Example(
            "docker run --rm -i busybox echo … | docker run --rm -i busybox awk … | docker run --rm -i busybox rev",
            "docker run --rm -i busybox echo 'foo bar baz' | docker run --rm -i busybox awk '{ print $2 }'"
            " | docker run --rm -i busybox rev",
        ),
        Example(
            "docker run -a stdin -a stdout -i -t ubuntu /bin/bash",
            "docker run -a stdin -a stdout -i -t busybox sh > /dev/null; echo $?",
            "exit 4\n",
        ),
        Example(
            'echo "test" | docker run -i -a stdin ubuntu cat -',
            "id=$(echo test | docker run -i -a stdin busybox cat -); echo $id; docker wait $id; docker logs $id",
        ),
        Example("docker run -a stderr ubuntu echo test", "docker run -a stderr busybox sh -c 'echo test; exit 3'; echo $?"),
        Example(
            "docker run -a stdout ubuntu (its stderr is not seen)", "docker run -a stdout busybox sh -c 'echo out; echo err >&2'"
        ),
        Example(
            "docker run -a stderr ubuntu echo test (the log still has it)",
            "docker run --name test -a stderr busybox echo test; docker logs test; echo $?",
            differs=_STATELESS,
        ),
        Example("docker run -a stdin -d", "docker run -a stdin -d busybox true; echo $?", differs=_EARLY),
        Example("docker run -it (no terminal there)", "docker run -it busybox tty; echo $?", differs=_EARLY),
        Example(
            "docker run -i debian passwd root",
            "printf 'karjalanpiirakka9\\nkarjalanpiirakka9\\n' | docker run -i busybox passwd root > /dev/null 2>&1; echo $?",
        ),
        Example("docker run --rm (nothing is left)", "docker run --rm -d --name test busybox true; sleep 1; docker ps -aq"),
        Example("docker run --sig-proxy", "docker run --sig-proxy=true busybox echo fine"),
        Example(
            "docker run --sig-proxy=false",
            "docker run --sig-proxy=false busybox echo fine",
            differs="the program is a child of jettison's, and ends with it",
        ),
        Example("docker run --detach-keys='ctrl-x'", "docker run --detach-keys='ctrl-x' busybox echo fine", differs=_NO_DAEMON),
    ),
    "Names and ids": (
        Example(
            "docker run --name test -d nginx:alpine; docker stop test; docker rm test",
            "docker run --name test -d busybox sleep 60; docker ps --format '{{.ID}} {{.Names}}'; docker stop -t 1 test; docker rm test",
        ),
        Example(
            "docker run --name test (twice)",
            "docker run --name test -d busybox sleep 60; docker run --name test busybox true; echo $?",
        ),
        Example("docker run --name 'a b'", "docker run --name 'a b' busybox true; echo $?"),
        Example(
            "docker run (a name made up)",
            "docker run -d busybox sleep 60; docker ps --format '{{.Names}}' | wc -w",
            differs="a container without a name is called by its id, or the beginning of it",
        ),
        Example(
            'docker run --cidfile /tmp/docker_test.cid ubuntu echo "test"',
            "docker run --cidfile ./docker_test.cid busybox echo test; cat docker_test.cid; echo; wc -c < docker_test.cid",
        ),
        Example(
            "docker run --cidfile (a file that exists)", "touch here; docker run --cidfile ./here busybox echo test; echo $?"
        ),
        Example(
            "docker run --rm -d --cidfile …; docker stop $(cat …)",
            "docker run --rm -d --cidfile ./cid busybox sleep 60; docker stop -t 1 $(cat cid); docker ps -aq",
        ),
    ),
    "Files": (
        Example("docker run -w /path/to/dir/ ubuntu pwd", "docker run -w /path/to/dir/ busybox pwd"),
        Example("docker run -w dir (not absolute)", "docker run -w dir busybox pwd; echo $?"),
        Example(
            "docker run -v $(pwd):$(pwd) -w $(pwd) -i -t ubuntu pwd",
            "docker run -v $(pwd):$(pwd) -w $(pwd) -i -t busybox pwd",
            "",
        ),
        Example(
            "docker run -v /doesnt/exist:/foo -w /foo -i -t ubuntu bash",
            "docker run -v $PWD/doesnt/exist:/foo -w /foo busybox sh -c 'pwd; touch here'; ls doesnt/exist",
        ),
        Example("docker run -v …:ro", "mkdir in; docker run -v $PWD/in:/in:ro busybox touch /in/x; echo $?; ls in"),
        Example("docker run -v … (a file)", "echo text > file; docker run -v $PWD/file:/etc/motd busybox cat /etc/motd"),
        Example(
            "docker run --read-only -v /icanwrite busybox touch /icanwrite/here",
            "docker run --read-only -v /icanwrite busybox touch /icanwrite/here; echo $?",
        ),
        Example("docker run --read-only busybox touch /here", "docker run --read-only busybox touch /here; echo $?"),
        Example(
            "docker run --read-only --mount type=volume,target=/icanwrite busybox touch /icanwrite/here",
            "docker run --read-only --mount type=volume,target=/icanwrite busybox touch /icanwrite/here; echo $?",
        ),
        Example(
            "docker run -t -i --mount type=bind,src=/data,dst=/data busybox sh",
            "mkdir data; echo text > data/f; docker run --mount type=bind,src=$PWD/data,dst=/data busybox sh -c 'cat /data/f; rm /data/f'; ls data",
        ),
        Example(
            "docker run --mount type=bind,…,readonly",
            "mkdir data; docker run --mount type=bind,source=$PWD/data,target=/data,readonly busybox touch /data/f; echo $?",
        ),
        Example(
            "docker run --mount type=bind (no such source)",
            "docker run --mount type=bind,src=$PWD/none,dst=/data busybox true; echo $?; ls",
        ),
        Example(
            "docker run --mount type=tmpfs,…",
            "docker run --mount type=tmpfs,dst=/mem,tmpfs-size=1048576,tmpfs-mode=1770 busybox"
            " sh -c 'stat -c %a /mem; df -k /mem | tail -1 | awk \"{print \\$2}\"'",
        ),
        Example(
            "docker run --mount (wrong words)",
            "docker run --mount type=bind,dst=/data busybox true; echo $?; docker run --mount type=x,dst=/d busybox true; echo $?",
        ),
        Example(
            "docker run -d --tmpfs /run:rw,noexec,nosuid,size=65536k my_image",
            "docker run --tmpfs /run:rw,noexec,nosuid,size=65536k busybox"
            " sh -c 'df -k /run | tail -1 | awk \"{print \\$2}\"; cp /bin/busybox /run/x; /run/x true; echo $?'",
        ),
        Example(
            "docker run --rm -v /foo -v awesome:/bar busybox top",
            "docker run --rm -v /foo -v awesome:/bar busybox sh -c 'echo kept > /foo/a; echo kept > /bar/a';"
            " docker run --rm -v /foo -v awesome:/bar busybox sh -c 'ls /foo; cat /bar/a'; docker volume rm awesome",
        ),
        Example(
            "docker run -v NAME:/etc (filled from the image)",
            "docker run --rm -v filled:/etc busybox true; docker run --rm -v filled:/x busybox ls /x/passwd; docker volume rm filled",
        ),
        Example(
            "docker run --volumes-from 777f7dc92da7 --volumes-from ba8c0c54f0f2:ro -i -t ubuntu pwd",
            "sleeping -v /data; docker run --volumes-from test busybox ls -d /data",
            differs=_NO_DAEMON,
        ),
        Example(
            "docker run -t -i --rm ubuntu bash (mount -t tmpfs none /mnt)",
            "docker run --rm busybox mount -t tmpfs none /mnt; echo $?",
        ),
        Example(
            "docker run busybox (what it wrote is there as long as the container)",
            "docker run --name test -d busybox sh -c 'echo text > /f; sleep 60'; sleep 0.5; docker exec test cat /f",
        ),
    ),
    "Environment and image defaults": (
        Example(
            "docker run -e MYVAR1 --env MYVAR2=foo --env-file ./env.list ubuntu bash",
            "export MYVAR1=one; echo MYVAR3=three > env.list;"
            " docker run -e MYVAR1 --env MYVAR2=foo --env-file ./env.list busybox env | grep MYVAR | sort",
        ),
        Example(
            "docker run --env VAR1=value1 --env VAR2=value2 ubuntu env | grep VAR",
            "docker run --env VAR1=value1 --env VAR2=value2 busybox env | grep VAR | sort",
        ),
        Example(
            "export VAR1=value1 …; docker run --env VAR1 --env VAR2 ubuntu env | grep VAR",
            "export VAR1=value1 VAR2=value2; docker run --env VAR1 --env VAR2 --env VAR3 busybox env | grep VAR | sort",
        ),
        Example(
            "docker run --env-file env.list ubuntu env | grep -E 'VAR|USER'",
            "printf '# This is a comment\\nVAR1=value1\\nVAR2=a # b\\nUSER\\nNONE\\n' > env.list;"
            " USER=jonzeolla docker run --env-file env.list busybox env | grep -E 'VAR|USER|NONE' | sort",
        ),
        Example(
            'export today=Wednesday; docker run -e "deep=purple" -e today --rm alpine env',
            "export today=Wednesday; docker run --network host -e deep=purple -e today --rm busybox env | sort",
        ),
        Example("docker run (CMD and ENTRYPOINT of the image)", "docker run app; docker run app one two"),
        Example(
            "docker run -it --entrypoint /bin/bash example/redis",
            "docker run -it --entrypoint /bin/sh app > /dev/null; echo $?",
            "exit 6\n",
        ),
        Example(
            "docker run -it --entrypoint /bin/bash example/redis -c ls -l",
            "docker run --entrypoint /bin/sh app -c 'ls -d /etc'; docker run --entrypoint echo app; docker run --entrypoint /bin/echo app --help-me",
        ),
        Example(
            'docker run -it --entrypoint="" mysql bash',
            "docker run --entrypoint='' app sh -c 'echo reset'; docker run --entrypoint='' app; echo $?",
        ),
        Example("docker run -u (a name of the image's)", "docker run -u www busybox sh -c 'id; echo $HOME'"),
        Example(
            "docker run -u (numbers)", "docker run -u 1000:29 busybox sh -c 'id; echo $HOME'; docker run -u 1:www busybox id"
        ),
        Example("docker run -u (nobody there)", "docker run -u nosuch busybox true 2> /dev/null; [ $? -ge 125 ] && echo refused"),
        Example(
            "docker run --rm --group-add audio --group-add nogroup --group-add 777 busybox id",
            "docker run --rm --group-add audio --group-add www --group-add 777 busybox id",
        ),
        Example(
            "docker run --platform linux/amd64",
            "docker run --platform linux/$(docker inspect --type image -f '{{.Architecture}}' busybox) busybox echo fine",
        ),
        Example(
            "docker run --platform (another)",
            "docker run --pull never --platform linux/s390x busybox echo fine 2> /dev/null; echo $?",
        ),
        Example(
            "docker run --init",
            "docker run --init --rm busybox sh -c '[ $$ -ne 1 ] && echo below an init'",
        ),
        Example("docker run (process 1)", "docker run busybox sh -c 'echo $$'", differs=_INIT),
        Example("docker run --init=false", "docker run --init=false busybox sh -c 'echo $$'"),
    ),
    "Names of machines and networks": (
        Example("docker run --expose 80 nginx:alpine", "docker run --expose 80 busybox echo fine"),
        Example("docker run -h NAME", "docker run -h web busybox sh -c 'hostname; cat /etc/hostname; echo $HOSTNAME'"),
        Example(
            "docker run --domainname",
            "docker run -h web --domainname example.org busybox sh -c 'hostname; cat /proc/sys/kernel/domainname'",
        ),
        Example(
            "docker run --network none",
            "docker run --network none busybox ls /sys/class/net; docker run --net=none busybox ping -c 1 192.0.2.1; echo $?",
        ),
        Example("docker run --network host", "docker run --network host busybox sh -c 'hostname; ls /sys/class/net'"),
        Example(
            "docker run -it --add-host db-static:86.75.30.9 ubuntu cat /etc/hosts",
            "docker run --add-host db-static:86.75.30.9 busybox grep db-static /etc/hosts",
        ),
        Example(
            "docker run --add-host my-hostname:2001:db8::33",
            "docker run --add-host my-hostname:2001:db8::33 busybox grep my-hostname /etc/hosts",
        ),
        Example("docker run --add-host (no address)", "docker run --add-host my-hostname:nowhere busybox true; echo $?"),
        Example(
            "docker run --dns --dns-search --dns-option",
            "docker run --net host --dns 8.8.8.8 --dns-search example.org --dns-opt ndots:2 busybox grep -v '^#' /etc/resolv.conf | sort",
        ),
    ),
    "Limits": (
        Example(
            "docker run -it -m 300M ubuntu:22.04 /bin/bash",
            "sleeping -m 300M; limit memory memory.limit_in_bytes memory.max; limit memory memory.memsw.limit_in_bytes memory.swap.max",
        ),
        Example(
            "docker run -it -m 300M --memory-swap 1G ubuntu:22.04 /bin/bash",
            "sleeping -m 300M --memory-swap 1G; limit memory memory.memsw.limit_in_bytes memory.swap.max",
        ),
        Example(
            "docker run -it -m 300M --memory-swap -1 ubuntu:22.04 /bin/bash",
            "sleeping -m 300M --memory-swap -1; limit memory memory.memsw.limit_in_bytes memory.swap.max",
        ),
        Example(
            "docker run -it -m 500M --memory-reservation 200M ubuntu:22.04 /bin/bash",
            "sleeping -m 500M --memory-reservation 200M; limit memory memory.soft_limit_in_bytes memory.low",
        ),
        Example(
            "docker run -it --memory-reservation 1G ubuntu:22.04 /bin/bash",
            "sleeping --memory-reservation 1G; limit memory memory.soft_limit_in_bytes memory.low",
        ),
        Example(
            "docker run -m (more than it may)", "docker run -m 20m --memory-swap 20m busybox tail /dev/zero 2> /dev/null; echo $?"
        ),
        Example("docker run -m 1m (too little)", "docker run -m 1m busybox true; echo $?"),
        Example(
            "docker run -it -m 500M --kernel-memory 50M ubuntu:22.04 /bin/bash",
            "docker run -m 500M --kernel-memory 50M busybox echo fine 2> /dev/null",
            differs=_NO_DAEMON,
        ),
        Example(
            "docker run -it -m 100M --oom-kill-disable ubuntu:22.04 /bin/bash",
            "docker run -m 100M --oom-kill-disable busybox echo fine 2> /dev/null",
            differs=_NO_DAEMON,
        ),
        Example("docker run -c 512", "sleeping -c 512; limit cpu cpu.shares cpu.weight"),
        Example(
            "docker run -it --cpu-period=50000 --cpu-quota=25000 ubuntu:22.04 /bin/bash",
            "sleeping --cpu-period=50000 --cpu-quota=25000; limit cpu cpu.cfs_quota_us cpu.max; limit cpu cpu.cfs_period_us cpu.max",
        ),
        Example("docker run --cpus=0.5", "sleeping --cpus=0.5; limit cpu cpu.cfs_quota_us cpu.max"),
        Example("docker run --cpus and --cpu-quota", "docker run --cpus=0.5 --cpu-quota 5000 busybox true; echo $?"),
        Example(
            'docker run -it --cpuset-cpus="0-2" ubuntu:22.04 /bin/bash',
            "docker run --cpuset-cpus=0 busybox sh -c 'nproc; grep Cpus_allowed_list /proc/self/status'",
        ),
        Example(
            'docker run -it --cpuset-mems="0-2" ubuntu:22.04 /bin/bash',
            "docker run --cpuset-mems=0 busybox grep Mems_allowed_list /proc/self/status",
        ),
        Example("docker run --pids-limit", "sleeping --pids-limit 50; limit pids pids.max pids.max"),
        Example("docker run --oom-score-adj", "docker run --oom-score-adj 500 busybox cat /proc/self/oom_score_adj"),
        Example("docker run --blkio-weight", "docker run --blkio-weight 300 busybox echo fine 2> /dev/null", differs=_NO_DAEMON),
        Example(
            "docker run --shm-size",
            "docker run --shm-size 32m busybox sh -c 'df -k /dev/shm | tail -1 | awk \"{print \\$2}\"'; docker run busybox sh -c 'df -k /dev/shm | tail -1 | awk \"{print \\$2}\"'",
        ),
        Example(
            'docker run --ulimit nofile=1024:1024 --rm debian sh -c "ulimit -n"',
            "docker run --ulimit nofile=1024:1024 --rm busybox sh -c 'ulimit -n; ulimit -Hn'",
        ),
        Example(
            "docker run --ulimit nofile=1024",
            "docker run --ulimit nofile=512 --rm busybox sh -c 'ulimit -n; ulimit -Hn'; docker run --ulimit nofile=2:1 busybox true; echo $?",
        ),
        Example(
            "docker run -d -u daemon --ulimit nproc=3 busybox top",
            "docker run -u daemon --ulimit nproc=300 busybox grep 'Max processes' /proc/self/limits",
        ),
        Example(
            "docker run --sysctl net.ipv4.ip_forward=1 someimage",
            "docker run --network none --sysctl net.ipv4.ip_forward=1 busybox cat /proc/sys/net/ipv4/ip_forward",
        ),
        Example(
            "docker run --sysctl kernel.msgmax",
            "docker run --sysctl kernel.msgmax=4096 busybox cat /proc/sys/kernel/msgmax; docker run --sysctl vm.swappiness=1 busybox true; echo $?",
        ),
    ),
    "Privileges": (
        Example(
            "docker run --security-opt no-new-privileges -it centos bash",
            "docker run --security-opt no-new-privileges busybox grep NoNewPrivs /proc/self/status",
        ),
        Example(
            "docker run (new privileges)",
            "docker run busybox grep NoNewPrivs /proc/self/status",
            differs="a set-user-id file never gives privileges",
        ),
        Example(
            "docker run --security-opt seccomp=unconfined",
            "docker run --security-opt no-new-privileges --security-opt seccomp=unconfined busybox grep -E '^Seccomp:' /proc/self/status",
        ),
        Example(
            "docker run (system calls are filtered)",
            "docker run busybox grep -E '^Seccomp:' /proc/self/status; docker run busybox unshare -m true; echo $?",
        ),
        Example(
            "docker run --security-opt seccomp=profile.json",
            'echo \'{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}\' > profile.json;'
            " docker run --security-opt seccomp=profile.json busybox mkdir /tmp/x; echo $?",
        ),
        Example(
            "docker run --security-opt label=disable -it fedora bash", "docker run --security-opt label=disable busybox echo fine"
        ),
        Example(
            "docker run --security-opt (unknown)",
            "docker run --security-opt nothing=at-all busybox echo fine 2> /dev/null; echo $?",
        ),
        Example(
            "docker run (root's capabilities)",
            "docker run busybox chown 1:1 /tmp; echo $?; docker run busybox ip link add dummy0 type dummy; echo $?",
        ),
        Example(
            "docker run (all of root's capabilities)",
            "docker run busybox grep CapEff /proc/self/status",
            differs="root has the seven that are about files and users; AUDIT_WRITE, MKNOD, NET_BIND_SERVICE, NET_RAW, SETFCAP, SETPCAP and SYS_CHROOT are added with `--cap-add`",
        ),
        Example(
            'docker run -it --rm --cap-add=NET_ADMIN ubuntu:22.04 sh -c "ip link add dummy0 type dummy"',
            "docker run --network none --rm --cap-add=NET_ADMIN busybox sh -c 'ip link set lo mtu 1400; cat /sys/class/net/lo/mtu'",
        ),
        Example(
            "docker run --cap-add SYS_PTRACE, NET_RAW",
            "docker run --cap-drop ALL --cap-add SYS_PTRACE --cap-add CAP_NET_RAW busybox grep CapEff /proc/self/status",
        ),
        Example(
            "docker run --cap-drop ALL",
            "docker run --cap-drop ALL busybox sh -c 'grep CapEff /proc/self/status; chown 1:1 /tmp; echo $?'",
        ),
        Example("docker run --cap-drop CHOWN", "docker run --cap-drop CHOWN busybox chown 1:1 /tmp; echo $?"),
        Example(
            "docker run --cap-drop=MKNOD (mknod is refused)", "docker run --cap-drop=MKNOD busybox mknod /tmp/x c 1 3; echo $?"
        ),
        Example("docker run --cap-add (unknown)", "docker run --cap-add NOTHING busybox true; echo $?"),
        Example("docker run -u (no capabilities)", "docker run -u www busybox grep CapEff /proc/self/status"),
        Example(
            "docker run -it --rm --device=/dev/zero:/dev/foobar ubuntu ls -l /dev/foobar",
            "docker run --rm --device=/dev/zero:/dev/foobar busybox sh -c 'head -c 4 /dev/foobar | wc -c; test -c /dev/foobar; echo $?'",
        ),
        Example(
            "docker run --device (no such device)",
            "docker run --device /dev/nosuch busybox true; echo $?",
            differs="docker gives 127, as if the program were not there; jettison 125",
        ),
        Example("docker run --rm -it --pid=host alpine", "docker run --rm --pid=host busybox echo fine", differs=_NO_DAEMON),
        Example("docker run --uts=host", "docker run --uts=host busybox echo fine", differs=_NO_DAEMON),
        Example("docker run --ipc=host", "docker run --ipc=host busybox echo fine", differs=_NO_DAEMON),
        Example("docker run --userns=host hello-world", "docker run --userns=host busybox echo fine", differs=_NO_DAEMON),
        Example(
            "docker run -d --device-cgroup-rule='c 42:* rmw' --name my-container my-image",
            "docker run --device-cgroup-rule='c 42:* rmw' busybox echo fine",
            differs=_NO_DAEMON,
        ),
    ),
    "Labels, logs, restarts, health": (
        Example(
            "docker run -l my-label --label com.example.foo=bar ubuntu bash",
            "sleeping -l my-label --label com.example.foo=bar; docker inspect -f '{{json .Config.Labels}}' test",
        ),
        Example(
            "docker run --label-file ./labels ubuntu bash",
            "printf 'com.example.label1=\"a label\"\\n\\n# this is a comment\\ncom.example.label2=another\\\\ label\\n' > labels;"
            " sleeping --label-file ./labels; docker inspect -f '{{json .Config.Labels}}' test",
        ),
        Example(
            "docker run --label-file ./labels (a label without a value)",
            "echo com.example.label3 > labels; sleeping --label-file ./labels; docker inspect -f '{{json .Config.Labels}}' test",
            differs="docker 20.10 forgets it, unlike what it documents; jettison has it with an empty value",
        ),
        Example(
            "docker run -l a=1 -l a=2 (the last counts)", "sleeping -l a=1 -l a=2; docker inspect -f '{{.Config.Labels}}' test"
        ),
        Example(
            "docker run --log-driver=none -d nginx:alpine; docker logs 5101d3b",
            "docker run --log-driver=none -d --name test busybox echo lost; docker wait test; docker logs test; echo $?",
        ),
        Example(
            "docker run --log-opt max-size=10m --log-opt max-file=3",
            "docker run -d --name test --log-opt max-size=10m --log-opt max-file=3 busybox echo kept; docker wait test; docker logs test",
        ),
        Example(
            "docker run --restart=always redis",
            "sleeping --restart=always; docker inspect -f '{{.HostConfig.RestartPolicy.Name}} {{.State.Status}}' test",
        ),
        Example(
            "docker run --restart=always (it comes again)",
            "docker run -d --name test --restart=always busybox sh -c 'echo started; sleep 0.3'; sleep 2; docker rm -f test > /dev/null; docker ps -aq",
        ),
        Example(
            "docker run --restart=on-failure:10 redis",
            "sleeping --restart=on-failure:10; docker inspect -f '{{json .HostConfig.RestartPolicy}}' test",
        ),
        Example(
            'docker inspect -f "{{ .RestartCount }}" my-container',
            "docker run -d --name test --restart=on-failure:2 busybox false; docker wait test; docker inspect -f '{{ .RestartCount }} {{.State.ExitCode}}' test",
        ),
        Example(
            'docker inspect -f "{{ .State.StartedAt }}" my-container',
            "sleeping; docker inspect -f '{{ .State.StartedAt }}' test; docker stop -t 0 test; docker inspect -f '{{.State.StartedAt}} {{.State.FinishedAt}}' test",
        ),
        Example("docker run --restart=always --rm", "docker run --restart=always --rm busybox true; echo $?"),
        Example("docker run --restart=sometimes", "docker run --restart=sometimes busybox true; echo $?"),
        Example(
            "docker run --name=test -d --health-cmd='stat /etc/passwd || exit 1' --health-interval=2s busybox sleep 1d",
            "docker run --name=test -d --health-cmd='stat /etc/passwd || exit 1' --health-interval=0.5s busybox sleep 1d; health healthy;"
            " docker ps --format '{{.Status}}' | grep -o healthy; docker exec test rm /etc/passwd; health unhealthy;"
            " docker inspect --format='{{json .State.Health}}' test | grep -c \"can't stat '/etc/passwd': No such file or directory\"",
        ),
        Example(
            "docker run --no-healthcheck",
            "docker run --no-healthcheck -d --name test busybox sleep 60; docker inspect -f '{{json .State}}' test | grep -c Health; true",
        ),
        Example(
            "docker run --stop-signal",
            "docker run -d --name test --stop-signal SIGUSR1 busybox sh -c 'trap \"echo usr1; exit 7\" USR1; echo up; while :; do sleep 0.1; done'; logged test up; docker stop test; docker wait test; docker logs test",
        ),
        Example(
            "docker run --stop-timeout",
            "docker run -d --name test --stop-timeout 1 busybox sh -c 'trap \"\" TERM; echo up; while :; do sleep 0.1; done'; logged test up; docker stop test; docker wait test",
        ),
        Example(
            "docker run --annotation",
            "docker run -d --name test --annotation a=b busybox sleep 60; docker inspect -f '{{json .HostConfig.Annotations}}' test",
            differs="docker as of 24 has it",
        ),
    ),
    "docker exec": (
        Example(
            "docker run --name mycontainer -d -i -t alpine /bin/sh",
            "docker run --name mycontainer -d -i -t busybox /bin/sh; sleep 0.5; docker inspect -f '{{.State.Running}}' mycontainer",
        ),
        Example(
            "docker run -d -i (stdin that does not end)",
            "docker run --name test -d -i busybox cat; sleep 0.5; docker inspect -f '{{.State.Running}}' test",
        ),
        Example(
            "docker exec -d mycontainer touch /tmp/execWorks",
            "sleeping; docker exec -d test touch /tmp/execWorks; sleep 0.5; docker exec test ls /tmp",
        ),
        Example("docker exec -it mycontainer sh", "sleeping; docker exec -it test sh > /dev/null; echo $?", "exit 9\n"),
        Example(
            "docker exec -e VAR_A=1 -e VAR_B=2 mycontainer env",
            "sleeping -e VAR_A=0 -e VAR_C=3 -h web; docker exec -e VAR_A=1 -e VAR_B=2 test env | sort",
        ),
        Example("docker exec -it mycontainer pwd", "sleeping; docker exec test pwd; docker exec -w /root test pwd"),
        Example("docker exec mycontainer (where the container started)", "sleeping -w /root; docker exec test pwd"),
        Example('docker exec -it my_container sh -c "echo a && echo b"', "sleeping; docker exec test sh -c 'echo a && echo b'"),
        Example(
            'docker exec -it my_container "echo a && echo b"',
            "sleeping; docker exec test 'echo a && echo b' > /dev/null 2>&1; [ $? -ge 126 ] && echo no",
        ),
        Example(
            "docker exec (its status)",
            "sleeping; docker exec test sh -c 'exit 5'; echo $?; docker exec test /etc > /dev/null 2>&1; echo $?",
        ),
        Example("docker exec -u", "sleeping; docker exec -u www test id; docker exec -u 5:6 test id"),
        Example("echo … | docker exec -i", "sleeping; echo text | docker exec -i test cat; echo lost | docker exec test cat"),
        Example("docker exec (an image's name)", "docker exec busybox sh; echo $?", differs=_EARLY),
        Example(
            "docker exec (a container that has ended)",
            "docker run -d --name test busybox true; docker wait test; docker exec test true; echo $?",
            differs=_EARLY,
        ),
        Example("docker exec --privileged", "sleeping; docker exec --privileged test echo fine", differs=_NO_DAEMON),
    ),
    "docker logs, stop, kill, wait, rm": (
        Example(
            "docker logs --tail",
            "docker run -d --name test busybox seq 1 5; docker wait test; docker logs --tail 2 test; docker logs --tail all test; docker logs --tail 0 test",
        ),
        Example(
            "docker logs (each stream to its own)",
            "docker run -d --name test busybox sh -c 'echo out; echo err >&2'; docker wait test; docker logs test 2> err; cat err; docker logs test 2>&1 > /dev/null",
        ),
        Example("docker logs --timestamps", "docker run -d --name test busybox echo line; docker wait test; docker logs -t test"),
        Example(
            "docker logs --since",
            "docker run -d --name test busybox sh -c 'echo old; sleep 3; echo new'; docker wait test; docker logs --since 2s test",
        ),
        Example("docker logs -f", "docker run -d --name test busybox sh -c 'echo a; sleep 1; echo b'; docker logs -f test"),
        Example(
            "docker logs -f --until=2s test",
            "docker run --name test -d busybox sh -c 'echo tick; sleep 1; echo tock; sleep 5; echo late'; sleep 0.5; docker logs -f --until=2s test",
        ),
        Example("docker logs (of nobody)", "docker logs nobody; echo $?"),
        Example(
            "docker stop my_container",
            "docker run --init -d --name my_container busybox sleep 60; docker stop my_container; docker inspect -f '{{.State.ExitCode}} {{.State.Status}}' my_container",
        ),
        Example(
            "docker stop my_container (that has no handler)",
            "sleeping; docker stop -t 1 test; docker inspect -f '{{.State.ExitCode}}' test",
            differs="TERM ends it: " + _INIT,
        ),
        Example(
            "docker stop (twice, and of nobody)",
            "sleeping; docker stop -t 0 test; docker stop test; echo $?; docker stop nobody; echo $?",
        ),
        Example("docker kill my_container", "sleeping; docker kill test; docker wait test"),
        Example(
            "docker kill --signal=SIGHUP my_container",
            "docker run -d --name test busybox sh -c 'trap \"echo hup; exit 3\" HUP; echo up; while :; do sleep 0.1; done'; logged test up; docker kill --signal=SIGHUP test; docker wait test; docker logs test",
        ),
        Example(
            "docker kill --signal=HUP, --signal=1",
            "for signal in HUP 1; do docker run --rm -d --name test busybox sh -c 'trap \"exit 3\" HUP; echo up; while :; do sleep 0.1; done'; logged test up; docker kill --signal=$signal test; docker wait test 2> /dev/null || true; docker rm -f test > /dev/null 2>&1; done | grep -c test",
        ),
        Example(
            "docker kill (one that has ended)",
            "docker run -d --name test busybox true; docker wait test; docker kill test; echo $?",
        ),
        Example(
            "docker wait my_container",
            "docker run -dit --name=my_container busybox sh -c 'sleep 0.5; exit 5'; docker wait my_container; docker wait my_container",
        ),
        Example(
            "docker wait (several)",
            "docker run -d --name one busybox sh -c 'exit 1'; docker run -d --name two busybox sh -c 'exit 2'; docker wait one two; docker wait nobody; echo $?",
        ),
        Example(
            "docker rm (one that runs)",
            "sleeping; docker rm test; [ $? -ne 0 ] && echo refused; docker rm --force test; docker ps -aq",
        ),
        Example(
            "docker rm $(docker ps --filter status=exited -q)",
            "docker run -d --name test busybox true; docker wait test; docker rm $(docker ps --filter status=exited -q); docker ps -aq",
        ),
        Example(
            "docker ps --filter status=exited -q | xargs docker rm",
            "docker run -d --name test busybox true; docker wait test; docker ps --filter status=exited -q | xargs docker rm; docker ps -aq",
        ),
        Example("docker rm (of nobody)", "docker rm nobody; echo $?"),
    ),
    "docker ps, inspect": (
        Example('docker ps --format "{{.ID}}: {{.Command}}"', "sleeping; docker ps --format '{{.ID}}: {{.Command}}'"),
        Example(
            'docker ps --format "table {{.ID}}\\t{{.Labels}}"',
            "sleeping -l a=1; docker ps --format 'table {{.ID}}\\t{{.Names}}' | tr -s ' '; docker ps --format '{{.Labels}}'",
        ),
        Example(
            "docker ps (its columns)",
            "sleeping; docker ps | head -1 | tr -s ' '",
        ),
        Example(
            "docker ps --no-trunc",
            "docker run -d --name test busybox sleep 60 1 2 3 4 5 6 7; docker ps --no-trunc --format '{{.ID}} {{.Command}}'; docker ps --format '{{.Command}}'",
        ),
        Example(
            "docker ps -a, -l, -n",
            "docker run -d --name one busybox true; docker wait one; docker run -d --name two busybox sleep 60; docker ps -a --format '{{.Names}} {{.State}}'; docker ps -l --format '{{.Names}}'; docker ps -n 1 --format '{{.Names}}'; docker ps --format '{{.Names}}'",
        ),
        Example(
            'docker ps --filter "label=color"',
            "docker run -d --name one -l color=blue busybox sleep 60; docker run -d --name two busybox sleep 60; docker ps --filter label=color --format '{{.Names}}'; docker ps --filter label=color=red -q",
        ),
        Example(
            'docker ps --filter "name=nostalgic"',
            "docker run -d --name nostalgic_stallman busybox sleep 60; docker run -d --name two busybox sleep 60; docker ps --filter name=nostalgic --format '{{.Names}}'",
        ),
        Example(
            "docker ps -a --filter 'exited=0'",
            "docker run -d --name one busybox true; docker run -d --name two busybox false; docker wait one two; docker ps -a --filter exited=0 --format '{{.Names}}'; docker ps -a --filter exited=1 --format '{{.Names}}'",
        ),
        Example(
            "docker ps -q --filter ancestor=nginx:alpine",
            "sleeping; docker ps -q --filter ancestor=busybox; docker ps -q --filter ancestor=app",
        ),
        Example(
            "docker ps --filter status=running",
            "docker run -d --name one busybox true; docker wait one; sleeping; docker ps --filter status=running --format '{{.Names}}'; docker ps --filter status=exited --format '{{.Names}}'",
        ),
        Example("docker ps --filter (unknown)", "docker ps --filter nothing=1; [ $? -ne 0 ] && echo refused"),
        Example(
            "docker ps (the status of one that has ended)",
            "docker run -d --name test busybox sh -c 'exit 3'; docker wait test; docker ps -a --format '{{.Status}}' | cut -c 1-10",
        ),
        Example(
            "docker inspect --format='{{.Config.Image}}' $INSTANCE_ID",
            "sleeping -h web -u www -w /tmp; docker inspect -f '{{.Config.Image}} {{.Name}} {{.Config.Hostname}} {{.Config.User}} {{.Config.WorkingDir}} {{.Path}} {{.Args}}' test",
        ),
        Example(
            "docker inspect --format='{{json .State}}'",
            "docker run -d --name test busybox sh -c 'exit 3'; docker wait test; docker inspect -f '{{.State.Status}} {{.State.Running}} {{.State.ExitCode}} {{.State.OOMKilled}} {{.State.Pid}}' test",
        ),
        Example(
            "docker inspect (one after another)",
            "docker run -d --name one busybox sleep 60; docker run -d --name two busybox sleep 60; docker inspect -f '{{.Name}}' one two",
        ),
        Example("docker inspect (of nobody)", "docker inspect nobody > /dev/null 2>&1; echo $?"),
        Example(
            "docker inspect --type",
            "sleeping; docker inspect --type container -f '{{.Id}}' test; docker inspect --type image -f '{{.Os}}' busybox; docker inspect --type image test > /dev/null 2>&1; echo $?",
        ),
        Example(
            "docker inspect --format (a wrong template)",
            "sleeping; docker inspect -f '{{.Nope}}' test > /dev/null 2>&1; [ $? -ne 0 ] && echo refused; docker inspect -f '{{' test; [ $? -ne 0 ] && echo refused",
        ),
        Example(
            "docker inspect --format='{{range .NetworkSettings.Networks}}…'",
            "sleeping; docker inspect -f '{{range $name, $network := .NetworkSettings.Networks}}{{$name}}{{end}}' test",
            differs="templates have fields and `json`, and nothing else",
        ),
        Example(
            "docker inspect (mounts)",
            "mkdir data; sleeping -v $PWD/data:/data:ro; docker inspect -f '{{json .Mounts}}' test | grep -o '\"Destination\":\"/data\"'; docker inspect -f '{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.NetworkMode}}' test",
            differs="the network is the machine's by default",
        ),
    ),
}

UNRUN = (
    Unrun(
        "docker network create mynet; docker run --name test --net mynet -d nginx:alpine",
        "there is no network that containers share",
    ),
    Unrun("docker run -p 127.0.0.1:80:8080/tcp nginx:alpine; docker port", "the same, with `private` for docker's `bridge`"),
    Unrun("docker run -p 80:80", "it is 127.0.0.1:80, and not every address of the machine: `-p 0.0.0.0:80:80` says that"),
    Unrun("docker run -P nginx:alpine", "declined: see below"),
    Unrun("docker run -itd --network=my-net --ip=192.0.2.69 busybox", "the same"),
    Unrun(
        "docker run -d --name redis …; docker run --network container:redis …",
        "the same; with the machine's network both are on localhost",
    ),
    Unrun("docker run -v ./content:/content -w /content -i -t ubuntu pwd", "the same as docker's as of version 23"),
    Unrun(
        "docker run --add-host=my-hostname=8.8.8.8, --add-host my-hostname=[2001:db8::33]",
        "the same as docker's as of versions 24 and 25",
    ),
    Unrun(
        "docker run --add-host host.docker.internal=host-gateway …",
        "a gateway to the host is there with a network of docker's alone",
    ),
    Unrun(
        "docker run --pull=always",
        "nothing can be pulled yet, so it is an error; `skopeo copy` and `jettison load` bring an image in",
    ),
    Unrun("docker run alpine@sha256:9cacb71397b6… date", "the same, where the image came with this manifest"),
    Unrun("docker ps --format json, docker run -q, --annotation", "the same as docker's as of versions 23 and 24"),
    Unrun("docker run -v /var/run/docker.sock:/var/run/docker.sock …", "there is no daemon to be asked"),
    Unrun("docker run -t -i --privileged ubuntu bash", "declined: see below"),
    Unrun("docker run -it --storage-opt size=120G fedora /bin/bash", "declined: see below"),
    Unrun("docker run -it --rm --gpus all ubuntu nvidia-smi", "declined: see below"),
    Unrun("docker run --cgroup-parent, --runtime, --isolation, --device-read-bps …", "declined: see below"),
    Unrun(
        "docker attach, docker start, docker restart, docker pause, docker cp, docker diff, docker commit",
        "there are no such verbs",
    ),
    Unrun("docker run --ulimit as=1024", "refused, as it would bound the start itself; docker has given it up"),
    Unrun("PS C:\\> docker run -v c:\\foo:c:\\dest …", "there are no Windows containers"),
)
