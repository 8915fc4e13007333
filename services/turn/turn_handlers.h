/*
 * turn's mailbox and what stands behind it: a list of servers that are probed, and the secret that
 * coturn shares. One thread.
 *
 *	gateway -> Servers Stun Ice
 *	turn    -> STUN Binding, TURN Allocate, every other second, of each server
 *
 * It tells nobody anything and keeps nothing. coturn checks the credentials by itself with the same
 * secret, and its configuration is written from ours (turn_coturn).
 */
#pragma once

#include "service/service.h"
#include "stun/stun_lookup.h"
#include "turn.pb-c.h"
#include "turn/turn_probe.h"
#include "turn/turn_secrets.h"
#include "turn/turn_servers.h"

struct turn;

/* What is under way with one server. */
struct turn_watch {
	struct turn *turn;
	size_t place;
	struct stun_lookup *lookup;
	struct turn_probe *probe;
	int64_t due_ms; /* monotonic */
};

struct turn {
	Boson__Turn__Turn_Service service; /* first: handlers find us by it */
	const struct actor_context *context;
	struct turn_server servers[TURN_SERVERS_MAX];
	struct turn_watch watches[TURN_SERVERS_MAX];
	size_t server_count;
	int64_t ttl_ms, probe_ms;
	struct turn_secrets secrets;
	struct loop_timer *timer;
	struct metric *issued, *healthy, *answered, *unanswered;
};

/* A copy of this is `service`. */
extern const Boson__Turn__Turn_Service turn_mailbox;

/* turn_watch.c: probes all servers from now on. 0 or -errno. */
int turn_watch_start(struct turn *turn);
void turn_watch_stop(struct turn *turn);
