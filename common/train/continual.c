/* continual.c: see continual.h. */
#include "train/continual.h"

#include "core/random.h"

size_t rd_continual_task(const rd_continual *c, uint64_t round)
{
    uint64_t task = (round - 1) / c->rounds_per_task;
    return task < c->task_count ? (size_t)task : c->task_count - 1;
}

size_t rd_continual_task_of(const rd_continual *c, int32_t label)
{
    size_t task = 0;
    while (task < c->task_count &&
           !(label >= 0 && label < RD_CONTINUAL_CLASSES && (c->classes[task] >> label & 1u) != 0))
        task++;
    return task;
}

size_t rd_continual_choose(const rd_continual *c, uint64_t seed, uint64_t round, uint64_t client_key,
                           const int32_t *labels, uint32_t *rows, size_t count)
{
    size_t chosen = 0, now = rd_continual_task(c, round);
    for (size_t i = 0; i < count; i++) {
        size_t task = rd_continual_task_of(c, labels[rows[i]]);
        bool keeps = task == now;
        if (task < now && c->replay > 0) {
            rd_random random = rd_random_stream(seed, RD_PURPOSE_REPLAY, rows[i], client_key);
            keeps = rd_random_uniform(&random) < c->replay;
        }
        if (keeps)
            rows[chosen++] = rows[i];
    }
    return chosen;
}
