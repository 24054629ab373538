#!/usr/bin/env bash
# long_clean_machine.sh: do the README's two commands do what it says on a machine that has nothing yet?
#
# Makes a minimal Debian in a temporary folder, lays the committed sources into it, and runs there, as a newcomer would,
# simulations/quickstart.sh, the same once more, and tests/run.sh. Whatever they install comes from the mirror that apt
# uses on this machine. Mounts and processes live in namespaces of their own, so none can outlive the test.
#
#   long_clean_machine.sh BUILD_DIR [SUITE...]      SUITE: bookworm and trixie, unless told otherwise
set -uo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
suites=("${@:2}")
[ ${#suites[@]} -gt 0 ] || suites=(bookworm trixie)
number=0 failures=0 running='' work='' mirror='' log=''

skip() {
    echo "ok 1 - the README's commands on a clean machine # SKIP $*"
    echo "1..1"
    exit 0
}

# report CODE NAME: a line of TAP, with the end of the log where the exit code tells of a failure.
report() {
    local code=$1
    number=$((number + 1))
    if [ "$code" -eq 0 ]; then
        echo "ok $number - $suite: $2"
    else
        failures=$((failures + 1))
        echo "not ok $number - $suite: $2 (exit code $code)"
        tail -n 120 "$log" | sed 's/^/# /'
    fi
    return "$code"
}

# bounded SECONDS COMMAND...: its mounts and its processes are gone when it has ended, or has been ended.
# In the background, because bash heeds signals only then; env gives back to the command those that this takes from it.
bounded() {
    local code
    timeout --signal=KILL "$1" unshare --mount --pid --fork --kill-child env --default-signal=INT,QUIT "${@:2}" < /dev/null &
    running=$!
    wait $running
    code=$?
    running=''
    return $code
}

# The base system, and how this machine's apt gets at its mirror: proxies, certificates, names.
make_machine() {
    local root=$1
    bounded 900 debootstrap --variant=minbase "$suite" "$root" "$mirror" || return
    cp /etc/hosts "$root/etc/" || return
    apt-config dump | grep -E '^Acquire::(http|Check-|Retries)' > "$root/etc/apt/apt.conf.d/99machine"
    if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
        mkdir -p "$root/etc/ssl/certs" && cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/" || return
    fi
    mkdir "$root/rondo" && git -C "$repository" archive HEAD | tar -x -C "$root/rondo"
}

# on_machine SECONDS ROOT COMMAND...: as root on that machine, with nothing of this one's environment but proxies.
on_machine() {
    local seconds=$1 root=$2
    shift 2
    bounded "$seconds" bash -c '
        root=$1 && shift &&
        mount --bind "$root" "$root" && cd "$root" && # network namespaces ask for a root that is a mount point
        mount -t proc proc proc && mount -t sysfs sysfs sys && mount --rbind /dev dev && mount -t tmpfs tmpfs run &&
        exec chroot . env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
            ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} "$@"' \
        - "$root" "$@"
}

try_machine() {
    local root=$work/$suite time
    log=$work/$suite.log
    make_machine "$root" > "$log" 2>&1
    report $? "a minimal Debian" || return

    for time in first second; do
        on_machine 1200 "$root" /rondo/simulations/quickstart.sh > "$log" 2>&1 &&
            tail -n 1 "$log" | awk '/^test accuracy / { good = $3 > 0.80 } END { exit !good }'
        report $? "quickstart.sh, $time time: $(tail -n 1 "$log")"
    done

    on_machine 2400 "$root" /rondo/tests/run.sh > "$log" 2>&1 && tail -n 1 "$log" | grep -qE '^[1-9][0-9]* passed, 0 failed'
    report $? "tests/run.sh: $(tail -n 1 "$log")"
    ! grep 'warning:' "$log" > "$work/warnings"
    log=$work/warnings
    report $? "no compiler warnings"
}

clean_up() {
    if [ -n "$running" ]; then
        kill -KILL -- "-$running" # timeout has made a process group
        wait "$running"
        sleep 1 # until the last process of the namespace has gone
    fi 2> /dev/null
    rm -rf --one-file-system "$work"
}

[ "$(id -u)" -eq 0 ] || skip "needs root"
command -v debootstrap > /dev/null || skip "needs debootstrap"
unshare --mount --pid --fork true 2> /dev/null || skip "needs namespaces"
git -C "$repository" rev-parse --quiet --verify HEAD > /dev/null || skip "needs a git clone"
mirror=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' | sed -n '/^Debian /{s///p;q}')
[ -n "$mirror" ] || skip "apt knows of no Debian mirror here; apt-get update may help"

work=$(mktemp -d /var/tmp/rondo-clean-XXXXXX)
trap clean_up EXIT
trap 'exit 1' HUP INT TERM
for suite in "${suites[@]}"; do
    try_machine
    rm -rf --one-file-system "${work:?}/$suite"
done
echo "1..$number"
[ $failures -eq 0 ]
