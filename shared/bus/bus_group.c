/*
 * bus_group: a peer that stands for several servers (replicas of one service). Each is a peer of
 * its own, a member; the group's calls are pending on the group, and asked of one member at a time.
 *
 * All calls go to one member as long as it is there and answers pings: what one caller wrote, it
 * reads. When it goes, another takes its place; what had not been sent yet goes there too, and what
 * had been sent if its method may be repeated (bus_set_rules). Members connect by themselves;
 * bus_places says which there are.
 */
#include "bus/bus_inside.h"

#include "bus/bus_places.h"
#include "log/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PING_PERIOD_MS = 1000, PING_PATIENCE_MS = 2000 };

struct member {
	struct bus_group *group;
	struct bus_peer *peer; /* NULL: a free place */
	bool pinging, silent;
};

struct bus_group {
	struct bus_peer *peer; /* that stands for us */
	struct bus_places *places;
	char server_key[BUS_KEY_TEXT_BYTES];
	struct member members[BUS_PLACES_MAX];
	size_t current; /* the one that is asked */
	struct loop_timer *ping_timer;
};

/* One way of a call to a member. */
struct attempt {
	struct bus_peer *group_peer, *member;
	uint64_t correlation;
	size_t place;
};

static bool
is_tried(const struct bus_pending *pending, size_t place)
{
	return (pending->tried & (UINT32_C(1) << place)) != 0;
}

/* A member that this call may go to, those that answer first; -1: none. */
static int
choose(struct bus_group *group, const struct bus_pending *pending)
{
	int silent = -1;

	for (size_t k = 0; k < BUS_PLACES_MAX; k++) {
		size_t i = (group->current + k) % BUS_PLACES_MAX;
		const struct member *member = &group->members[i];

		if (!member->peer || member->peer->state != BUS_PEER_UP || is_tried(pending, i))
			continue;
		if (!member->silent) {
			group->current = i;
			return (int)i;
		}
		if (silent < 0)
			silent = (int)i;
	}
	return silent;
}

/* Is there hope that some member comes up soon? */
static bool
is_coming(const struct bus_group *group)
{
	for (size_t i = 0; i < BUS_PLACES_MAX; i++)
		if (group->members[i].peer && group->members[i].peer->state == BUS_PEER_CONNECTING)
			return true;
	return bus_places_is_open(group->places);
}

static bool
may_repeat(const struct bus_pending *pending)
{
	return pending->ping ||
	       bus_rule_repeats(pending->peer->bus, pending->peer->methods[pending->method]);
}

static void on_answer(const ProtobufCMessage *reply, void *arg);
static void on_pong(bool alive, uint32_t round_trip_us, void *arg);

/* As bus_pending_send. */
static int
send_to(struct bus_group *group, struct bus_pending *pending, size_t place)
{
	struct attempt *attempt = malloc(sizeof(*attempt));

	if (!attempt)
		return -ENOMEM;
	*attempt = (struct attempt){ group->peer, group->members[place].peer, pending->correlation,
				     place };
	int r = bus_peer_ask(attempt->member, pending, on_answer, pending->ping ? on_pong : NULL,
			     attempt);
	if (r < 0) {
		free(attempt);
		return r;
	}
	if (pending->state != BUS_PENDING_SENT)
		group->peer->n_sent++;
	pending->state = BUS_PENDING_SENT;
	pending->tried |= UINT32_C(1) << place;
	pending->place = place;
	return 0;
}

static void
wait_for_member(struct bus_pending *pending)
{
	if (pending->state == BUS_PENDING_SENT)
		pending->peer->n_sent--;
	bus_waiting_add(pending);
}

static int
place_call(struct bus_group *group, struct bus_pending *pending)
{
	int place = choose(group, pending);

	if (place >= 0)
		return send_to(group, pending, (size_t)place);
	if (!is_coming(group))
		return -EHOSTDOWN;
	if (group->peer->n_waiting >= BUS_HWM_MESSAGES)
		return -EAGAIN;
	wait_for_member(pending);
	return 0;
}

int
bus_group_start(struct bus_pending *pending, const void *body, size_t n)
{
	int r = bus_pending_keep_body(pending, body, n);

	return r < 0 ? r : place_call(pending->peer->group, pending);
}

/* Did this failure say that the member, not the call, is the trouble? A pending that was given up
 * by its member's own bus may not even have been sent. */
static bool
may_go_elsewhere(const struct bus_pending *pending, const struct bus_peer *member)
{
	const struct bus_result *result = &member->result;

	if (pending->peer->closing || result->status != BUS_UNAVAILABLE)
		return false;
	if (!member->ended_here)
		return strcmp(result->code, "stopping") == 0 && may_repeat(pending);
	return member->ended_unsent || may_repeat(pending);
}

static void
attempt_ended(const struct attempt *attempt, const ProtobufCMessage *reply)
{
	struct bus_pending *pending = bus_pending_find(attempt->group_peer, attempt->correlation);
	struct bus_result result = attempt->member->result;

	/* Over; or this was not the last attempt, and that one still counts. */
	if (!pending || (result.status != BUS_OK && pending->place != attempt->place))
		return;
	if (may_go_elsewhere(pending, attempt->member) &&
	    place_call(attempt->group_peer->group, pending) == 0)
		return;
	bus_pending_finish(pending, &result, reply);
}

static void
on_answer(const ProtobufCMessage *reply, void *arg)
{
	struct attempt attempt = *(struct attempt *)arg;

	free(arg);
	attempt_ended(&attempt, reply);
}

