"""What the commands in this folder share: each measures the cells of one table of simulations/README.md and prints it.

A cell is a scenario with some keys changed, run by rondo-sim and read by rondo-inspect. What came of it is kept as a
file in --out, named after the SHA-256 of its run.json and number of clients, so the same command continues where it was
stopped, tables share their cells, and a scenario that was edited is measured again. A cell without a result is printed
as "not run": a table never shows what was not measured.

With --quick everything is small: stand-in data of a few hundred rows made up here, two rounds, targets that anything
reaches. The figures mean nothing then, but every cell has gone through the programs (tests/system/test_tables.py).
"""
import argparse
import hashlib
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import textwrap
import time

import stand_in

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCENARIO_DATA = "../../out/data/"  # how scenarios name the folder of data/fetch.sh
NOT_RUN = "not run"
QUICK_ROUNDS = 2
QUICK_TARGET = 0.5


class Result:
    """The rounds of one run, as `rondo-inspect rounds --jsonl` tells them; finished: it was not cut short."""

    def __init__(self, stored):
        self.rounds = stored["rounds"]
        self.finished = stored["finished"]
        self.failed = stored.get("failed")  # the error that ended the run, or None
        self.more = stored.get("more")      # what was asked of the state directory
        self.machine = stored["machine"]
        self.cpu_seconds = stored["cpu_seconds"]

    def values(self, *path):
        """[(round, value)] of those rounds that measured it, as in values("test", "accuracy")."""
        found = []
        for line in self.rounds:
            value = line
            for name in path:
                value = None if value is None else value.get(name)
            if value is not None:
                found.append((line["round"], value))
        return found

    def last(self, *path):
        values = self.values(*path)
        return values[-1][1] if values else None

    def best(self, *path):
        return max((value for _, value in self.values(*path)), default=None)

    def reached(self, target):
        """The first round whose model is right on so much of the test set, or None."""
        return next((number for number, value in self.values("test", "accuracy") if value >= target), None)


