/*
 * exit_rules_sets: the sets of the exit table: who the clients are, which addresses and ports are
 * nobody's business, and the meters of each client. For exit_rules.c, which judges by them.
 */
#pragma once

#include "forwarder/exit_rules.h"

void exit_rules_write_sets(const struct exit_rules *rules,
			   const struct exit_surroundings *surroundings,
			   const struct exit_client *clients, size_t n, FILE *file);
