/* routing_table: relays, and the legs of nodes there. */
#include "routing/routing_table_inside.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct table_relay *
table_relay_find(const struct table *table, const char *id)
{
	for (size_t i = 0; i < table->relay_count; i++)
		if (strcmp(table->relays[i]->id, id) == 0)
			return table->relays[i];
	return NULL;
}

static bool
fits(const char *text, size_t bytes)
{
	return text != NULL && text[0] != '\0' && strnlen(text, bytes) < bytes;
}

static void
copy_text(char *ret, size_t bytes, const char *text)
{
	memset(ret, 0, bytes);
	if (text != NULL)
		strncpy(ret, text, bytes - 1);
}

int
table_relay_put(struct table *table, const Boson__Common__Relay *message, struct table_relay **ret)
{
	struct table_relay *relay;

	if (!fits(message->id, ROUTING_RELAY_ID_BYTES) ||
	    !fits(message->relay_endpoint, TABLE_ENDPOINT_BYTES) ||
	    !fits(message->group, TABLE_GROUP_BYTES) ||
	    (message->udp_endpoint != NULL &&
	     strnlen(message->udp_endpoint, TABLE_ENDPOINT_BYTES) == TABLE_ENDPOINT_BYTES))
		return -EINVAL;
	relay = table_relay_find(table, message->id);
	if (relay == NULL) {
		if (table->relay_count == TABLE_RELAYS_MAX)
			return -ENOSPC;
		relay = calloc(1, sizeof(*relay));
		if (relay == NULL)
			return -ENOMEM;
		relay->rtt_min_ms = relay->listing_rtt_min_ms = HUGE_VAL;
		relay->index = table->relay_count;
		table->relays[table->relay_count++] = relay;
		copy_text(relay->id, sizeof(relay->id), message->id);
	}
	copy_text(relay->relay_endpoint, sizeof(relay->relay_endpoint), message->relay_endpoint);
	copy_text(relay->udp_endpoint, sizeof(relay->udp_endpoint), message->udp_endpoint);
	copy_text(relay->group, sizeof(relay->group), message->group);
	relay->draining = message->has_draining && message->draining;
	*ret = relay;
	return 0;
}

void
table_relay_set_load(struct table_relay *relay, double load, int64_t now_ms)
{
	if (!(load >= 0 && load <= 1))
		return;
	relay->load = load;
	relay->load_ms = now_ms;
}

void
table_relay_age(struct table_relay *relay, int64_t now_ms)
{
	if (now_ms - relay->load_ms >= TABLE_LOAD_MS)
		relay->load = 0;
}

/* For each node with a leg at this relay; fn may free the node. */
static void
each_node_of(struct table *table, const struct table_relay *relay,
	     void (*fn)(struct table *table, struct table_node *node, size_t leg))
{
	struct table_node *node = idtable_next(&table->nodes, NULL);

	while (node != NULL) {
		struct table_node *next = idtable_next(&table->nodes, node);

		for (size_t i = 0; i < node->leg_count; i++)
			if (node->legs[i].relay == relay) {
				fn(table, node, i);
				break;
			}
		node = next;
	}
}

static void
settle(struct table *table, struct table_node *node, size_t leg)
{
	(void)leg;
	(void)table_node_settle(table, node);
}

void
table_relay_set_alive(struct table *table, struct table_relay *relay, bool alive)
{
	if (relay->alive == alive)
		return;
	relay->alive = alive;
	each_node_of(table, relay, settle);
}

void
table_relay_note_gap(struct table *table, struct table_relay *relay)
{
	relay->told = ++table->told;
}

static void
remove_leg(struct table *table, struct table_node *node, size_t leg)
{
	node->legs[leg] = node->legs[--node->leg_count];
	(void)table_node_settle(table, node);
}

void
table_relay_remove(struct table *table, struct table_relay *relay)
{
	each_node_of(table, relay, remove_leg);
	for (size_t i = 0; i < table->relay_count; i++)
		if (table->relays[i] == relay) {
			table->relays[i] = table->relays[--table->relay_count];
			table->relays[i]->index = i;
			break;
		}
	free(relay);
}

static struct table_leg *
find_leg(struct table_node *node, const struct table_relay *relay)
{
	for (size_t i = 0; i < node->leg_count; i++)
		if (node->legs[i].relay == relay)
			return &node->legs[i];
	return NULL;
}

/* A node with legs at many relays: the one that was told longest ago makes room. */
static struct table_leg *
make_leg(struct table_node *node)
{
	if (node->leg_count == TABLE_LEGS_MAX)
		memmove(&node->legs[0], &node->legs[1],
			(--node->leg_count) * sizeof(node->legs[0]));
	memset(&node->legs[node->leg_count], 0, sizeof(node->legs[0]));
	return &node->legs[node->leg_count++];
}

int
table_leg_attach(struct table *table, struct table_relay *relay, const uint8_t id[UUID_BYTES],
		 uint64_t generation, double rtt_ms)
{
	struct table_node *node = table_node_get(table, id);
	struct table_leg *leg;
	bool is_new;

	if (node == NULL)
		return -ENOMEM;
	leg = find_leg(node, relay);
	is_new = leg == NULL || leg->generation != generation;
	/* Since the listing began nobody else told of it, so the relay may have started anew. */
	if (leg != NULL && generation < leg->generation && leg->listing == relay->listing)
		return 0;
	if (leg == NULL)
		leg = make_leg(node);
	else if (generation != leg->generation)
		leg->rtt_ms = 0;
	leg->relay = relay;
	leg->generation = generation;
	leg->listing = relay->listing;
	if (is_new)
		leg->told = ++table->told;
	if (rtt_ms > 0)
		leg->rtt_ms = rtt_ms;
	if (leg->rtt_ms < relay->rtt_min_ms)
		relay->rtt_min_ms = leg->rtt_ms;
	if (leg->rtt_ms < relay->listing_rtt_min_ms)
		relay->listing_rtt_min_ms = leg->rtt_ms;
	return table_node_settle(table, node);
}

void
table_leg_detach(struct table *table, const struct table_relay *relay, const uint8_t id[UUID_BYTES],
		 uint64_t generation)
{
	struct table_node *node = table_find(table, id);
	struct table_leg *leg = node == NULL ? NULL : find_leg(node, relay);

	if (leg != NULL && generation >= leg->generation)
		remove_leg(table, node, (size_t)(leg - node->legs));
}

static bool
is_nearer_home(const struct table_leg *a, const struct table_leg *b)
{
	if (a->relay->draining != b->relay->draining)
		return b->relay->draining;
	return a->told > b->told;
}

const struct table_leg *
table_home_leg(const struct table_node *node)
{
	const struct table_leg *home = NULL;

	for (size_t i = 0; node != NULL && i < node->leg_count; i++) {
		const struct table_leg *leg = &node->legs[i];

		if (leg->relay->alive && (home == NULL || is_nearer_home(leg, home)))
			home = leg;
	}
	return home;
}

void
table_listing_begin(struct table_relay *relay)
{
	relay->listing++;
	relay->listing_rtt_min_ms = HUGE_VAL;
}

static void
remove_unlisted(struct table *table, struct table_node *node, size_t leg)
{
	if (node->legs[leg].listing != node->legs[leg].relay->listing)
		remove_leg(table, node, leg);
}

void
table_listing_end(struct table *table, struct table_relay *relay)
{
	each_node_of(table, relay, remove_unlisted);
	relay->rtt_min_ms = relay->listing_rtt_min_ms;
}
