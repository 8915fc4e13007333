/*
 * routing_links: a link to each relay that discovery names and that is of our group. One that
 * discovery no longer names goes when it does not answer either, so that discovery's death changes
 * nothing.
 */
#include "routing/routing_link.h"

#include "log/log.h"

#include <stdlib.h>
#include <string.h>

enum { SETTLE_MS = 2000 };

static struct routing_link *
find(const struct routing *routing, const char *relay_id)
{
	struct routing_link *link = routing->links;

	while (link != NULL && strcmp(link->relay->id, relay_id) != 0)
		link = link->next;
	return link;
}

static void
remove_link(struct routing *routing, struct routing_link *link)
{
	struct routing_link **at = &routing->links;

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	routing_link_disconnect(link);
	table_relay_remove(&routing->table, link->relay);
	free(link);
}

static bool
is_same_place(const struct routing_link *link, const Boson__Common__Relay *message)
{
	return strcmp(link->bus_endpoint, message->bus_endpoint) == 0 &&
	       strcmp(link->event_endpoint, message->event_endpoint) == 0 &&
	       strcmp(link->bus_key, message->bus_key == NULL ? "" : message->bus_key) == 0;
}

static bool
is_usable(const struct routing *routing, const Boson__Common__Relay *message)
{
	return message->id != NULL && message->group != NULL &&
	       strcmp(message->group, routing->relay_group) == 0 && message->bus_endpoint != NULL &&
	       message->event_endpoint != NULL &&
	       strlen(message->bus_endpoint) < ROUTING_ENDPOINT_BYTES &&
	       strlen(message->event_endpoint) < ROUTING_ENDPOINT_BYTES &&
	       (message->bus_key == NULL || strlen(message->bus_key) < ROUTING_KEY_BYTES);
}

static struct routing_link *
add_link(struct routing *routing, struct table_relay *relay)
{
	struct routing_link *link = calloc(1, sizeof(*link));

	if (link == NULL)
		return NULL;
	link->routing = routing;
	link->relay = relay;
	link->next = routing->links;
	routing->links = link;
	return link;
}

void
routing_links_put(struct routing *routing, const Boson__Common__Relay *message)
{
	struct routing_link *link;
	struct table_relay *relay;
	int error;

	if (!is_usable(routing, message))
		return;
	error = table_relay_put(&routing->table, message, &relay);
	if (error != 0) {
		log_warn("relay_not_indexed", "relay=%s error=%d", message->id, error);
		return;
	}
	if (message->has_load)
		table_relay_set_load(relay, message->load, loop_now_ms(routing->context->loop));
	link = find(routing, relay->id);
	if (link == NULL)
		link = add_link(routing, relay);
	if (link == NULL)
		return;
	link->marked = true;
	link->gone = false;
	if (link->peer != NULL && is_same_place(link, message))
		return;
	routing_link_disconnect(link);
	strcpy(link->bus_endpoint, message->bus_endpoint);
	strcpy(link->event_endpoint, message->event_endpoint);
	strcpy(link->bus_key, message->bus_key == NULL ? "" : message->bus_key);
	error = routing_link_connect(link);
	if (error != 0) {
		log_warn("relay_not_connected", "relay=%s error=%d", relay->id, error);
		remove_link(routing, link);
		return;
	}
	log_info("relay_connected", "relay=%s endpoint=%s", relay->id, link->bus_endpoint);
	routing_link_list(link);
}

void
routing_links_gone(struct routing *routing, const char *relay_id)
{
	struct routing_link *link = find(routing, relay_id);

	if (link != NULL)
		link->gone = true;
}

void
routing_links_mark(struct routing *routing)
{
	for (struct routing_link *link = routing->links; link != NULL; link = link->next)
		link->marked = false;
}

void
routing_links_sweep(struct routing *routing)
{
	for (struct routing_link *link = routing->links; link != NULL; link = link->next)
		if (!link->marked)
			link->gone = true;
}

void
routing_links_tick(struct routing *routing, int64_t now_ms)
{
	struct routing_link *next;

	if (routing->settled_by_ms == 0)
		routing->settled_by_ms = now_ms + SETTLE_MS;
	if (now_ms >= routing->settled_by_ms)
		routing->is_settled = true;
	for (struct routing_link *link = routing->links; link != NULL; link = next) {
		next = link->next;
		if (link->gone && !link->relay->alive) {
			log_info("relay_forgotten", "relay=%s", link->relay->id);
			remove_link(routing, link);
			continue;
		}
		table_relay_age(link->relay, now_ms);
		routing_link_tick(link, now_ms);
	}
}

bool
routing_links_are_settled(const struct routing *routing)
{
	const struct routing_link *link = routing->links;

	while (link != NULL && link->listed_ms != 0)
		link = link->next;
	return link == NULL || routing->is_settled;
}

void
routing_links_stop(struct routing *routing)
{
	while (routing->links != NULL)
		remove_link(routing, routing->links);
}

struct bus_peer *
routing_links_peer(const struct routing *routing, const char *relay_id)
{
	const struct routing_link *link = find(routing, relay_id);

	return link == NULL ? NULL : link->peer;
}

bool
routing_links_describe(const struct routing *routing, const char *relay_id,
		       Boson__Common__Relay *ret)
{
	struct routing_link *link = find(routing, relay_id);

	if (link == NULL)
		return false;
	boson__common__relay__init(ret);
	ret->id = link->relay->id;
	ret->relay_endpoint = link->relay->relay_endpoint;
	if (link->relay->udp_endpoint[0] != '\0')
		ret->udp_endpoint = link->relay->udp_endpoint;
	ret->has_load = 1;
	ret->load = link->relay->load;
	ret->group = link->relay->group;
	ret->bus_endpoint = link->bus_endpoint;
	if (link->bus_key[0] != '\0')
		ret->bus_key = link->bus_key;
	ret->event_endpoint = link->event_endpoint;
	ret->has_draining = 1;
	ret->draining = link->relay->draining;
	return true;
}
