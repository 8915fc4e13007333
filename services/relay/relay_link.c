/*
 * relay_link: packs what the relay says, checks and passes on what a node says. A client has
 * nothing to say here.
 */
#include "relay/relay_link.h"

#include "bus/bus.h"
#include "leg/leg_frame.h"
#include "relay/relay_drops.h"
#include "relay/relay_mail.h"
#include "relay/relay_output.h"
#include "relay/relay_shard.h"

#include <stdlib.h>
#include <string.h>

enum {
	DRAIN_TRY_FOR_MS = 60 * 1000,
	CONTROL_SMALL_BYTES = 512,
	CONTROL_BURST = 256,
	CONTROL_PER_SEC = 200, /* from one node */
	CONTROL_REFILL_MS = 100,
	/* More than this waiting: the leg is lost. A node may have to hear of all its channels. */
	CLIENT_CONTROL_BYTES = 256 * 1024,
	NODE_CONTROL_BYTES = 1024 * 1024,
	CHANNEL_CONTROL_BYTES = 256, /* its end and its beginning */
};

/* What goes with the next flush takes memory for a moment only. For a leg that is held up it is
 * bounded like all other, as far as others' data makes room. Datagrams may be dropped, these may
 * not: who does not take them goes. */
static bool
may_wait(struct relay_shard *shard, const struct relay_leg *leg, size_t n)
{
	const struct fair_list *control = &leg->outbox.control;
	uint64_t most = CLIENT_CONTROL_BYTES;

	if (!leg->is_blocked && !leg->is_held)
		return true;
	if (leg->node != NULL)
		most = NODE_CONTROL_BYTES +
		       (uint64_t)shard->settings->channels_max * CHANNEL_CONTROL_BYTES;
	return control->bytes + n + (control->count + 1) * (uint64_t)FAIR_ITEM_COST_BYTES <= most &&
	       relay_drops_make_room(shard, n);
}

void
relay_link_send_frame(struct relay_shard *shard, struct relay_leg *leg, enum ws_opcode opcode,
		      const uint8_t *payload, size_t n)
{
	if (!relay_leg_is_open(leg))
		return;
	if (!may_wait(shard, leg, n)) {
		relay_count(&shard->counters, RELAY_CLOSED_STALLED, 1);
		return relay_leg_doom(shard, leg, 0, "does not take control messages");
	}
	struct fair_item *item = malloc(sizeof(*item) + WS_HEADER_OUT_MAX_BYTES + n);
	if (item == NULL)
		return relay_leg_doom(shard, leg, WS_CLOSE_INTERNAL, "out of memory");
	size_t header = ws_header_write(item->bytes, opcode, n);
	memcpy(item->bytes + header, payload, n);
	item->n = (uint32_t)(header + n);
	item->queued_at_ms = shard->now_ms;
	fair_list_push(&leg->outbox.control, item);
	relay_output_account(shard, leg);
	relay_round_mark(shard, leg);
}

void
relay_link_send(struct relay_shard *shard, struct relay_leg *leg, const uint8_t *packed, size_t n)
{
	uint8_t small[CONTROL_SMALL_BYTES];

	if (leg->is_raw)
		return; /* it knows datagrams only */
	uint8_t *message = 1 + n <= sizeof(small) ? small : malloc(1 + n);

	if (message == NULL)
		return;
	message[0] = LEG_KIND_CONTROL;
	memcpy(message + 1, packed, n);
	relay_count(&shard->counters, RELAY_CONTROL_OUT, 1);
	relay_link_send_frame(shard, leg, WS_OPCODE_BINARY, message, 1 + n);
	if (message != small)
		free(message);
}

static void
send_control(struct relay_shard *shard, struct relay_leg *leg, const Boson__Link__Control *control)
{
	uint8_t packed[CONTROL_SMALL_BYTES];

	/* All that is said here is short: ids, numbers, our own reasons. */
	if (boson__link__control__get_packed_size(control) <= sizeof(packed))
		relay_link_send(shard, leg, packed, boson__link__control__pack(control, packed));
}

