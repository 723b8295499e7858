#!/bin/sh
# A program and a script of this machine become images: what is in them and why, how they run, how they travel.
set -eu
jettison=$(command -v "${1:-jettison}")
jettison=$(cd "$(dirname "$jettison")" && pwd)/jettison
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp "$(dirname "$0")/hello.sh" "$scratch"
cd "$scratch"
export JETTISON_HOME="$scratch/store"
began_s=$(date +%s)
refused=

say() { printf '\n# %s\n' "$*"; }

show() {
    printf '$ jettison %s\n' "$*"
    "$jettison" "$@"
}

# Some machines refuse namespaces to some users; then all but running works, and the demo says so.
run() {
    status=0
    show run "$@" || status=$?
    case $status in
    0) ;;
    125) refused=yes ;;
    *) exit "$status" ;;
    esac
}

say "A program of this machine, with what it needs and nothing else:"
show pack ls -t ls

say "What that weighs, and why one of its libraries is there:"
show weigh ls --top 3
deepest='/^\//{path=$0} /needed by/{found=path} /needed by [^:]*\.so/{deep=path} END{print deep ? deep : found ? found : "/etc/passwd"}'
library=$("$jettison" pack ls -t ls --explain 2>/dev/null | awk "$deepest")
show why ls "$library"

say "It runs as a process of this machine, without a daemon, in a world that is only the image:"
run ls /

say "A script and its interpreter, and an argument of the caller's:"
show pack ./hello.sh -t hello
run hello world

say "One file that docker load, podman load and skopeo copy take:"
show save ls -o ls.tar
wc -c <ls.tar | xargs printf "%s bytes\n"

if [ -n "$refused" ]; then
    say "This machine did not let the images run. What it lacks, and the mend:"
    show doctor || true
    say "Done in $(($(date +%s) - began_s)) s: packed, weighed, explained and saved; running was refused."
else
    say "Done in $(($(date +%s) - began_s)) s: packed, weighed, explained, ran and saved; nothing is left behind."
fi
