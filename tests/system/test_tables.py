#!/usr/bin/env python3
"""The tables of simulations/README.md: each command that prints one runs all of its cells on small stand-in data, says
what its figures depend on, shows nothing that it did not measure, and continues where it was killed."""
import os
import re
import subprocess
import sys
import time

import harness

FOLDER = os.path.join(harness.ROOT, "simulations", "tables")
sys.dont_write_bytecode = True
sys.path.insert(0, FOLDER)
import reddi  # noqa: E402
import tables  # noqa: E402

SKIP = "the tables' scenarios run with sanitizers in test_scenarios.py" if harness.SANITIZED else None
COMMANDS = sorted(name for name in os.listdir(FOLDER) if "." not in name and not name.startswith("__"))
SETTINGS = ("clients", "rates tried", "cut-off", "seeds", "machine")


def command(world, name, *options):
    return [sys.executable, os.path.join(FOLDER, name), "--quick", "--programs", world.build, "--out", world.path("out"), *options]


def grids(text):
    """The Markdown tables of a text, as lists of rows of cells."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        found.append([line.strip().strip("|").split("|") for line in block.splitlines()])
    return found


def prints(world, name):
    result = world.run(*command(world, name), timeout=300)
    assert result.returncode == 0, result.stderr
    found = grids(result.stdout)
    assert found, result.stdout
    for grid in found:
        assert len(grid) > 2 and {len(row) for row in grid} == {len(grid[0])}, result.stdout
    for label in SETTINGS:
        assert re.search(rf"^- {label}", result.stdout, re.M), f"{name} does not say its {label}:\n{result.stdout}"
    assert "vectors of" in result.stdout and "stand-in data" in result.stdout
    if name != "shakespeare":  # the later epochs of its columns are not among two rounds
        assert tables.NOT_RUN not in result.stdout, result.stdout
    assert all(len(line) <= 120 for line in result.stdout.splitlines() if not line.startswith("|")), result.stdout
    again = world.run(*command(world, name, "--print"))
    assert again.stdout == result.stdout and again.stderr == "", again.stderr


def printing(name):
    return lambda world: prints(world, name)


for name in COMMANDS:
    globals()["test_" + name.replace("-", "_")] = printing(name)


def test_readme_names_each_command(world):
    text = harness.read(os.path.join(harness.ROOT, "simulations", "README.md"))
    for name in COMMANDS:
        assert f"    simulations/tables/{name}\n" in text, f"simulations/README.md does not say that simulations/tables/{name} prints a table"
    for name in re.findall(r"simulations/tables/([\w-]+)\n", text):
        assert name in COMMANDS, f"there is no simulations/tables/{name}"


def test_nothing_is_shown_that_was_not_measured(world):
    for name in COMMANDS:
        text = world.check(*command(world, name, "--print"))
        published = re.sub(r"\(\d+\)", "", text)  # which stand in brackets
        for grid in grids(published):
            body = [cell for row in grid[2:] for cell in row[1:]]
            assert any(tables.NOT_RUN in cell for cell in body), text
        assert "nothing was measured" in text and re.search(r"cost: 0 runs", text), text


def test_a_killed_command_continues_with_the_same_table(world):
    whole = world.check(*command(world, "mcmahan-rates")[:-1], world.path("whole"))
    cells = world.path("out", "quick")
    for least in (2, 9):
        process = world.start(*command(world, "mcmahan-rates"), log="killed.log", start_new_session=True)
        harness.wait_for(lambda: os.path.isdir(cells) and sum(f.endswith(".json") and "run" not in f for f in os.listdir(cells)) >= least,
                         "some cells are there", process=process)
        assert process.poll() is None, "the command had ended before it was killed"
        os.killpg(process.pid, 9)
        process.wait()
        time.sleep(0.2)
    without_cost = lambda text: re.sub(r"- cost: .*", "", text)
    assert without_cost(world.check(*command(world, "mcmahan-rates"))) == without_cost(whole)


def test_a_stopped_command_leaves_no_simulation(world):
    process = world.start(*command(world, "mcmahan-rates"), log="stopped.log")
    children = lambda: world.run("pgrep", "-P", process.pid).stdout.split()
    found = harness.wait_for(children, "a simulation runs", process=process)
    process.terminate()
    assert harness.wait_exit(process) == 3, harness.read(process.log)
    for pid in found:
        harness.wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "its simulation has ended")


def test_help_names_each_option(world):
    for name in COMMANDS:
        text = world.check(sys.executable, os.path.join(FOLDER, name), "--help")
        for option in ("--quick", "--print", "--minutes", "--programs", "--data", "--out"):
            assert option in text, text


def test_no_time_leaves_cells_out(world):
    text = world.check(*command(world, "scaffold", "--minutes", 0))
    assert tables.NOT_RUN in text and "nothing was measured" in text, text


def test_another_scenario_is_measured_again(world):
    table = tables.Table("", command(world, "x")[2:])
    first = table.measure("kmeans", {}, 3)
    assert table.measure("kmeans", {}, 3).rounds == first.rounds  # from the file: times would differ
    assert table.measure("kmeans", {"seed": 2}, 3).rounds != first.rounds
    assert table.measure("kmeans", {}, 4).rounds != first.rounds


def test_a_run_that_was_given_up_answers_for_no_more_rounds_than_it_had(world):
    table = tables.Table("", [*command(world, "x")[2:], "--print"])
    table.quick = False  # the figures of a table that is not quick, without running one
    asked = []

    def simulate(cell, config, *_):
        asked.append(config["rounds"])
        stored = {"config": config, "finished": True, "machine": "m", "cpu_seconds": 0, "rounds": [
            {"round": r, "test": {"accuracy": r / 100}} for r in range(config["rounds"] + 1)]}
        world.write(cell + ".json", stored)
        return stored

    table.simulate, table.only_print = simulate, False
    count = lambda most: table.rounds_to(0.97, most, "mcmahan-2nn", {}, 100)[0]
    assert count(34) is None and count(20) is None and asked == [34], "fewer rounds are among those that were run"
    assert count(200) == 97 and asked == [34, 200] and count(50) is None and count(300) == 97 and asked == [34, 200]
    table.only_print = True
    assert table.rounds_to(0.98, 34, "mcmahan-2nn", {}, 100) == (None, None)
    count_98 = lambda most: table.rounds_to(0.98, most, "mcmahan-2nn", {}, 100)
    table.only_print = False
    assert count_98(34)[0] is None
    table.only_print = True
    assert count_98(34)[1] is not None and count_98(200) == (None, None), "34 rounds do not say what 200 would"


def test_missing_data_are_named(world):
    result = world.run(*[word for word in command(world, "fedbuff") if word != "--quick"], "--data", world.path("none"))
    assert result.returncode == 1 and "simulations/data/fetch.sh mnist fetches it" in result.stderr, result.stderr


def test_a_rate_is_tuned_until_both_neighbours_are_worse(world):
    needs = {-8: 75, -7: 60, -6: 45, -5: 39, -4: 31, -3: 35, -2: 80}  # rounds by step of the grid
    asked = []

    def rounds_at(step, most):
        asked.append((step, most))
        return needs[step] if needs.get(step, 10 ** 9) <= most else None

    tried, best, known = tables.tune(rounds_at, -6, 100)
    assert best == -4 and known and tried[-4] == 31, tried
    assert tried[-3] is None and asked[0] == (-6, 100), "a rate is given up once it cannot win"
    assert all(most == 31 for step, most in asked if step == -3), asked
    assert tables.tried_text(tried, 100) == "0.1: 45, 0.15: 39, 0.22: 31, 0.32: more than 31"
    assert tables.tune(rounds_at, -2, 100)[1] == -4, "from above as well"
    assert tables.tune(rounds_at, -4, 20)[1] is None, "none reaches the target in 20 rounds"

    def some(step, most):
        return tables.NOT_RUN if step == -3 else rounds_at(step, most)

    assert tables.tune(some, -4, 100)[1:] == (-4, False), "a best whose neighbour was not run is not called the best"


def test_a_setting_is_picked_by_the_holdout_and_reported_on_the_test_set(world):
    class Fake(tables.Table):
        def measure(self, scenario, changes, clients=None, **_):
            assert changes["evaluation.holdout"] == reddi.HOLDOUT
            asked.append((changes["strategy"].get("server_learning_rate"), changes["seed"]))
            held, test = {1: (0.6, 0.9), 2: (0.8, 0.7)}[changes["strategy"]["server_learning_rate"]]
            return tables.Result({"machine": "m", "cpu_seconds": 0, "finished": True, "rounds": [
                {"round": r, "holdout": {"accuracy": held}, "test": {"accuracy": test + changes["seed"] / 100}} for r in range(1, 41)]})

    asked = []
    table = Fake("", ["--out", world.path("out")])
    printed = []
    table.print = lambda headings, rows: printed.append(rows)
    reddi.compare(table, "s", 5, {"fedadam": [{"server_learning_rate": 1}, {"server_learning_rate": 2}]}, 40, 10)
    assert printed == [[["`fedadam`", "72.0 ± 2.5", "server_learning_rate 2"]]], printed  # 71, 72, 73: 4.303 * 1 / sqrt(3)
    assert (1, 2) not in asked and (1, 3) not in asked, "the other setting has no run of seeds 2 and 3"


def test_rounds_are_counted_to_the_first_that_reaches_the_target(world):
    rounds = [{"round": r, "test": {"accuracy": a} if a else None} for r, a in ((0, 0.1), (1, 0.96), (2, None), (3, 0.97), (4, 0.95))]
    result = tables.Result({"machine": "m", "cpu_seconds": 0, "finished": True, "rounds": rounds})
    assert result.reached(0.97) == 3 and result.reached(0.98) is None and result.best("test", "accuracy") == 0.97
    mean, half = tables.interval([31, 35, 36, 37, 33])
    assert abs(mean - 34.4) < 1e-9 and abs(half - 2.990) < 5e-4, (mean, half)  # 2.776 * 2.4083 / sqrt(5)


if __name__ == "__main__":
    harness.main()
