#!/usr/bin/env bash
# run.sh: the one test command. Installs what is missing, builds, runs everything, ends with "N passed, N failed".
#
#   tests/run.sh              unit tests, the seeded world, fuzz corpora, system tests
#   tests/run.sh --asan       the same with address and undefined-behaviour sanitizers
#   tests/run.sh --tsan       the same with the thread sanitizer
#   tests/run.sh --valgrind   unit tests and the seeded world under valgrind, but for those in tests/valgrind-not.txt
#   tests/run.sh --fuzz N     each fuzzer for N seconds, with clang
#   tests/run.sh --fuzz-runs N [NAME...]   each fuzzer, or those named, for N executions, one after another
#   tests/run.sh --ci         all of the above one after another, each fuzzer for 10 seconds; the last line is their sum
#   tests/run.sh --errors     tells which error messages no test provokes
#   tests/run.sh --long       the suites that take minutes: clean machine, published results
#   tests/run.sh --bench      the benchmarks, which print ratios and pass no judgement
#
# Where the environment has CI=true, warnings are errors, and so is a test skipped that is not in tests/skips.txt.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../simulations/prepare.sh"

part=release preset=release wrapper=() fuzz_limit=() fuzz_names=() fuzz_width=2 long=0 bench=0
while [ $# -gt 0 ]; do
    case $1 in
    --asan | --tsan) part=${1#--} preset=$part ;;
    --valgrind) part=valgrind wrapper=(valgrind -q --leak-check=full --error-exitcode=9 --trace-children=yes '--trace-children-skip=/bin/*,/usr/bin/*') ;;
    --fuzz) part=fuzz preset=fuzz fuzz_limit=(-max_total_time="${2:?--fuzz needs a number of seconds}"); shift ;;
    --fuzz-runs)
        part=fuzz preset=fuzz fuzz_limit=(-runs="${2:?--fuzz-runs needs a number of executions}") fuzz_width=1
        shift
        while [[ ${2:-} == fuzz_* ]]; do fuzz_names+=("$2"); shift; done ;;
    --ci) part=ci ;;
    --errors) part=errors preset=coverage ;;
    --long) long=1 ;;
    --bench) bench=1 ;;
    *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 2 ;;
    esac
    shift
done

passed=0 failed=0 skipped=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

finish() {
    [ $skipped -eq 0 ] || echo "$skipped skipped"
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
}

