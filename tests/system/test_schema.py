#!/usr/bin/env python3
"""run.json: the schema and the program accept and refuse the same documents."""
import glob
import json
import os
import re

import harness

CONFIGS = os.path.join(harness.ROOT, "tests", "reference", "configs")
SCHEMA = os.path.join(harness.ROOT, "common", "config", "config.schema.json")


def documents(kind):
    return sorted(glob.glob(os.path.join(CONFIGS, kind, "*.json")))


def test_schema_agrees_with_the_table(world):
    try:
        import jsonschema
    except ImportError:
        raise harness.Skip("needs python3-jsonschema") from None
    with open(SCHEMA) as f:
        schema = json.load(f)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for kind, accepted in (("good", True), ("bad", False)):
        for path in documents(kind):
            with open(path) as f:
                assert validator.is_valid(json.load(f)) == accepted, path


def test_scenarios_and_spaces_follow_their_schemas(world):
    try:
        import jsonschema
    except ImportError:
        raise harness.Skip("needs python3-jsonschema") from None
    simulations = os.path.join(harness.ROOT, "simulations")
    for schema, folder, least in ((SCHEMA, "scenarios", 4), (os.path.join(simulations, "search.schema.json"), "spaces", 1)):
        with open(schema) as f:
            validator = jsonschema.Draft202012Validator(json.load(f))
        files = glob.glob(os.path.join(simulations, folder, "*.json"))
        assert len(files) >= least, folder
        for path in files:
            with open(path) as f:
                validator.validate(json.load(f))


def test_program_refuses_with_the_expected_words(world):
    for path in documents("bad"):
        result = world.run(world.program("rondo-sim"), "--config", path, "--clients", 2)
        with open(path.replace(".json", ".expect")) as f:
            expected = f.read().strip()
        assert result.returncode == 1 and expected in result.stderr and path in result.stderr, (path, result.stderr)


# ---- bounds ----

MODEL = {"preset": "softmax-regression", "input": 4, "classes": 2}


def run(**sections):
    return {"rounds": 9, "model": MODEL, "training": {"learning_rate": 0.1}, **sections}


def strategy(name, **keys):
    return run(strategy={"name": name, **keys})


def layers(*listed, shape=4, loss="softmax_cross_entropy", **more):
    return run(model={"input": shape, "loss": loss, "layers": list(listed), **more})


def drawn(**distribution):
    return run(simulation={"system": {"seconds_per_sample": distribution, "upload_bytes_per_second": distribution}})


def attack(**keys):
    return run(simulation={"attack": {"fraction": 0.5, **keys}})


def without_training(document):
    """Of a model that learns by counting."""
    return {key: value for key, value in document.items() if key != "training"}


