/*
 * line_words: a line's conditions as people write them:
 * "rate=20mbit,queue=300ms,delay=10ms,loss=1%".
 */
#pragma once

#include "line.h"

enum { LINE_WORDS_ERROR_BYTES = 160 };

/* What each word means and its limits, for --help; lines of at most 100 columns. */
extern const char line_words_help[];

/* Of a word that stands twice the last one counts; seed is 0. -EINVAL, with a sentence for people
 * in error. */
int line_words_read(const char *words, struct line_conditions *ret,
		    char error[LINE_WORDS_ERROR_BYTES]);
