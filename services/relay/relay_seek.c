/*
 * relay_seek: see relay_seek.h. What is known stays known while discovery and routing are down:
 * other relays' own events go on, and say where nodes are.
 */
#include "relay/relay_seek.h"

#include "discovery.pb-c.h"
#include "log/log.h"
#include "loop/clock.h"
#include "relay/relay_control.h"
#include "relay/relay_mesh.h"
#include "relay/relay_mesh_wire.h"
#include "routing.pb-c.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	OTHERS_MAX = 256,
	LIST_EVERY_MS = 5000,
	LIST_FIRST_MS = 500,
	FORGET_MS = 60 * 1000, /* a relay that no list named for so long, while lists came */
	LOOK_EVERY_MS = 100,
	AGAIN_MS = 500,
	ASK_TIMEOUT_MS = 1000,
	ASKED_MAX = 512, /* questions to routing under way */
	LIST_MAX = 200,
	SEEK_URLS_MAX = 16,
};

/* ---- other relays ---- */

struct heard_from {
	struct relay_control *control;
	struct relay_other *other;
	struct bus_subscription *attached, *detached;
};

static struct relay_other *
find_other(const struct relay_control *control, const char *id)
{
	struct relay_other *other = control->others;

	while (other != NULL && strcmp(other->id, id) != 0)
		other = other->next;
	return other;
}

static void tie(struct relay_control *control, struct relay_sought *sought,
		const struct relay_other *at, uint64_t generation);

/* The newest proven leg wins, wherever it is. */
static void
tell_moved(struct relay_control *control, const uint8_t node_id[UUID_BYTES], uint64_t generation)
{
	struct relay_message *message = relay_message_new(RELAY_NODE_MOVED, node_id, 0);

	if (message == NULL)
		return;
	message->generation = generation;
	relay_control_command(control, &message);
}

static void
on_leg_attached(const ProtobufCMessage *event, bool gap, void *arg)
{
	const Boson__Relay__LegAttached *leg =
		(const Boson__Relay__LegAttached *)(const void *)event;
	struct heard_from *from = arg;
	struct relay_control *control = from->control;
	uint8_t node_id[UUID_BYTES];

	(void)gap; /* routing is asked for what was missed */
	if (leg == NULL || leg->node_id == NULL || uuid_parse(leg->node_id, node_id) < 0)
		return;
	const struct relay_home *known = relay_homes_find(&control->homes, node_id);
	bool is_new = known == NULL || known->generation != leg->generation;
	if (!relay_homes_set(&control->homes, node_id, from->other, leg->generation))
		return;
	const struct relay_attached *here = idtable_find(&control->attached, node_id);
	if (is_new && here != NULL && here->generation < leg->generation) {
		tell_moved(control, node_id, leg->generation);
		relay_reports_swap(control, node_id, false);
	}
	struct relay_sought *sought = relay_homes_sought(&control->homes, node_id);
	if (sought != NULL && (!sought->is_tied || leg->generation > sought->generation))
		tie(control, sought, from->other, leg->generation);
}

static void
on_leg_detached(const ProtobufCMessage *event, bool gap, void *arg)
{
	const Boson__Relay__LegDetached *leg =
		(const Boson__Relay__LegDetached *)(const void *)event;
	struct heard_from *from = arg;
	uint8_t node_id[UUID_BYTES];

	(void)gap;
	if (leg != NULL && leg->node_id != NULL && uuid_parse(leg->node_id, node_id) == 0)
		relay_homes_unset(&from->control->homes, node_id, from->other, leg->generation);
}

static void
stop_hearing(struct relay_other *other)
{
	struct heard_from *from = other->user;

	other->user = NULL;
	if (from == NULL)
		return;
	if (from->attached != NULL)
		bus_unsubscribe(&from->attached);
	if (from->detached != NULL)
		bus_unsubscribe(&from->detached);
	free(from);
}

static void
start_hearing(struct relay_control *control, struct relay_other *other)
{
	struct bus *bus = control->context->bus;
	const char *key = *other->bus_key != '\0' ? other->bus_key : NULL;
	struct heard_from *from = calloc(1, sizeof(*from));
	int r = from != NULL ? 0 : -ENOMEM;

	if (r == 0) {
		from->control = control;
		from->other = other;
		other->user = from;
		r = bus_subscribe(bus, other->event_endpoint, key,
				  &boson__relay__leg_attached__descriptor, on_leg_attached, from,
				  &from->attached);
	}
	if (r == 0)
		r = bus_subscribe(bus, other->event_endpoint, key,
				  &boson__relay__leg_detached__descriptor, on_leg_detached, from,
				  &from->detached);
	if (r < 0)
		log_warn("relay_hear", "relay=%s reason=\"%s\"", other->id, strerror(-r));
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

/* NULL: ourselves, another group's, or one without a bus. */
static struct relay_other *
note_other(struct relay_control *control, const Boson__Common__Relay *relay)
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
		stop_hearing(other);
		if (*other->event_endpoint != '\0')
			start_hearing(control, other);
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
	stop_hearing(other);
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
		note_other(control, reply->relays[i]);
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
		note_other(control, change->relay);
}

size_t
relay_seek_urls(const struct relay_control *control, char (*ret)[RELAY_SEEK_URL_BYTES], size_t max)
{
	const struct relay_other *best[SEEK_URLS_MAX];
	size_t n = 0;

	max = max < SEEK_URLS_MAX ? max : SEEK_URLS_MAX;
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
		copy_text(ret[i], RELAY_SEEK_URL_BYTES, best[i]->url);
	return n;
}

