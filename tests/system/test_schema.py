#!/usr/bin/env python3
"""run.json: the schema and the program accept and refuse the same documents."""
import glob
import json
import os

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


if __name__ == "__main__":
    harness.main()
