/* simulator.c: see simulator.h and sim.h. Prepares a run, has its rounds gone through, and says what came
 * of it. Nothing is kept per client but a few dozen bytes in the core's roster. */
#include "simulator.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/effect.h"
#include "core/random.h"
#include "core/signals.h"
#include "data/source.h"
#include "ranks.h"
#include "round/selection.h"
#include "run/inputs.h"
#include "sim.h"

void rd_sim_client_name(size_t i, char name[RD_SIM_CLIENT_NAME_MAX])
{
    (void)snprintf(name, RD_SIM_CLIENT_NAME_MAX, "client-%zu", i + 1);
}

/* ---- the whole ---- */

/* What finish has to say, for people and for scripts that compare runs. */
static rd_status finish(simulator *s, rd_error *err)
{
    const rd_round_record *last = rd_run_last_record(s->run);
    rd_progress_clear(&s->progress);
    char reason[300];
    rd_run_reason(s->run, reason, sizeof reason);
    if (!s->options->quiet)
        printf("finished after round %llu; model SHA-256 %s\n", (unsigned long long)last->round, last->model_sha256);
    if (!s->options->quiet && reason[0] != '\0')
        printf("%s\n", reason);
    rd_status status = rd_run_store(s->run) == NULL ? RD_OK : rd_store_finish(rd_run_store(s->run), err);
    return status == RD_OK && rd_rank() == 0 ? rd_run_check_outcome(s->run, err) : status;
}

/* Everybody joins: the core's client i is the partition's client i. The store learns of a client when it
 * first takes part, as of a million only a few may. */
static rd_status enroll_clients(simulator *s, rd_error *err)
{
    char name[RD_SIM_CLIENT_NAME_MAX];
    size_t number;
    rd_status status = RD_OK;
    for (size_t i = 0; i < s->dealt.partition.clients && status == RD_OK; i++) {
        rd_sim_client_name(i, name);
        status = rd_rounds_join(s->rounds, name, &number, err);
    }
    return status;
}

/* What every rank is to know of a client that missed the last round it was asked in. */
typedef struct missed_rounds {
    uint64_t round;
    unsigned missed;
} missed_rounds;

typedef struct recollection {
    const rd_rounds *rounds;
    missed_rounds *of; /* (clients) */
} recollection;

static bool recollect(const char *client, uint64_t round, uint64_t missed, void *user)
{
    recollection *all = user;
    const size_t number = rd_rounds_find(all->rounds, client);
    if (number != SIZE_MAX)
        all->of[number] = (missed_rounds){round, (unsigned)missed};
    return true;
}

