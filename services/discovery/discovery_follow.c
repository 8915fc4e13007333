/* discovery_follow: what is in the tables, at start and as other replicas change it. */
#include "discovery/discovery_replicas.h"

#include "discovery/discovery_beats.h"
#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* More than one change can have, so that each page goes on. */
	ROWS_MAX = 2000,
	BEATS_MAX = 16,
	ALL = 1000 * 1000 * 1000,
	CATCH_UPS_A_SECOND = 100, /* strangers cannot make us ask more often */
};

/* One look at the tables. */
struct look {
	struct discovery *discovery;
	int64_t now_ms, wall_ms;
	int64_t change; /* of the last row */
	bool is_load;	/* nobody is to be told */
};

static int
put_row(struct discovery *discovery, const struct discovery_row *row,
	struct registry_node **ret_node)
{
	Boson__Discovery__Node *facts =
		boson__discovery__node__unpack(NULL, row->facts_bytes, row->facts);
	struct registry_node *node = registry_find(&discovery->registry, row->id);
	uint64_t version = node != NULL ? node->version : 0;
	int error = 0;

	if (facts == NULL)
		return -EBADMSG;
	/* A change of keys; whoever had this one before has another by now, or his row follows. */
	if (node != NULL && memcmp(&node->public_key, &row->key, sizeof(row->key)) != 0)
		error = registry_rekey(&discovery->registry, node, &row->key);
	if (error != 0) {
		boson__discovery__node__free_unpacked(facts, NULL);
		return error;
	}
	error = registry_put(&discovery->registry, row->id, &row->key, facts,
			     row->registered_wall_ms, &node);
	if (error != 0)
		return error;
	if (row->version > version)
		node->version = row->version;
	registry_witness(&discovery->registry, row->version);
	node->change = row->change;
	node->tokens_since_ms = row->tokens_since_ms;
	*ret_node = node;
	return 0;
}

/* The row's word on liveness; what we heard ourselves and could not yet write is newer. */
static void
take_liveness(struct look *look, const struct discovery_row *row, struct registry_node *node)
{
	static const struct discovery_vitals none;
	struct registry *registry = &look->discovery->registry;

	if (row->deleted)
		registry_delete(registry, node);
	else if (row->online)
		/* Who was alive when all of us went down gets a full lease: our own absence is
		 * nobody's fault. */
		(void)registry_hear_from(registry, node, REGISTRY_ONLINE, &none, node->version,
					 look->now_ms, row->last_seen_wall_ms);
	else if (!node->unsaved)
		(void)registry_end(registry, node, node->version);
}

/* The node has a ticket, whoever gave it. If all were due at our start, we would do nothing but
 * sign. So each has an hour of its own, the same at each start: then it is renewed, at most one
 * period late; who was not heard of for long gets his at once. */
static void
spread_ticket(const struct look *look, struct registry_node *node)
{
	int64_t period_ms = look->discovery->ticket_lifetime_ms / DISCOVERY_RENEWALS_PER_LIFETIME;
	uint32_t own = 0;

	if (look->wall_ms - node->last_seen_wall_ms > period_ms / 2)
		return;
	memcpy(&own, node->id + UUID_BYTES - sizeof(own), sizeof(own));
	node->ticket_issued_ms = look->now_ms - (look->wall_ms + own) % period_ms;
}

static int
take_row(const struct discovery_row *row, void *arg)
{
	struct look *look = arg;
	struct discovery *discovery = look->discovery;
	struct registry_node *node = registry_find(&discovery->registry, row->id);
	int error;

	look->change = row->change;
	if (node != NULL && !look->is_load && node->change >= row->change)
		return 0;
	error = put_row(discovery, row, &node);
	if (error != 0)
		return error;
	if (row->last_seen_wall_ms > node->last_seen_wall_ms)
		node->last_seen_wall_ms = row->last_seen_wall_ms;
	if (node->ticket_issued_ms == REGISTRY_NEVER)
		spread_ticket(look, node);
	take_liveness(look, row, node);
	if (row->number >= discovery->next_number)
		discovery->next_number = row->number + 1;
	if (!look->is_load)
		discovery_tell_node(discovery, node);
	return 0;
}

