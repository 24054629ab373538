#!/usr/bin/env python3
"""Clients with certificates, whose updates and words are accepted one by one, and who mean harm."""
import harness
from test_updates import body, committed, model, start


def rounds_with(sessions, number, updates):
    for session, update in zip(sessions, updates):
        assert session.task()[1]["round"] == number
        status, answer, _ = session.update(number, update)
        assert status == 200, answer


def test_no_model_is_published_that_clients_must_refuse(world):
    """Two accepted updates of 2^23 - 1 would make one: that round is abandoned, who did it is named, and the others go on."""
    aggregator, sessions = start(world, ["mallory", "alice"], rounds=4)
    for number, value in ((1, 8388607), (2, 8388607), (3, 1)):
        rounds_with(sessions, number, (body(value, 0, number), body(1, 0, number)))
        committed(world, aggregator, number)
    records = world.rounds()
    assert [r["aggregated"] for r in records] == [True, True, False, True], records
    assert records[2]["model_sha256"] == records[1]["model_sha256"]
    why = records[2]["abandoned"]
    assert "the global model diverged: element 0 of fc1.weight is 2^23 or more" in why, why
    assert "; far beyond the others: mallory (values up to 8.38861e+06; half of the clients: 1)" in why and "alice" not in why, why
    assert abs(model(world, 3)[0] - model(world, 1)[0] - 1) < 1, (model(world, 1), model(world, 3))
    harness.wait_for(lambda: "mallory (values up to" in harness.read(aggregator.log), "the log names it")


if __name__ == "__main__":
    harness.main()
