/*
 * relay_others: what is known stays known while discovery is down.
 */
#include "relay/relay_others.h"

#include "discovery.pb-c.h"
#include "relay/relay_control.h"
#include "relay/relay_hear.h"
#include "relay/relay_udp_peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	OTHERS_MAX = 256,
	LIST_EVERY_MS = 5000,
	LIST_FIRST_MS = 500,
	FORGET_MS = 60 * 1000, /* a relay that no list named for so long, while lists came */
	ASK_TIMEOUT_MS = 1000,
	LIST_MAX = 200,
	URLS_MAX = 16,
};

static struct relay_other *
find_other(const struct relay_control *control, const char *id)
{
	struct relay_other *other = control->others;

	while (other != NULL && strcmp(other->id, id) != 0)
		other = other->next;
	return other;
}

static void
copy_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from != NULL ? from : "");
}

static struct relay_other *
add_other(struct relay_control *control, const char *id)
{
	struct relay_other *other =
		control->other_count < OTHERS_MAX ? calloc(1, sizeof(*other)) : NULL;

	if (other == NULL)
		return NULL;
	copy_text(other->id, sizeof(other->id), id);
	other->next = control->others;
	control->others = other;
	control->other_count++;
	return other;
}

/* routing, too, names relays, and does not say these. */
static void
note_udp(struct relay_control *control, struct relay_other *other,
	 const Boson__Common__Relay *relay)
{
	struct relay_udp_sources sources;

	relay_udp_sources_read(relay, &sources);
	if (sources.n == 0 || memcmp(&other->udp, &sources, sizeof(sources)) == 0)
		return;
	other->udp = sources;
	relay_udp_peers_tell(control);
}

struct relay_other *
relay_others_note(struct relay_control *control, const Boson__Common__Relay *relay)
{
	bool is_ours = relay->group == NULL || strcmp(relay->group, control->settings.group) == 0;

	if (relay->id == NULL || strcmp(relay->id, control->id) == 0 || !is_ours ||
	    relay->bus_endpoint == NULL || strlen(relay->id) >= RELAY_HOME_NAME_BYTES)
		return NULL;
	struct relay_other *other = find_other(control, relay->id);
	bool is_moved = other == NULL || strcmp(other->bus_endpoint, relay->bus_endpoint) != 0;
	if (other == NULL && (other = add_other(control, relay->id)) == NULL)
		return NULL;
	copy_text(other->bus_endpoint, sizeof(other->bus_endpoint), relay->bus_endpoint);
	copy_text(other->bus_key, sizeof(other->bus_key), relay->bus_key);
	copy_text(other->event_endpoint, sizeof(other->event_endpoint), relay->event_endpoint);
	copy_text(other->url, sizeof(other->url), relay->relay_endpoint);
	other->load = relay->load;
	other->is_draining = relay->draining;
	other->heard_ms = loop_now_ms(control->context->loop);
	note_udp(control, other, relay);
	if (is_moved) {
		relay_hear_stop(other);
		if (*other->event_endpoint != '\0')
			relay_hear_start(control, other);
	}
	return other;
}

static void
forget_other(struct relay_control *control, struct relay_other *other)
{
	struct relay_other **at = &control->others;

	while (*at != other)
		at = &(*at)->next;
	*at = other->next;
	control->other_count--;
	relay_hear_stop(other);
	relay_homes_forget(&control->homes, other);
	relay_udp_peers_tell(control);
	free(other);
}

static void
on_relays(const Boson__Discovery__ListRelaysReply *reply, void *arg)
{
	struct relay_control *control = arg;
	int64_t now_ms = loop_now_ms(control->context->loop);
	struct relay_other *next;

	if (reply == NULL || control->homes.homes.buckets == NULL)
		return;
	for (size_t i = 0; i < reply->n_relays; i++)
		relay_others_note(control, reply->relays[i]);
	for (struct relay_other *other = control->others; other != NULL; other = next) {
		next = other->next;
		if (now_ms - other->heard_ms > FORGET_MS)
			forget_other(control, other);
	}
	relay_udp_peers_retry(control);
}

static void
list_relays(struct relay_control *control)
{
	Boson__Discovery__ListRelaysRequest request = BOSON__DISCOVERY__LIST_RELAYS_REQUEST__INIT;

	request.has_limit = 1;
	request.limit = LIST_MAX;
	bus_peer_next(control->discovery, ASK_TIMEOUT_MS, NULL);
	boson__discovery__discovery__list_relays(bus_peer_service(control->discovery), &request,
						 on_relays, control);
}

static void
on_relay_changed(const ProtobufCMessage *event, bool gap, void *arg)
{
	const Boson__Discovery__RelayChanged *change =
		(const Boson__Discovery__RelayChanged *)(const void *)event;
	struct relay_control *control = arg;

	if (gap)
		control->list_at_ms = 0;
	if (change != NULL && change->relay != NULL && !change->gone)
		relay_others_note(control, change->relay);
}

size_t
relay_others_urls(const struct relay_control *control, char (*ret)[RELAY_OTHERS_URL_BYTES],
		  size_t max)
{
	const struct relay_other *best[URLS_MAX];
	size_t n = 0;

	max = max < URLS_MAX ? max : URLS_MAX;
	for (const struct relay_other *other = control->others; other != NULL;
	     other = other->next) {
		size_t i = n;

		if (other->is_draining || *other->url == '\0')
			continue;
		while (i > 0 && best[i - 1]->load > other->load)
			i--;
		if (i >= max)
			continue;
		n += n < max;
		memmove(&best[i + 1], &best[i], (n - 1 - i) * sizeof(best[0]));
		best[i] = other;
	}
	for (size_t i = 0; i < n; i++)
		copy_text(ret[i], RELAY_OTHERS_URL_BYTES, best[i]->url);
	return n;
}

void
relay_others_look(struct relay_control *control, int64_t now_ms)
{
	if (now_ms < control->list_at_ms)
		return;
	control->list_at_ms = now_ms + LIST_EVERY_MS;
	list_relays(control);
}

int
relay_others_start(struct relay_control *control)
{
	const struct actor_context *context = control->context;

	control->list_at_ms = loop_now_ms(context->loop) + LIST_FIRST_MS;
	return bus_subscribe(context->bus, actor_event_endpoint(context, "discovery"),
			     actor_server_key(context, "discovery"),
			     &boson__discovery__relay_changed__descriptor, on_relay_changed,
			     control, &control->relay_changes);
}

void
relay_others_stop(struct relay_control *control)
{
	if (control->relay_changes != NULL)
		bus_unsubscribe(&control->relay_changes);
	while (control->others != NULL)
		forget_other(control, control->others);
}
