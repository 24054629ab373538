#!/usr/bin/env bash
# run.sh: the one test command. Installs what is missing, builds, runs everything, ends with "N passed, N failed".
#
#   tests/run.sh              unit tests, fuzz corpora, system tests
#   tests/run.sh --asan       the same with address and undefined-behaviour sanitizers
#   tests/run.sh --tsan       system tests with the thread sanitizer (Criterion does not start under it)
#   tests/run.sh --valgrind   unit tests under valgrind
#   tests/run.sh --fuzz N     each fuzzer for N seconds, with clang
#   tests/run.sh --long       the suites that take minutes: clean machine, published results
#   tests/run.sh --bench      the benchmarks, which print ratios and pass no judgement
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../simulations/prepare.sh"

preset=release wrapper=() fuzz_seconds=0 long=0 bench=0
while [ $# -gt 0 ]; do
    case $1 in
    --asan) preset=asan ;;
    --tsan) preset=tsan ;;
    --valgrind) wrapper=(valgrind -q --leak-check=full --error-exitcode=9 --trace-children=yes) ;;
    --fuzz) fuzz_seconds=${2:?--fuzz needs a number of seconds}; shift ;;
    --long) long=1 ;;
    --bench) bench=1 ;;
    *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 2 ;;
    esac
    shift
done

packages="$rondo_build_packages libopenmpi-dev openmpi-bin libcriterion-dev python3 python3-jsonschema curl iproute2"
[ ${#wrapper[@]} -gt 0 ] && packages="$packages valgrind"
[ $long -eq 1 ] && packages="$packages debootstrap git"
[ "$fuzz_seconds" -gt 0 ] && packages="$packages clang libclang-rt-dev"
rondo_install $packages || exit 1

passed=0 failed=0 skipped=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# count NAME TAPFILE EXIT_CODE: adds the lines "ok" and "not ok" up; a test program that dies is one failure more.
count() {
    local ok bad skip
    skip=$(grep -c '^ok .*# SKIP' "$2")
    ok=$(($(grep -c '^ok ' "$2") - skip))
    bad=$(grep -c '^not ok ' "$2")
    [ "$3" -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
    [ $((ok + skip)) -eq 0 ] && [ "$bad" -eq 0 ] && bad=1 # a program that tests nothing is no test
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
    printf '%-34s %3d passed, %d failed\n' "$1" "$ok" "$bad"
    grep '^ok .*# SKIP' "$2"
    [ "$bad" -eq 0 ] || { grep -v '^ok ' "$2"; cat "$work/errors"; } | tail -n 60
}

if [ "$fuzz_seconds" -gt 0 ]; then
    rondo_build fuzz || exit 1
    for fuzzer in "$rondo_root"/build/fuzz/tests/fuzz_*; do
        [ -x "$fuzzer" ] && [ -f "$fuzzer" ] || continue
        name=$(basename "$fuzzer")
        mkdir -p "$work/$name"
        "$fuzzer" -max_total_time="$fuzz_seconds" -timeout=10 -artifact_prefix="$work/$name-" "$work/$name" \
            "$rondo_root/tests/fuzz/corpus/$name" > "$work/errors" 2>&1 && echo "ok $name" > "$work/tap" || echo "not ok $name" > "$work/tap"
        count "$name ($(grep -c '' < <(ls "$work/$name")) inputs found)" "$work/tap" 0
    done
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
fi

werror=OFF
[ -n "${CI:-}" ] && werror=ON
rondo_build $preset -DRONDO_WERROR=$werror || { echo "0 passed, 1 failed"; exit 1; }
bin=$rondo_root/build/$preset
[ $preset = release ] || export RONDO_SLOW=1 # sanitizers: longer patience

for test in "$bin"/tests/test_*; do
    [ $preset = tsan ] && break
    [ -x "$test" ] && [ -f "$test" ] || continue
    rm -f "$work/tap"
    timeout 1800 "${wrapper[@]}" "$test" --tap="$work/tap" --quiet > "$work/errors" 2>&1
    code=$?
    touch "$work/tap"
    count "unit: $(basename "$test")" "$work/tap" $code
done

for replay in "$bin"/tests/fuzz_*; do
    [ -x "$replay" ] && [ -f "$replay" ] || continue
    name=$(basename "$replay")
    "$replay" "$rondo_root/tests/fuzz/corpus/$name"/* > "$work/errors" 2>&1
    code=$?
    { [ $code -eq 0 ] && echo "ok $name" || echo "not ok $name"; } > "$work/tap"
    count "corpus: $name" "$work/tap" $code
done

system=("$rondo_root"/tests/system/test_*.py)
[ $long -eq 1 ] && system+=("$rondo_root"/tests/system/long_*)
[ ${#wrapper[@]} -gt 0 ] && system=()
for script in "${system[@]}"; do
    case $script in *.py) run=(/usr/bin/python3) ;; *) run=() ;; esac # Debian's, which has Debian's packages
    "${run[@]}" "$script" "$bin" > "$work/tap" 2> "$work/errors"
    count "system: $(basename "$script")" "$work/tap" $?
done

if [ $bench -eq 1 ]; then
    for program in "$bin"/tests/bench_* "$rondo_root"/tests/bench/bench_*.py; do
        [ -x "$program" ] && [ -f "$program" ] || continue
        echo
        echo "== $(basename "$program")"
        case $program in *.py) "$program" "$bin" ;; *) "$program" ;; esac || failed=$((failed + 1))
    done
fi

echo "$passed passed, $failed failed$([ $skipped -eq 0 ] || echo ", $skipped skipped")"
[ "$failed" -eq 0 ]
