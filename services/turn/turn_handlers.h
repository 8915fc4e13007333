/*
 * turn's mailbox and what stands behind it: a list of servers and one secret. One thread.
 *
 *	gateway -> Servers Stun Ice
 *
 * It tells nobody anything and keeps nothing: the smallest service, the one to copy. coturn checks
 * the credentials by itself with the same secret.
 */
#pragma once

#include "service/service.h"
#include "turn.pb-c.h"
#include "turn/turn_servers.h"

enum { TURN_SECRET_BYTES = 32, TURN_SECRET_TEXT_BYTES = 2 * TURN_SECRET_BYTES + 1 };

struct turn {
	Boson__Turn__Turn_Service service; /* first: handlers find us by it */
	struct turn_server servers[TURN_SERVERS_MAX];
	size_t server_count;
	int64_t ttl_ms;
	char secret[TURN_SECRET_TEXT_BYTES]; /* hex, as coturn's static-auth-secret has it */
	struct metric *issued;
};

/* A copy of this is `service`. */
extern const Boson__Turn__Turn_Service turn_mailbox;
