/* random.h: every random number in Rondo, from one seed, without any state that is shared or remembered.
 *
 * A stream is named by (seed, purpose, round, client). Streams are independent of one another, so no
 * decision depends on what was drawn before it, on threads, or on timing: client 7 shuffles its data in
 * round 3 in the same order in a simulator with 8 threads and on a board in another country.
 *
 * The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3",
 * SC 2011). The four names are mixed into a key by Philox itself. */
#ifndef RONDO_CORE_RANDOM_H
#define RONDO_CORE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

typedef enum rd_purpose {
    RD_PURPOSE_INIT = 1,       /* initial parameters */
    RD_PURPOSE_SELECT = 2,     /* which clients are in a round's cohort */
    RD_PURPOSE_SHUFFLE = 3,    /* order of a client's samples in an epoch */
    RD_PURPOSE_PARTITION = 4,  /* which client owns which sample */
    RD_PURPOSE_HOLDOUT = 5,    /* which of its samples a client keeps for evaluation */
    RD_PURPOSE_JITTER = 6,     /* when a client comes again; never influences a result */
    RD_PURPOSE_TEST = 7,       /* tests and benchmarks */
    RD_PURPOSE_DROPOUT = 8,    /* what dropout drops */
    RD_PURPOSE_REPLAY = 10,    /* which rows of earlier tasks a client keeps */
    RD_PURPOSE_SEARCH = 11,    /* hyperparameters to try */
    RD_PURPOSE_PERSONAL = 12,  /* order of a client's samples while it trains a model of its own */
    RD_PURPOSE_DEVICE = 13,    /* a simulated client's device */
    RD_PURPOSE_AVAILABLE = 14, /* when it can be selected */
    RD_PURPOSE_ANSWER = 15,    /* whether it answers, and how much of its work it does */
    RD_PURPOSE_ATTACK = 16,    /* who attacks, and with what */
    RD_PURPOSE_SYNTHETIC = 17, /* data that are made up */
    RD_PURPOSE_SAMPLE = 9,     /* text sampled from a language model */
} rd_purpose;

typedef struct rd_random {
    uint32_t key[2];
    uint32_t counter[4]; /* [0], [1] count blocks; [2], [3] belong to the stream's name */
    uint32_t block[4];
    unsigned used; /* words of block already handed out; 4 = none left */
} rd_random;

/* One block of Philox4x32-10: out = philox(key, counter). Exposed for the known-answer test. */
void rd_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]);

/* Starts the stream with this name. client is rd_client_key(name), or 0 where no client is concerned. */
rd_random rd_random_stream(uint64_t seed, rd_purpose purpose, uint64_t round, uint64_t client);

uint32_t rd_random_u32(rd_random *r);
uint64_t rd_random_u64(rd_random *r);

/* Uniform in [0, bound), without bias (Lemire, "Fast random integer generation in an interval", 2019). bound
 * > 0. */
uint32_t rd_random_below(rd_random *r, uint32_t bound);

/* Uniform in [0, 1) with 53 random bits. */
double rd_random_uniform(rd_random *r);

/* Standard normal (Box-Muller). */
double rd_random_normal(rd_random *r);

/* Gamma(shape, 1), shape > 0 (Marsaglia and Tsang 2000, with the boost for shape < 1). */
double rd_random_gamma(rd_random *r, double shape);

/* Fisher-Yates over n items. */
void rd_random_shuffle(rd_random *r, uint32_t *items, size_t n);

/* The 64-bit key under which a client's streams are named: FNV-1a of the name in its certificate, so that
 * the same client draws the same numbers in a simulation and in a deployment. */
uint64_t rd_client_key(const char *name);

#endif
