#!/usr/bin/env python3
"""Strategies, personalisation, simulated devices and attackers from outside: a simulation and a deployment give the same bits, a killed
simulation continues with them, and what cannot be is refused by name."""
import json
import os
import shutil
import subprocess
import time

import harness
from harness import wait_exit, wait_for

CLIENTS = 3


def digits(world):
    return os.path.join(world.check(os.path.join(harness.ROOT, "simulations/data/fetch.sh"), "digits").splitlines()[-1], "digits.csv")


def base(world, **changes):
    config = {"seed": 5, "rounds": 4, "model": {"input": 64, "loss": "softmax_cross_entropy", "layers": [
                  {"type": "dense", "name": "fc1", "units": 16, "activation": "relu"}, {"type": "dense", "name": "fc2", "units": 10}]},
              "training": {"learning_rate": 0.001, "batch_size": 10, "epochs": 2}, "cohort": {"min_clients": CLIENTS, "deadline_seconds": 60},
              "evaluation": {"train_loss": True, "holdout": 0.2}, "data": {"train": {"path": digits(world)}, "partition": {"scheme": "dirichlet", "alpha": 0.5}}}
    config.update(changes)
    return config


def simulate(world, config, state, *options, clients=CLIENTS):
    world.check(world.program("rondo-sim"), "--config", world.write(f"{state}.json", config), "--clients", clients, "--out", world.path(state), "--quiet", *options)
    return [r["model_sha256"] for r in world.rounds(state)]


def deploy(world, config, state):
    """The same run with real clients over TLS, on the data that the simulated ones have."""
    path = world.write(f"{state}.json", config)
    private = world.path(f"{state}-private")
    world.check(world.program("rondo-sim"), "partition", "--config", path, "--clients", CLIENTS, "--out", private, "--quiet")
    aggregator = world.aggregator(path, state=state, log=f"{state}.log")
    clients = [world.client(aggregator, f"client-{i + 1}", f"{private}/client-{i + 1}.safetensors", "--keep", world.path(f"{state}-keep-{i}"))
               for i in (2, 0, 1)]
    for process in clients + [aggregator]:
        assert wait_exit(process) == 0, process.args
    return [r["model_sha256"] for r in world.rounds(state)]


SAME = {
    "fedavg": {},
    "fedsgd": {"strategy": {"name": "fedsgd"}, "training": {"learning_rate": 0.01, "batch_size": 0, "epochs": 1}},
    "fedprox": {"strategy": {"name": "fedprox", "proximal": 0.5}},
    "fedavgm": {"strategy": {"name": "fedavgm", "momentum": 0.5}},
    "fedadagrad": {"strategy": {"name": "fedadagrad", "server_learning_rate": 0.01}},
    "fedadam": {"strategy": {"name": "fedadam", "server_learning_rate": 0.01}},
    "fedyogi": {"strategy": {"name": "fedyogi", "server_learning_rate": 0.01}},
    "scaffold": {"strategy": {"name": "scaffold"}},
    "fednova": {"strategy": {"name": "fednova", "proximal": 0.1}},
    "q-fedavg": {"strategy": {"name": "q-fedavg", "q": 1}},
    "clipping": {"strategy": {"name": "norm_clipping", "clip_norm": 0.5}},
    "fltrust": {"strategy": {"name": "fltrust"}},
    "median": {"strategy": {"name": "median"}},
    "trimmed_mean": {"strategy": {"name": "trimmed_mean", "byzantine": 1}},
    "krum": {"strategy": {"name": "krum", "byzantine": 0}},
    "multi_krum": {"strategy": {"name": "multi_krum", "byzantine": 0, "chosen": 2}},
    "bulyan": {"strategy": {"name": "bulyan", "byzantine": 0}},
    "geometric_median": {"strategy": {"name": "geometric_median", "iterations": 10}},
    "fine_tune": {"personalisation": {"method": "fine_tune"}},
    "fedprox-fedper": {"strategy": {"name": "fedprox", "proximal": 0.5}, "model": {"input": 64, "loss": "softmax_cross_entropy", "fine_tuning": {"local": ["fc2.*"]}, "layers": [
        {"type": "dense", "name": "fc1", "units": 16, "activation": "relu"}, {"type": "dense", "name": "fc2", "units": 10}]}},
    "fedper": {"model": {"input": 64, "loss": "softmax_cross_entropy", "fine_tuning": {"local": ["fc2.*"]}, "layers": [
        {"type": "dense", "name": "fc1", "units": 16, "activation": "relu"}, {"type": "dense", "name": "fc2", "units": 10}]}},
    "ditto": {"personalisation": {"method": "ditto", "lambda": 0.5}},
}


