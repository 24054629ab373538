/* measure_bytes.c: the steps before the first round, in which clients tell sums over their tables (settling.h). */
#include "step_bytes.h"

static void complete(rd_call *c, uint64_t step)
{
    rd_error err;
    if (rd_driver_measured(c->routes->driver, rd_exchange_client(c->x), step, rd_call_body(c), c->body_size, &err) !=
        RD_OK)
        rd_call_refuse_error(c, &err);
    else
        rd_call_empty(c, 204, "");
}

static void complete_1(rd_call *c)
{
    complete(c, 1);
}

static void complete_2(rd_call *c)
{
    complete(c, 2);
}

const rd_step_bytes rd_measure_1_bytes = {.step = "measure-1", .complete = complete_1};
const rd_step_bytes rd_measure_2_bytes = {.step = "measure-2", .complete = complete_2};
