/* simulator.c: see simulator.h and sim.h. The loop asks the round core what comes next. When a round opens,
 * it is known at once when each update will arrive, on the simulated clock; so only those are trained that
 * the round will wait for. Nothing is kept per client but a few dozen bytes in the core's roster. */
#include "simulator.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/effect.h"
#include "core/random.h"
#include "core/signals.h"
#include "data/source.h"
#include "ranks.h"
#include "round/selection.h"
#include "run/inputs.h"
#include "run/record_line.h"
#include "sim.h"

void rd_sim_client_name(size_t i, char name[RD_SIM_CLIENT_NAME_MAX])
{
    (void)snprintf(name, RD_SIM_CLIENT_NAME_MAX, "client-%zu", i + 1);
}

/* ---- a round ---- */

static int by_arrival(const void *a, const void *b)
{
    const job *x = a, *y = b;
    if (x->answers != y->answers)
        return x->answers ? -1 : 1;
    if (x->answers && x->arrival != y->arrival)
        return x->arrival < y->arrival ? -1 : 1;
    return x->client < y->client ? -1 : x->client > y->client;
}

static rd_status make_jobs(simulator *s, const rd_action *action, rd_error *err)
{
    if (action->cohort_size > s->job_capacity) {
        job *jobs = realloc(s->jobs, action->cohort_size * sizeof *jobs);
        if (jobs == NULL)
            return rd_fail(err, RD_ERR_MEMORY, "no memory for the work of %zu clients", action->cohort_size);
        s->jobs = jobs;
        s->job_capacity = action->cohort_size;
    }
    s->job_count = action->cohort_size;
    for (size_t i = 0; i < s->job_count; i++) {
        job *j = &s->jobs[i];
        *j = (job){.client = action->cohort[i], .round = action->round, .global = rd_run_parameters(s->run)};
        j->part.round = action->round;
        j->attacks = rd_attack_is_attacker(&s->config->simulation.attack, s->config->seed, j->client,
                                           s->dealt.partition.clients);
        (void)snprintf(j->part.client, sizeof j->part.client, "%s", rd_rounds_client_name(s->rounds, j->client));
        sim_time(s, j);
    }
    /* Without simulated time the cohort is served in the order of the core: of more than are wanted, its
     * first. */
    if (s->system != NULL)
        qsort(s->jobs, s->job_count, sizeof *s->jobs, by_arrival);
    return RD_OK;
}

