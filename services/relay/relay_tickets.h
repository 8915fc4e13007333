/*
 * relay_tickets: the file with the secrets of TLS session tickets: an own one, which this relay
 * replaces every so often, or one that relays share, which somebody else does. Control actor's
 * thread.
 */
#pragma once

#include "relay/tls_channel.h"

#include <limits.h>
#include <sys/stat.h>

struct relay_tickets {
	struct tls_context *tls;
	char path[PATH_MAX];
	bool is_own;
	int64_t period_ms, rest_ms;
	struct stat seen; /* of a shared file that was read, or found unusable */
};

/* shared: the file's path, or "". An own one is made when there is none, or none of use. 0 or
 * -errno, after a log line. */
int relay_tickets_start(struct relay_tickets *tickets, struct tls_context *tls, const char *shared,
			const char *state_dir, int64_t period_ms);

/* Now and then: takes what has changed, replaces what has become old. */
void relay_tickets_look(struct relay_tickets *tickets, int64_t wall_ms);
