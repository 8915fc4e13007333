/* agent_network: looks the servers up, one after the other, and has stun_nat ask them. */
#include "agent/agent_network.h"
#include "agent/agent_backoff.h"
#include "log/log.h"
#include "loop/backoff.h"
#include "net/address.h"
#include "stun/stun_lookup.h"
#include "stun/stun_nat.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PERIOD_MS = 10 * 60 * 1000,
	HOST_BYTES = 256,
	MAPPED_BYTES = INET6_ADDRSTRLEN + 8, /* [address]:port */
};

struct network {
	struct loop *loop;
	struct metrics *metrics;
	bool allow_private;
	network_changed_fn fn;
	void *arg;

	struct {
		char host[HOST_BYTES];
		unsigned port;
	} servers[STUN_NAT_SERVERS_MAX];
	size_t server_count;

	/* of the round that is under way */
	struct sockaddr_in6 addresses[STUN_NAT_SERVERS_MAX];
	size_t address_count, looked_up;
	struct stun_lookup *lookup;
	struct stun_nat *nat;
	unsigned failures; /* rounds in a row of which none was answered */
	struct loop_timer *timer;

	bool has_server, is_known;
	struct sockaddr_in6 server;
	Boson__Discovery__NetworkInfo info;
	char address[INET6_ADDRSTRLEN], mapped[MAPPED_BYTES];
};

static void look_up_next(struct network *network);

/* ---- what is known ---- */

/* S31: an address that nobody can reach is not told, and how the NAT treats us, is. */
static void
fill(struct network *network, const struct stun_nat_result *result)
{
	bool is_v4 = IN6_IS_ADDR_V4MAPPED(&result->mapped.sin6_addr);
	Boson__Discovery__NetworkInfo *info = &network->info;

	boson__discovery__network_info__init(info);
	network->address[0] = network->mapped[0] = '\0';
	if (!result->is_found)
		return;
	info->has_nat_type = 1;
	info->nat_type = (Boson__Discovery__NetworkInfo__NatType)result->type;
	if (address_classify(&result->mapped.sin6_addr) != ADDRESS_GLOBAL)
		return;
	address_format(&result->mapped.sin6_addr, network->address);
	(void)snprintf(network->mapped, sizeof(network->mapped), is_v4 ? "%s:%u" : "[%s]:%u",
		       network->address, (unsigned)ntohs(result->mapped.sin6_port));
	if (is_v4)
		info->ipv4 = network->address;
	else
		info->ipv6 = network->address;
	info->stun_mapped_address = network->mapped;
	info->has_local_port = 1;
	info->local_port = ntohs(result->local.sin6_port);
}

/* The port of a socket that lives for a moment is no news. */
static void
note(struct network *network, const struct stun_nat_result *result)
{
	char before[INET6_ADDRSTRLEN];
	bool was_known = network->is_known;
	Boson__Discovery__NetworkInfo__NatType type = network->info.nat_type;

	memcpy(before, network->address, sizeof(before));
	fill(network, result);
	network->is_known = result->is_found;
	if (network->is_known == was_known && network->info.nat_type == type &&
	    strcmp(before, network->address) == 0)
		return;
	log_info("network_changed", "nat=%d mapped=%s cgnat=%s legacy=%s", (int)result->type,
		 network->mapped, result->is_cgnat ? "yes" : "no",
		 result->is_legacy ? "yes" : "no");
	network->fn(network->arg);
}

/* ---- a round ---- */

static void
begin_round(struct loop *loop, void *arg)
{
	struct network *network = arg;

	(void)loop;
	network->timer = NULL; /* it was for once */
	network->looked_up = network->address_count = 0;
	look_up_next(network);
}

static void
begin_in(struct network *network, int64_t delay_ms)
{
	loop_timer_stop(&network->timer);
	if (loop_timer_start(network->loop, delay_ms, 0, begin_round, network, &network->timer) !=
	    0)
		network->timer = NULL;
}

/* S17: with a longer and longer pause while none answers. */
static void
end_round(struct network *network, const struct stun_nat_result *result)
{
	network->has_server = result->is_found;
	network->server = result->server;
	if (result->is_found) {
		network->failures = 0;
		begin_in(network, agent_backoff_spread_ms(PERIOD_MS, backoff_random()));
	} else {
		begin_in(network, AGENT_BACKOFF_MAX_MS + agent_backoff_ms(network->failures++, 0,
									  backoff_random()));
	}
	note(network, result); /* the last: it may free us */
}

