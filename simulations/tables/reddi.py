"""Reddi et al. 2021: the best setting of each strategy by the clients' hold-out rows, then its test accuracy over seeds.

What is reported is not what was chosen by: a tenth of each client's rows is kept out of training, the cohort of each
round measures the model that it is sent on its own of them, and their mean over the last quarter of the rounds picks the
setting, with seed 1. The test set is only read for the settings that were picked."""
import statistics

from tables import NOT_RUN, interval

HOLDOUT = 0.1
SEEDS = (1, 2, 3)


def compare(table, scenario, clients, settings, rounds, evaluations):
    """Prints the table of `settings`, {strategy: [keys of it, ...]}. evaluations: the last so many on the test set are averaged."""
    def measure(name, keys, seed):
        result = table.measure(scenario, {"strategy": {"name": name, **keys}, "seed": seed, "evaluation.holdout": HOLDOUT}, clients)
        return result if result is not None and result.finished else None

    def held_out(result):
        values = [value for number, value in result.values("holdout", "accuracy") if number > rounds * 3 // 4 or table.quick]
        return statistics.fmean(values)

    rows, chosen, tried = [], {}, []
    for name, grid in settings.items():
        found = {i: held_out(result) for i, keys in enumerate(grid) if (result := measure(name, keys, 1)) is not None}
        chosen[name] = max(found, key=found.get) if len(found) == len(grid) else None
        tried.append(f"`{name}` " + "; ".join(
            (", ".join(f"{key} {value}" for key, value in keys.items()) or "as it is")
            + (f" ({100 * found[i]:.1f} % held out)" if i in found else f" ({NOT_RUN})") for i, keys in enumerate(grid)))
    for name, grid in settings.items():
        if chosen[name] is None:
            rows.append((0, [f"`{name}`", NOT_RUN, ""]))
            continue
        keys = grid[chosen[name]]
        results = [result for seed in SEEDS if (result := measure(name, keys, seed)) is not None]
        accuracies = [100 * statistics.fmean(value for _, value in result.values("test", "accuracy")[-evaluations:]) for result in results]
        mean, half = interval(accuracies)
        rows.append((mean, [f"`{name}`", f"{mean:.1f}" + (f" ± {half:.1f}" if half is not None else "")
                            + ("" if len(results) == len(SEEDS) else f" (of {len(results)} seed{'s' if len(results) > 1 else ''})"),
                            ", ".join(f"{key} {value}" for key, value in keys.items()) or "–"]))
    table.print(["strategy", "test accuracy, %", "picked"], [row for _, row in sorted(rows, key=lambda r: -r[0])])
    table.note("cells", ("the last evaluation" if evaluations == 1 else f"mean of the last {evaluations} evaluations")
               + " on the test set; of that mean and 95 % interval over seeds")
    for text in tried:
        table.note("rates tried", text)
    table.note("choice", f"by the mean accuracy on the clients' hold-out ({HOLDOUT:.0%}".replace("%", " %") + " of their rows) "
               f"over rounds {rounds * 3 // 4 + 1} to {rounds}, seed 1; the test set has no say")
    table.note("cut-off", f"{rounds} rounds, all of them run")
    table.note("seeds", ", ".join(map(str, SEEDS)))
