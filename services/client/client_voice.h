/*
 * client_voice: what `higgs connect` says on its way. In the foreground it goes to the terminal; in
 * the background through a pipe to the process that the person started, which prints it, passes
 * Ctrl-C on, and ends with the status it is told.
 */
#pragma once

#include <stdbool.h>

struct client_voice {
	int fd; /* -1: we are in the foreground, or nobody listens any more */
	bool is_foreground;
};

/* Splits off the background process. In the parent: relays until the end of the start, and returns
 * its exit status in *ret_status and 0. In the child: 1, detached, with its own output going to
 * log_path. -errno. */
int client_voice_split(struct client_voice *voice, const char *log_path, int *ret_status);

void client_say(struct client_voice *voice, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void client_say_error(struct client_voice *voice, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The start is over: the parent ends with this status. */
void client_voice_end(struct client_voice *voice, int status);