class Table:
    """The command line of one table, its cells, and its Markdown."""

    def __init__(self, title, arguments=None):
        parser = argparse.ArgumentParser(description=title + " Prints Markdown; the same command continues.")
        parser.add_argument("--quick", action="store_true", help="two rounds on small stand-in data: shows only that all of it runs")
        parser.add_argument("--print", action="store_true", dest="only_print", help="run nothing, print what has been measured")
        parser.add_argument("--minutes", type=float, default=float("inf"), help="stop measuring after so long, and print")
        parser.add_argument("--programs", default=os.path.join(ROOT, "build", "release"), help="folder of rondo-sim and rondo-inspect")
        parser.add_argument("--data", default=os.environ.get("RONDO_DATA", os.path.join(ROOT, "out", "data")), help="folder of data/fetch.sh")
        parser.add_argument("--out", default=os.path.join(ROOT, "out", "tables"), help="folder of the results")
        options = parser.parse_args(arguments)
        self.quick, self.only_print = options.quick, options.only_print
        self.programs, self.data, self.out = options.programs, options.data, options.out
        self.end = time.monotonic() + 60 * options.minutes
        self.notes, self.machines, self.cpu_seconds = [], set(), {}
        if self.quick:
            self.out = os.path.join(self.out, "quick")
            self.data = stand_in.make(os.path.join(self.out, "data"))
        os.makedirs(self.out, exist_ok=True)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))  # through wait(), so that no simulation is left running

    # ---- cells ----

    def config(self, scenario, changes):
        """The scenario's run.json with `changes`, {"training.epochs": 5}, data found wherever it is."""
        with open(os.path.join(ROOT, "simulations", "scenarios", scenario + ".json")) as file:
            config = json.load(file)
        config.pop("$schema", None)
        for key, value in changes.items():
            put(config, key, value)
        if self.quick:
            shrink(config)
        return config

    def measure(self, scenario, changes, clients=None, initial=None, then=None):
        """The Result of this cell, measured now where there is none and time is left; None: not run.
        initial: model file to start from. then(inspect, state): what else is wanted of the state directory, as JSON."""
        return self.result(self.config(scenario, changes), clients, initial=initial, then=then)

    def rounds_to(self, target, most, scenario, changes, clients):
        """(rounds until the target, or None where `most` do not suffice; the Result), both None where it was not run.
        One run answers for each smaller `most`, so rounds are not part of such a cell's name."""
        config = self.config(scenario, {**changes, "rounds": most, "evaluation.target_accuracy": target})
        if self.quick:
            target, most = QUICK_TARGET, QUICK_ROUNDS
        result = self.result(config, clients, rounds_in_name=False)
        if result is None:
            return None, None
        rounds = result.reached(target)
        return (rounds if rounds is not None and rounds <= most else None), result

    def result(self, config, clients, rounds_in_name=True, initial=None, then=None):
        named = {key: value for key, value in config.items() if key != "rounds" or rounds_in_name}
        name = [named, clients] + ([digest(initial)] if initial else [])
        cell = os.path.join(self.out, hashlib.sha256(json.dumps(name, sort_keys=True).encode()).hexdigest()[:16])
        stored = load(cell + ".json")
        if stored and stored["finished"] and not enough(stored, config["rounds"]):
            stored = None  # it was given up too early to answer for so many rounds
        if not (stored and stored["finished"]) and not self.only_print and time.monotonic() < self.end:
            stored = self.simulate(cell, config, clients, initial, then, stored)
        if stored is None:
            return None
        result = Result(stored)
        self.machines.add(result.machine)
        self.cpu_seconds[cell] = result.cpu_seconds
        return result

    def simulate(self, cell, config, clients, initial, then, before):
        """Runs one cell. The state directory of a run that was stopped or killed is continued; before: what is stored of it."""
        state = cell + ".state"
        placed = find_data(config, self.data)
        if initial:
            placed["initial"] = {"path": os.path.abspath(initial)}
        with open(cell + ".run.json", "w") as file:
            json.dump(placed, file, indent=1)
        command = [os.path.join(self.programs, "rondo-sim"), "--config", cell + ".run.json", "--threads", "1", "--out", state, "--quiet"]
        command += ["--clients", str(clients)] if clients else []
        print("measuring " + describe(config), file=sys.stderr, flush=True)
        started = resource.getrusage(resource.RUSAGE_CHILDREN)
        code, errors = self.wait(subprocess.Popen(command, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True))
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        rounds = self.inspect("rounds", state, "--jsonl") if os.path.exists(state) else ""
        if code == 1 and not rounds:
            raise SystemExit(f"{' '.join(command)}\n{errors}")
        finished = code != 3  # a run that failed after some rounds, as one that diverges may, is a result
        stored = {"config": config, "clients": clients, "machine": machine(), "finished": finished,
                  "cpu_seconds": (before or {"cpu_seconds": 0})["cpu_seconds"] + ended.ru_utime + ended.ru_stime
                  - started.ru_utime - started.ru_stime,
                  "rounds": [json.loads(line) for line in rounds.splitlines()], "failed": errors if code in (1, 4) else None,
                  "more": then(self.inspect, state) if code == 0 and then else None}
        with open(cell + ".new", "w") as file:
            json.dump(stored, file)
        os.replace(cell + ".new", cell + ".json")
        if finished:
            shutil.rmtree(state)
            os.remove(cell + ".run.json")
        return stored

    def wait(self, process):
        """(exit code, errors) of a simulation: 0, 1 where it failed, 4 where its last rounds aggregated nothing, 3 where the
        time was up before it ended."""
        try:
            left = None if self.end == float("inf") else max(1.0, self.end - time.monotonic())
            errors = process.communicate(timeout=left)[1]
        except subprocess.TimeoutExpired:
            process.terminate()  # it ends its round and keeps its state
            errors = process.communicate()[1]
        except BaseException:
            process.kill()
            process.wait()
            raise
        if process.returncode not in (0, 1, 3, 4):
            raise SystemExit(f"{' '.join(process.args)}\n{errors.strip()}")
        return process.returncode, errors.strip()

    def inspect(self, *arguments):
        return subprocess.run([os.path.join(self.programs, "rondo-inspect"), *arguments], check=True, stdout=subprocess.PIPE,
                              text=True).stdout

    # ---- Markdown ----

    def note(self, label, text):
        """One setting of the table, for the list below it."""
        self.notes.append((label, text))

    def print(self, headings, rows):
        print("| " + " | ".join(headings) + " |")
        print("|" + "---|" * len(headings))
        for row in rows:
            print("| " + " | ".join(row) + " |")
        print()

    def finish(self):
        """The list of settings, and the machine that it was measured on."""
        if self.quick:
            self.note("quick", "stand-in data and two rounds; the figures mean nothing")
        self.note("machine", "; ".join(sorted(self.machines)) or "nothing was measured")
        self.note("cost", f"{len(self.cpu_seconds)} runs, {sum(self.cpu_seconds.values()) / 60:.1f} minutes of one core")
        for label, text in self.notes:
            print("\n".join(textwrap.wrap(f"- {label}: {text}", 118, subsequent_indent="  ", break_long_words=False,
                                          break_on_hyphens=False)))
        sys.stdout.flush()


# ---- a rate tuned for one cell ----

def rate(step):
    """The grid of learning rates, six to a decade (McMahan et al. 2017, section 3), in two digits."""
    return float(f"{10 ** (step / 6):.2g}")


