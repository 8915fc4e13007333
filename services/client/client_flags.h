/*
 * client_flags: the commands and flags of `higgs` as tables, and the help that is made from them.
 */
#pragma once

#include "client/client_options.h"

#define CLIENT_FLAG_FOR(command) (1U << (command))

struct client_command_row {
	const char *name;
	enum client_command command;
	const char *help;
};

struct client_flag {
	const char *name;  /* without its dashes */
	char letter;	   /* short form, or 0 */
	const char *value; /* what its value is called; NULL: a switch */
	unsigned commands;
	size_t offset;	/* in client_options, of a const char * or a bool */
	bool switch_to; /* what a switch sets */
	const char *help;
};

extern const struct client_command_row client_commands[]; /* ends in {0} */
extern const struct client_flag client_flags[];		  /* ends in {0} */
