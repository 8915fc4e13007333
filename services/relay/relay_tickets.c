/*
 * relay_tickets: an own file's age is the time since it was written.
 */
#include "relay/relay_tickets.h"

#include "identity/key.h"
#include "identity/mac.h"
#include "identity/state_file.h"
#include "log/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LINE_BYTES = 2 * TLS_TICKET_SECRET_BYTES + 1,
	REST_MS = 60 * 1000, /* after it could not be written */
};

struct secrets {
	uint8_t bytes[TLS_TICKET_SECRETS][TLS_TICKET_SECRET_BYTES];
	size_t n;
};

static int
use(const struct relay_tickets *tickets, const struct secrets *secrets)
{
	return tls_context_resume(tickets->tls, secrets->bytes, secrets->n,
				  tickets->period_ms * TLS_TICKET_SECRETS);
}

/* A file that is mounted may be a link to its newest version. */
static int
load(struct relay_tickets *tickets, struct secrets *ret)
{
	char *real = realpath(tickets->path, NULL);
	int n = -errno;

	if (real != NULL && stat(real, &tickets->seen) == 0)
		n = secret_file_load_ring(real, ret->bytes[0], TLS_TICKET_SECRET_BYTES,
					  TLS_TICKET_SECRETS);
	free(real);
	ret->n = n > 0 ? (size_t)n : 0;
	return n > 0 ? 0 : n;
}

static int
store(struct relay_tickets *tickets, const struct secrets *secrets)
{
	char text[TLS_TICKET_SECRETS * LINE_BYTES + 1], *at = text;

	for (size_t i = 0; i < secrets->n; i++) {
		for (size_t k = 0; k < TLS_TICKET_SECRET_BYTES; k++, at += 2)
			snprintf(at, 3, "%02x", secrets->bytes[i][k]);
		*at++ = '\n';
	}
	int r = state_file_replace(tickets->path, 0600, text, (size_t)(at - text));
	key_wipe(text, sizeof(text));
	return r;
}

/* A new one, before the newest of those there are. In use before it is in the file: who sees it
 * there may count on it. */
static int
turn(struct relay_tickets *tickets, const struct secrets *old)
{
	struct secrets new = { .n = old->n > 0 ? TLS_TICKET_SECRETS : 1 };
	int r = mac_random(new.bytes[0], sizeof(new.bytes[0]));

	if (r == 0 && old->n > 0)
		memcpy(new.bytes[1], old->bytes[0], sizeof(new.bytes[1]));
	if (r == 0)
		r = use(tickets, &new);
	if (r == 0)
		r = store(tickets, &new);
	if (r < 0 && old->n > 0)
		(void)use(tickets, old);
	key_wipe(&new, sizeof(new));
	return r;
}

static int
report(const struct relay_tickets *tickets, const char *what, int r)
{
	if (r < 0)
		log_error("tls_tickets", "what=%s path=%s reason=\"%s\"", what, tickets->path,
			  r == -EPERM	 ? "others may read it"
			  : r == -EINVAL ? "it does not hold one or two secrets"
					 : strerror(-r));
	else
		log_info("tls_tickets", "what=%s path=%s", what, tickets->path);
	return r;
}

static int
read_and_use(struct relay_tickets *tickets)
{
	struct secrets secrets = { .n = 0 };
	int r = load(tickets, &secrets);

	if (r == 0)
		r = use(tickets, &secrets);
	key_wipe(&secrets, sizeof(secrets));
	return r;
}

int
relay_tickets_start(struct relay_tickets *tickets, struct tls_context *tls, const char *shared,
		    const char *state_dir, int64_t period_ms)
{
	const struct secrets none = { .n = 0 };
	int n, r;

	tickets->tls = tls;
	tickets->period_ms = period_ms;
	tickets->is_own = *shared == '\0';
	n = tickets->is_own ? snprintf(tickets->path, sizeof(tickets->path), "%s/tls-tickets.key",
				       state_dir)
			    : snprintf(tickets->path, sizeof(tickets->path), "%s", shared);
	if (n >= (int)sizeof(tickets->path))
		return report(tickets, "load", -ENAMETOOLONG);
	r = read_and_use(tickets);
	if (r < 0 && tickets->is_own)
		r = turn(tickets, &none);
	return report(tickets, "load", r);
}

static void
follow(struct relay_tickets *tickets)
{
	struct stat now, seen = tickets->seen;

	if (stat(tickets->path, &now) < 0 ||
	    (now.st_ino == seen.st_ino && now.st_dev == seen.st_dev &&
	     now.st_mtim.tv_sec == seen.st_mtim.tv_sec &&
	     now.st_mtim.tv_nsec == seen.st_mtim.tv_nsec && now.st_mode == seen.st_mode))
		return;
	report(tickets, "follow", read_and_use(tickets));
}

void
relay_tickets_look(struct relay_tickets *tickets, int64_t wall_ms)
{
	struct secrets secrets = { .n = 0 };
	struct stat now;

	if (tickets->tls == NULL ||
	    (wall_ms < tickets->rest_ms && tickets->rest_ms - wall_ms <= REST_MS))
		return;
	if (!tickets->is_own) {
		follow(tickets);
		return;
	}
	/* Whoever removed it wants another one, and none that opens the old tickets. */
	bool is_there = stat(tickets->path, &now) == 0;
	/* One of a day far ahead, when the clock was wrong, would be kept until then. */
	if (is_there && llabs(wall_ms - (int64_t)now.st_mtim.tv_sec * 1000) < tickets->period_ms)
		return;
	if (is_there)
		(void)load(tickets, &secrets);
	if (report(tickets, "turn", turn(tickets, &secrets)) < 0)
		tickets->rest_ms = wall_ms + REST_MS;
	key_wipe(&secrets, sizeof(secrets));
}