static void
on_found(const struct stun_nat_result *result, void *arg)
{
	end_round(arg, result);
}

static void
ask(struct network *network)
{
	static const struct stun_nat_result nothing;

	if (network->address_count == 0 ||
	    stun_nat_start(network->loop, network->metrics, network->addresses,
			   network->address_count, network->allow_private, on_found, network,
			   &network->nat) != 0)
		end_round(network, &nothing);
}

/* S61: a name that leads to the owner's LAN is not followed. */
static void
take_address(struct network *network, const struct sockaddr_in6 *address)
{
	if (network->allow_private || address_classify(&address->sin6_addr) == ADDRESS_GLOBAL)
		network->addresses[network->address_count++] = *address;
	else
		log_warn("stun_server_refused", "host=%s reason=%s",
			 network->servers[network->looked_up - 1].host,
			 address_class_name(address_classify(&address->sin6_addr)));
}

static void
on_looked_up(const struct sockaddr_in6 *address, void *arg)
{
	struct network *network = arg;

	if (address != NULL)
		take_address(network, address);
	look_up_next(network);
}

static void
look_up_next(struct network *network)
{
	while (network->looked_up < network->server_count) {
		const char *host = network->servers[network->looked_up].host;
		unsigned port = network->servers[network->looked_up++].port;
		struct sockaddr_in6 address;

		if (stun_lookup_literal(host, port, &address))
			take_address(network, &address);
		else if (stun_lookup_start(network->loop, host, port, on_looked_up, network,
					   &network->lookup) == 0)
			return;
	}
	ask(network);
}

/* ---- from outside ---- */

int
network_new(struct loop *loop, struct metrics *metrics, bool allow_private, network_changed_fn fn,
	    void *arg, struct network **ret)
{
	struct network *network = calloc(1, sizeof(*network));

	if (network == NULL)
		return -ENOMEM;
	network->loop = loop;
	network->metrics = metrics;
	network->allow_private = allow_private;
	network->fn = fn;
	network->arg = arg;
	boson__discovery__network_info__init(&network->info);
	*ret = network;
	return 0;
}

void
network_free(struct network **network)
{
	struct network *freed = *network;

	if (freed == NULL)
		return;
	*network = NULL;
	loop_timer_stop(&freed->timer);
	stun_lookup_stop(&freed->lookup);
	stun_nat_stop(&freed->nat);
	free(freed);
}

static bool
are_the_same(const struct network *network,
	     Boson__Discovery__RegisterReply__StunServer *const *servers, size_t n)
{
	if (n != network->server_count)
		return false;
	for (size_t i = 0; i < n; i++)
		if (servers[i]->host == NULL ||
		    strcmp(servers[i]->host, network->servers[i].host) != 0 ||
		    servers[i]->port != network->servers[i].port)
			return false;
	return true;
}

void
network_set_servers(struct network *network,
		    Boson__Discovery__RegisterReply__StunServer *const *servers, size_t n)
{
	if (n > STUN_NAT_SERVERS_MAX)
		n = STUN_NAT_SERVERS_MAX;
	if (are_the_same(network, servers, n))
		return;
	network->server_count = 0;
	for (size_t i = 0; i < n; i++) {
		const char *host = servers[i]->host;
		size_t place = network->server_count;

		if (host == NULL || strlen(host) >= HOST_BYTES || servers[i]->port == 0 ||
		    servers[i]->port > UINT16_MAX)
			continue;
		strcpy(network->servers[place].host, host);
		network->servers[place].port = servers[i]->port;
		network->server_count++;
	}
	stun_lookup_stop(&network->lookup);
	stun_nat_stop(&network->nat);
	if (network->server_count > 0)
		begin_in(network, 0);
}

const Boson__Discovery__NetworkInfo *
network_info(const struct network *network)
{
	return network->is_known ? &network->info : NULL;
}

bool
network_server(const struct network *network, struct sockaddr_in6 *ret)
{
	*ret = network->server;
	return network->has_server;
}
