#!/usr/bin/env python3
"""What `cmake --install` puts in place: programs that run, and a library that programs of one's own are built with."""
import csv
import io
import os
import re
import subprocess

import harness

EXAMPLES = os.path.join(harness.ROOT, "common", "examples")
# Two kinds of flowers by a number, a category and a number that may be missing; one row in four is of the kind "b".
ROWS = [(f"{i % 9}.5", "red" if i % 4 == 0 else "blue", "" if i % 5 == 0 else str(i % 3), "b" if i % 4 == 0 else "a") for i in range(80)]
CONFIG = {"rounds": 60, "training": {"learning_rate": 0.5},
          "model": {"input": 4, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": 2}]},
          "data": {"schema": {"columns": [{"name": "size", "type": "number", "scale": "standard"}, {"name": "colour", "type": "category"},
                                          {"name": "age", "type": "number", "missing": "mean"}], "label": {"name": "kind"}}}}
CONSUMER = """
cmake_minimum_required(VERSION 3.25)
project(consumer C CXX)
find_package(rondo 1.0 REQUIRED)
add_executable(mean %(examples)s/mean.c)
target_link_libraries(mean rondo::static)
add_executable(predict %(examples)s/predict.cpp)
target_link_libraries(predict rondo::rondo)
"""


def install(world):
    prefix = world.path("prefix")
    world.check("cmake", "--install", world.build, "--prefix", prefix)
    (folder,) = [d for d, _, files in os.walk(prefix) if "rondo.pc" in files]
    return prefix, os.path.dirname(folder), {**os.environ, "PKG_CONFIG_PATH": folder}


def text(rows, columns):
    return "".join(",".join(row) + "\n" for row in [columns, *rows])


def exported(world):
    """A model of the flowers: its state directory and its exported file."""
    config = {**CONFIG, "data": {**CONFIG["data"], "train": {"path": world.write("flowers.csv", text(ROWS, ("size", "colour", "age", "kind")))}}}
    world.check(world.program("rondo-sim"), "--config", world.write("run.json", config), "--clients", 2, "--out", world.path("state"), "--quiet")
    world.check(world.program("rondo-inspect"), "export", world.path("state"), "--out", world.path("model.safetensors"))
    return world.path("state"), world.path("model.safetensors")


def test_programs(world):
    prefix, _, _ = install(world)
    for program in ("rondo-aggregator", "rondo-client", "rondo-sim", "rondo-inspect"):
        path = os.path.join(prefix, "bin", program)
        assert re.fullmatch(program + r" \d+\.\d+\.\d+\n", world.check(path, "--version"))
        assert world.check(path, "--help").startswith("Usage: " + program)
    assert "Usage" in world.check(os.path.join(prefix, "bin", "rondo-make-certs"), "--help")


def test_only_what_the_headers_declare_is_offered(world):
    prefix, lib, _ = install(world)
    headers = os.path.join(prefix, "include", "rondo")
    assert sorted(os.listdir(headers)) == ["error.h", "predictor.h", "rondo.h", "version.h", "weighted_mean.h"]
    declared = set()
    for name in os.listdir(headers):
        source = harness.read(os.path.join(headers, name))
        declared |= set(re.findall(r"\b(rd_\w+)\(", re.sub(r"/\*.*?\*/", "", source, flags=re.S)))
        assert set(re.findall(r"#include [<\"](?!rondo/)(\S+)[>\"]", source)) <= {"stddef.h", "stdint.h"}, name
        assert all(macro.startswith(("RD_", "RONDO_")) for macro in re.findall(r"#define (\w+)", source)), name
        # Each stands alone, in C and in C++.
        for compiler, language in (("gcc", "c"), ("g++", "c++")):
            world.check(compiler, "-x", language, "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", os.path.dirname(headers),
                        world.write("alone.c", f"#include <rondo/{name}>\n"))
    for library, options in (("librondo.so", ["-D"]), ("librondo.a", ["-g"])):
        names = world.check("nm", *options, "--defined-only", os.path.join(lib, library))
        found = set(re.findall(r" [A-Zi] (\S+)$", names, re.M))
        if not harness.SANITIZED:
            assert found == declared, (library, found ^ declared)
    assert "librondo.so.1]" in world.check("readelf", "-d", os.path.join(lib, "librondo.so"))


def test_examples_with_pkg_config(world):
    if harness.SANITIZED:
        raise harness.Skip("programs of one's own are built without sanitizers")
    _, lib, environment = install(world)
    flags = world.check("pkg-config", "--cflags", "--libs", "rondo", env=environment).split()
    world.check("gcc", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", os.path.join(EXAMPLES, "mean.c"), "-o", world.path("mean"), *flags)
    world.check("g++", "-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Werror", os.path.join(EXAMPLES, "predict.cpp"), "-o", world.path("predict"), *flags)
    loaded = {**os.environ, "LD_LIBRARY_PATH": lib}
    assert world.check(world.path("mean"), env=loaded) == "1.5 -0.333333\n"  # (0.5 + 2 * 2) / 3 and (1 - 2) / 3

    state, model = exported(world)
    # Columns in another order, one of them missing everywhere from some rows, without a label.
    rows = [(colour, age, size) for size, colour, age, _ in ROWS[:20]]
    unlabelled = world.write("new.csv", text(rows, ("colour", "age", "size")))
    said = [row["class"] for row in csv.DictReader(io.StringIO(world.check(world.program("rondo-inspect"), "predict", state, "--data", unlabelled)))]
    assert said == [row[3] for row in ROWS[:20]]  # the colour tells the kind
    with open(unlabelled) as table:
        found = subprocess.run([world.path("predict"), model], stdin=table, capture_output=True, text=True, env=loaded, check=True).stdout
    assert found.split() == said

    def refused(table, *words):
        done = subprocess.run([world.path("predict"), model], input=table, capture_output=True, text=True, env=loaded)
        assert done.returncode == 1 and all(word in done.stderr for word in words), done
    refused("size,age\n1,2\n", "colour")
    refused("size,colour,age\n1,green,2\n", "table", "line 2", "green")
    done = world.run(world.path("predict"), unlabelled, env=loaded)
    assert done.returncode == 1 and "new.csv" in done.stderr, done.stderr
    done = world.run(world.path("predict"), os.path.join(state, "models", "000060.safetensors"), env=loaded)
    assert done.returncode == 1 and "expected a file of rondo-inspect export" in done.stderr, done.stderr


def test_examples_with_cmake(world):
    if harness.SANITIZED:
        raise harness.Skip("programs of one's own are built without sanitizers")
    prefix, lib, _ = install(world)
    os.makedirs(world.path("consumer"))
    world.write("consumer/CMakeLists.txt", CONSUMER % {"examples": EXAMPLES})
    world.check("cmake", "-S", world.path("consumer"), "-B", world.path("consumer/build"), f"-DCMAKE_PREFIX_PATH={prefix}")
    world.check("cmake", "--build", world.path("consumer/build"))
    assert "librondo" not in world.check("ldd", world.path("consumer/build/mean"))
    assert world.check(world.path("consumer/build/mean")) == "1.5 -0.333333\n"
    assert os.path.join(lib, "librondo.so.1") in world.check("ldd", world.path("consumer/build/predict"))
    done = world.run(world.path("consumer/build/predict"))
    assert done.returncode == 2 and done.stderr.startswith("Usage: predict")


if __name__ == "__main__":
    harness.main()
