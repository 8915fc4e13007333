/*
 * client_commands: the commands that do not stay: status, disconnect, nodes, config, doctor; and
 * what connect does before and around its session. Each returns the exit status.
 */
#pragma once

#include "client/client_options.h"

int client_command_connect(struct client_options *options);
int client_command_disconnect(const struct client_options *options);
int client_command_status(const struct client_options *options);
int client_command_nodes(const struct client_options *options);
int client_command_config(const struct client_options *options);
int client_command_doctor(const struct client_options *options);
