/*
 * client_find: from a host's name to the address that is pinned. What is pinned stays, so where a
 * name has several it is one that takes connections: of two address families one may swallow
 * everything without a word.
 */
#include "client/client_session.h"

static void
on_reached(const struct sockaddr_storage *address, bool is_reached, void *arg)
{
	struct session *session = arg;

	(void)is_reached; /* if none is, our own rules may be why */
	session->on_found(address, 1, NULL, session);
}

static void
on_looked_up(const struct sockaddr_storage *addresses, size_t n, const char *error, void *arg)
{
	struct session *session = arg;

	if (n < 2 || session->find_port == 0 ||
	    reach_start(session->loop, addresses, n, session->find_port, on_reached, session,
			&session->reach) < 0)
		session->on_found(addresses, n, error, session);
}

int
session_find(struct session *session, const struct client_pin *pin, lookup_fn fn)
{
	session->on_found = fn;
	session->find_port = pin->is_udp ? 0 : pin->port; /* UDP cannot be asked */
	return lookup_start(session->loop, pin->host, on_looked_up, session, &session->resolve);
}

void
session_find_stop(struct session *session)
{
	lookup_stop(&session->resolve);
	reach_stop(&session->reach);
}