static int
take_beats(int64_t change, int64_t heard_wall_ms, const void *bytes, size_t n, void *arg)
{
	struct look *look = arg;
	struct registry *registry = &look->discovery->registry;
	struct beat beat;
	size_t at = 0;
	int r;

	look->change = change;
	while ((r = beats_read(bytes, n, &at, &beat)) > 0) {
		struct registry_node *node = registry_find(registry, beat.id);

		if (node != NULL &&
		    registry_hear_from(registry, node, beat.status, &beat.vitals, beat.version,
				       look->now_ms, heard_wall_ms) &&
		    !look->is_load)
			discovery_tell_node(look->discovery, node);
	}
	if (r < 0)
		log_error("beats_not_read", "change=%lld", (long long)change);
	return 0;
}

static int
take_relay(const void *bytes, size_t n, const char *peer, void *arg)
{
	struct look *look = arg;
	Boson__Common__Relay *relay = boson__common__relay__unpack(NULL, n, bytes);
	struct field_problem problem;
	bool changed = false;

	if (relay == NULL)
		return -EBADMSG;
	if (discovery_check_relay(relay, &problem) == 0 &&
	    discovery_relays_announce(&look->discovery->relays, relay, peer, look->now_ms,
				      &changed) == 0 &&
	    changed && !look->is_load)
		discovery_tell_relay(look->discovery, relay, false);
	boson__common__relay__free_unpacked(relay, NULL);
	return 0;
}

/* A page that is full may have cut a change in two: the next begins with it. */
static int
follow_rows(struct look *look, struct discovery_span span)
{
	int n;

	while ((n = discovery_store_changed(look->discovery->store, &span, ROWS_MAX, take_row,
					    look)) == ROWS_MAX)
		span.after = look->change - 1;
	return n < 0 ? n : 0;
}

static int
follow_beats(struct look *look, struct discovery_span span)
{
	int n;

	while ((n = discovery_store_beats(look->discovery->store, &span, BEATS_MAX, take_beats,
					  look)) == BEATS_MAX)
		span.after = look->change - 1;
	return n < 0 ? n : 0;
}

static int
follow_until(struct discovery *discovery, int64_t until, int64_t now_ms)
{
	struct look look = { .discovery = discovery, .now_ms = now_ms, .wall_ms = clock_wall_ms() };
	struct discovery_span span = { discovery->position, until, discovery->writer };
	int r = follow_rows(&look, span);

	if (r == 0)
		r = follow_beats(&look, span);
	if (r == 0)
		r = discovery_store_relays(discovery->store, &span, take_relay, &look);
	if (r == 0)
		discovery->position = until;
	return r;
}

int
discovery_follow(struct discovery *discovery)
{
	int64_t now_ms = clock_monotonic_ms(), until = 0;
	int r = discovery_store_last_change(discovery->store, &until);

	if (r == 0 && until > discovery->position)
		r = follow_until(discovery, until, now_ms);
	if (r != 0) {
		log_warn("replicas_not_followed", "error=%d", r);
		return r;
	}
	if (now_ms - discovery->followed_ms > DISCOVERY_BLIND_MS)
		registry_forgive(&discovery->registry, now_ms);
	discovery->followed_ms = now_ms;
	return 0;
}

bool
discovery_catch_up(struct discovery *discovery)
{
	int64_t now_ms = clock_monotonic_ms();

	if (!discovery->is_shared)
		return false;
	if (now_ms - discovery->catch_up_ms >= 1000) {
		discovery->catch_up_ms = now_ms;
		discovery->catch_ups = 0;
	}
	return discovery->catch_ups++ < CATCH_UPS_A_SECOND && discovery_follow(discovery) == 0;
}

int
discovery_load(struct discovery *discovery)
{
	int64_t now_ms = clock_monotonic_ms(), until = 0;
	struct look look = { .discovery = discovery,
			     .now_ms = now_ms,
			     .wall_ms = clock_wall_ms(),
			     .is_load = true };
	struct discovery_span span = { .not_writer = discovery->writer };
	int r = discovery_store_last_change(discovery->store, &until);

	span.until = until;
	if (r == 0)
		r = discovery_store_each(discovery->store, take_row, &look);
	if (r == 0)
		r = discovery_store_beats(discovery->store, &span, ALL, take_beats, &look);
	if (r >= 0)
		r = discovery_store_relays(discovery->store, &span, take_relay, &look);
	discovery->position = until;
	discovery->followed_ms = now_ms;
	return r < 0 ? r : 0;
}