def test_every_synchronous_strategy_is_in_the_list(_world):
    """What the schema knows, but fedbuff, whose order of arrival is its own: see below."""
    with open(os.path.join(harness.ROOT, "common/config/config.schema.json")) as f:
        text = json.load(f)
    names = set(text["properties"]["strategy"]["properties"]["name"]["enum"])
    assert names - {case.get("strategy", {"name": "fedavg"})["name"] for case in SAME.values()} == {"fedbuff"}, names


def test_a_deployment_has_the_bits_of_the_simulation(world):
    world.certificates([f"client-{i + 1}" for i in range(CLIENTS)])
    for name, changes in SAME.items():
        config = base(world, **changes)
        if name == "fltrust":
            config["data"]["root"] = {"path": digits(world)}
        simulated = simulate(world, config, f"sim-{name}", "--threads", 2)
        assert len(simulated) == 5 and len(set(simulated)) == 5, (name, simulated)
        assert deploy(world, config, f"real-{name}") == simulated, name
        own = [r["personal"] for r in world.rounds(f"real-{name}")]
        assert (own[-1] is not None) == (name in ("fedper", "fedprox-fedper", "ditto", "fine_tune")), (name, own)
        assert own == [r["personal"] for r in world.rounds(f"sim-{name}")], name


def test_a_killed_simulation_continues_with_the_same_bits(world):
    cases = {"scaffold": {"strategy": {"name": "scaffold"}}, "fedyogi": {"strategy": {"name": "fedyogi"}}, "ditto": {"personalisation": {"method": "ditto", "lambda": 0.5}},
             "fedbuff": {"strategy": {"name": "fedbuff", "buffer_size": 3, "concurrency": 6},
                         "simulation": {"system": {"seconds_per_sample": {"distribution": "lognormal", "median": 0.01, "sigma": 1}, "dropout": 0.1}}},
             "devices": {"simulation": {"system": {"seconds_per_sample": {"distribution": "lognormal", "median": 0.01, "sigma": 1}, "availability": 0.6, "dropout": 0.2},
                                        "attack": {"type": "little_is_enough", "fraction": 0.3}}}}
    for name, changes in cases.items():
        config = base(world, rounds=200, cohort={} if name == "fedbuff" else {"select": "fraction", "fraction": 0.5}, **changes)
        config["training"]["epochs"] = 6
        whole = simulate(world, config, f"whole-{name}", clients=10)
        path = world.write(f"killed-{name}.json", config)
        command = [world.program("rondo-sim"), "--config", path, "--clients", 10, "--out", world.path(f"killed-{name}"), "--quiet"]
        for least in (3, 20):
            process = world.start(*command, log="killed.log")

            def so_far():  # at first there is no directory, and then one without a run
                seen = world.run(world.program("rondo-inspect"), "rounds", world.path(f"killed-{name}"), "--jsonl").stdout
                return seen.count("\n") > least or process.poll() is not None

            wait_for(so_far, f"{name}: {least} rounds")
            world.kill_midway(process, 200, f"killed-{name}")
        world.check(*command)
        assert [r["model_sha256"] for r in world.rounds(f"killed-{name}")] == whole, name
        clocks = [[r["clock"] for r in world.rounds(f"{kind}-{name}")] for kind in ("whole", "killed")]
        assert clocks[0] == clocks[1], name