/* ---- nodes ---- */

static void
tie(struct relay_control *control, struct relay_sought *sought, const struct relay_other *at,
    uint64_t generation)
{
	char node[UUID_TEXT_BYTES];

	if (control->mesh == NULL ||
	    relay_mesh_tie(control->mesh, sought->node_id, generation, at->id, at->bus_endpoint,
			   *at->bus_key != '\0' ? at->bus_key : NULL) < 0)
		return;
	sought->is_tied = true;
	sought->generation = generation;
	sought->next_ms = loop_now_ms(control->context->loop) + AGAIN_MS;
	uuid_format(sought->node_id, node);
	log_info("node_tied", "node=%s relay=%s generation=%llu", node, at->id,
		 (unsigned long long)generation);
}

struct question {
	struct relay_control *control;
	uint8_t node_id[UUID_BYTES];
};

static void
on_located(const Boson__Routing__LocateNodeReply *reply, void *arg)
{
	struct question *question = arg;
	struct relay_control *control = question->control;
	struct relay_sought *sought = relay_homes_sought(&control->homes, question->node_id);

	control->asked--;
	if (sought != NULL)
		sought->is_asked = false;
	if (sought != NULL && !sought->is_tied && reply != NULL && reply->relay != NULL) {
		struct relay_other *at = note_other(control, reply->relay);
		if (at != NULL &&
		    relay_homes_set(&control->homes, question->node_id, at, reply->generation))
			tie(control, sought, at, reply->generation);
	}
	free(question);
}

static void
ask(struct relay_control *control, struct relay_sought *sought)
{
	Boson__Routing__LocateNodeRequest request = BOSON__ROUTING__LOCATE_NODE_REQUEST__INIT;
	struct question *question = control->asked < ASKED_MAX ? malloc(sizeof(*question)) : NULL;
	char node[UUID_TEXT_BYTES];

	if (question == NULL)
		return;
	question->control = control;
	memcpy(question->node_id, sought->node_id, UUID_BYTES);
	uuid_format(sought->node_id, node);
	request.node_id = node;
	sought->is_asked = true;
	control->asked++;
	bus_peer_next(control->routing, ASK_TIMEOUT_MS, NULL);
	boson__routing__routing__locate_node(bus_peer_service(control->routing), &request,
					     on_located, question);
}

static void
look_for(struct relay_control *control, struct relay_sought *sought)
{
	const struct relay_home *home = relay_homes_find(&control->homes, sought->node_id);
	int64_t now_ms = loop_now_ms(control->context->loop);

	if (sought->is_tied || sought->is_asked || now_ms < sought->next_ms)
		return;
	sought->next_ms = now_ms + AGAIN_MS + relay_control_dice(control, AGAIN_MS);
	if (home != NULL)
		tie(control, sought, home->at, home->generation);
	else
		ask(control, sought);
}

void
relay_seek_node(struct relay_control *control, const uint8_t node_id[UUID_BYTES])
{
	struct relay_sought *sought;

	if (control->mesh == NULL)
		return;
	sought = relay_homes_seek(&control->homes, node_id);
	if (sought == NULL)
		return;
	/* A way that was lost was the wrong one, unless news of it came since. */
	const struct relay_home *home = relay_homes_find(&control->homes, node_id);
	if (sought->is_tied && home != NULL && home->generation <= sought->generation)
		relay_homes_unset(&control->homes, node_id, home->at, home->generation);
	sought->is_tied = false;
	look_for(control, sought);
}

void
relay_seek_end(struct relay_control *control, const uint8_t node_id[UUID_BYTES])
{
	relay_homes_settle(&control->homes, node_id);
}

static void
on_look(struct loop *loop, void *arg)
{
	struct relay_control *control = arg;

	if (loop_now_ms(loop) >= control->list_at_ms) {
		control->list_at_ms = loop_now_ms(loop) + LIST_EVERY_MS;
		list_relays(control);
	}
	for (struct relay_sought *sought = idtable_next(&control->homes.sought, NULL);
	     sought != NULL; sought = idtable_next(&control->homes.sought, sought))
		look_for(control, sought);
}

/* ---- start ---- */

int
relay_seek_start(struct relay_control *control)
{
	const struct actor_context *context = control->context;
	const char *discovery_key = actor_server_key(context, "discovery");
	int r = relay_homes_init(&control->homes);

	if (r == 0)
		r = bus_peer_new(context->bus, actor_endpoint(context, "routing"),
				 actor_server_key(context, "routing"),
				 &boson__routing__routing__descriptor, &control->routing);
	if (r == 0)
		r = bus_subscribe(context->bus, actor_event_endpoint(context, "discovery"),
				  discovery_key, &boson__discovery__relay_changed__descriptor,
				  on_relay_changed, control, &control->relay_changes);
	control->list_at_ms = loop_now_ms(context->loop) + LIST_FIRST_MS;
	if (r == 0)
		r = loop_timer_start(context->loop, LOOK_EVERY_MS, LOOK_EVERY_MS, on_look, control,
				     &control->look_timer);
	return r;
}

void
relay_seek_stop(struct relay_control *control)
{
	if (control->look_timer != NULL)
		loop_timer_stop(&control->look_timer);
	if (control->relay_changes != NULL)
		bus_unsubscribe(&control->relay_changes);
	if (control->routing != NULL)
		bus_peer_free(&control->routing); /* its questions end */
	while (control->others != NULL)
		forget_other(control, control->others);
	relay_homes_fini(&control->homes);
}