DENSE = {"type": "dense", "units": 2}
# Documents that have the keys which those of reference/configs/good lack.
MORE = [
    run(training={"learning_rate": 0.1, "clip_norm": 1, "schedule": {"type": "cosine", "final": 0.1}}),
    strategy("fedavgm", momentum=0.9), strategy("fedprox", proximal=1), strategy("norm_clipping", clip_norm=1),
    strategy("geometric_median", smoothing=1e-6, iterations=10), strategy("fedbuff", buffer_size=2, concurrency=3, staleness_exponent=0.5),
    {**strategy("q-fedavg", q=1), "evaluation": {"train_loss": True}},
    run(evaluation={"holdout": 0.1}, early_stopping={"metric": "holdout_loss", "patience": 3, "min_delta": 0.1}),
    run(continual={"tasks": [[0], [1]], "rounds_per_task": 2, "replay": 0.1}), run(pruning={"sparsity": 0.5, "from_round": 1, "to_round": 2}),
    {**run(simulation={"system": {"slot_seconds": 60, "availability": 0.5, "partial_work": {"fraction": 0.5, "least_epochs": 2}}}),
     "training": {"learning_rate": 0.1, "epochs": 5}},
    attack(type="gaussian", deviation=2), attack(type="little_is_enough", z=1), attack(type="inner_product", epsilon=1),
    attack(type="backdoor", size=2, value=3, share=0.4), drawn(distribution="constant", value=1), drawn(distribution="uniform", **{"from": 1, "to": 2}),
    drawn(distribution="exponential", mean=1), drawn(distribution="lognormal", median=1, sigma=1), drawn(distribution="pareto", minimum=1, shape=2),
    run(simulation={"system": {"upload_bytes_per_second": 5, "availability": {"distribution": "constant", "value": 0.5},
                               "dropout": {"distribution": "constant", "value": 0.5}}}),
    run(simulation={"system": {"dropout": {"distribution": "uniform", "from": 0.1, "to": 0.5}}}),
    run(data={"train": {"format": "synthetic", "clients": 3, "alpha": 1, "beta": 1, "seed": 5}}),
    *(run(data={"schema": {"columns": [{"count": 4, **column}]}}) for column in ({}, {"type": "ignored"}, {"type": "category", "words": ["a", "b"]})),
    run(data={"schema": {"columns": [{"count": 4, "type": "number", "missing": {"mean": 0.5}}]}}),
    run(data={"train": {"path": "a.txt", "part": "train", "test_share": 0.2, "stride": 3}}),
    layers({"type": "embedding", "units": 8}, {"type": "lstm", "units": 4}, {"type": "last"}, DENSE, shape={"tokens": 5, "vocabulary": 7}),
    layers(DENSE, loss={"type": "softmax_cross_entropy", "label_smoothing": 0.1}), layers(DENSE, loss={"type": "huber", "delta": 2}),
    layers(DENSE, fine_tuning={"lora": {"rank": 1, "alpha": 2, "targets": ["*.weight"]}}),
    *(layers({"type": "conv2d", "channels": 4, "kernel": k, "stride": k, "padding": k, "groups": 1}, {"type": "flatten"}, DENSE, shape=[2, 8, 8])
      for k in (1, [1, 1])),
    *(layers({"type": t, "kernel": k, "stride": k, "padding": p}, {"type": "flatten"}, DENSE, shape=[2, 8, 8])
      for t in ("max_pool", "average_pool") for k, p in ((2, 1), ([2, 2], [1, 1]))),
    layers({"type": "dropout", "rate": 0.5}, {"type": "batch_norm", "epsilon": 1e-5}, {"type": "layer_norm", "epsilon": 1e-5}, {"type": "rms_norm", "epsilon": 1e-5}, DENSE),
    layers({"type": "group_norm", "groups": 2, "epsilon": 1e-5}, {"type": "flatten"}, DENSE, shape=[2, 8, 8]),
    *(layers({"type": t, "units": 4}, {"type": "last"}, DENSE, shape=[3, 4]) for t in ("rnn", "gru")),
    layers({"type": "attention", "heads": 2}, {"type": "mixture_of_experts", "experts": 1024, "top_k": 2, "units": 4, "balance": 0.1},
           {"type": "transformer", "heads": 2, "units": 4, "dropout": 0.1, "experts": 1024, "top_k": 2, "balance": 0.1}, {"type": "last"}, DENSE, shape=[3, 4]),
    *(without_training(layers({"type": f"{kind}_naive_bayes", "classes": 2, "smoothing": 0.1, **({"threshold": 0.5} if kind == "bernoulli" else {})}))
      for kind in ("gaussian", "multinomial", "bernoulli")),
    without_training(layers({"type": "kmeans", "clusters": 2}, loss="inertia")),
]


def resolve(schema, root):
    while "$ref" in schema:
        target = root
        for part in schema["$ref"].lstrip("#/").split("/"):
            target = target[part]
        schema = target
    return schema


