/*
 * config_nearest: which known name a misspelt one was meant to be, by edit distance. For the
 * errors of the configuration and of the command line.
 */
#include "config/config.h"

#include <stdlib.h>
#include <string.h>

enum { WORD_MAX_BYTES = 64 };

static size_t
min3(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* Levenshtein's distance; words longer than WORD_MAX_BYTES are never near to anything. */
static size_t
edit_distance(const char *a, const char *b)
{
	size_t rows = strlen(a), columns = strlen(b);
	size_t row[WORD_MAX_BYTES + 1];

	if (rows > WORD_MAX_BYTES || columns > WORD_MAX_BYTES)
		return WORD_MAX_BYTES;
	for (size_t j = 0; j <= columns; j++)
		row[j] = j;
	for (size_t i = 1; i <= rows; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= columns; j++) {
			size_t above = row[j];

			row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[columns];
}

const char *
config_nearest(const char *word, const char *const *names)
{
	const char *best = NULL;
	size_t best_distance = strlen(word) / 3 + 2; /* farther than this is another word */

	for (; *names != NULL; names++) {
		size_t distance = edit_distance(word, *names);

		if (distance < best_distance) {
			best = *names;
			best_distance = distance;
		}
	}
	return best;
}
