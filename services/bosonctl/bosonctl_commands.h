/*
 * bosonctl_commands: what an operator does every day, as words: nodes, clients, relays, access
 * keys. A row of a table is an rpc, what its arguments are called, and whether it lists.
 */
#pragma once

#include "service/service_bus.h"

#include <stdbool.h>
#include <stdio.h>

/* "nodes" */
bool bosonctl_commands_has(const char *noun);

/* words[0] is the noun. n is at least 1. open gives the bus when the words are right: nothing is
 * read before. An exit code of sysexits.h. */
struct bosonctl_where {
	int (*open)(void *arg, struct service_bus **ret);
	void *arg;
};
int bosonctl_commands_run(const struct bosonctl_where *where, int n, char **words);

void bosonctl_commands_list(FILE *file);