/* Serves the cohort until the core closes the round. */
static rd_status open_round(simulator *s, const rd_action *action, rd_action *closing, rd_error *err)
{
    double deadline = s->clock + s->config->cohort.deadline_seconds;
    size_t next = 0;
    rd_status status = RD_OK;
    s->opened_at = rd_clock_seconds();
    s->opened_clock = s->clock;
    RD_TRY(make_jobs(s, action, err));
    job **wave = malloc(s->job_count * sizeof *wave);
    if (wave == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the work of %zu clients", s->job_count);
    while (status == RD_OK && (*closing = rd_rounds_next(s->rounds)).kind == RD_ACTION_NONE) {
        size_t count = 0, missing = rd_rounds_missing(s->rounds);
        for (; next < s->job_count && count < missing; next++) {
            if (!s->jobs[next].answers || (s->system != NULL && s->jobs[next].arrival > deadline))
                break; /* they come last */
            wave[count++] = &s->jobs[next];
        }
        if (count == 0) {
            s->clock = deadline;
            rd_rounds_deadline(s->rounds, action->round);
            continue;
        }
        status = sim_work(s, wave, count, true, err);
        for (size_t i = 0; i < count && status == RD_OK; i++) {
            sim_tell(s, wave[i]);
            s->clock = s->system != NULL ? wave[i]->arrival : s->clock;
        }
    }
    free(wave);
cleanup:
    return status;
}

static void print_round(simulator *s, const rd_round_record *record, const rd_participation_record *parts, size_t count)
{
    char line[640];
    if (s->options->quiet)
        return;
    rd_record_line(record, s->config->rounds, line, sizeof line);
    rd_progress_clear(&s->progress);
    printf("%s\n", line);
    for (size_t i = 0, named = 0; i < count && named < 3; i++)
        if (parts[i].reason[0] != '\0' && ++named)
            printf("  %s failed: %s\n", parts[i].client, parts[i].reason);
    fflush(stdout);
}

/* How many samples with a trigger the model takes for the attackers' class. */
static rd_status measure_backdoor(simulator *s, uint64_t round, double *out, rd_error *err)
{
    rd_evaluation sums = {0};
    *out = NAN;
    if (s->stamped.rows == 0 || !rd_run_evaluates(s->run, round))
        return RD_OK;
    rd_status status = rd_evaluate(s->workers[0].trainer, rd_run_parameters(s->run), rd_dataset_all(&s->stamped), 0,
                                   s->stamped.rows, &sums, err);
    *out = (double)sums.correct / (double)s->stamped.rows;
    return status;
}

rd_status sim_close(simulator *s, const rd_action *action, const rd_participation_record *parts, rd_error *err)
{
    rd_status status = RD_OK;
    double started = rd_clock_seconds();
    rd_round_record record = {.selected = action->cohort_size, .clock = s->system != NULL ? s->clock : NAN};
    for (size_t i = 0; i < action->cohort_size; i++) {
        record.counted += parts[i].status == RD_PART_COUNTED;
        record.late += parts[i].status == RD_PART_LATE;
        record.failed += parts[i].status == RD_PART_FAILED;
    }
    RD_TRY(sim_unite(s, err));
    RD_TRY(rd_run_average(s->run, action->round, action->aggregate, s->dealt.partition.clients, &record, err));
    if (record.aggregated) {
        RD_TRY(rd_run_prune(s->run, action->round, err));
        RD_TRY(rd_run_publish(s->run, action->round, err));
    }
    s->averaging += rd_clock_seconds() - started;
    record.seconds = rd_clock_seconds() - s->opened_at;
    bool over = false;
    if (rd_rank() == 0) {
        started = rd_clock_seconds();
        RD_TRY(measure_backdoor(s, action->round, &record.attack_success, err));
        RD_TRY(rd_run_commit(s->run, &record, parts, action->cohort_size, err));
        over = rd_run_is_over(s->run);
        s->committing += rd_clock_seconds() - started;
    } else {
        rd_run_follow(s->run, &record);
    }
    rd_ranks_share(&over, sizeof over, 0);
    RD_TRY(rd_run_prepare(s->run, action->round + 1, err));
    rd_rounds_committed(s->rounds, action->round, over);
    print_round(s, &record, parts, action->cohort_size);
cleanup:
    return status;
}

/* Whether a client that did not answer is there again is a question to the system model, not to the last
 * round. */
static void come_and_go(simulator *s)
{
    for (size_t i = 0; i < s->dealt.partition.clients; i++)
        rd_rounds_set_available(s->rounds, i,
                                s->system == NULL ||
                                    rd_system_available(s->system, rd_rounds_client_key(s->rounds, i), s->clock));
}

static rd_status close_round(simulator *s, const rd_action *action, rd_error *err)
{
    rd_participation_record *parts = malloc((s->job_count + 1) * sizeof *parts);
    if (parts == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the records of %zu clients", s->job_count);
    for (size_t i = 0; i < s->job_count; i++) {
        parts[i] = s->jobs[i].part;
        parts[i].status = rd_rounds_participation(s->rounds, s->jobs[i].client);
    }
    rd_status status = sim_close(s, action, parts, err);
    free(parts);
    if (s->system != NULL)
        come_and_go(s);
    return status;
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

/* Time passes until enough clients are there; not for ever, and of a million clients, each of whom draws in every slot,
 * not for as long as of ten. */
static rd_status wait_for_clients(simulator *s, rd_error *err)
{
    const size_t most_draws = 200000000, few = 1000, many = 100000;
    size_t slots = most_draws / s->dealt.partition.clients, needed = rd_rounds_needed(s->rounds);
    double slot_seconds = s->config->simulation.system.slot_seconds;
    slots = slots < few ? few : slots > many ? many : slots;
    if (s->system == NULL) /* everybody is there */
        return rd_fail(err, RD_ERR_MEMORY, "no memory to choose a cohort");
    for (size_t i = 0; i < slots && rd_rounds_available(s->rounds) < needed; i++) {
        s->clock = (floor(s->clock / slot_seconds) + 1) * slot_seconds;
        come_and_go(s);
    }
    if (rd_rounds_available(s->rounds) >= needed)
        return RD_OK;
    return rd_fail(err, RD_ERR_CONFIG,
                   "simulation.system.availability: in %zu slots of %g s never %zu of the %zu clients were there at a "
                   "time, as cohort.%s demands",
                   slots, slot_seconds, needed, s->dealt.partition.clients,
                   needed > s->config->cohort.min_clients ? "min_updates" : "min_clients");
}

static bool told_to_stop(simulator *s)
{
    bool stop = rd_rank() == 0 && rd_signals_arrived(s->signals, 0);
    rd_ranks_share(&stop, sizeof stop, 0);
    return stop;
}

static rd_status loop(simulator *s, bool *interrupted, rd_error *err)
{
    rd_status status = RD_OK;
    for (rd_action closing; status == RD_OK;) {
        rd_action action = rd_rounds_next(s->rounds);
        if (action.kind == RD_ACTION_FINISH)
            return finish(s, err);
        if (action.kind == RD_ACTION_OPEN && told_to_stop(s)) {
            *interrupted = true;
            return RD_OK;
        }
        status = action.kind == RD_ACTION_NONE ? wait_for_clients(s, err) : open_round(s, &action, &closing, err);
        if (status == RD_OK && action.kind == RD_ACTION_OPEN)
            status = close_round(s, &closing, err);
    }
    return status;
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

/* What the simulated clients keep lies in the state directory, and is of its run. */
static rd_status open_keep(simulator *s, size_t memory, rd_error *err)
{
    const rd_config *c = s->config;
    char path[RD_SOURCE_PATH_MAX], what[128], run[RD_RUN_ID_MAX] = "";
    const char *directory = s->options->directory;
    (void)snprintf(path, sizeof path, "%s/clients.keep", directory != NULL ? directory : "");
    (void)snprintf(what, sizeof what, "%s%s", c->strategy.kind->name,
                   c->personalisation.method == RD_PERSONAL_DITTO ? ", ditto" : "");
    if (rd_run_store(s->run) != NULL)
        (void)snprintf(run, sizeof run, "%s", rd_store_run_id(rd_run_store(s->run)));
    rd_ranks_share(run, sizeof run, 0);
    const rd_keep_options keep = {.path = directory != NULL ? path : NULL,
                                  .run = run,
                                  .client = "simulated",
                                  .what = what,
                                  .clients = s->dealt.partition.clients,
                                  .floats = memory,
                                  .rounds = 1,
                                  .memory_limit = s->options->keep_limit};
    return rd_keep_open(&keep, &s->keep, err);
}

static rd_status make_workers(simulator *s, rd_error *err)
{
    const rd_config *c = s->config;
    const rd_model *m = rd_run_model(s->run);
    unsigned threads = s->options->threads;
    rd_status status = rd_trainer_check_memory(m, &c->training, s->most_rows, threads, err);
    if (status != RD_OK)
        return status;
    s->room = rd_local_round_room(m, &c->strategy);
    s->memory = rd_client_memory(m, &c->strategy, &c->personalisation);
    s->workers = calloc(threads, sizeof *s->workers);
    for (unsigned i = 0; i < threads && s->workers != NULL; i++) {
        worker *w = &s->workers[i];
        w->update = malloc((s->room + s->memory + 1) * sizeof *w->update);
        w->rows = malloc((s->most_rows + 1) * sizeof *w->rows);
        if (w->update == NULL || w->rows == NULL)
            return rd_fail(err, RD_ERR_MEMORY, "no memory for %u threads", threads);
        status = rd_trainer_create(m, &c->training, s->most_rows, &w->trainer, err);
        if (status != RD_OK)
            return status;
    }
    if (s->workers == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for %u threads", threads);
    if (s->memory == 0)
        return RD_OK;
    return open_keep(s, s->memory, err);
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
    if (c->cohort.buffer_size == 0 && updates < least)
        return rd_fail(err, RD_ERR_CONFIG, "%s only among %zu updates and more, but a cohort has %zu", promise, least,
                       updates);
    if (rd_selection_needed(&c->cohort) > clients)
        return rd_fail(err, RD_ERR_CONFIG,
                       "cohort.min_updates: %llu, but of %zu clients (--clients) a round asks for %zu update%s",
                       (unsigned long long)c->cohort.min_updates, clients, updates, updates == 1 ? "" : "s");
    if (c->cohort.concurrency > s->dealt.partition.clients)
        return rd_fail(err, RD_ERR_CONFIG, "strategy.concurrency: %llu, but only %zu clients are simulated (--clients)",
                       (unsigned long long)c->cohort.concurrency, clients);
    return RD_OK;
}

/* The other ranks get from the first what is in the state directory. */
static void share_run(simulator *s)
{
    rd_round_record last = *rd_run_last_record(s->run);
    float *memory = rd_aggregate_memory(rd_run_updates(s->run));
    rd_ranks_share(&last, sizeof last, 0);
    rd_ranks_share(rd_run_own_parameters(s->run), rd_model_parameter_count(rd_run_model(s->run)) * sizeof(float), 0);
    if (memory != NULL)
        rd_ranks_share(memory, rd_aggregate_memory_table(rd_run_updates(s->run)).elements * sizeof *memory, 0);
    if (rd_rank() != 0)
        rd_run_follow(s->run, &last);
}

static rd_status prepare(simulator *s, rd_error *err)
{
    const rd_config *c = s->config;
    rd_status status = RD_OK;
    bool late = c->cohort.buffer_size > 0;
    char notes[1000];
    RD_TRY(rd_sim_deal(c, s->options->clients, &s->dealt, notes, sizeof notes, err));
    if (!s->options->quiet && s->dealt.data.note != NULL)
        printf("%s\n", s->dealt.data.note);
    if (!s->options->quiet && notes[0] != '\0')
        printf("%s\n", notes);
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
        RD_TRY(rd_inputs_keep_train(rd_run_store(s->run), c, &s->dealt.data, err));
    RD_TRY(rd_attack_check(&c->simulation.attack, rd_run_model(s->run), err));
    if (c->simulation.system.given)
        RD_TRY(rd_system_model_create(&c->simulation.system, c->seed, &s->system, err));
    if (late && s->system != NULL && !rd_system_everybody_available(s->system))
        RD_TRY(rd_fail(err, RD_ERR_CONFIG,
                       "simulation.system.availability has a meaning only without strategy %s, which picks anybody",
                       c->strategy.kind->name));
    share_run(s);
    if (s->system != NULL && rd_run_last_record(s->run)->round > 0)
        s->clock = rd_run_last_record(s->run)->clock;
    bool over = rd_run_is_over(s->run);
    rd_ranks_share(&over, sizeof over, 0);
    /* Asynchronous rounds are gone through from the first on: who was at work when the run stopped follows
     * from it. */
    RD_TRY(rd_rounds_create(&c->cohort, c->seed, over ? rd_run_next_round(s->run) - 1 : c->rounds,
                            late && !over ? 1 : rd_run_next_round(s->run), &s->rounds, err));
    RD_TRY(enroll_clients(s, err));
    s->most_rows = rd_partition_most_rows(&s->dealt.partition);
    RD_TRY(make_workers(s, err));
    if (s->system != NULL && !late)
        come_and_go(s);
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
        p->folding += s->workers[i].folding;
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
    printf("  adding updates    %6.2f %%\n", 100 * p->folding / all);
    printf("  averaging         %6.2f %%  (one thread; the others wait)\n", 100 * p->averaging * p->threads / all);
    printf("  evaluation, disk  %6.2f %%\n", 100 * p->committing * p->threads / all);
    printf("  selection, idle   %6.2f %%\n", 100 * fmax(0, all - p->training - p->folding - serial) / all);
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
    simulator s = {.config = config, .options = &mine, .lock = PTHREAD_MUTEX_INITIALIZER};
    rd_status status = rd_signals_open(&s.signals, err);
    if (status == RD_OK)
        status = prepare(&s, err);
    double started = rd_clock_seconds();
    if (status == RD_OK && !mine.quiet)
        status = announce(&s, err);
    if (status == RD_OK) {
        uint64_t done = rd_run_next_round(s.run) - 1;
        rd_progress_start(&s.progress, !mine.quiet, (double)done / (double)config->rounds);
        status = config->cohort.buffer_size > 0 && !rd_rounds_finished(s.rounds) ? sim_late_loop(&s, interrupted, err)
                                                                                 : loop(&s, interrupted, err);
        if (status == RD_OK && config->cohort.buffer_size > 0 && !*interrupted)
            status = loop(&s, interrupted, err); /* FINISH is all that is left */
    }
    rd_progress_clear(&s.progress);
    if (status == RD_OK && options->profile != NULL)
        fill_profile(&s, rd_clock_seconds() - started, options->profile);
    release(&s);
    return status;
}
