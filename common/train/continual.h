/* continual.h: tasks that come one after another (run.json "continual"). A task is a set of classes; in its
 * rounds clients train on their rows of those classes, and, against forgetting, on a share of their rows of
 * earlier tasks that they keep for replay (Rolnick et al. 2019: experience replay). Which rows those are
 * follows from the seed, the client and the row alone, so they are the same in every round and nothing has to
 * be remembered. */
#ifndef RONDO_TRAIN_CONTINUAL_H
#define RONDO_TRAIN_CONTINUAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why a client has to pass in a round: in the record, and what it tells the aggregator. */
#define RD_CONTINUAL_IDLE "none of its samples are for this round"

#define RD_CONTINUAL_TASKS 16
#define RD_CONTINUAL_CLASSES 64

typedef struct rd_continual {
    size_t task_count;                    /* 0: all classes in all rounds */
    uint64_t classes[RD_CONTINUAL_TASKS]; /* bit c: class c belongs to the task */
    uint64_t rounds_per_task;
    double replay; /* share of the rows of earlier tasks that a client keeps; 0: none */
} rd_continual;

/* The task of a round, from 0; the last one goes on for ever. */
size_t rd_continual_task(const rd_continual *c, uint64_t round);
/* The task that a class belongs to, or task_count. */
size_t rd_continual_task_of(const rd_continual *c, int32_t label);
/* Moves the rows that are trained on in this round to the front, in their order, and returns how many they
 * are. */
size_t rd_continual_choose(const rd_continual *c, uint64_t seed, uint64_t round, uint64_t client_key,
                           const int32_t *labels, uint32_t *rows, size_t count);

#endif