void
relay_link_channel_open(struct relay_shard *shard, struct relay_channel *channel)
{
	Boson__Link__ChannelOpen open = BOSON__LINK__CHANNEL_OPEN__INIT;
	Boson__Link__Control control = BOSON__LINK__CONTROL__INIT;
	char session[UUID_TEXT_BYTES];

	uuid_format(channel->session_id, session);
	open.has_channel = 1;
	open.channel = channel->number;
	if (relay_channel_has_session(channel))
		open.session_id = session;
	/* Between relays; without one: one of several legs of its session. */
	open.has_generation = channel->node->leg->carrier != NULL && channel->generation != 0;
	open.generation = channel->generation;
	control.body_case = BOSON__LINK__CONTROL__BODY_CHANNEL_OPEN;
	control.channel_open = &open;
	send_control(shard, channel->node->leg, &control);
	fair_lane_begin(&channel->node->leg->outbox, &channel->to_node.fair);
}

void
relay_link_channel_close(struct relay_shard *shard, struct relay_leg *leg, uint32_t number,
			 uint16_t code, const char *reason)
{
	Boson__Link__ChannelClose close = BOSON__LINK__CHANNEL_CLOSE__INIT;
	Boson__Link__Control control = BOSON__LINK__CONTROL__INIT;
	char text[WS_CLOSE_REASON_MAX_BYTES + 1];

	close.has_channel = 1;
	close.channel = number;
	close.has_code = code != 0;
	close.code = code;
	strncpy(text, reason, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	close.reason = text;
	control.body_case = BOSON__LINK__CONTROL__BODY_CHANNEL_CLOSE;
	control.channel_close = &close;
	send_control(shard, leg, &control);
}

void
relay_link_drain(struct relay_shard *shard, struct relay_leg *leg, const char *other_relay,
		 uint32_t spread_ms)
{
	Boson__Link__Drain drain = BOSON__LINK__DRAIN__INIT;
	Boson__Link__Control control = BOSON__LINK__CONTROL__INIT;

	drain.has_reconnect_in_ms = 1;
	drain.reconnect_in_ms = relay_shard_dice(shard, spread_ms + 1);
	drain.other_relay = *other_relay != '\0' ? (char *)(uintptr_t)other_relay : NULL;
	drain.has_try_for_ms = 1;
	drain.try_for_ms = DRAIN_TRY_FOR_MS;
	control.body_case = BOSON__LINK__CONTROL__BODY_DRAIN;
	control.drain = &drain;
	send_control(shard, leg, &control);
}

void
relay_link_limited(struct relay_shard *shard, struct relay_leg *leg, uint32_t number,
		   const struct relay_lane *lane)
{
	Boson__Link__Limited limited = BOSON__LINK__LIMITED__INIT;
	Boson__Link__Control control = BOSON__LINK__CONTROL__INIT;

	limited.has_reason = limited.has_dropped = 1;
	limited.reason = (Boson__Link__Limited__Reason)lane->reason;
	limited.dropped = lane->dropped;
	limited.has_channel = number != 0;
	limited.channel = number;
	limited.has_retry_in_ms = lane->retry_ms != 0;
	limited.retry_in_ms = lane->retry_ms;
	control.body_case = BOSON__LINK__CONTROL__BODY_LIMITED;
	control.limited = &limited;
	send_control(shard, leg, &control);
}

/* ---- from the node ---- */

static void
refuse(struct relay_shard *shard, struct relay_leg *leg, const char *reason)
{
	relay_count(&shard->counters, RELAY_BAD_MESSAGES, 1);
	relay_count(&shard->counters, RELAY_CLOSED_PROTOCOL, 1);
	relay_leg_doom(shard, leg, WS_CLOSE_BAD_MESSAGE, reason);
}

/* Hands the message to the control actor, and with it its memory. */
static void
pass_on(struct relay_shard *shard, const struct relay_leg *leg, enum relay_message_kind kind,
	Boson__Link__Control **control)
{
	struct relay_message *report = relay_message_new(kind, leg->node->id, 0);

	if (report == NULL) {
		relay_count(&shard->counters, RELAY_REPORTS_LOST, 1);
		return;
	}
	report->control = *control;
	*control = NULL;
	relay_mail_report(shard, &report);
}

static void
on_channel_close(struct relay_shard *shard, const struct relay_leg *leg,
		 const Boson__Link__ChannelClose *close)
{
	struct relay_channel *channel = relay_node_channel(leg->node, close->channel);

	/* One that is gone already: the two closes crossed. */
	if (channel != NULL && channel->number != 0)
		relay_leg_doom(shard, channel->client, WS_CLOSE_GONE, "node closed the channel");
}

/* What all of a node's channels can need at once, and a little more all the time. */
static bool
is_within_limit(const struct relay_shard *shard, struct relay_leg *leg)
{
	const uint32_t full = 2 * shard->settings->channels_max + CONTROL_BURST;
	int64_t since_ms = shard->now_ms - leg->control_ms;

	if (leg->control_ms == 0 || since_ms * CONTROL_PER_SEC / 1000 >= full) {
		leg->control_tokens = full;
		leg->control_ms = shard->now_ms;
	} else if (since_ms >= CONTROL_REFILL_MS) {
		uint32_t more = (uint32_t)(since_ms * CONTROL_PER_SEC / 1000);
		leg->control_tokens =
			leg->control_tokens + more < full ? leg->control_tokens + more : full;
		leg->control_ms = shard->now_ms;
	}
	if (leg->control_tokens == 0)
		return false;
	leg->control_tokens--;
	return true;
}

void
relay_link_on_message(struct relay_shard *shard, struct relay_leg *leg, const uint8_t *message,
		      size_t n)
{
	ProtobufCMessage *unpacked = NULL;

	relay_count(&shard->counters, RELAY_CONTROL_IN, 1);
	if (leg->node == NULL)
		return refuse(shard, leg, "clients send no control messages");
	if (!is_within_limit(shard, leg)) {
		relay_count(&shard->counters, RELAY_CLOSED_CONTROL, 1);
		return relay_leg_doom(shard, leg, WS_CLOSE_POLICY, "too many control messages");
	}
	if (bus_message_unpack(&boson__link__control__descriptor, message + 1, n - 1, &unpacked) <
	    0)
		return refuse(shard, leg, "control message is malformed");
	Boson__Link__Control *control = (Boson__Link__Control *)unpacked;
	switch ((int)control->body_case) { /* protobuf-c adds a value that is none */
	case BOSON__LINK__CONTROL__BODY_SESSION_OPENED:
		pass_on(shard, leg, RELAY_OPEN_ANSWERED, &control);
		break;
	case BOSON__LINK__CONTROL__BODY_FLOW_REPORT:
		pass_on(shard, leg, RELAY_FLOWS_REPORTED, &control);
		break;
	case BOSON__LINK__CONTROL__BODY_CHANNEL_CLOSE:
		on_channel_close(shard, leg, control->channel_close);
		break;
	case BOSON__LINK__CONTROL__BODY__NOT_SET:
	case BOSON__LINK__CONTROL__BODY_SESSION_OPEN:
	case BOSON__LINK__CONTROL__BODY_SESSION_CLOSE:
	case BOSON__LINK__CONTROL__BODY_CHANNEL_OPEN:
	case BOSON__LINK__CONTROL__BODY_DRAIN:
	case BOSON__LINK__CONTROL__BODY_LIMITED:
	default:
		refuse(shard, leg, "control message is not for a relay");
	}
	if (control != NULL)
		boson__link__control__free_unpacked(control, NULL);
}
