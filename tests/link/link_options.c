/*
 * link_options: getopt, and line_words for the conditions.
 */
#include "link_options.h"
#include "line_words.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { WORDS_BYTES = 512 };

struct said {
	const char *both, *there, *back;
	uint64_t seed;
	bool is_bare;
};

static void
print_help(void)
{
	printf("link_box: a line between two network interfaces\n\n"
	       "usage: link_box [--both C] [--there C] [--back C] [--seed N] [--stats FILE] A B\n"
	       "       link_box --bare INTERFACE ...\n\n"
	       "Frames that come in at A go out at B, and back, under conditions C: words with "
	       "commas\n"
	       "between them, of which the last of a name counts.\n\n"
	       "%s\n"
	       "  --both C       conditions of both ways\n"
	       "  --there C      of the way from A to B; --back C of that from B to A\n"
	       "  --seed N       the same frames have the same luck; 1\n"
	       "  --stats FILE   where to say at the end, and at SIGUSR1, what it did; standard "
	       "output\n"
	       "  --bare         turn off the offloads of these interfaces: those at the other "
	       "ends of the\n"
	       "                 veths A and B must be without, and are in other namespaces\n\n"
	       "It ends at SIGTERM and SIGINT. Needs CAP_NET_RAW (--bare: CAP_NET_ADMIN).\n\n"
	       "Example, a home with 20 Mbit/s up and 100 down, whose router's queues are long:\n"
	       "  ip netns exec home link_box --bare wan; ip netns exec net link_box --bare home\n"
	       "  ip netns exec line link_box --both queue=300ms,delay=10ms --there rate=20mbit "
	       "\\\n"
	       "      --back rate=100mbit to-home to-net\n",
	       line_words_help);
}

static int
usage_error(const char *what)
{
	fprintf(stderr, "link_box: %s; see link_box --help\n", what);
	return EX_USAGE;
}

static int
read_seed(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0)
		return usage_error("--seed needs a number");
	return EX_OK;
}

enum { BOTH = 256, THERE, BACK, SEED, STATS, BARE };

static const struct option long_options[] = {
	{ "both", required_argument, NULL, BOTH },   { "there", required_argument, NULL, THERE },
	{ "back", required_argument, NULL, BACK },   { "seed", required_argument, NULL, SEED },
	{ "stats", required_argument, NULL, STATS }, { "bare", no_argument, NULL, BARE },
	{ "help", no_argument, NULL, 'h' },	     { NULL, 0, NULL, 0 },
};

static int
read_option(int option, struct said *said, struct link_options *options)
{
	switch (option) {
	case BOTH:
		said->both = optarg;
		return EX_OK;
	case THERE:
		said->there = optarg;
		return EX_OK;
	case BACK:
		said->back = optarg;
		return EX_OK;
	case SEED:
		return read_seed(optarg, &said->seed);
	case STATS:
		options->stats = optarg;
		return EX_OK;
	case BARE:
		said->is_bare = true;
		return EX_OK;
	case 'h':
		print_help();
		options->is_done = true;
		return EX_OK;
	default:
		return usage_error("wrong argument");
	}
}

/* A way's own words come last, and so count for more. */
static int
read_conditions(const char *both, const char *own, uint64_t seed, struct line_conditions *ret)
{
	char words[WORDS_BYTES], error[LINE_WORDS_ERROR_BYTES];

	if (snprintf(words, sizeof(words), "%s,%s", both, own) >= (int)sizeof(words))
		return usage_error("too many conditions");
	if (line_words_read(words, ret, error) < 0)
		return usage_error(error);
	ret->seed = seed;
	return EX_OK;
}

static int
read_rest(int argc, char *argv[], const struct said *said, struct link_options *options)
{
	int status;

	if (said->is_bare) {
		options->bare = argv + optind;
		options->bare_n = argc - optind;
		return optind < argc ? EX_OK : usage_error("--bare needs interfaces");
	}
	if (argc - optind != 2 || strcmp(argv[optind], argv[optind + 1]) == 0)
		return usage_error("it takes two interfaces");
	options->interfaces[0] = argv[optind];
	options->interfaces[1] = argv[optind + 1];
	status = read_conditions(said->both, said->there, 2 * said->seed, &options->conditions[0]);
	if (status != EX_OK)
		return status;
	return read_conditions(said->both, said->back, 2 * said->seed + 1, &options->conditions[1]);
}

int
link_options_read(int argc, char *argv[], struct link_options *ret)
{
	struct said said = { .both = "", .there = "", .back = "", .seed = 1 };
	int option, status;

	*ret = (struct link_options){ 0 };
	opterr = 0;
	while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		status = read_option(option, &said, ret);
		if (status != EX_OK || ret->is_done)
			return status;
	}
	return read_rest(argc, argv, &said, ret);
}
