/*
 * agent_network: what the node looks like from outside: its mapped address and its NAT, asked of
 * the STUN servers that the server names, at start and every ten minutes. The node works without:
 * nothing waits for it (S55, F43).
 */
#pragma once

#include "loop/loop.h"
#include "metrics/metrics.h"

#include "discovery.pb-c.h"

#include <netinet/in.h>
#include <stdbool.h>

struct network;

/* Something else is known than before. */
typedef void (*network_changed_fn)(void *arg);

/* allow_private: servers need not be at global addresses (S61). 0 or -ENOMEM. */
int network_new(struct loop *loop, struct metrics *metrics, bool allow_private,
		network_changed_fn fn, void *arg, struct network **ret);
void network_free(struct network **network);

/* The first four count. Asked soon, when they are others than before. */
void network_set_servers(struct network *network,
			 Boson__Discovery__RegisterReply__StunServer *const *servers, size_t n);

/* What is known, for a registration: no address that is not global. NULL: nothing. The network's,
 * until fn is called the next time. */
const Boson__Discovery__NetworkInfo *network_info(const struct network *network);

/* The server that answered last. */
bool network_server(const struct network *network, struct sockaddr_in6 *ret);
