/* The agreement about columns as the aggregator drives it (settling.h): what it tells its driver, and when. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settling.h"

/* The mean of x stands in for what is missing, so it has to be measured. */
static const char run_json[] =
    "{\"rounds\": 1, \"model\": {\"preset\": \"linear-regression\", \"input\": 1}, \"training\": "
    "{\"learning_rate\": 0.1},"
    " \"data\": {\"schema\": {\"columns\": [{\"name\": \"x\", \"type\": \"number\", \"missing\": \"mean\"}],"
    " \"label\": {\"name\": \"y\", \"type\": \"target\"}}}}";

static char path[64];
static rd_error err;

static rd_settling *settling_of(rd_config *config, rd_run **run)
{
    rd_settling *s;
    (void)snprintf(path, sizeof path, "/tmp/rondo-test-settling-XXXXXX");
    cr_assert_not_null(mkdtemp(path));
    char file[96];
    (void)snprintf(file, sizeof file, "%s/run.json", path);
    FILE *f = fopen(file, "w");
    cr_assert(f != NULL && fputs(run_json, f) >= 0 && fclose(f) == 0);
    cr_assert(rd_config_load(file, config, &err) == RD_OK, "%s", err.message);
    cr_assert(rd_settling_open(config, path, 1, &s, run, &err) == RD_OK, "%s", err.message);
    return s;
}

static void joins(rd_settling *s, const char *client, const char *type)
{
    char text[256];
    rd_join join;
    rd_join_data data;
    (void)snprintf(text, sizeof text,
                   "{\"protocol\": 1, \"samples\": 3, \"table\": {\"rows\": 3, \"columns\": [{\"name\": "
                   "\"x\", \"type\": "
                   "\"%s\"}], \"label\": {\"name\": \"y\", \"type\": \"number\"}}}",
                   type);
    cr_assert(rd_join_parse(text, strlen(text), &join, &data, &err) == RD_OK, "%s", err.message);
    cr_assert(rd_settling_join(s, client, &data, &err) == RD_OK, "%s", err.message);
    rd_join_data_free(&data);
}

static void measured(rd_settling *s, const char *client, const char *of_x)
{
    char text[256];
    (void)snprintf(text, sizeof text, "{\"columns\": [%s, null]}", of_x);
    cr_assert(rd_settling_measured(s, client, 1, text, strlen(text), &err) == RD_OK, "%s", err.message);
}

static rd_settling_news news(rd_settling *s, char text[1024])
{
    rd_settling_news found;
    cr_assert(rd_settling_advance(s, true, &found, text, 1024, &err) == RD_OK, "%s", err.message);
    return found;
}

/* Nobody has a value, so there is no mean. Those who are there are not asked again and again; when another comes, all are
 * asked anew for the step that they have answered before. */
Test(settling, what_failed_is_begun_again_when_somebody_comes)
{
    rd_config config;
    rd_run *run;
    char text[1024];
    rd_settling *s = settling_of(&config, &run);
    joins(s, "alice", "missing");
    cr_assert_eq(news(s, text), RD_SETTLING_MEASURE);
    cr_assert_eq(news(s, text), RD_SETTLING_NONE, "told once");
    measured(s, "alice", "{\"count\": 0, \"sum\": \"0p0\", \"least\": 0, \"largest\": 0}");
    cr_assert_eq(news(s, text), RD_SETTLING_STUCK);
    cr_assert_not_null(strstr(text, "holds no value"), "%s", text);
    cr_assert_eq(news(s, text), RD_SETTLING_NONE);
    cr_assert_eq(rd_settling_asks(s, "alice"), 0);

    joins(s, "bob", "number");
    cr_assert_eq(news(s, text), RD_SETTLING_MEASURE);
    cr_assert_eq(rd_settling_asks(s, "alice"), 1);
    measured(s, "alice", "{\"count\": 0, \"sum\": \"0p0\", \"least\": 0, \"largest\": 0}");
    measured(s, "bob", "{\"count\": 2, \"sum\": \"6p0\", \"least\": 1, \"largest\": 5}");
    cr_assert_eq(news(s, text), RD_SETTLING_DONE);
    cr_assert_not(rd_settling_is_done(s), "nothing of it is written");
    cr_assert(rd_settling_keep(s, &err) == RD_OK, "%s", err.message);
    cr_assert(rd_settling_is_done(s));
    cr_assert(rd_run_schema(run)->columns[0].filler == 3);

    rd_settling_free(s);
    rd_run_free(run);
    rd_config_free(&config);
    (void)snprintf(text, sizeof text, "rm -rf %s", path);
    cr_assert_eq(system(text), 0);
}
