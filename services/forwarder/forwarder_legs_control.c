/*
 * forwarder_legs_control: the control messages on a node's leg: sessions and channels that the
 * relay opens and closes, its drain, and what we tell it.
 */
#include "forwarder/forwarder_legs_inside.h"

#include "log/log.h"

#include <errno.h>
#include <string.h>

int
forwarder_legs_send_on(struct forwarder_legs *legs, uint32_t line,
		       const Boson__Link__Control *control)
{
	size_t n = boson__link__control__get_packed_size(control);
	if (n + 1 > sizeof legs->control)
		return -EMSGSIZE;
	legs->control[0] = LEG_KIND_CONTROL;
	boson__link__control__pack(control, legs->control + 1);
	int r = leg_client_send_on(legs->client, line, legs->control, n + 1, true);
	if (r == 0)
		leg_client_flush(legs->client);
	return r;
}

static void
on_channel_open(struct forwarder_legs *legs, const Boson__Link__ChannelOpen *open)
{
	/* One that is open already was of nobody yet: its client has shown who it is. */
	uint64_t channel = forwarder_legs_channel_here(legs, open->channel);
	int r = open->session_id ? channel_map_bind(legs->channels, channel, open->session_id)
				 : -ENOENT;
	if (r == -ENOENT)
		r = channel_map_open(legs->channels, channel, open->session_id);
	if (r == 0) {
		log_debug("channel_opened", "channel=%u session=%s", open->channel,
			  open->session_id ? open->session_id : "");
		if (open->session_id)
			legs->events.on_channel_open(open->session_id, legs->events.arg);
		return;
	}
	log_warn("channel_refused", "channel=%u error=%s", open->channel, strerror(-r));
	Boson__Link__Control control = BOSON__LINK__CONTROL__INIT;
	Boson__Link__ChannelClose close = BOSON__LINK__CHANNEL_CLOSE__INIT;
	close.has_channel = 1;
	close.channel = open->channel;
	close.reason = (char[]){ "no room" };
	control.body_case = BOSON__LINK__CONTROL__BODY_CHANNEL_CLOSE;
	control.channel_close = &close;
	forwarder_legs_send_on(legs, leg_client_line(legs->client), &control);
}

/* To the relay it names, else to the next of ours; without any it is the one that closes. */
static void
on_drain(struct forwarder_legs *legs, const Boson__Link__Drain *drain)
{
	const char *other = drain->other_relay && *drain->other_relay ? drain->other_relay : NULL;
	if (leg_client_line(legs->client) != legs->line)
		return; /* we have left already */
	int r = leg_client_move(legs->client, other, drain->reconnect_in_ms, drain->try_for_ms);
	log_info("relay_drains", "reconnect_in_ms=%u other=%s result=\"%s\"",
		 drain->reconnect_in_ms, other ? other : "", r < 0 ? strerror(-r) : "moving");
}

void
forwarder_legs_on_control(struct forwarder_legs *legs, const Boson__Link__Control *control)
{
	switch (control->body_case) {
	case BOSON__LINK__CONTROL__BODY_SESSION_OPEN:
		legs->events.on_session_open(control->session_open, legs->events.arg);
		break;
	case BOSON__LINK__CONTROL__BODY_SESSION_CLOSE:
		legs->events.on_session_close(control->session_close, legs->events.arg);
		break;
	case BOSON__LINK__CONTROL__BODY_CHANNEL_OPEN:
		on_channel_open(legs, control->channel_open);
		break;
	case BOSON__LINK__CONTROL__BODY_CHANNEL_CLOSE:
		channel_map_close(legs->channels, forwarder_legs_channel_here(
							  legs, control->channel_close->channel));
		break;
	case BOSON__LINK__CONTROL__BODY_DRAIN:
		on_drain(legs, control->drain);
		break;
	case BOSON__LINK__CONTROL__BODY__NOT_SET: /* of a newer relay */
	case BOSON__LINK__CONTROL__BODY_SESSION_OPENED:
	case BOSON__LINK__CONTROL__BODY_FLOW_REPORT:
	case BOSON__LINK__CONTROL__BODY_LIMITED: /* WireGuard's traffic sees the loss itself */
	case _BOSON__LINK__CONTROL__BODY__CASE_IS_INT_SIZE:
		metric_add(legs->drop_frame, 1);
		break;
	}
}

void
forwarder_legs_session_end(struct forwarder_legs *legs, const char *session_id)
{
	Boson__Link__Control control = BOSON__LINK__CONTROL__INIT;
	Boson__Link__ChannelClose close = BOSON__LINK__CHANNEL_CLOSE__INIT;
	close.has_channel = 1;
	close.reason = (char[]){ "session over" };
	control.body_case = BOSON__LINK__CONTROL__BODY_CHANNEL_CLOSE;
	control.channel_close = &close;
	uint64_t channel;
	while ((channel = channel_map_session_channel(legs->channels, session_id))) {
		close.channel = (uint32_t)channel;
		forwarder_legs_send_on(legs, (uint32_t)(channel >> 32), &control);
		channel_map_close(legs->channels, channel);
	}
	channel_map_session_end(legs->channels, session_id);
}