def test_fedbuff_with_one_client_at_a_time_has_the_bits_of_the_simulation(world):
    """Who arrives when is the network's affair; where the order cannot but be the same, the bits are. The core picks one client after another,
    by their numbers: so they join in the simulation's order."""
    world.certificates([f"client-{i + 1}" for i in range(CLIENTS)])
    config = base(world, rounds=6, strategy={"name": "fedbuff", "buffer_size": 2, "concurrency": 1})
    simulated = simulate(world, config, "sim-buff")
    private, path = world.path("private"), world.path("sim-buff.json")
    world.check(world.program("rondo-sim"), "partition", "--config", path, "--clients", CLIENTS, "--out", private, "--quiet")
    aggregator = world.aggregator(path)
    clients = []
    for i in range(1, CLIENTS + 1):
        clients.append(world.client(aggregator, f"client-{i}", f"{private}/client-{i}.safetensors"))
        wait_for(lambda: f"client-{i} joined" in harness.read(aggregator.log), f"client {i} has joined", process=aggregator)
    for process in clients + [aggregator]:
        assert wait_exit(process) == 0, process.args
    assert [r["model_sha256"] for r in world.rounds()] == simulated
    assert len(set(simulated)) == 7 and all(r["counted"] == 2 for r in world.rounds()[1:]), world.rounds()


def test_fedbuff_goes_on_without_waiting_for_the_slowest(world):
    """Deployed: of three clients two make every round, while the third holds its task."""
    world.certificates([f"client-{i + 1}" for i in range(CLIENTS)])
    config = base(world, rounds=5, strategy={"name": "fedbuff", "buffer_size": 2, "concurrency": 3})
    path = world.write("buff.json", config)
    private = world.path("private")
    world.check(world.program("rondo-sim"), "partition", "--config", path, "--clients", CLIENTS, "--out", private, "--quiet")
    aggregator = world.aggregator(path)
    slow = world.session(aggregator, "client-3")
    assert slow.join()[0] == 200
    clients = [world.client(aggregator, f"client-{i}", f"{private}/client-{i}.safetensors") for i in (1, 2)]
    status, task = slow.task()[:2]
    assert status == 200 and task["task"] == "train", task
    wait_for(lambda: len(world.rounds()) >= 4, "rounds go on", process=aggregator)
    later = slow.task()[1]
    assert later.get("round", 99) > task["round"], "whoever asks again gets the newest model"
    for process in clients:
        assert wait_exit(process) == 0
    assert all(r["counted"] == 2 for r in world.rounds()[1:]), world.rounds()


def test_simulated_time_stragglers_and_deadlines(world):
    system = {"seconds_per_sample": {"distribution": "uniform", "from": 0.1, "to": 1}, "latency_seconds": 1}
    wait = base(world, cohort={"select": "count", "count": 5, "deadline_seconds": 1e6}, simulation={"system": system})
    hurry = base(world, cohort={"select": "count", "count": 5, "over_selection": 2, "deadline_seconds": 1e6}, simulation={"system": system})
    cut = base(world, cohort={"select": "count", "count": 5, "deadline_seconds": 40}, simulation={"system": system})
    for name, config in (("wait", wait), ("hurry", hurry), ("cut", cut)):
        config["data"]["test"] = {"path": digits(world)}
        simulate(world, config, name, clients=20)
    ends = {name: world.rounds(name)[-1] for name in ("wait", "hurry", "cut")}
    world.check(world.program("rondo-inspect"), "compare", world.path("wait"), world.path("hurry"), "--against", "clock", "--metric", "loss", "--out", world.path("clock.svg"))
    with open(world.path("clock.svg")) as f:
        assert "Simulated time (s)" in f.read()
    assert ends["hurry"]["clock"] < ends["wait"]["clock"], ends
    assert ends["wait"]["counted"] == ends["hurry"]["counted"] == 5 and ends["hurry"]["late"] == 5, ends
    assert ends["cut"]["clock"] <= 4 * 40 and any(r["late"] for r in world.rounds("cut")), ends["cut"]


def test_a_backdoor_and_what_krum_makes_of_it(world):
    attack = {"attack": {"type": "backdoor", "fraction": 0.3, "target": 0, "value": 16, "scale": 5}}
    success = {}
    for name, strategy in (("open", {"name": "fedavg"}), ("robust", {"name": "multi_krum", "byzantine": 3})):
        config = base(world, rounds=8, strategy=strategy, simulation=attack)
        config["data"]["partition"] = {"scheme": "iid"}
        config["data"]["test"] = {"path": digits(world)}
        simulate(world, config, name, clients=10)
        success[name] = world.rounds(name)[-1]["attack_success"]
    assert success["open"] > 0.5 > success["robust"] + 0.2, success


