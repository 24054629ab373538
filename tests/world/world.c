/* world.c: one seed drives thousands of rounds over the round core and the run: clients join, leave, lie, come late,
 * deliver twice; the aggregator dies at any step and is started again from its state directory. Two accounts are kept
 * beside it (account.h, sums.h), and what is not as they say ends the program with the command that shows it again. */
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/options.h"
#include "play.h"

typedef struct world {
    uint64_t seed, rounds, first;
    double minutes;
    bool talks;
    char folder[200], root[256];
    uint64_t plays, done, events, deaths, updates, abandoned;
} world;

/* An assertion of the core ends the program: this says of what. */
static char last_words[400];

static void on_abort(int number)
{
    (void)number;
    (void)!write(STDERR_FILENO, last_words, strlen(last_words));
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about, (void)kind, (void)where;
    return remove(path);
}

static void remove_all(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Rows for a server that trains. */
static bool write_root(const char *path)
{
    static const float x[8][2] = {{1, 0}, {0, 1}, {1, 0.5f}, {0.5f, 1}, {2, 1}, {1, 2}, {0, 0.5f}, {0.5f, 0}};
    static const int64_t y[8] = {0, 1, 0, 1, 0, 1, 1, 0};
    char header[256] = {0};
    const int length = snprintf(header + 8, sizeof header - 8,
                                "{\"__metadata__\":{\"classes\":\"2\"},"
                                "\"x\":{\"dtype\":\"F32\",\"shape\":[8,2],\"data_offsets\":[0,64]},"
                                "\"y\":{\"dtype\":\"I64\",\"shape\":[8],\"data_offsets\":[64,128]}}");
    header[0] = (char)length;
    FILE *f = fopen(path, "wb");
    if (f == NULL)
        return false;
    bool ok = fwrite(header, 1, (size_t)length + 8, f) == (size_t)length + 8;
    ok = ok && fwrite(x, 1, sizeof x, f) == sizeof x && fwrite(y, 1, sizeof y, f) == sizeof y;
    return fclose(f) == 0 && ok;
}

static bool one_play(world *w, uint64_t number)
{
    static play p;
    char text[PLAY_CONFIG], state[256];
    rd_error err;
    p = (play){.random = rd_random_stream(w->seed, RD_PURPOSE_TEST, number, 0)};
    const play_setting setting = play_choose(number, &p.random);
    play_config(&setting, w->seed + number, w->root, text);
    (void)snprintf(last_words, sizeof last_words,
                   "world: seed %llu, play %llu (%s): again with: world --seed %llu --play %llu\n",
                   (unsigned long long)w->seed, (unsigned long long)number, setting.name, (unsigned long long)w->seed,
                   (unsigned long long)number);
    (void)snprintf(state, sizeof state, "%s/%llu", w->folder, (unsigned long long)number);
    rd_model *model = NULL;
    if (rd_config_parse(text, strlen(text), "run.json", NULL, &p.config, &err) != RD_OK ||
        rd_model_create(p.config.model, &model, &err) != RD_OK || sums_open(&p.sums, &p.config, model, &err) != RD_OK) {
        printf("%s: %s\n", text, err.message);
        return false;
    }
    play_through(&p, &setting, w->seed + number, state);
    const bool fine = p.wrong[0] == '\0';
    if (!fine)
        printf("NOT SO: %s\nseed %llu, play %llu, event %llu, %zu clients, %s\nagain with: world --seed %llu --play "
               "%llu\n",
               p.wrong, (unsigned long long)w->seed, (unsigned long long)number, (unsigned long long)p.event,
               setting.clients, text, (unsigned long long)w->seed, (unsigned long long)number);
    if (w->talks)
        printf("play %llu, %s, %zu clients: %d rounds, %llu events, %llu updates, %llu deaths\n",
               (unsigned long long)number, setting.name, setting.clients, (int)p.committed_rounds - 1,
               (unsigned long long)p.event, (unsigned long long)p.updates, (unsigned long long)p.deaths);
    w->plays++;
    w->done += p.committed_rounds - 1;
    for (uint64_t r = 1; r < p.committed_rounds; r++)
        w->abandoned += !p.history[r].aggregated;
    w->events += p.event;
    w->updates += p.updates;
    w->deaths += p.deaths;
    sums_close(&p.sums);
    rd_model_free(model);
    rd_config_free(&p.config);
    remove_all(state);
    return fine;
}

/* State directories lie in memory where there is room for that: nobody cuts the power here. */
static bool make_folder(world *w)
{
    struct stat about;
    const char *given = getenv("TMPDIR");
    const char *parent = stat("/dev/shm", &about) == 0 && access("/dev/shm", W_OK) == 0 ? "/dev/shm"
                         : given != NULL                                                ? given
                                                                                        : "/tmp";
    (void)snprintf(w->folder, sizeof w->folder, "%.150s/rondo-world-XXXXXX", parent);
    if (mkdtemp(w->folder) == NULL)
        return false;
    (void)snprintf(w->root, sizeof w->root, "%s/root.safetensors", w->folder);
    return write_root(w->root);
}

int main(int argc, char **argv)
{
    static world w = {.seed = 1, .rounds = 1000, .first = UINT64_MAX};
    rd_error err;
    const rd_option options[] = {
        {.kind = RD_OPTION_COUNT,
         .name = "seed",
         .placeholder = "S",
         .help = "of everything that happens (1)",
         .value = &w.seed},
        {.kind = RD_OPTION_COUNT,
         .name = "rounds",
         .placeholder = "N",
         .help = "at least so many rounds (1000)",
         .value = &w.rounds,
         .min = 1,
         .max = 1e12},
        {.kind = RD_OPTION_NUMBER,
         .name = "minutes",
         .placeholder = "M",
         .help = "in place of a number of rounds",
         .value = &w.minutes,
         .min = 0,
         .max = 1e6},
        {.kind = RD_OPTION_COUNT,
         .name = "play",
         .placeholder = "P",
         .help = "this one alone: what is printed of one that goes wrong",
         .value = &w.first,
         .min = 0,
         .max = 1e15},
        {.kind = RD_OPTION_FLAG, .name = "talk", .help = "a line for each play", .value = &w.talks},
        {.kind = RD_OPTION_END},
    };
    const rd_command command = {.program = "world",
                                .usage = "[--seed S] [--rounds N | --minutes M]",
                                .summary = "Plays runs whose clients and aggregator do all that they may and may not.",
                                .options = options};
    const rd_parse_result parsed = rd_options_parse(&command, argc, argv, NULL, &err);
    if (parsed != RD_PARSE_RUN) {
        if (parsed == RD_PARSE_ERROR)
            fprintf(stderr, "world: %s\n", err.message);
        return parsed == RD_PARSE_ERROR ? 2 : 0;
    }
    signal(SIGABRT, on_abort);
    if (!make_folder(&w)) {
        perror(w.folder);
        return 1;
    }
    const bool one = w.first != UINT64_MAX;
    const double begin = rd_clock_seconds();
    bool fine = true;
    for (uint64_t number = one ? w.first : 0; fine; number++) {
        fine = one_play(&w, number);
        if (one || (w.minutes > 0 ? rd_clock_seconds() - begin > 60 * w.minutes : w.done >= w.rounds))
            break;
    }
    remove_all(w.folder);
    printf("seed %llu: %llu plays, %llu rounds (%llu abandoned), %llu events, %llu updates counted, %llu deaths of the "
           "aggregator: %s\n",
           (unsigned long long)w.seed, (unsigned long long)w.plays, (unsigned long long)w.done,
           (unsigned long long)w.abandoned, (unsigned long long)w.events, (unsigned long long)w.updates,
           (unsigned long long)w.deaths, fine ? "all as it must be" : "NOT SO");
    return fine ? 0 : 1;
}
