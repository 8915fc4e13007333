/* turn's mailbox: one function for each rpc. */
#include "turn/turn_handlers.h"

#include "loop/clock.h"
#include "service/caller.h"
#include "turn/turn_credential.h"

#include <stdio.h>
#include <string.h>

enum { RETRY_SEC = 5 };

static struct turn *
turn_of(Boson__Turn__Turn_Service *service)
{
	return (struct turn *)service;
}

/* The role as the credential names it; NULL for anyone. */
static const char *
role_name(const Boson__Common__Caller *caller)
{
	Boson__Common__Caller__Role role = caller_role(caller);

	if (role == BOSON__COMMON__CALLER__ROLE__ANYONE || caller->subject == NULL)
		return NULL;
	if (role == BOSON__COMMON__CALLER__ROLE__NODE)
		return "node";
	if (role == BOSON__COMMON__CALLER__ROLE__CLIENT)
		return "client";
	return role == BOSON__COMMON__CALLER__ROLE__ADMIN ? "admin" : NULL;
}

/* True when this caller may ask and there is a server that works; else it is answered (F44). */
static bool
may_ask(const Boson__Turn__ServersRequest *input, size_t servers, void *call)
{
	if (role_name(input->caller) == NULL)
		bus_call_fail(call, BUS_UNAUTHENTICATED, "token", NULL);
	else if (servers == 0)
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "no_turn_server", RETRY_SEC);
	else
		return true;
	return false;
}

/* An access key's subject has a colon ("key:app"), which a credential's may not. */
static void
name_subject(const char *subject, char ret[TURN_SUBJECT_MAX_BYTES + 2])
{
	/* One that is too long stays so, and is refused. */
	snprintf(ret, TURN_SUBJECT_MAX_BYTES + 2, "%s", subject);
	for (char *at = ret; (at = strchr(at, ':')) != NULL;)
		*at = '.';
}

/* True with a credential for this caller; else it is answered. */
static bool
issue(struct turn *turn, const Boson__Turn__ServersRequest *input, struct turn_credential *ret,
      void *call)
{
	char subject[TURN_SUBJECT_MAX_BYTES + 2];

	name_subject(input->caller->subject, subject);
	if (turn_credential_make(turn->secrets.texts[0], role_name(input->caller), subject,
				 clock_wall_ms(), turn->ttl_ms, ret) != 0) {
		bus_call_fail(call, BUS_FORBIDDEN, "role", NULL);
		return false;
	}
	metric_add(turn->issued, 1);
	return true;
}

static void
on_servers(Boson__Turn__Turn_Service *service, const Boson__Turn__ServersRequest *input,
	   Boson__Turn__ServersReply_Closure closure, void *call)
{
	struct turn *turn = turn_of(service);
	Boson__Turn__ServersReply reply = BOSON__TURN__SERVERS_REPLY__INIT;
	Boson__Turn__TurnServer servers[TURN_SERVERS_MAX], *pointers[TURN_SERVERS_MAX];
	struct turn_credential credential;
	size_t places[TURN_SERVERS_MAX];
	size_t n = turn_servers_order(turn->servers, turn->server_count, true, places);

	if (!may_ask(input, n, call) || !issue(turn, input, &credential, call))
		return;
	for (size_t i = 0; i < n; i++) {
		Boson__Turn__TurnServer *server = &servers[reply.n_servers];

		boson__turn__turn_server__init(server);
		server->url = (char *)(uintptr_t)turn->servers[places[i]].url;
		server->username = credential.username;
		server->credential = credential.password;
		server->has_expires_at = 1;
		server->expires_at = credential.expires_at_ms;
		pointers[reply.n_servers++] = server;
	}
	reply.servers = pointers;
	closure(&reply, call);
}

static void
on_stun(Boson__Turn__Turn_Service *service, const Boson__Turn__ServersRequest *input,
	Boson__Turn__StunReply_Closure closure, void *call)
{
	struct turn *turn = turn_of(service);
	Boson__Turn__StunReply reply = BOSON__TURN__STUN_REPLY__INIT;
	Boson__Turn__StunServer servers[TURN_SERVERS_MAX], *pointers[TURN_SERVERS_MAX];
	size_t places[TURN_SERVERS_MAX];
	size_t n = turn_servers_order(turn->servers, turn->server_count, false, places);

	if (!may_ask(input, n, call))
		return;
	for (size_t i = 0; i < n; i++) { /* a TURN server answers STUN too */
		boson__turn__stun_server__init(&servers[i]);
		servers[i].host = turn->servers[places[i]].host;
		servers[i].has_port = 1;
		servers[i].port = turn->servers[places[i]].port;
		pointers[i] = &servers[i];
	}
	reply.n_servers = n;
	reply.servers = pointers;
	closure(&reply, call);
}

/* One entry for the STUN URLs, one for the TURN URLs with their credential. */
static void
on_ice(Boson__Turn__Turn_Service *service, const Boson__Turn__ServersRequest *input,
       Boson__Turn__IceReply_Closure closure, void *call)
{
	struct turn *turn = turn_of(service);
	Boson__Turn__IceReply reply = BOSON__TURN__ICE_REPLY__INIT;
	Boson__Turn__IceServer stun = BOSON__TURN__ICE_SERVER__INIT;
	Boson__Turn__IceServer relaying = BOSON__TURN__ICE_SERVER__INIT;
	char *stun_urls[TURN_SERVERS_MAX], *relaying_urls[TURN_SERVERS_MAX];
	Boson__Turn__IceServer *pointers[2];
	struct turn_credential credential;
	size_t places[TURN_SERVERS_MAX];
	size_t n = turn_servers_order(turn->servers, turn->server_count, false, places);

	if (!may_ask(input, n, call))
		return;
	for (size_t i = 0; i < n; i++) {
		char *url = (char *)(uintptr_t)turn->servers[places[i]].url;

		if (turn->servers[places[i]].relays)
			relaying_urls[relaying.n_urls++] = url;
		else
			stun_urls[stun.n_urls++] = url;
	}
	stun.urls = stun_urls;
	relaying.urls = relaying_urls;
	if (stun.n_urls > 0)
		pointers[reply.n_ice_servers++] = &stun;
	if (relaying.n_urls > 0) {
		if (!issue(turn, input, &credential, call))
			return;
		relaying.username = credential.username;
		relaying.credential = credential.password;
		pointers[reply.n_ice_servers++] = &relaying;
	}
	reply.ice_servers = pointers;
	closure(&reply, call);
}

const Boson__Turn__Turn_Service turn_mailbox = BOSON__TURN__TURN__INIT(on_);