def tune(rounds_at, start, most, steps=range(-15, 7)):
    """Walks the grid from `start` until the neighbours on both sides need more rounds.

    rounds_at(step, most): the rounds needed, None where `most` do not suffice, NOT_RUN where nobody knows.
    A rate is given up at the best count so far, since it cannot win any more. Returns ({step: rounds}, best step
    or None, whether both neighbours of the best are known)."""
    tried, best = {}, None

    def attempt(step):
        nonlocal best
        if step not in steps or step in tried:
            return
        found = rounds_at(step, most if best is None else tried[best])
        tried[step] = found
        if isinstance(found, int) and (best is None or found < tried[best]):
            best = step

    attempt(start)
    while True:
        centre = start if best is None else best
        attempt(centre + 1)
        if best is None or best == centre:
            attempt(centre - 1)
        if best is None or best == centre:
            break
    known = best is not None and all(s not in steps or tried.get(s) != NOT_RUN for s in (best - 1, best + 1))
    return tried, best, known


def tried_text(tried, most):
    """'0.15: 39, 0.22: 31, 0.32: more than 31'. A rate that was given up is listed with where."""
    parts, best = {}, None
    for step, found in tried.items():  # in the order of trying
        if found is None:
            parts[step] = f"more than {most if best is None else best}"
        else:
            parts[step] = str(found)
        if isinstance(found, int):
            best = found if best is None else min(best, found)
    return ", ".join(f"{rate(step):g}: {parts[step]}" for step in sorted(parts))


# ---- figures ----

def percent(share, digits=1):
    return NOT_RUN if share is None else f"{100 * share:.{digits}f}"


# Student's t for a two-sided 95 % interval with 1, 2, ... degrees of freedom
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


def interval(values):
    """(mean, half of its 95 % confidence interval) of a few values."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, None
    return mean, STUDENT[len(values) - 2] * statistics.stdev(values) / len(values) ** 0.5


# ---- run.json ----

def put(config, key, value):
    """Sets a dotted key; None removes it."""
    *folders, name = key.split(".")
    for folder in folders:
        config = config.setdefault(folder, {})
    if value is None:
        config.pop(name, None)
    else:
        config[name] = value


def find_data(value, folder):
    """The scenario with its data in `folder`."""
    if isinstance(value, dict):
        return {key: find_data(entry, folder) for key, entry in value.items()}
    if isinstance(value, str) and value.startswith(SCENARIO_DATA):
        path = os.path.join(os.path.abspath(folder), value[len(SCENARIO_DATA):])
        if not os.path.exists(path):
            name = value[len(SCENARIO_DATA):].split("/")[0]
            raise SystemExit(f"{path} is missing: simulations/data/fetch.sh {name} fetches it")
        return path
    return value


def enough(stored, rounds):
    """Whether a finished run answers for so many rounds: it had as many, or reached its target."""
    target = stored["config"].get("evaluation", {}).get("target_accuracy")
    return stored["config"]["rounds"] >= rounds or (target is not None and Result(stored).reached(target) is not None)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def shrink(config):
    """The same run, as small as it can be."""
    config["rounds"] = min(config["rounds"], QUICK_ROUNDS)
    evaluation = config.setdefault("evaluation", {})
    evaluation["every"] = 1
    if "target_accuracy" in evaluation:
        evaluation["target_accuracy"] = QUICK_TARGET
    if "epochs" in config.get("training", {}):
        config["training"]["epochs"] = min(config["training"]["epochs"], 2)
    partition = config.get("data", {}).get("partition", {})
    if "samples" in partition:
        partition["samples"] = 8
    if "pruning" in config:
        config["pruning"].update(from_round=1, to_round=2)
    if "continual" in config:
        config["continual"].update(rounds_per_task=1)


def describe(config):
    """One line for the terminal: what is measured now."""
    training, partition = config.get("training", {}), config.get("data", {}).get("partition", {})
    words = [config.get("name", "run"), json.dumps(config.get("strategy", {"name": "fedavg"})), json.dumps(partition),
             f"rate {training.get('learning_rate')}", f"E {training.get('epochs', 1)}", f"B {training.get('batch_size', 32)}",
             json.dumps(config.get("cohort", {})), json.dumps(config.get("simulation", {})), f"seed {config.get('seed', 1)}",
             f"at most {config['rounds']} rounds"]
    return " ".join(words)


def load(path):
    try:
        with open(path) as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def machine():
    """The processor, and how many bits its widest vectors have: with the width the order of sums changes, and with it
    the last bits of a model, which may move a count of rounds by some."""
    model, width = "an unnamed processor", 0
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() == "model name":
                    model = value.strip()
                if name.strip() == "flags":
                    flags = value.split()
                    width = 512 if "avx512f" in flags else 256 if "avx2" in flags else 128
    except OSError:
        pass
    core = os.environ.get("OPENBLAS_CORETYPE")
    return f"{model}, {f'vectors of {width} bits' if width else 'vectors unknown'}, one thread" + (f", OPENBLAS_CORETYPE={core}" if core else "")
