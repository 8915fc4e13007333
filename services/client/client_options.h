/*
 * client_options: the command line of `higgs` and the [client] section behind it. One table of
 * flags and one of commands; parsing, --help and the configuration file are made from them.
 */
#pragma once

#include "config/config.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

enum client_command {
	COMMAND_NONE,
	COMMAND_CONNECT,
	COMMAND_DISCONNECT,
	COMMAND_STATUS,
	COMMAND_NODES,
	COMMAND_CONFIG,
	COMMAND_DOCTOR,
	COMMAND_HELP,
	COMMAND_VERSION,
};

/* Strings are argv's, the configuration's or constants. NULL: not given. */
struct client_options {
	enum client_command command;
	const char *config_file;
	const char *server; /* https URL without a trailing slash */
	const char *key_file;
	const char *ca_file;
	const char *country; /* two capitals */
	const char *node;    /* a UUID */
	const char *interface;
	const char *state_dir;
	const char *output; /* a file; NULL: stdout */
	bool foreground, json, verbose, qr, force;
	bool kill_switch, dns;
	struct config *config;
	char country_text[3];
	char state_path[PATH_MAX],
		ca_path[PATH_MAX]; /* where state_dir and ca_file are, absolute */
};

/* Reads the command line, then what it leaves open from --config, else
 * ~/.config/higgs/client.conf, else /etc/higgs/client.conf, else the defaults; HIGGS_CLIENT_<KEY>
 * overrides the file. 0, or an exit code and a line for people. */
int client_options_parse(int argc, char *const *argv, struct client_options *ret, char *ret_error,
			 size_t error_bytes);
void client_options_fini(struct client_options *options);

/* stdout. command: COMMAND_NONE for the overview. */
void client_options_help(enum client_command command);
