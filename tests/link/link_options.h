/*
 * link_options: what link_box is told on its command line, and its help.
 */
#pragma once

#include "line.h"

#include <stdbool.h>

struct link_options {
	struct line_conditions conditions[2]; /* of the ways there and back, with their seeds */
	const char *interfaces[2];
	const char *stats; /* a file; NULL: standard output */
	char *const *bare; /* interfaces to turn the offloads of off, instead of all else */
	int bare_n;
	bool is_done; /* the help was asked for, and said */
};

/* EX_OK or EX_USAGE, which was explained on standard error. What *ret points to is argv's. */
int link_options_read(int argc, char *argv[], struct link_options *ret);
