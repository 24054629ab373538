/* run.json: defaults, paths and what clients are told. tests/reference/configs is a table of documents to
 * accept and to refuse; tests/system/test_schema.py holds the schema to the same. */
#include <criterion/criterion.h>
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/json_print.h"
#include "core/file.h"

#define MINIMAL "{\"rounds\": 7, \"model\": {\"preset\": \"mnist-2nn\"}, \"training\": {\"learning_rate\": 0.25}"

static rd_config parse(const char *json, const char *folder)
{
    rd_config c;
    rd_error err = {0};
    cr_assert(rd_config_parse(json, strlen(json), "run.json", folder, &c, &err) == RD_OK, "%s", err.message);
    return c;
}

static void refuse(const char *json, const char *words)
{
    rd_config c;
    rd_error err = {0};
    cr_assert_eq(rd_config_parse(json, strlen(json), "run.json", NULL, &c, &err), RD_ERR_CONFIG);
    cr_assert(strstr(err.message, words) != NULL, "'%s' is not in '%s'", words, err.message);
}

Test(config, defaults)
{
    rd_config c = parse(MINIMAL "}", NULL);
    cr_assert_str_eq(c.name, "run");
    cr_assert_eq(c.seed, 1);
    cr_assert_eq(c.rounds, 7);
    cr_assert_eq(c.keep_every, 0);
    cr_assert_eq(c.training.learning_rate, 0.25f);
    cr_assert_eq(c.training.epochs, 1);
    cr_assert_eq(c.training.batch_size, 32);
    cr_assert_eq(c.training.schedule.kind, RD_SCHEDULE_CONSTANT);
    cr_assert_eq(c.training.momentum, 0.0f);
    cr_assert_eq(c.training.weight_decay, 0.0f);
    cr_assert_str_eq(c.strategy.kind->name, "fedavg");
    cr_assert_eq(c.cohort.select, RD_SELECT_ALL);
    cr_assert_eq(c.cohort.over_selection, 1.0);
    cr_assert_eq(c.cohort.min_clients, 1);
    cr_assert_eq(c.cohort.min_updates, 1);
    cr_assert_eq(c.cohort.deadline_seconds, 600.0);
    cr_assert_eq(c.evaluation.every, 1);
    cr_assert_eq(c.evaluation.target_accuracy, 0.0);
    cr_assert_not(c.evaluation.clients.train_loss);
    cr_assert_eq(c.evaluation.clients.holdout, 0.0);
    cr_assert_eq(c.data.train.format, RD_SOURCE_NONE);
    cr_assert_eq(c.data.test.format, RD_SOURCE_NONE);
    cr_assert_eq(c.data.partition.scheme, RD_PARTITION_IID);
    rd_config_free(&c);
}

Test(config, what_is_given_is_taken)
{
    rd_config c = parse(
        MINIMAL ", \"seed\": 9007199254740992, \"cohort\": {\"select\": \"fraction\", \"fraction\": 0.1, "
                "\"over_selection\": 1.3, \"min_clients\": 12, \"min_updates\": 3, \"deadline_seconds\": 0.5}, "
                "\"evaluation\": {\"every\": 4, \"holdout\": 0.2, \"train_loss\": true, \"target_accuracy\": 0.97}, "
                "\"data\": {\"partition\": {\"scheme\": \"dirichlet\", \"alpha\": 0.3, \"min_rows\": 9}}}",
        NULL);
    cr_assert_eq(c.seed, UINT64_C(9007199254740992));
    cr_assert_eq(c.cohort.select, RD_SELECT_FRACTION);
    cr_assert_eq(c.cohort.fraction, 0.1);
    cr_assert_eq(c.cohort.over_selection, 1.3);
    cr_assert_eq(c.cohort.min_clients, 12);
    cr_assert_eq(c.cohort.min_updates, 3);
    cr_assert_eq(c.cohort.deadline_seconds, 0.5);
    cr_assert_eq(c.evaluation.every, 4);
    cr_assert_eq(c.evaluation.clients.holdout, 0.2);
    cr_assert(c.evaluation.clients.train_loss);
    cr_assert_eq(c.evaluation.target_accuracy, 0.97);
    cr_assert_eq(c.data.partition.scheme, RD_PARTITION_DIRICHLET);
    cr_assert_eq(c.data.partition.alpha, 0.3);
    cr_assert_eq(c.data.partition.min_rows, 9);
    rd_config_free(&c);
}

Test(config, paths_are_relative_to_the_file)
{
    const char *json =
        MINIMAL ", \"data\": {\"train\": {\"path\": \"a/b.csv\", \"label_column\": \"y\", \"separator\": \";\"}, "
                "\"test\": {\"path\": \"/data/t10k-images-idx3-ubyte\", \"labels\": \"l\"}}}";
    rd_config c = parse(json, "/home/me");
    cr_assert_str_eq(c.data.train.path, "/home/me/a/b.csv");
    cr_assert_eq(c.data.train.format, RD_SOURCE_CSV);
    cr_assert_str_eq(c.data.train.label_column, "y");
    cr_assert_eq(c.data.train.separator, ';');
    cr_assert_str_eq(c.data.test.path, "/data/t10k-images-idx3-ubyte");
    cr_assert_eq(c.data.test.format, RD_SOURCE_IDX);
    cr_assert_str_eq(c.data.test.labels_path, "/home/me/l");
    rd_config_free(&c);
}

