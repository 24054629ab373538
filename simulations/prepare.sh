# prepare.sh: what both quickstart.sh and tests/run.sh need from the machine; sourced by them, not run.

rondo_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

rondo_build_packages="gcc libc6-dev cmake ninja-build pkg-config libopenblas-dev libcurl4-openssl-dev libmbedtls-dev
    libcjson-dev libuv1-dev libhttp-parser-dev libsqlite3-dev zlib1g-dev openssl gnuplot-nox dataset-fashion-mnist"

# rondo_install PACKAGE...: installs with apt what dpkg does not know as installed.
rondo_install() {
    local missing=() package sudo=()
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || {
            echo "missing packages: ${missing[*]}; install them as root: apt-get install ${missing[*]}" >&2
            return 1
        }
        sudo=(sudo)
    fi
    echo "installing: ${missing[*]}"
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# rondo_build PRESET [CMAKE OPTIONS]: configures and builds into build/PRESET.
rondo_build() {
    local preset=$1
    shift
    cmake --preset "$preset" -S "$rondo_root" -G Ninja "$@" >/dev/null
    cmake --build "$rondo_root/build/$preset"
}
