/* text.h: a text as samples for a language model.
 *
 * An owner's text is cut into windows of T symbols, a stride apart. With a prediction at every position, a
 * window's labels are its symbols one further on, so that with stride T each symbol but the first is
 * predicted once; the last window is filled up with token 0 and labels of -1. With one prediction a sample,
 * the label is the symbol behind the window, and owners with fewer than T + 1 symbols have none.
 *
 * With "group": "speaker" the text is a play as of Tiny Shakespeare: a line "NAME:" after an empty line (or
 * at the start) begins a speech, an empty line ends it, and a speaker owns his speeches, one after another,
 * each with a line break behind it. Otherwise all of it is one owner's, named as the file. */
#ifndef RONDO_DATA_TEXT_H
#define RONDO_DATA_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"
#include "data/dataset.h"
#include "data/input.h"
#include "model/model.h"

typedef enum rd_text_part { RD_TEXT_ALL, RD_TEXT_TRAIN, RD_TEXT_TEST } rd_text_part;

typedef struct rd_text_options {
    bool speakers;
    rd_text_part part; /* of each owner's text: its beginning is for training, its end for testing */
    double test_share; /* of it that the end has */
    size_t stride;     /* symbols between windows; 0: T */
} rd_text_options;

/* Reads all of in. RD_ERR_CONFIG: the model takes no tokens of listed symbols; RD_ERR_DATA: not UTF-8, or a
 * symbol that the model does not know, by line and column. */
rd_status rd_text_read(rd_input *in, const rd_text_options *options, const rd_model *m, rd_dataset *out,
                       rd_error *err) RD_MUST_CHECK;

#endif