Test(config, clients_are_told_everything_but_the_data)
{
    rd_config c = parse(
        MINIMAL ", \"$schema\": \"s\", \"seed\": 5, \"data\": {\"train\": {\"path\": \"/secret/place.csv\"}}}", NULL);
    char *text = cJSON_PrintUnformatted(c.for_clients);
    cr_assert_null(strstr(text, "secret"));
    rd_config told = parse(text, NULL);
    cr_assert_eq(told.seed, 5);
    cr_assert_eq(told.training.learning_rate, 0.25f);
    cr_assert(cJSON_Compare(told.model, c.model, true));
    cJSON_free(text);
    rd_config_free(&told);
    rd_config_free(&c);
}

/* The aggregator and its clients must compute with the same numbers. */
Test(config, numbers_survive_the_wire)
{
    rd_config c = parse("{\"rounds\": 1, \"model\": {}, \"training\": {\"learning_rate\": 0.12345678901234567}, "
                        "\"seed\": 9007199254740991, \"evaluation\": {\"holdout\": 0.30000000000000004}}",
                        NULL);
    char *text = rd_json_print(c.for_clients);
    rd_config told = parse(text, NULL);
    cr_assert_eq(told.seed, UINT64_C(9007199254740991));
    cr_assert_eq(told.seed, c.seed);
    cr_assert_eq(told.training.learning_rate, c.training.learning_rate);
    cr_assert_eq(told.evaluation.clients.holdout, c.evaluation.clients.holdout);
    cr_assert_eq(c.evaluation.clients.holdout, 0.30000000000000004);
    free(text);
    rd_config_free(&told);
    rd_config_free(&c);
    refuse("{\"rounds\": 1, \"model\": {}, \"training\": {\"learning_rate\": 1}, \"seed\": 9007199254740994}",
           "seed: expected a whole number");
}

Test(config, syntax_errors_have_a_place)
{
    refuse("{\n  \"rounds\": 1,\n  oops\n}", "run.json: line 3, column");
    refuse("", "not valid JSON");
    refuse(MINIMAL "} trailing", "not valid JSON: something follows its end");
    refuse("{\n  \"name\": \"\xff\"\n}", "run.json: line 2, column 12: not UTF-8");
    refuse("{\n  \"name\": \"a\tb\"\n}", "run.json: line 2, column 13: not valid JSON: a control character");
    refuse(MINIMAL ", \"seed\\u0000s\": 4}", "\\u0000 would end a text early");
    refuse(MINIMAL ", \"se\\u001b[2Jed\": 4}", "run.json: se?[2Jed: unknown key"); /* fit for a terminal */
    refuse("{\"rounds\": 1, \"rounds\": 2, \"model\": {}, \"training\": {\"learning_rate\": 1}}",
           "rounds is there twice");
    refuse(MINIMAL ", \"data\": {\"train\": {\"path\": \"a.csv\", \"labels\": \"b\"}}}",
           "data.train.labels has a meaning only for \"format\": \"idx\"");
    refuse(MINIMAL ", \"data\": {\"train\": {\"path\": \"a.json\", \"header\": true}}}",
           "data.train.header has a meaning only for \"format\": \"csv\"");
}

Test(config, numbers_are_told_as_they_stand)
{
    refuse("{\"rounds\": 1, \"model\": {}, \"training\": {\"learning_rate\": 1e-50}}",
           "training.learning_rate: expected a number above 0 up to 1e+06 that single precision holds (1e-45 "
           "and "
           "more), found 1e-50");
    refuse(MINIMAL ",\n \"seed\": 9007199254740993}", "run.json: line 2, column 10: not accepted: double precision");
    refuse(MINIMAL ",\n \"seed\": 01}", "run.json: line 2, column 10: not valid JSON");
    refuse(MINIMAL ",\n \"cohort\": {\"count\": 1e999}}", "run.json: line 2, column 22: not accepted: this number");
}

Test(config, a_missing_file_is_named)
{
    rd_config c;
    rd_error err = {0};
    cr_assert_eq(rd_config_load("/nowhere/run.json", &c, &err), RD_ERR_IO);
    cr_assert_not_null(strstr(err.message, "/nowhere/run.json: No such file"));
}

/* ---- the table ---- */

Test(config, good_documents_are_accepted)
{
    glob_t found;
    cr_assert_eq(glob(RONDO_SOURCE_DIR "/tests/reference/configs/good/*.json", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        rd_config c;
        rd_error err = {0};
        cr_expect(rd_config_load(found.gl_pathv[i], &c, &err) == RD_OK, "%s", err.message);
        rd_config_free(&c);
    }
    globfree(&found);
}

Test(config, bad_documents_are_refused_in_the_expected_words)
{
    glob_t found;
    cr_assert_eq(glob(RONDO_SOURCE_DIR "/tests/reference/configs/bad/*.json", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *document = found.gl_pathv[i];
        char path[1024], *words;
        size_t size;
        rd_config c;
        rd_error err = {0};
        (void)snprintf(path, sizeof path, "%.*s.expect", (int)strlen(document) - 5, document);
        cr_assert(rd_file_read(path, 4096, &words, &size, &err) == RD_OK, "%s", err.message);
        words[strcspn(words, "\n")] = '\0';
        cr_expect_eq(rd_config_load(document, &c, &err), RD_ERR_CONFIG, "%s", document);
        cr_expect(strstr(err.message, words) != NULL, "'%s' is not in '%s'", words, err.message);
        cr_expect(strncmp(err.message, document, strlen(document)) == 0, "%s", err.message);
        free(words);
    }
    globfree(&found);
}
