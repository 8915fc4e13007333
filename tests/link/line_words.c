/*
 * line_words: one table says which words there are, what unit each has, and how much it may be.
 */
#include "line_words.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_BYTES = 64 };

#define DEFAULTS "reorder-by=10ms"
static const double QUEUE_DEFAULT_NS = 100e6, QUEUE_MAX_NS = 10e9, QUEUE_MAX_BYTES = 64e6;

enum kind { RATE, TIME, SHARE, BYTES, QUEUE };

struct unit {
	enum kind kind;
	const char *name;
	double factor;
};

/* A rate is in bit/s, a time in ns, a share in millionths, a length in bytes. */
static const struct unit units[] = {
	{ RATE, "bit", 1 },  { RATE, "kbit", 1e3 }, { RATE, "mbit", 1e6 }, { RATE, "gbit", 1e9 },
	{ TIME, "us", 1e3 }, { TIME, "ms", 1e6 },   { TIME, "s", 1e9 },	   { SHARE, "%", 1e4 },
	{ BYTES, "", 1 },    { BYTES, "b", 1 },	    { BYTES, "kb", 1e3 },  { BYTES, "mb", 1e6 },
};

struct words {
	struct line_conditions conditions;
	double queue_ns; /* 0: not said as a time */
	bool has_queue;
};

struct word {
	const char *name;
	enum kind kind;
	size_t at; /* in struct line_conditions, an int64_t */
	double least, most;
};

#define AT(field) offsetof(struct line_conditions, field)

static const struct word table[] = {
	{ "rate", RATE, AT(rate_bit_s), 8e3, 1e10 },
	{ "queue", QUEUE, AT(queue_bytes), 1, 64e6 },
	{ "delay", TIME, AT(delay_ns), 0, 10e9 },
	{ "jitter", TIME, AT(jitter_ns), 0, 10e9 },
	{ "loss", SHARE, AT(loss_share), 0, 1e6 },
	{ "duplicate", SHARE, AT(double_share), 0, 1e6 },
	{ "reorder", SHARE, AT(overtake_share), 0, 1e6 },
	{ "reorder-by", TIME, AT(overtaken_by_ns), 1e3, 10e9 },
	{ "mtu", BYTES, AT(mtu_bytes), 68, 9000 },
};

const char line_words_help[] =
	"  rate=R         8kbit to 10gbit (bit, kbit, mbit, gbit), of whole Ethernet frames; "
	"without it no limit\n"
	"  queue=Q        what may wait for the rate: a time at that rate (us, ms, s; up to 10s), "
	"or bytes\n"
	"                 (b, kb, mb; up to 64mb); the newest is dropped when it is full; 100ms\n"
	"  delay=T        one way, up to 10s\n"
	"  jitter=T       the delay moves between delay - T and delay + T; frames keep their "
	"order\n"
	"  loss=P%        behind the queue, of each frame by itself\n"
	"  duplicate=P%   frames that come twice\n"
	"  reorder=P%     frames that those behind them overtake\n"
	"  reorder-by=T   how much later they come; 10ms\n"
	"  mtu=N          longer IP packets vanish and no ICMP tells of it; 68 to 9000\n";

static int
fail(char error[LINE_WORDS_ERROR_BYTES], const char *word, const char *why)
{
	snprintf(error, LINE_WORDS_ERROR_BYTES, "%.*s: %s", WORD_BYTES, word, why);
	return -EINVAL;
}

/* "300ms" of that kind: 300e6. */
static bool
read_amount(const char *text, enum kind kind, double *ret)
{
	char *unit;

	if (*text < '0' || *text > '9') /* strtod would take nan, inf, signs, spaces */
		return false;
	double amount = strtod(text, &unit);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (units[i].kind == kind && strcmp(unit, units[i].name) == 0) {
			*ret = amount * units[i].factor;
			return true;
		}
	return false;
}

static const struct word *
find_word(const char *name)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}

/* A queue in bytes is one at once; in time it needs the rate, which may stand behind it. */
static bool
read_queue(const char *text, struct words *words)
{
	double amount;

	words->has_queue = true;
	words->queue_ns = 0;
	if (read_amount(text, TIME, &amount)) {
		words->queue_ns = amount;
		return amount >= 1 && amount <= QUEUE_MAX_NS;
	}
	if (!read_amount(text, BYTES, &amount) || amount < 1 || amount > QUEUE_MAX_BYTES)
		return false;
	words->conditions.queue_bytes = (int64_t)amount;
	return true;
}

static void
set_word(const struct word *word, double amount, struct line_conditions *conditions)
{
	const int64_t value = (int64_t)amount;

	memcpy((char *)conditions + word->at, &value, sizeof(value));
}

/* "name=value", which is cut in two. */
static int
read_word(char *text, struct words *words, char error[LINE_WORDS_ERROR_BYTES])
{
	char *value = strchr(text, '=');
	double amount;

	if (value == NULL)
		return fail(error, text, "not NAME=VALUE");
	*value++ = '\0';
	const struct word *word = find_word(text);
	if (word == NULL)
		return fail(error, text, "there is no such condition");
	if (word->kind == QUEUE)
		return read_queue(value, words)
			       ? 0
			       : fail(error, text, "not a time up to 10s, nor bytes up to 64mb");
	if (!read_amount(value, word->kind, &amount))
		return fail(error, text, "not a number with a unit of its kind");
	if (amount < word->least || amount > word->most)
		return fail(error, text, "too small or too large");
	set_word(word, amount, &words->conditions);
	return 0;
}

static int
read_words(const char *text, struct words *words, char error[LINE_WORDS_ERROR_BYTES])
{
	char word[WORD_BYTES];
	int r;

	for (; *text != '\0'; text += *text == ',') {
		size_t n = strcspn(text, ",");
		if (n >= sizeof(word))
			return fail(error, text, "too long");
		memcpy(word, text, n);
		word[n] = '\0';
		text += n;
		if (n > 0 && (r = read_word(word, words, error)) < 0)
			return r;
	}
	return 0;
}

static int
settle_queue(struct words *words, char error[LINE_WORDS_ERROR_BYTES])
{
	struct line_conditions *conditions = &words->conditions;

	if (conditions->rate_bit_s == 0)
		return words->has_queue ? fail(error, "queue", "nothing waits without a rate") : 0;
	if (!words->has_queue)
		words->queue_ns = QUEUE_DEFAULT_NS;
	if (words->queue_ns > 0)
		conditions->queue_bytes =
			(int64_t)((double)conditions->rate_bit_s / 8 * words->queue_ns / 1e9);
	return 0;
}

int
line_words_read(const char *text, struct line_conditions *ret, char error[LINE_WORDS_ERROR_BYTES])
{
	struct words words = { 0 };
	int r;

	if ((r = read_words(DEFAULTS, &words, error)) < 0 ||
	    (r = read_words(text, &words, error)) < 0 || (r = settle_queue(&words, error)) < 0)
		return r;
	*ret = words.conditions;
	return 0;
}
