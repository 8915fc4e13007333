/*
 * lab: two network namespaces for the client's contract tests, and who answers in the second.
 *
 *	 client namespace            this process's namespace ("server")
 *	+----------------+          +---------------------------------------------+
 *	| higgs          | 10.0.9.2 | 10.0.9.1:port  gateway and relay stand-in   |
 *	|  higgs0        |--veth----|                  | UDP                      |
 *	| /etc/netns/... |          |   WireGuard `hgn`, 10.90.0.1, or `hgm`, 10.91.0.1 |
 *	+----------------+          +---------------------------------------------+
 *
 * Real TLS, WebSocket, WireGuard, nftables and policy rules; only what stands behind gateway and
 * relay is missing. A session starts at the first node, and goes to the other one when the client
 * says that its node failed.
 */
#pragma once

#include "../leg/relay_stand_in.h"
#include "identity/key.h"
#include "loop/loop.h"
#include "wg/device.h"

#include <stdbool.h>
#include <sys/types.h>

enum { LAB_TEXT_BYTES = 64 * 1024 };

enum lab_answer {
	LAB_ROUTE,
	LAB_SILENT, /* takes the question and never answers */
	LAB_401,
	LAB_403,
	LAB_404,
	LAB_409,
	LAB_429,
	LAB_503,
	LAB_REDIRECT,
	LAB_GARBAGE,
	LAB_WRONG_ROUTE, /* JSON, but its relay is no wss URL */
	LAB_MUTE_RELAY,	 /* a route to a relay that never answers */
	LAB_NAMED_RELAY, /* a route to boson.lab: 10.0.9.3, where nobody is, and 10.0.9.1 */
	LAB_NO_OTHER,	 /* 503 to who wants another node, else a route */
};

enum { LAB_NODES = 2 };

struct lab_place {
	const char *node_id, *node4, *client4, *node6, *client6;
};

extern const struct lab_place lab_places[LAB_NODES];

struct lab_node {
	struct device *device;
	struct key private_key, public_key;
};

struct lab {
	char name[32], folder[64], certificate[80], key[80], access_key[80], state[80];
	struct stand_in relay;
	struct loop *loop;
	struct lab_node nodes[LAB_NODES];
	_Atomic enum lab_answer answer;
	atomic_uint at;			      /* the node of the session */
	atomic_uint routes, resumes, deletes; /* asked for */
	atomic_uint proven;		      /* of the routes */
	atomic_bool has_no_challenges;	      /* an older server */
	char ticket[64];
	const char *host; /* by which `higgs` knows the server: 10.0.9.1 or boson.lab */
};

/* 0; -EPERM: not root; -ENOTSUP: no namespaces or no WireGuard here. Leaves nothing when it fails.
 */
int lab_up(struct lab *lab);
void lab_down(struct lab *lab);

/* The relay anew on the same port. */
int lab_restart_relay(struct lab *lab);

/* Runs a command in the client's namespace to its end: its exit status, and what it wrote to stdout
 * and stderr. argv NULL-terminated. */
int lab_run(struct lab *lab, const char *const *argv, char *ret_output);

/* Starts one and does not wait. Output goes to ret_output_fd (may be NULL). */
pid_t lab_start(struct lab *lab, const char *const *argv, int *ret_output_fd);
int lab_wait(pid_t pid);

/* higgs with server, key, CA, state and interface given, then the words (NULL-terminated). */
int lab_higgs(struct lab *lab, const char *command, const char *const *more, char *ret_output);
pid_t lab_higgs_start(struct lab *lab, const char *command, const char *const *more,
		      int *ret_output_fd);

/* Packets that came from the client beside its tunnel: all but those for the relay's port, and what
 * neighbours need. */
uint64_t lab_leaks(struct lab *lab);

/* Does anything run in the client's namespace? */
bool lab_has_processes(struct lab *lab);

/* nft rules, policy rules, routes of all tables, links and resolv.conf of the client's namespace.
 */
void lab_kernel_state(struct lab *lab, char *ret_text);