def test_ranks_give_the_same_bits(world):
    if shutil.which("mpirun") is None or b"libmpi" not in subprocess.run(["ldd", world.program("rondo-sim")], capture_output=True).stdout:
        raise harness.Skip("needs openmpi-bin and libopenmpi-dev")
    if world.run("mpirun", "--allow-run-as-root", "-np", 1, "true").returncode != 0:
        raise harness.Skip("mpirun does not start anything here")
    cases = {"fedavg": {}, "scaffold": {"strategy": {"name": "scaffold"}}, "krum": {"strategy": {"name": "krum", "byzantine": 1}}, "clipping": {"strategy": {"name": "norm_clipping", "clip_norm": 0.5}}, "q-fedavg": {"strategy": {"name": "q-fedavg", "q": 2}},
             "lie": {"simulation": {"attack": {"type": "little_is_enough", "fraction": 0.3}}},
             "fedbuff": {"strategy": {"name": "fedbuff", "buffer_size": 3, "concurrency": 6}, "simulation": {"system": {"latency_seconds": {"distribution": "exponential", "mean": 5}}}}}
    for name, changes in cases.items():
        config = base(world, cohort={} if name == "fedbuff" else {"select": "fraction", "fraction": 0.8}, **changes)
        alone = simulate(world, config, f"{name}-1", clients=9)
        for ranks in (2, 3):
            out = f"{name}-{ranks}"
            # As root and on a host with fewer cores than ranks, mpirun has to be asked; nothing leaves this host.
            leaks = ("env", "ASAN_OPTIONS=detect_leaks=0") if harness.SANITIZED else ()  # OpenMPI's own
            world.check(*leaks, "mpirun", "--allow-run-as-root", "--oversubscribe", "--mca", "btl", "self,vader", "-np", ranks, world.program("rondo-sim"), "--config",
                        world.path(f"{name}-1.json"), "--clients", 9, "--threads", 1, "--out", world.path(out), "--quiet")
            assert [r["model_sha256"] for r in world.rounds(out)] == alone, (name, ranks)
            assert [r["train"] for r in world.rounds(out)] == [r["train"] for r in world.rounds(f"{name}-1")], (name, ranks)


def test_a_million_clients(world):
    """Beyond what a thousand need, 80 bytes a client, as README.md says."""
    peak = {}
    for clients in (1000, 1_000_000):
        config = base(world, rounds=2, cohort={"select": "count", "count": 1000})
        config["data"]["partition"] = {"scheme": "sample", "samples": 20}
        path = world.write("million.json", config)
        started = time.monotonic()
        peak[clients] = world.peak(world.program("rondo-sim"), "--config", path, "--clients", clients, "--threads", 2, "--quiet")
        seconds = time.monotonic() - started
    each = (peak[1_000_000] - peak[1000]) / 999_000
    print(f"# a million clients: {peak[1_000_000] / 1e6:.0f} MB, {each:.0f} bytes a client, {seconds:.1f} s for 2 rounds of 1,000")
    if not harness.SANITIZED:
        assert each < 1.1 * 80, peak


def test_clients_cost_no_allocation_after_the_first_round(world):
    if harness.SANITIZED:
        raise harness.Skip("sanitizers have an allocator of their own")
    library = os.path.join(world.build, "tests", "count_malloc.so")
    count = {}
    for cohort in (5, 50):
        for rounds in (2, 12):
            config = base(world, rounds=rounds, cohort={"select": "count", "count": cohort})
            config["data"]["partition"] = {"scheme": "sample", "samples": 20}
            told = world.path("allocations")
            world.check("env", f"LD_PRELOAD={library}", f"MALLOC_COUNT={told}", world.program("rondo-sim"), "--config", world.write("allocations.json", config), "--clients", 100, "--threads", 2, "--quiet")
            count[cohort, rounds] = int(open(told).read())
    few, many = (count[cohort, 12] - count[cohort, 2] for cohort in (5, 50))
    print(f"# allocations in 10 more rounds: {few} with 5 clients a round, {many} with 50")
    assert many - few < 0.05 * 10 * 45, count