static void
on_pong(bool alive, uint32_t round_trip_us, void *arg)
{
	struct attempt attempt = *(struct attempt *)arg;

	(void)alive, (void)round_trip_us; /* the member's result says it too */
	free(arg);
	attempt_ended(&attempt, NULL);
}

/* ---- who is there ---- */

/* What waited for somebody to come goes to who has come, or nobody will. */
static void
settle_waiting(struct bus_group *group)
{
	struct bus_pending *next = bus_waiting_take_all(group->peer);

	while (next) {
		struct bus_pending *pending = next;
		next = pending->next;
		int r = place_call(group, pending);
		if (r < 0)
			bus_pending_fail_send(pending, r);
	}
}

static void
member_fini(struct member *member)
{
	struct bus_peer *peer = member->peer;

	member->peer = NULL;
	bus_peer_free(&peer);
}

void
bus_group_member_is_up(struct bus_peer *peer)
{
	settle_waiting(peer->parent);
}

void
bus_group_member_is_down(struct bus_peer *peer)
{
	struct bus_group *group = peer->parent;

	for (size_t i = 0; i < BUS_PLACES_MAX; i++) {
		struct member *member = &group->members[i];

		if (member->peer != peer)
			continue;
		member->silent = false;
		if (!bus_places_has(group->places, peer->endpoint))
			member_fini(member);
	}
	bus_places_look_again(group->places);
	settle_waiting(group);
}

static void
resend_of(struct bus_group *group, size_t place)
{
	struct bus_peer *peer = group->peer;

	for (size_t i = 0; i < peer->n_slots; i++) {
		struct bus_pending *pending = peer->slots[i];

		if (pending->state != BUS_PENDING_SENT || pending->place != place ||
		    !may_repeat(pending))
			continue;
		int other = choose(group, pending);
		if (other >= 0 && !group->members[other].silent)
			(void)send_to(group, pending, (size_t)other);
	}
}

static void
on_member_pong(bool alive, uint32_t round_trip_us, void *arg)
{
	struct member *member = arg;
	struct bus_group *group = member->group;

	(void)round_trip_us;
	member->pinging = false;
	if (!member->peer)
		return;
	if (member->silent == alive)
		log_warn("peer_silent", "peer=%s endpoint=%s silent=%d",
			 member->peer->service.descriptor->short_name, member->peer->endpoint,
			 !alive);
	member->silent = !alive;
	if (!alive)
		resend_of(group, (size_t)(member - group->members));
}

static void
on_ping_timer(struct loop *loop, void *arg)
{
	struct bus_group *group = arg;

	(void)loop;
	for (size_t i = 0; i < BUS_PLACES_MAX; i++) {
		struct member *member = &group->members[i];

		if (!member->peer || member->peer->state != BUS_PEER_UP || member->pinging)
			continue;
		member->pinging = true;
		bus_peer_ping(member->peer, PING_PATIENCE_MS, on_member_pong, member);
	}
}

static bool
has_member(const struct bus_group *group, const char *endpoint)
{
	for (size_t i = 0; i < BUS_PLACES_MAX; i++)
		if (group->members[i].peer &&
		    strcmp(group->members[i].peer->endpoint, endpoint) == 0)
			return true;
	return false;
}

static int
add_member(struct bus_group *group, const char *endpoint)
{
	size_t i = 0;

	while (i < BUS_PLACES_MAX && (group->members[i].peer || group->members[i].pinging))
		i++;
	if (i == BUS_PLACES_MAX)
		return 0; /* enough of them */
	group->members[i] = (struct member){ .group = group };
	return bus_peer_new_member(group, group->peer->bus, endpoint,
				   group->server_key[0] ? group->server_key : NULL,
				   group->peer->service.descriptor, &group->members[i].peer);
}

static int
add_members(struct bus_group *group)
{
	const char *endpoint;
	int r = 0;

	for (size_t i = 0; r == 0 && (endpoint = bus_places_at(group->places, i)); i++)
		if (!has_member(group, endpoint))
			r = add_member(group, endpoint);
	return r;
}

static void
on_places(void *arg)
{
	struct bus_group *group = arg;
	int r = add_members(group);

	if (r < 0)
		log_warn("peer_not_added", "peer=%s error=%d",
			 group->peer->service.descriptor->short_name, r);
	for (size_t i = 0; i < BUS_PLACES_MAX; i++) {
		struct member *member = &group->members[i];

		if (member->peer && member->peer->state != BUS_PEER_UP &&
		    !bus_places_has(group->places, member->peer->endpoint))
			member_fini(member);
	}
	settle_waiting(group);
}

/* ---- making and end ---- */

int
bus_group_new(struct bus_peer *peer, const char *endpoints, const char *server_key)
{
	struct bus_group *group = calloc(1, sizeof(*group));
	int r;

	if (!group)
		return -ENOMEM;
	group->peer = peer;
	peer->group = group;
	group->current = (size_t)(bus_random(peer->bus) % BUS_PLACES_MAX);
	if (server_key && strlen(server_key) >= sizeof(group->server_key))
		return -EINVAL;
	if (server_key)
		strcpy(group->server_key, server_key);
	r = bus_places_new(peer->bus->loop, endpoints, on_places, group, &group->places);
	if (r == 0)
		r = add_members(group);
	if (r == 0)
		r = loop_timer_start(peer->bus->loop, PING_PERIOD_MS, PING_PERIOD_MS, on_ping_timer,
				     group, &group->ping_timer);
	return r;
}

void
bus_group_close(struct bus_group *group)
{
	loop_timer_stop(&group->ping_timer);
	for (size_t i = 0; i < BUS_PLACES_MAX; i++)
		member_fini(&group->members[i]);
	bus_places_free(&group->places);
}
