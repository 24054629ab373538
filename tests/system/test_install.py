#!/usr/bin/env python3
"""What `cmake --install` puts in place: programs that run, and headers and libraries that a program of one's own builds with."""
import os
import re

import harness

PROGRAM = r"""
#include <core/exact_sum.h>
#include <core/random.h>
#include <round/round.h>
#include <stdio.h>

int main(void)
{
    rd_error err;
    rd_exact_vector sum;
    double mean;
    if (rd_exact_vector_create(1, &sum, &err) != RD_OK)
        return 1;
    rd_exact_vector_add(&sum, 0, (float[]){0.5f}, 1, 1);
    rd_exact_vector_add(&sum, 0, (float[]){2.0f}, 1, 2);
    rd_exact_vector_mean(&sum, 0, 1, 3, &mean);
    printf("%g %llx\n", mean, (unsigned long long)rd_client_key("alice"));
    rd_exact_vector_free(&sum);
    return 0;
}
"""


def fnv1a(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2 ** 64
    return value


def test_installed_programs_headers_and_libraries(world):
    prefix = world.path("prefix")
    world.check("cmake", "--install", world.build, "--prefix", prefix)
    for program in ("rondo-aggregator", "rondo-client", "rondo-sim", "rondo-inspect"):
        path = os.path.join(prefix, "bin", program)
        assert re.fullmatch(program + r" \d+\.\d+\.\d+\n", world.check(path, "--version"))
        assert world.check(path, "--help").startswith("Usage: " + program)
    assert "Usage" in world.check(os.path.join(prefix, "bin", "rondo-make-certs"), "--help")
    if harness.SANITIZED:
        return
    (folder,) = [d for d, _, files in os.walk(prefix) if "rondo.pc" in files]
    environment = {**os.environ, "PKG_CONFIG_PATH": folder}
    flags = world.check("pkg-config", "--cflags", "--libs", "rondo", env=environment).split()
    source = world.write("own.c", PROGRAM)
    world.check("gcc", "-std=gnu17", source, "-o", world.path("own"), *flags)
    assert world.check(world.path("own")) == f"1.5 {fnv1a('alice'):x}\n"


if __name__ == "__main__":
    harness.main()