/* A run that goes on leaves out whom it would have left out. Asynchronous ones leave out nobody. */
static rd_status recall_missed(simulator *s, rd_error *err)
{
    rd_status status = RD_OK;
    bool all = true;
    const size_t clients = s->dealt.partition.clients;
    if (s->asynchronous || rd_run_next_round(s->run) == 1)
        return RD_OK;
    recollection r = {s->rounds, calloc(clients, sizeof *r.of)};
    if (r.of == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for what %zu clients missed", clients);
    if (rd_run_store(s->run) != NULL)
        status = rd_store_missed(rd_run_store(s->run), recollect, &r, &all, err);
    rd_ranks_broadcast(r.of, clients * sizeof *r.of, 0);
    for (size_t i = 0; i < clients && status == RD_OK; i++)
        if (r.of[i].missed > 0)
            rd_rounds_set_missed(s->rounds, i, r.of[i].missed, r.of[i].round);
    free(r.of);
    return status;
}

/* What the simulated clients keep lies in the state directory, and is of its run. */
static rd_status open_keep(simulator *s, size_t floats, rd_error *err)
{
    const rd_config *c = s->config;
    char path[RD_SOURCE_PATH_MAX], what[128], run[RD_RUN_ID_MAX] = "";
    const char *directory = s->options->directory;
    (void)snprintf(path, sizeof path, "%s/clients.keep", directory != NULL ? directory : "");
    (void)snprintf(what, sizeof what, "%s%s", c->strategy.kind->name,
                   c->personalisation.method == RD_PERSONAL_DITTO ? ", ditto" : "");
    if (rd_run_store(s->run) != NULL)
        (void)snprintf(run, sizeof run, "%s", rd_store_run_id(rd_run_store(s->run)));
    if (rd_run_store(s->run) != NULL)
        rd_store_wait_always(rd_run_store(s->run));
    rd_ranks_broadcast(run, sizeof run, 0);
    const rd_keep_options keep = {.path = directory != NULL ? path : NULL,
                                  .run = run,
                                  .client = "simulated",
                                  .what = what,
                                  .clients = s->dealt.partition.clients,
                                  .floats = floats,
                                  .rounds = 1,
                                  .memory_limit = s->options->keep_limit};
    return rd_keep_open(&keep, &s->keep, err);
}

static rd_status make_workers(simulator *s, rd_error *err)
{
    const rd_config *c = s->config;
    const rd_model *m = rd_run_model(s->run);
    unsigned threads = s->options->threads;
    rd_status status = RD_OK;
    RD_TRY(rd_trainer_check_memory(m, &c->training, s->most_rows, threads, err));
    s->room = rd_local_round_room(m, &c->strategy);
    s->kept = rd_client_kept_size(m, &c->strategy, &c->personalisation);
    s->workers = calloc(threads, sizeof *s->workers);
    if (s->workers == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for %u threads", threads);
    for (unsigned i = 0; i < threads; i++) {
        worker *w = &s->workers[i];
        w->update = malloc((s->room + s->kept + 1) * sizeof *w->update);
        w->rows = malloc((s->most_rows + 1) * sizeof *w->rows);
        if (w->update == NULL || w->rows == NULL)
            RD_THROW(RD_ERR_MEMORY, "no memory for %u threads", threads);
        RD_TRY(rd_trainer_create(m, &c->training, s->most_rows, &w->trainer, err));
    }
    if (s->kept > 0)
        RD_TRY(open_keep(s, s->kept, err));
cleanup:
    return status;
}

/* How many clients there are is known: a round that could never begin, or never aggregate anything, is refused. */
static rd_status check_cohort(const simulator *s, rd_error *err)
{
    const rd_config *c = s->config;
    size_t clients = s->dealt.partition.clients, updates = rd_selection_wanted(&c->cohort, clients),
           least = rd_strategy_least_updates(&c->strategy);
    char promise[160];
    rd_strategy_promise(&c->strategy, promise, sizeof promise);
    if (c->cohort.min_clients > clients)
        return rd_fail(err, RD_ERR_CONFIG, "cohort.min_clients: %llu, but only %zu clients are simulated (--clients)",
                       (unsigned long long)c->cohort.min_clients, clients);
    if (!s->asynchronous && updates < least)
        return rd_fail(err, RD_ERR_CONFIG, "%s only among %zu updates and more, but a cohort has %zu", promise, least,
                       updates);
    if (rd_cohort_needed(&c->cohort) > clients)
        return rd_fail(err, RD_ERR_CONFIG,
                       "cohort.min_updates: %llu, but of %zu clients (--clients) a round asks for %zu update%s",
                       (unsigned long long)c->cohort.min_updates, clients, updates, updates == 1 ? "" : "s");
    if (c->cohort.concurrency > s->dealt.partition.clients)
        return rd_fail(err, RD_ERR_CONFIG, "strategy.concurrency: %llu, but only %zu clients are simulated (--clients)",
                       (unsigned long long)c->cohort.concurrency, clients);
    return RD_OK;
}

/* The other ranks get from the first what is in the state directory. */
static void broadcast_run(simulator *s)
{
    rd_round_record last = *rd_run_last_record(s->run);
    float *companions = rd_aggregate_companions(rd_run_updates(s->run));
    rd_ranks_broadcast(&last, sizeof last, 0);
    rd_ranks_broadcast(rd_run_own_parameters(s->run), rd_model_parameter_count(rd_run_model(s->run)) * sizeof(float),
                       0);
    if (companions != NULL)
        rd_ranks_broadcast(companions,
                           rd_aggregate_companion_table(rd_run_updates(s->run)).elements * sizeof *companions, 0);
    if (rd_rank() != 0)
        rd_run_follow(s->run, &last);
}

static rd_status prepare(simulator *s, rd_error *err)
{
    const rd_config *c = s->config;
    rd_status status = RD_OK;
    char notes[1000];
    RD_TRY(rd_sim_deal(c, s->options->clients, &s->dealt, notes, sizeof notes, err));
    if (!s->options->quiet && s->dealt.data.note != NULL)
        printf("%s\n", s->dealt.data.note);
    if (!s->options->quiet && notes[0] != '\0')
        printf("%s\n", notes);
    if (!s->options->quiet && c->keep_updates > 0)
        printf("keep_updates: a simulation keeps no updates, only an aggregator does\n");
    if (!s->options->quiet && c->cohort.grace_seconds != RD_COHORT_GRACE_SECONDS)
        printf("cohort.grace_seconds: a simulated update arrives at once, only an aggregator puts deadlines off\n");
    RD_TRY(check_cohort(s, err));
    s->usage = sim_usage_of(c, &s->dealt.data, &s->dealt.partition);
    RD_TRY(sim_usage_check(c, &s->usage, err));
    RD_TRY(rd_attack_check_fraction(&c->simulation.attack, s->dealt.partition.clients, err));
    const rd_run_options options = {.schema = &s->dealt.schema,
                                    .directory = rd_rank() == 0 ? s->options->directory : NULL,
                                    .simulated_clients = s->dealt.partition.clients,
                                    .threads = s->options->threads};
    RD_TRY(rd_run_open(c, &options, &s->run, err));
    RD_TRY(rd_data_check(rd_run_model(s->run), &s->dealt.data, "data.train", err));
    if (rd_run_store(s->run) != NULL)
        RD_TRY(rd_inputs_record_train(rd_run_store(s->run), &c->data.train, &s->dealt.data, err));
    RD_TRY(rd_attack_check(&c->simulation.attack, rd_run_model(s->run), err));
    if (c->simulation.system.given)
        RD_TRY(rd_system_model_create(&c->simulation.system, c->seed, &s->system, err));
    if (s->asynchronous && s->system != NULL && !rd_system_everybody_available(s->system))
        RD_THROW(RD_ERR_CONFIG,
                 "simulation.system.availability has a meaning only without strategy %s, which picks anybody",
                 c->strategy.kind->name);
    broadcast_run(s);
    if (s->system != NULL && rd_run_last_record(s->run)->round > 0)
        s->clock = rd_run_last_record(s->run)->clock;
    bool over = rd_run_is_over(s->run);
    rd_ranks_broadcast(&over, sizeof over, 0);
    /* Asynchronous rounds are gone through from the first on: who was at work when the run stopped follows
     * from it. */
    RD_TRY(
        rd_rounds_create(&(rd_rounds_options){.cohort = &c->cohort,
                                              .steps = rd_round_steps,
                                              .seed = c->seed,
                                              .rounds = over ? rd_run_next_round(s->run) - 1 : c->rounds,
                                              .first_round = s->asynchronous && !over ? 1 : rd_run_next_round(s->run)},
                         &s->rounds, err));
    RD_TRY(enroll_clients(s, err));
    RD_TRY(recall_missed(s, err));
    s->most_rows = rd_partition_most_rows(&s->dealt.partition);
    RD_TRY(make_workers(s, err));
    if (c->simulation.attack.kind == RD_ATTACK_BACKDOOR && rd_rank() == 0 && rd_run_test_set(s->run)->rows > 0)
        RD_TRY(rd_attack_stamp(&c->simulation.attack, rd_run_model(s->run), rd_run_test_set(s->run), &s->stamped, err));
cleanup:
    return status;
}

static void release(simulator *s)
{
    for (unsigned i = 0; s->workers != NULL && i < s->options->threads; i++) {
        rd_trainer_free(s->workers[i].trainer);
        free(s->workers[i].update);
        free(s->workers[i].rows);
    }
    free(s->workers);
    free(s->jobs);
    free(s->batch);
    rd_keep_close(s->keep);
    rd_system_model_free(s->system);
    rd_dataset_free(&s->stamped);
    rd_rounds_free(s->rounds);
    rd_run_free(s->run);
    rd_sim_data_free(&s->dealt);
    pthread_mutex_destroy(&s->lock);
    rd_signals_close(s->signals);
}

static void fill_profile(const simulator *s, double wall, rd_sim_profile *p)
{
    *p = (rd_sim_profile){
        .wall = wall, .threads = s->options->threads, .averaging = s->averaging, .committing = s->committing};
    for (unsigned i = 0; i < s->options->threads; i++) {
        p->training += s->workers[i].training;
        p->adding += s->workers[i].adding;
        p->clients += s->workers[i].clients;
        p->samples += s->workers[i].samples;
    }
    p->forward_flops = (double)p->samples * (double)rd_model_forward_flops(rd_run_model(s->run));
}

void rd_sim_profile_print(const rd_sim_profile *p)
{
    double all = p->wall * p->threads;
    double serial = (p->averaging + p->committing) * p->threads; /* the other threads wait */
    printf("time of all threads: %.2f s\n", all);
    printf("  local rounds      %6.2f %%  (%llu clients, %llu samples)\n", 100 * p->training / all,
           (unsigned long long)p->clients, (unsigned long long)p->samples);
    printf("  adding updates    %6.2f %%\n", 100 * p->adding / all);
    printf("  averaging         %6.2f %%  (one thread; the others wait)\n", 100 * p->averaging * p->threads / all);
    printf("  evaluation, disk  %6.2f %%\n", 100 * p->committing * p->threads / all);
    printf("  selection, idle   %6.2f %%\n", 100 * fmax(0, all - p->training - p->adding - serial) / all);
}

static void print_line(void *user, const char *text)
{
    (void)user;
    printf("%s\n", text);
}

static rd_status announce(simulator *s, rd_error *err)
{
    uint64_t done = rd_run_next_round(s->run) - 1;
    char usage[400];
    sim_usage_line(&s->usage, true, usage, sizeof usage);
    printf("run '%s': %zu clients, %u thread%s, %zu parameters\n", s->config->name, s->dealt.partition.clients,
           s->options->threads, s->options->threads == 1 ? "" : "s", rd_model_parameter_count(rd_run_model(s->run)));
    printf("data.train: %s\n", usage);
    rd_config_say_unreached(s->config, usage, sizeof usage);
    if (usage[0] != '\0')
        printf("%s\n", usage);
    if (rd_run_initial(s->run)[0] != '\0')
        printf("initial: %s\n", rd_run_initial(s->run));
    if (done > 0)
        printf("continuing after round %llu of %s\n", (unsigned long long)done, s->options->directory);
    return rd_run_tell_changes(s->run, print_line, NULL, err);
}

rd_status rd_simulate(const rd_config *config, const rd_sim_options *options, bool *interrupted, rd_error *err)
{
    rd_sim_options mine = *options;
    mine.quiet = mine.quiet || rd_rank() != 0;
    simulator s = {.config = config,
                   .options = &mine,
                   .asynchronous = rd_cohort_is_asynchronous(&config->cohort),
                   .lock = PTHREAD_MUTEX_INITIALIZER};
    rd_status status = RD_OK;
    RD_TRY(rd_signals_open(&s.signals, err));
    RD_TRY(prepare(&s, err));
    double started = rd_clock_seconds();
    if (!mine.quiet)
        RD_TRY(announce(&s, err));
    uint64_t done = rd_run_next_round(s.run) - 1;
    rd_progress_start(&s.progress, !mine.quiet, (double)done / (double)config->rounds);
    RD_TRY(s.asynchronous ? sim_asynchronous_rounds(&s, interrupted, err)
                          : sim_synchronous_rounds(&s, interrupted, err));
    if (!*interrupted)
        RD_TRY(finish(&s, err));
    if (options->profile != NULL)
        fill_profile(&s, rd_clock_seconds() - started, options->profile);
cleanup:
    rd_progress_clear(&s.progress);
    release(&s);
    return status;
}
