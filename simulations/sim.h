/* sim.h: the inside of the simulator, for the files that make it up:
 *
 *   deal.c          who has which rows, and what their columns mean
 *   simulator.c     prepares, has the rounds gone through, tells what came of them
 *   synchronous.c   rounds that wait for their cohort: asks the round core what comes next
 *   asynchronous.c  rounds that do not: who is done when, on the simulated clock
 *   closing.c       the end of a round
 *   work.c          what clients do: training, attacks, updates on their way into the sum
 *   attack.c        what attackers do; system_model.c: devices and a network
 *
 * Each calls only those below it. */
#ifndef RONDO_SIMULATIONS_SIM_H
#define RONDO_SIMULATIONS_SIM_H

#include <pthread.h>
#include <stdatomic.h>

#include "attack.h"
#include "core/clock.h"
#include "progress.h"
#include "round/round.h"
#include "run/run.h"
#include "simulator.h"
#include "system_model.h"
#include "train/keep.h"
#include "train/local_round.h"
#include "usage.h"

/* A client's work for one round. */
typedef struct job {
    size_t client;
    uint64_t round;  /* that it was asked in */
    uint32_t epochs; /* 0: those of run.json */
    double arrival;  /* of its update, on the simulated clock */
    bool answers;    /* false: it never will */
    bool attacks;
    const float *global; /* (all) parameters that it trains from */
    float *update; /* (room + kept) its own place for the update and what the client then keeps; NULL: a thread's */
    bool trained;
    bool failed; /* for a reason of its own, which `part` gives */
    bool idle;   /* that it has no rows of this round's task */
    rd_participation_record part;
} job;

/* What a thread has for itself. */
typedef struct worker {
    rd_trainer *trainer;
    float *update;  /* (room + kept) */
    uint32_t *rows; /* (most rows of a client) */
    double training, adding;
    uint64_t clients, samples;
} worker;

typedef struct simulator {
    const rd_config *config;
    const rd_sim_options *options;
    rd_sim_data dealt;
    sim_usage usage;
    rd_run *run;
    rd_rounds *rounds;
    bool asynchronous;       /* they go on while clients train */
    rd_system_model *system; /* NULL: no simulated time */
    rd_keep *keep;           /* NULL: clients keep nothing */
    rd_dataset stamped;      /* test samples with a backdoor's trigger; rows 0: none */
    worker *workers;         /* (threads) */
    size_t most_rows;
    size_t room;                /* floats of an update under way (rd_local_round_room) */
    size_t kept;                /* floats that a client keeps (rd_client_kept_size) */
    double clock, opened_clock; /* simulated seconds */
    double opened_at;
    rd_progress progress;
    int signals;
    double averaging, committing;

    job *jobs; /* (job_count) of the open round, by arrival; asynchronous: of those that train */
    size_t job_count, job_capacity;

    /* The jobs that threads are at. */
    job **batch; /* (batch_count) */
    size_t batch_count, batch_capacity;
    bool add; /* into the sum, right after training */
    atomic_size_t next, done;
    pthread_mutex_t lock; /* guards failure */
    rd_status failure;
    rd_error *err;
} simulator;

/* Fills in when the client's update would arrive. */
void sim_time(const simulator *s, job *j);
/* Trains those of the jobs that are this rank's, on all threads; add: and adds their updates. Then every
 * rank knows of all of them what came of it. */
rd_status sim_work(simulator *s, job **jobs, size_t count, bool add, rd_error *err) RD_MUST_CHECK;
/* Adds the update of a job that was trained into its own place. */
rd_status sim_add(simulator *s, job *j, rd_error *err) RD_MUST_CHECK;
/* Tells the round core what came of a job. */
void sim_tell(simulator *s, const job *j);
/* Brings the sums of all ranks together, before a round is averaged. */
rd_status sim_unite(simulator *s, rd_error *err) RD_MUST_CHECK;
/* Averages, evaluates, commits and tells of a round. parts: of the action's cohort. */
rd_status sim_close(simulator *s, const rd_action *action, const rd_participation_record *parts,
                    rd_error *err) RD_MUST_CHECK;
/* Has a signal arrived? All ranks agree. */
bool sim_told_to_stop(simulator *s);

/* The rounds that are left, until there are none or *interrupted. */
rd_status sim_synchronous_rounds(simulator *s, bool *interrupted, rd_error *err) RD_MUST_CHECK;
rd_status sim_asynchronous_rounds(simulator *s, bool *interrupted, rd_error *err) RD_MUST_CHECK;

#endif