def number_schemas(schema, root, value, path, validator):
    """(path, schema) for each number in a document, as far as the schema says what it may be."""
    schema = resolve(schema, root)
    valid = lambda s: validator.evolve(schema=s).is_valid(value)  # noqa: E731
    if isinstance(value, (int, float)) and not isinstance(value, bool) and schema.get("type") in ("integer", "number"):
        yield path, schema
    for part in schema.get("allOf", []):
        yield from number_schemas(part, root, value, path, validator)
    for part in schema.get("oneOf", []) + schema.get("anyOf", []):
        if valid(part):
            yield from number_schemas(part, root, value, path, validator)
    if "if" in schema:
        branch = schema.get("then" if valid(schema["if"]) else "else")
        if branch is not None:
            yield from number_schemas(branch, root, value, path, validator)
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in schema.get("properties", {}):
                yield from number_schemas(schema["properties"][key], root, inner, path + [key], validator)
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for i, inner in enumerate(value):
            yield from number_schemas(schema["items"], root, inner, path + [i], validator)


def all_number_schemas(schema, place=""):
    """{id: (place, schema)} of every key of the schema that holds a number."""
    found = {}
    if isinstance(schema, dict):
        if schema.get("type") in ("integer", "number"):
            found[id(schema)] = (place, schema)
        for key, inner in schema.items():
            found.update(all_number_schemas(inner, f"{place}/{key}"))
    elif isinstance(schema, list):
        for i, inner in enumerate(schema):
            found.update(all_number_schemas(inner, f"{place}/{i}"))
    return found


def with_value(document, path, value):
    document = json.loads(json.dumps(document))
    at = document
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = value
    return document


def probes(schema):
    """(value, is it within the bounds)"""
    whole = schema["type"] == "integer"
    for key, sign in (("minimum", -1), ("maximum", 1)):
        excluded = "exclusive" + key.capitalize()
        edge = schema[key] if key in schema else schema[excluded]
        step = 1 if whole else max(abs(edge), 1e-6) * 1e-6
        step = max(step, 2) if whole and abs(edge) >= 2 ** 53 else step  # the next number that a double can be
        yield edge, key in schema
        yield edge + sign * step, False
        if excluded in schema:
            yield edge - sign * step, True
    if whole:
        yield schema.get("minimum", 0) + 0.5, False


def test_every_number_has_the_same_bounds_in_schema_and_program(world):
    """Just outside of each bound the program refuses and names the key; on the bound it may have another reason, but not that one."""
    try:
        import jsonschema
    except ImportError:
        raise harness.Skip("needs python3-jsonschema") from None
    with open(SCHEMA) as f:
        schema = json.load(f)
    every = all_number_schemas(schema)
    unbounded = [place for place, s in every.values() if not ({"minimum", "exclusiveMinimum"} & s.keys() and {"maximum", "exclusiveMaximum"} & s.keys())]
    assert not unbounded, unbounded
    validator = jsonschema.Draft202012Validator(schema)
    documents_with = []
    for path in documents("good"):
        with open(path) as f:
            documents_with.append(json.load(f))
    reached, cases = {}, []
    for document in documents_with + MORE:
        for path, found in number_schemas(schema, schema, document, [], validator):
            if reached.get(id(found), 0) < 2:  # in another place a shared definition may be read by other code
                reached[id(found)] = reached.get(id(found), 0) + 1
                cases += [(path, value, inside, with_value(document, path, value)) for value, inside in probes(found)]
    missed = [place for key, (place, _) in every.items() if key not in reached]
    assert not missed, ("no document has", missed)
    paths = [world.write(f"{i}.json", case[-1]) for i, case in enumerate(cases)]
    answers = world.check(world.program("tests/check_config"), input="\n".join(paths) + "\n").splitlines()
    assert len(answers) == len(cases)
    wrong = []
    for (path, value, inside, _), answer in zip(cases, answers):
        key = path[-1] if isinstance(path[-1], str) else path[-2]
        about = re.search(rf"{key}(\[\d+\])?: expected a (whole )?number", answer)
        if (inside and about) or (not inside and (answer == "ok" or str(key) not in answer)):
            wrong.append((path, value, inside, answer))
    print(f"# {len(every)} numbers, {len(cases)} documents")
    assert not wrong, wrong


if __name__ == "__main__":
    harness.main()
