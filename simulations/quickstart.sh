#!/usr/bin/env bash
# quickstart.sh: the whole of Rondo in one go, on a fresh Debian 12 or Ubuntu. Installs what is missing, builds, makes
# certificates, splits Fashion-MNIST over five clients, runs a real aggregator and five real clients over mutual TLS
# for ten rounds, prints the global loss round by round and draws it.
#
#   simulations/quickstart.sh [DIR]      everything it makes goes to DIR (default: out/quickstart)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/prepare.sh"

out=${1:-$rondo_root/out/quickstart}
clients=5
bin=$rondo_root/build/quickstart

step() { printf '\n== %s\n' "$*"; }

step "installing what is missing"
rondo_install $rondo_build_packages

step "building"
cmake -S "$rondo_root" -B "$bin" -G Ninja -DRONDO_TESTS=OFF >/dev/null
cmake --build "$bin"

step "certificates: an authority, the aggregator, $clients clients"
"$rondo_root/certs/make-certs" "$out/certs" ca
"$rondo_root/certs/make-certs" "$out/certs" aggregator aggregator
for i in $(seq $clients); do
    "$rondo_root/certs/make-certs" "$out/certs" client "client-$i"
done

step "private data: Fashion-MNIST, dealt out to $clients clients"
"$bin/rondo-sim" partition --config "$rondo_root/simulations/scenarios/quickstart.json" --clients $clients --out "$out/private"

step "training: one aggregator, $clients clients, mutual TLS"
rm -rf "$out/state" # a finished run would have nothing left to do
: > "$out/aggregator.log" # it is read before the aggregator may have begun
"$bin/rondo-aggregator" serve --config "$rondo_root/simulations/scenarios/quickstart.json" --state "$out/state" \
    --listen 127.0.0.1:0 --ca "$out/certs/ca.crt" --cert "$out/certs/aggregator.crt" --key "$out/certs/aggregator.key" \
    > "$out/aggregator.log" &
aggregator=$!
pids=()
trap 'kill $aggregator "${pids[@]}" 2>/dev/null || true' EXIT
port=
for _ in $(seq 100); do
    port=$(sed -n 's/.*(port \([0-9]*\)).*/\1/p' "$out/aggregator.log")
    [ -n "$port" ] && break
    kill -0 $aggregator 2>/dev/null || { cat "$out/aggregator.log"; wait $aggregator; }
    sleep 0.1
done
for i in $(seq $clients); do
    "$bin/rondo-client" --aggregator "https://127.0.0.1:$port" --ca "$out/certs/ca.crt" --cert "$out/certs/client-$i.crt" \
        --key "$out/certs/client-$i.key" --data "$out/private/client-$i.safetensors" > "$out/client-$i.log" &
    pids+=($!)
done
tail -n +1 -f --pid=$aggregator "$out/aggregator.log"
wait $aggregator
for pid in "${pids[@]}"; do wait "$pid"; done
trap - EXIT

step "the global model, round by round"
"$bin/rondo-inspect" rounds "$out/state"
"$bin/rondo-inspect" plot "$out/state" --out "$out/loss.svg"
"$bin/rondo-inspect" plot "$out/state" --out "$out/loss.png"
echo
echo "plot: $out/loss.svg, $out/loss.png"
echo "models: $out/state/models (safetensors); clients' logs: $out/client-*.log"

accuracy=$("$bin/rondo-inspect" rounds "$out/state" --csv |
    awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "test_accuracy") c = i } END { print $c }')
awk -v a="$accuracy" 'BEGIN { printf "test accuracy %.4f\n", a; exit !(a > 0.80) }' || {
    echo "expected a test accuracy above 0.80" >&2
    exit 1
}
