/*
 * relay_hear: what other relays' own events say of nodes' legs.
 */
#include "relay/relay_hear.h"

#include "log/log.h"
#include "loop/clock.h"
#include "relay/relay_control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	CROSSING_MS =
		2000 /* two legs that come within this time may each be unaware of the other */
};

struct heard_from {
	struct relay_control *control;
	struct relay_other *other;
	struct bus_subscription *attached, *detached;
};

/* Ours goes, once, when the other one is newer. */
static void
contest(struct relay_control *control, struct relay_attached *ours, const struct relay_home *theirs)
{
	struct relay_message *message;

	if (ours->is_beaten || !relay_homes_is_newer(theirs->generation, theirs->at->id,
						     ours->generation, control->id))
		return;
	message = relay_message_new(RELAY_NODE_MOVED, ours->node_id, 0);
	if (message == NULL)
		return;
	message->generation = ours->generation;
	if (relay_control_command(control, &message) < 0)
		return;
	ours->is_beaten = true;
	relay_reports_swap(control, ours->node_id, false);
}

void
relay_hear_own(struct relay_control *control, struct relay_attached *ours)
{
	const struct relay_home *theirs = relay_homes_find(&control->homes, ours->node_id);

	if (theirs != NULL && loop_now_ms(control->context->loop) - theirs->since_ms < CROSSING_MS)
		contest(control, ours, theirs);
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
	uint64_t generation = relay_homes_plausible(leg->generation, (uint64_t)clock_wall_us());
	if (!relay_homes_set(&control->homes, node_id, from->other, generation,
			     loop_now_ms(control->context->loop)))
		return;
	struct relay_attached *ours = idtable_find(&control->attached, node_id);
	if (ours != NULL)
		contest(control, ours, relay_homes_find(&control->homes, node_id));
	relay_seek_found(control, node_id, from->other, generation);
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

void
relay_hear_stop(struct relay_other *other)
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

void
relay_hear_start(struct relay_control *control, struct relay_other *other)
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
