#!/usr/bin/env bash
# long_clean_machine.sh [BUILD_DIR [SUITE]]: the README's two commands on a Debian that has nothing else installed: a chroot made
# with debootstrap (SUITE: bookworm, unless told otherwise) from this machine's own mirror. Needs root; takes minutes.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
suite=${2:-bookworm}

skip() {
    echo "ok 1 - clean_machine # SKIP $*"
    exit 0
}
[ "$(id -u)" -eq 0 ] || skip "needs root"
command -v debootstrap >/dev/null || skip "needs debootstrap"
mirror=$(sed -n 's/^URIs: *//p; s/^deb  *\(\[[^]]*\] *\)\{0,1\}\(http[^ ]*\).*/\2/p' /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
[ -n "$mirror" ] || skip "found no Debian mirror in this machine's apt configuration"

folder=$(mktemp -d /var/tmp/rondo-clean-XXXXXX)
cleanup() {
    umount "$folder/proc" "$folder/dev" 2>/dev/null
    rm -rf --one-file-system "$folder"
}
trap cleanup EXIT

number=0 failed=0
step() { # step NAME COMMAND...
    local name=$1 code
    shift
    "$@" > "$folder.log" 2>&1
    code=$?
    number=$((number + 1))
    if [ $code -eq 0 ]; then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name (ended with $code)"
        tail -n 30 "$folder.log" | sed 's/^/# /'
        failed=1
    fi
    rm -f "$folder.log"
}
inside() { timeout 1500 chroot "$folder" env -i CI=true HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }

step debootstrap debootstrap --variant=minbase "$suite" "$folder" "$mirror"
cp /etc/resolv.conf /etc/hosts "$folder/etc/"
cp /etc/apt/apt.conf.d/99* "$folder/etc/apt/apt.conf.d/" 2>/dev/null # proxies and the like
mount -t proc proc "$folder/proc" && mount --bind /dev "$folder/dev" || exit 1
mkdir "$folder/rondo"
git -C "$root" archive HEAD | tar x -C "$folder/rondo"

step quickstart inside /rondo/simulations/quickstart.sh
step quickstart_again inside /rondo/simulations/quickstart.sh
step tests inside /rondo/tests/run.sh
step tests_again inside /rondo/tests/run.sh
exit $failed
