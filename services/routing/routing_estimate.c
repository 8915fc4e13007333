/* routing_choice: by which relays a client enters, and what its route is likely to be like. */
#include "routing/routing_choice_inside.h"

#include <math.h>
#include <string.h>

#define COST_FULL 100.0
/* What a second relay on the way costs, as milliseconds. */
#define COST_CASCADE 20.0

double
choice_client_latency_ms(const struct routing_wish *wish, const struct table_relay *relay)
{
	for (size_t i = 0; i < wish->latency_count; i++)
		if (strcmp(wish->latencies[i].relay_id, relay->id) == 0)
			return wish->latencies[i].latency_ms;
	return 0;
}

double
choice_free_share(const struct table_node *node)
{
	uint32_t capacity = table_node_capacity(node), used = table_node_used(node);

	return used >= capacity ? 0 : 1.0 - (double)used / (double)capacity;
}

static double
entry_rank(const struct table_relay *relay, const struct table_relay *home,
	   const struct routing_wish *wish)
{
	double latency = choice_client_latency_ms(wish, relay);

	if (relay == home && relay->draining)
		return HUGE_VAL;
	if (latency <= 0)
		latency = CHOICE_LATENCY_UNKNOWN_MS;
	return latency + COST_FULL * relay->load + (relay == home ? 0 : COST_CASCADE);
}

static bool
is_entry(const struct table_relay *relay, const struct table_relay *home, bool with_others)
{
	return relay->alive && (relay == home || (with_others && !relay->draining));
}

size_t
choice_entries(const struct table *table, const struct table_node *node,
	       const struct routing_wish *wish, bool with_others,
	       const struct table_relay *ret_relays[CHOICE_ENTRIES_MAX])
{
	const struct table_leg *leg = table_home_leg(node);
	const struct table_relay *home = leg == NULL ? NULL : leg->relay;
	double ranks[CHOICE_ENTRIES_MAX];
	size_t n = 0;

	for (size_t i = 0; home != NULL && i < table->relay_count; i++) {
		const struct table_relay *relay = table->relays[i];
		double rank = entry_rank(relay, home, wish);
		size_t at = n;

		if (!is_entry(relay, home, with_others))
			continue;
		if (n < CHOICE_ENTRIES_MAX)
			n++;
		else if (--at, ranks[at] <= rank)
			continue;
		for (; at > 0 && ranks[at - 1] > rank; at--) {
			ranks[at] = ranks[at - 1];
			ret_relays[at] = ret_relays[at - 1];
		}
		ranks[at] = rank;
		ret_relays[at] = relay;
	}
	return n;
}

void
choice_estimate(const struct table_node *node, const struct table_relay *entry,
		const struct routing_wish *wish, struct session_record *ret)
{
	const struct table_leg *home = table_home_leg(node);
	double left = node->bandwidth_mbits - node->bandwidth_used_mbits;

	ret->latency_ms = choice_client_latency_ms(wish, entry) + (home == NULL ? 0 : home->rtt_ms);
	ret->bandwidth_mbits = left > 0 ? left : 0;
	ret->cost = ret->latency_ms + COST_FULL * (1.0 - choice_free_share(node)) +
		    COST_FULL * entry->load;
	if (home != NULL && home->relay != entry)
		ret->cost += COST_CASCADE;
}