def test_seeds_and_compare(world):
    config = base(world, rounds=3)
    config["data"]["test"] = {"path": digits(world)}
    path = world.write("seeds.json", config)
    out = world.path("seeds")
    text = world.check(world.program("rondo-sim"), "--config", path, "--clients", 4, "--seeds", 4, "--out", out, "--quiet")
    rows = [line.split() for line in text.split("seed")[1].splitlines()[1:7]]
    losses = [float(row[1]) for row in rows[:4]]
    mean = sum(losses) / 4
    half = 3.182446 * (sum((x - mean) ** 2 for x in losses) / 3 / 4) ** 0.5  # t of 3 degrees of freedom at 0.975
    assert [row[0] for row in rows] == ["5", "6", "7", "8", "mean", "+-95"], text
    assert abs(float(rows[4][1]) - mean) < 1e-4 and abs(float(rows[5][2]) - half) < 1e-3, (text, mean, half)
    simulate(world, config, "one")
    picture = world.path("picture.svg")
    text = world.check(world.program("rondo-inspect"), "compare", out, world.path("one"), "--target", 0.3, "--out", picture)
    lines = [line for line in text.splitlines() if "seeds" in line or "one" in line]
    final = [world.rounds(f"seeds/seed-{s}")[-1]["test"]["accuracy"] for s in range(5, 9)]
    assert f"{100 * sum(final) / 4:.2f} %" in text, (text, final)
    with open(picture) as f:
        svg = f.read()
    assert "Test accuracy" in svg and "rounds to target" in svg and len(lines) >= 2, text
    refused = world.run(world.program("rondo-inspect"), "compare", out, "--against", "clock", "--out", picture)
    assert refused.returncode == 1 and "has no simulated time" in refused.stderr, refused.stderr


def test_what_cannot_be_is_refused(world):
    def refused(words, clients=10, **changes):
        result = world.run(world.program("rondo-sim"), "--config", world.write("bad.json", base(world, **changes)), "--clients", clients)
        assert result.returncode == 1 and words in result.stderr, result.stderr

    refused("krum withstands strategy.byzantine 4 only among 11 updates and more, but a cohort has 10", strategy={"name": "krum", "byzantine": 4})
    refused("bulyan withstands strategy.byzantine 2 only among 11 updates and more, not among 10", strategy={"name": "bulyan", "byzantine": 2}, cohort={"select": "count", "count": 10})
    refused("strategy q-fedavg needs evaluation.train_loss true", strategy={"name": "q-fedavg", "q": 1}, evaluation={})
    refused("data.root is missing", strategy={"name": "fltrust"})
    refused("strategy.concurrency: 20, but only 10 clients are simulated", strategy={"name": "fedbuff", "buffer_size": 2, "concurrency": 20})
    refused("strategy scaffold is for sgd without momentum", strategy={"name": "scaffold"}, training={"learning_rate": 0.1, "momentum": 0.9})
    refused("evaluation.holdout must be above 0", personalisation={"method": "fine_tune"}, evaluation={})
    refused("simulation.attack.target: expected a class from 0 to 9", simulation={"attack": {"type": "backdoor", "fraction": 0.1, "target": 10}})


def test_a_simulation_is_not_continued_as_another(world):
    state = world.path("mine")

    def refused(words, config, clients=10):
        result = world.run(world.program("rondo-sim"), "--config", world.write("other.json", config), "--clients", clients, "--out", state)
        assert result.returncode == 1 and words in result.stderr, result.stderr

    attack = {"attack": {"type": "sign_flip", "fraction": 0.1}}
    config = base(world, rounds=2, simulation=attack)
    simulate(world, config, "mine", clients=10)
    refused("its run has clients = 10, but now it would be 9", config, clients=9)
    refused('simulation.attack.fraction = 0.1, but now it would be 0.2', base(world, rounds=2, simulation={"attack": {"type": "sign_flip", "fraction": 0.2}}))
    config["data"]["partition"]["alpha"] = 2
    refused("data.partition.alpha = 0.5, but now it would be 2", config)
    before = [r["model_sha256"] for r in world.rounds("mine")]
    more = simulate(world, base(world, rounds=3, simulation=attack), "mine", clients=10)
    assert more[:3] == before and len(more) == 4, (before, more)


def test_bench_tells_its_share_of_the_peak(world):
    text = world.check(world.program("rondo-sim"), "bench", "--config", world.write("bench.json", base(world)), "--clients", 10, "--threads", 1)
    assert "samples/s" in text and "% of the" in text and "local rounds" in text, text


if __name__ == "__main__":
    harness.main()