# run_parts OPTIONS...: runs this script once for each word of options, adds the results up, and says how long each took.
run_parts() {
    local options numbers skips summary=()
    export CI=true
    for options in "$@"; do
        local begin=$SECONDS
        echo "== tests/run.sh $options"
        # shellcheck disable=SC2086 # the options are words
        "$0" $options 2>&1 | tee "$work/part"
        # A part that comes to no closing line is a failure.
        numbers=$(sed -nE '$s/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$work/part")
        [ -n "$numbers" ] || numbers="0 1"
        passed=$((passed + ${numbers% *})) failed=$((failed + ${numbers#* }))
        skips=$(sed -nE 's/^([0-9]+) skipped$/\1/p' "$work/part" | tail -n 1) # absent where nothing was
        skipped=$((skipped + ${skips:-0}))
        summary+=("$(printf '%-24s %5d passed, %d failed, %5d s' "tests/run.sh $options" $numbers $((SECONDS - begin)))")
    done
    echo
    printf '%s\n' "${summary[@]}"
    finish
}
[ $part != ci ] || run_parts "" --asan --tsan --valgrind "--fuzz 10"

packages="$rondo_build_packages g++ libopenmpi-dev openmpi-bin libcriterion-dev python3 python3-jsonschema python3-numpy curl iproute2 systemd"
[ $part = valgrind ] && packages="$packages valgrind"
[ $part = fuzz ] && packages="$packages clang libclang-rt-dev"
[ $long -eq 1 ] && packages="$packages debootstrap git"
rondo_install $packages || { echo "0 passed, 1 failed"; exit 1; }

# allowed NAME TEST: whether tests/skips.txt lets CI do without it.
allowed() {
    awk -v part=$part -v file="$1" -v test="$2" \
        '!/^#/ && ($1 == part || $1 == "*") && $2 == file && ($3 == test || $3 == "*") { found = 1 } END { exit !found }' \
        "$rondo_root/tests/skips.txt"
}

# count KIND NAME TAPFILE EXIT_CODE SECONDS: adds the lines "ok" and "not ok" up. A test program that dies, tests nothing
# or reports another number of tests than it planned is one failure more.
count() {
    local ok bad skip planned test wrong=()
    skip=$(grep -c '^ok .*# SKIP' "$3")
    ok=$(($(grep -c '^ok ' "$3") - skip))
    bad=$(grep -c '^not ok ' "$3")
    planned=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$3")
    [ "$4" -ne 0 ] && [ "$bad" -eq 0 ] && wrong+=("ended with exit code $4")
    [ $((ok + bad + skip)) -eq 0 ] && wrong+=("tested nothing")
    [ "$planned" = $((ok + bad + skip)) ] || wrong+=("planned ${planned:-no} tests and reported $((ok + bad + skip))")
    if [ -n "${CI:-}" ]; then
        while read -r test; do
            allowed "$2" "$test" || wrong+=("skipped $test, which tests/skips.txt does not allow")
        done < <(sed -n 's/^ok [0-9]* *- \(.*[^ ]\) *# SKIP.*/\1/p' "$3")
    fi
    bad=$((bad + ${#wrong[@]}))
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
    printf '%-40s %3d passed, %d failed, %4d s\n' "$1: $2" "$ok" "$bad" "$5"
    grep '^ok .*# SKIP' "$3"
    [ ${#wrong[@]} -eq 0 ] || printf "$2: %s\n" "${wrong[@]}"
    [ "$bad" -eq 0 ] || { grep -v '^ok ' "$3"; cat "$work/$2.errors"; } | tail -n 60
}

# ran KIND NAME EXIT_CODE SECONDS: a test has ended; `count` is called when its turn comes.
ran() {
    echo "$1 $2 $work/$2.tap $3 $4" > "$work/$2.ends"
    mv "$work/$2.ends" "$work/$2.ran"
}

# run_one KIND NAME COMMAND...: a command that is one test.
run_one() {
    local begin=$SECONDS result=ok
    "${@:3}" > "$work/$2.errors" 2>&1 || result='not ok'
    printf '1..1\n%s 1 - %s\n' "$result" "$2" > "$work/$2.tap"
    ran "$1" "$2" 0 $((SECONDS - begin))
}

# run_unit TEST: the same for a program of Criterion's, which does not look at how a test's process ends: what a sanitizer
# finds then (a leak) lies in a file, and is a failure.
run_unit() {
    local begin=$SECONDS name found
    name=$(basename "$1")
    rm -f "$work/$name.tap"
    # In the background a shell has its programs ignore SIGINT, which some of these send themselves.
    env --default-signal=INT,QUIT ASAN_OPTIONS="log_path=$work/$name.found" timeout 1800 "${wrapper[@]}" "$1" \
        --tap="$work/$name.tap" --quiet > "$work/$name.errors" 2>&1
    local code=$?
    for found in "$work/$name.found".*; do
        [ -f "$found" ] || continue
        cat "$found" >> "$work/$name.errors"
        code=23
    done
    touch "$work/$name.tap"
    ran unit "$name" $code $((SECONDS - begin))
}

# programs PATTERN: the programs among the files of that name.
programs() {
    local file
    for file in "$bin"/tests/$1; do
        [ -x "$file" ] && [ -f "$file" ] && echo "$file"
    done
}

# count_ran: counts the tests that have ended since.
count_ran() {
    local file
    for file in "$work"/*.ran; do
        [ -f "$file" ] || continue
        # shellcheck disable=SC2046 # five words
        count $(< "$file")
        rm "$file"
    done
}

# each FUNCTION FILE...: calls it for each file, and counts. Two at a time: most wait for something most of the time, and
# none counts on having the machine to itself.
each() {
    local file width=2
    [ $part = fuzz ] && width=$fuzz_width
    for file in "${@:2}"; do
        if [ $width -eq 1 ]; then
            "$1" "$file"
        else
            "$1" "$file" &
            while [ "$(jobs -rp | wc -l)" -ge $width ]; do wait -n; done
        fi
        count_ran
    done
    wait
    count_ran
}

# run_world: the seeded world (tests/README.md), each kind of setting at least once, but for valgrind, which has the first.
run_world() {
    local rounds=2000
    case $part in asan | tsan) rounds=576 ;; valgrind) rounds=96 ;; esac
    run_one world world "${wrapper[@]}" "$bin/tests/world" --rounds $rounds
    count_ran
}

run_fuzzer() {
    local name
    name=$(basename "$1")
    mkdir -p "$work/$name"
    run_one fuzz "$name" "$1" "${fuzz_limit[@]}" -timeout=10 -artifact_prefix="$work/$name-" \
        "$work/$name" "$rondo_root/tests/fuzz/corpus/$name"
}

run_fuzzers() {
    local name
    [ ${#fuzz_names[@]} -gt 0 ] || fuzz_names=('fuzz_*')
    # shellcheck disable=SC2046 # names without blanks
    each run_fuzzer $(for name in "${fuzz_names[@]}"; do programs "$name"; done)
    for name in "$work"/fuzz_*/; do
        name=$(basename "$name")
        echo "  $name: $(find "$work/$name" -type f | wc -l) inputs found, $(grep '^Done' "$work/$name.errors" || echo failed)"
    done
}

run_units() {
    local test tests=()
    for test in $(programs 'test_*'); do
        [ $part = valgrind ] && grep -q "^$(basename "$test")\b" "$rondo_root/tests/valgrind-not.txt" && continue
        tests+=("$test")
    done
    each run_unit "${tests[@]}"
}

run_corpus() {
    local name
    name=$(basename "$1")
    run_one corpus "$name" "$1" "$rondo_root/tests/fuzz/corpus/$name"/*
}

run_corpora() {
    # shellcheck disable=SC2046 # names without blanks
    each run_corpus $(programs 'fuzz_*')
}

# run_script SCRIPT: the same for a system test.
run_script() {
    local begin=$SECONDS name run=()
    name=$(basename "$1")
    case $name in *.py) run=(/usr/bin/python3) ;; esac # Debian's, which has Debian's packages
    "${run[@]}" "$1" "$bin" > "$work/$name.tap" 2> "$work/$name.errors"
    ran system "$name" $? $((SECONDS - begin))
}

# In the order of the alphabet from its end, where those are that take longest: begun last, one of them would be alone.
run_system() {
    local scripts
    mapfile -t scripts < <(printf '%s\n' "$rondo_root"/tests/system/test_*.py | sort -r)
    [ $long -eq 1 ] && scripts+=("$rondo_root"/tests/system/long_*)
    each run_script "${scripts[@]}"
}

run_benchmarks() {
    local program
    for program in $(programs 'bench_*') "$rondo_root"/tests/bench/bench_*.py; do
        echo
        echo "== $(basename "$program")"
        case $program in *.py) "$program" "$bin" ;; *) "$program" ;; esac || failed=$((failed + 1))
    done
}

werror=OFF
[ -n "${CI:-}" ] && werror=ON
rondo_build $preset -DRONDO_WERROR=$werror -DRONDO_MPI=ON || { echo "0 passed, 1 failed"; exit 1; }
bin=$rondo_root/build/$preset
[ $preset = release ] || export RONDO_SLOW=1 # sanitizers: longer patience

case $part in
fuzz) run_fuzzers ;;
valgrind) run_units; run_world ;;
*) run_units; run_world; run_corpora; run_system ;;
esac
[ $part = errors ] && /usr/bin/python3 "$rondo_root/tests/error_sites.py" "$bin"
[ $bench -eq 1 ] && run_benchmarks
finish
