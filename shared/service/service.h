/*
 * service: everything a program needs around its actors: arguments, configuration, state folder,
 * signals, threads, the admin address. A daemon's main is one call of service_main.
 *
 * An actor is one thread, one loop, one mailbox. bosond runs six of them as threads; boson-<name>
 * runs one the same way. The main thread only handles signals and the admin address
 * (/health/live, /health/ready, /metrics).
 */
#pragma once

#include "bus/bus.h"
#include "config/config.h"
#include "loop/loop.h"
#include "metrics/metrics.h"

#include <stdbool.h>
#include <stddef.h>

/* What an actor is given. All of it outlives the actor. */
struct actor_context {
	const char *name;
	struct loop *loop;
	struct bus *bus;
	struct metrics *metrics;
	const struct config *config;
	const char *state_dir; /* this actor's own folder, exists, 0700 */
	const char *keys_dir;  /* shared by the product's services: public halves to hand around */
	const struct service_bus *endpoints; /* service_bus.h; what actor_endpoint() reads */
	struct service_actor *owner; /* service_main's own; NULL in tests, where actor_finished()
					and actor_failed() only stop the loop */
};

/* Endpoints of the services' mailboxes: section [bus], keys gateway, discovery, routing, relay,
 * metrics, turn, or agent, forwarder; the PUB of each is beside its ROUTER. Another's is one or
 * several, as bus_peer_new and bus_subscribe take them; our own (service is context->name) is where
 * to bind, which [bus] bind can say. What bosond gets by
 * default is inproc, what a single service gets by default is ipc under the run folder. NULL when
 * the product has no such service. */
const char *actor_endpoint(const struct actor_context *context, const char *service);
const char *actor_event_endpoint(const struct actor_context *context, const char *service);
const char *actor_server_key(const struct actor_context *context,
			     const char *service); /* NULL unless tcp */

/* Our own CURVE public key, Z85: what another must know to connect to a tcp mailbox of ours. NULL
 * without [bus] curve_secret. */
const char *actor_own_key(const struct actor_context *context);

struct actor {
	const char *name;	       /* "relay" */
	const char *product;	       /* "boson" or "higgs" */
	const struct config_key *keys; /* its section of the schema, ends in {0} */

	/* Runs on the actor's thread, before its loop. Returns when the actor is ready to run: 0,
	 * or -errno after a log line (or an exit code of sysexits.h, positive). */
	int (*start)(const struct actor_context *context, void **ret_state);

	/* True once it can serve. reason is a static string, set when false. May be NULL: always.
	 * Called on the actor's thread every 250 ms; cached for the admin address. */
	bool (*is_ready)(const void *state, const char **ret_reason);

	/* SIGTERM: finish what is under way, then call actor_finished. NULL: nothing to finish. */
	void (*drain)(void *state);

	/* Frees everything, in reverse order of start. On the actor's thread, loop not running. */
	void (*stop)(void *state);

	/* What the schema cannot say of its section: files that must exist, keys that belong
	 * together. Before start and with -n; touches nothing. 0, or an exit code of sysexits.h
	 * with a reason. May be NULL. */
	int (*check)(const struct config *config, char *ret_error, size_t error_bytes);
};

/* The actor's drain is over. Its loop goes on until the others' are over too, since they may still
 * need it; then loops end and stop is called, in reverse order of start. */
void actor_finished(const struct actor_context *context);

/* An actor cannot go on (its reason is logged): the process exits with this code after stopping
 * all. */
void actor_failed(const struct actor_context *context, int exit_code);

struct program {
	const char *name;		   /* "bosond" */
	const char *summary;		   /* what --help says first */
	const struct actor *const *actors; /* NULL-terminated */
	bool inproc_default; /* endpoints default to inproc (all in one process) instead of ipc */
};

/* -c FILE (else /etc/<product>/<product>.conf, when there) -n (check the configuration and exit)
 * -v (more log; twice: debug) -V (version) --help. Returns main's exit code: 0 after SIGTERM/SIGINT
 * and a clean stop; sysexits.h otherwise. Blocks signals in all threads, ignores SIGPIPE, raises
 * the descriptor limit. The loops of actors run with 1 MiB stacks. The state folder of each actor
 * is locked while it runs: a second start waits 2 s for it, then exits 75. */
int service_main(int argc, char **argv, const struct program *program);
