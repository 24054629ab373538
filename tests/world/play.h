/* play.h: one run in the world: its clients, an aggregator that dies, and both accounts of it. */
#ifndef RONDO_TESTS_WORLD_PLAY_H
#define RONDO_TESTS_WORLD_PLAY_H

#include "core/random.h"
#include "recalled.h"
#include "sums.h"

enum { PLAY_ROUNDS = 24, PLAY_CONFIG = 1200 };

/* What a play is of. */
typedef struct play_setting {
    const char *name;     /* of the strategy */
    const char *strategy; /* keys of run.json "strategy" behind its name */
    const char *training; /* "training" */
    const char *cohort;   /* "cohort" */
    size_t clients;
    uint64_t max_backoff; /* of the cohort, where its rounds wait */
} play_setting;

/* The setting of the play with this number, in which the random numbers have their say. */
play_setting play_choose(uint64_t number, rd_random *random);
/* run.json of a setting; root: the file that the server trains on, where it does. */
void play_config(const play_setting *setting, uint64_t seed, const char *root, char text[PLAY_CONFIG]);

typedef struct play_client {
    char name[ACCOUNT_NAME];
    uint64_t samples;                  /* that it joins with */
    bool here;                         /* its process lives */
    bool joined;                       /* this aggregator has heard of it ... */
    size_t number;                     /* ... under this number */
    uint64_t given, given_fingerprint; /* what the aggregator remembers to have given it */
    bool has_work, trained;
    unsigned patience;           /* events until it has trained */
    uint64_t round;              /* of its work */
    uint64_t model, fingerprint; /* that it trained from */
    bool has_update;             /* it still has the last one, and may send it again */
    sums_update update;
    bool adding;  /* its update is on the way into the sum */
    size_t added; /* elements of it */
    sums_update sent;
    rd_admission admission;
} play_client;

/* What was committed, as this side knows it. */
typedef struct play_round {
    bool aggregated;
    uint64_t samples, counted;
    bool has[ACCOUNT_CLIENTS];
    uint32_t weight[ACCOUNT_CLIENTS];
    bool asked[ACCOUNT_CLIENTS];
    unsigned missed[ACCOUNT_CLIENTS];
    uint64_t left_out;
} play_round;

typedef struct play {
    const char *directory; /* of the state */
    rd_config config;
    rd_random random;
    rd_run *run;
    rd_recalled counted, missed;
    account account;
    sums sums;
    play_client clients[ACCOUNT_CLIENTS]; /* (client_count) */
    size_t client_count;
    rd_round_record record; /* of the round that has closed */
    rd_participation_record parts[ACCOUNT_CLIENTS];
    size_t part_count;
    play_round closed; /* the same, as it must be */
    bool uncommitted, over;
    sums_model committed;                 /* the model of the last committed round */
    play_round history[PLAY_ROUNDS + 1];  /* (committed_rounds), round 0 the initial model */
    uint64_t committed_rounds, abandoned; /* abandoned: in a row */
    bool honest;                          /* from here on nobody lies, goes or dies */
    uint64_t event, since_closed, honest_rounds, deaths, updates;
    char wrong[400]; /* "": nothing */
} play;

/* Plays it to its end, or until something is wrong. directory: an empty one. */
void play_through(play *p, const play_setting *setting, uint64_t seed, const char *directory);

/* ---- between the files that make it up ---- */

/* The first thing that is not so. */
void play_complain(play *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool play_is_wrong(const play *p);
bool play_chance(play *p, unsigned of); /* once in so many */
void play_start_aggregator(play *p);
void play_stop_aggregator(play *p);
/* The aggregator hears of a client that is there. */
void play_join(play *p, play_client *c);
/* What the core decides is done. */
void play_carry_out(play *p);

#endif
