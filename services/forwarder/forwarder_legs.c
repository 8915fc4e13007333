/*
 * forwarder_legs: see forwarder_legs.h. What WireGuard sends in one turn is gathered into a batch
 * for each channel, and handed over at the turn's end: nothing waits to be filled.
 */
#include "forwarder/forwarder_legs.h"

#include "bus/bus.h"
#include "forwarder/channel_map.h"
#include "forwarder/tunnel_socket.h"
#include "leg/leg_frame.h"
#include "log/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	BATCHES_OPEN_MAX = 32, /* channels that WireGuard answered in one turn; beyond it: early */
	BATCH_BYTES = LEG_DATA_HEADER_NODE_BYTES + LEG_BATCH_SEND_BYTES + 2048,
	TARGETS_MAX = 8,
	URL_BYTES = 320,
	ERROR_BYTES = 160,
	CONTROL_MAX_BYTES = LEG_MESSAGE_MAX_BYTES,
};

struct leg_batch {
	uint64_t channel; /* 0: free */
	struct leg_writer writer;
	uint8_t bytes[BATCH_BYTES];
};

struct forwarder_legs {
	struct leg_client *client;
	uint32_t line; /* of the connection in use */
	struct channel_map *channels;
	struct tunnel_socket *tunnel;
	struct forwarder_legs_events events;
	struct leg_batch batches[BATCHES_OPEN_MAX];
	struct metric *drop_channel, *drop_frame, *drop_leg;
	char last_error[ERROR_BYTES];
	uint8_t control[CONTROL_MAX_BYTES];
};

/* ---- WireGuard to leg ---- */

static void
batch_send(struct forwarder_legs *legs, struct leg_batch *batch)
{
	uint32_t line = (uint32_t)(batch->channel >> 32);
	if (leg_client_send_on(legs->client, line, batch->bytes, batch->writer.n, false) < 0)
		metric_add(legs->drop_leg, batch->writer.count);
	batch->channel = 0;
}

static void
batches_send(struct forwarder_legs *legs)
{
	for (size_t i = 0; i < BATCHES_OPEN_MAX; i++)
		if (legs->batches[i].channel)
			batch_send(legs, &legs->batches[i]);
}

static struct leg_batch *
batch_open(struct forwarder_legs *legs, uint64_t channel)
{
	struct leg_batch *free_batch = NULL;
	for (size_t i = 0; i < BATCHES_OPEN_MAX; i++) {
		if (legs->batches[i].channel == channel)
			return &legs->batches[i];
		if (!legs->batches[i].channel && !free_batch)
			free_batch = &legs->batches[i];
	}
	if (!free_batch) {
		batches_send(legs);
		free_batch = &legs->batches[0];
	}
	free_batch->channel = channel;
	leg_writer_init(&free_batch->writer, true, (uint32_t)channel, free_batch->bytes,
			BATCH_BYTES);
	return free_batch;
}

static void
on_datagram(struct in_addr to, const uint8_t *datagram, size_t n, void *arg)
{
	struct forwarder_legs *legs = arg;
	uint64_t channel = channel_map_channel(legs->channels, to);
	if (!channel) {
		metric_add(legs->drop_channel, 1);
		return;
	}
	struct leg_batch *batch = batch_open(legs, channel);
	int r = leg_writer_add(&batch->writer, datagram, n);
	if (r == -ENOSPC) {
		batch_send(legs, batch);
		batch = batch_open(legs, channel);
		r = leg_writer_add(&batch->writer, datagram, n);
	}
	if (r < 0) {
		metric_add(legs->drop_frame, 1);
		if (batch->writer.count == 0)
			batch->channel = 0;
	}
}

static void
on_tunnel_batch_end(void *arg)
{
	struct forwarder_legs *legs = arg;
	batches_send(legs);
	leg_client_flush(legs->client);
}

/* ---- leg to WireGuard ---- */

/* A channel of the connection whose message is in hand. */
static uint64_t
channel_here(const struct forwarder_legs *legs, uint32_t number)
{
	return channel_map_key(leg_client_line(legs->client), number);
}

static void
on_data(struct forwarder_legs *legs, const uint8_t *message, size_t n)
{
	struct iovec datagrams[LEG_BATCH_MAX];
	struct leg_reader reader;
	const uint8_t *datagram;
	size_t length, count = 0;
	if (leg_message_check(true, message, n) < 0 ||
	    leg_reader_init(&reader, true, message, n) < 0) {
		metric_add(legs->drop_frame, 1);
		return;
	}
	while (count < LEG_BATCH_MAX && leg_reader_next(&reader, &datagram, &length) == 1)
		datagrams[count++] = (struct iovec){ .iov_base = (void *)(uintptr_t)datagram,
						     .iov_len = length };
	struct in_addr from =
		channel_map_address(legs->channels, channel_here(legs, reader.channel));
	if (!from.s_addr) {
		metric_add(legs->drop_channel, count);
		return;
	}
	tunnel_socket_send(legs->tunnel, from, datagrams, count);
}

static int
send_on(struct forwarder_legs *legs, uint32_t line, const Boson__Link__Control *control)
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
	uint64_t channel = channel_here(legs, open->channel);
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
	send_on(legs, leg_client_line(legs->client), &control);
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

static void
on_left(uint32_t line, void *arg)
{
	struct forwarder_legs *legs = arg;
	channel_map_close_line(legs->channels, line);
}

static void
on_control(struct forwarder_legs *legs, const Boson__Link__Control *control)
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
		channel_map_close(legs->channels,
				  channel_here(legs, control->channel_close->channel));
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

static void
on_message(const uint8_t *message, size_t n, void *arg)
{
	struct forwarder_legs *legs = arg;
	ProtobufCMessage *control;
	if (n > 0 && message[0] == LEG_KIND_DATA) {
		on_data(legs, message, n);
		return;
	}
	if (n == 0 || message[0] != LEG_KIND_CONTROL ||
	    bus_message_unpack(&boson__link__control__descriptor, message + 1, n - 1, &control) <
		    0) {
		metric_add(legs->drop_frame, 1);
		return;
	}
	on_control(legs, (const Boson__Link__Control *)control);
	protobuf_c_message_free_unpacked(control, NULL);
}

static void
on_leg_batch_end(void *arg)
{
	struct forwarder_legs *legs = arg;
	leg_client_flush(legs->client);
}

static void
on_state(enum leg_state state, int close_code, const char *reason, void *arg)
{
	struct forwarder_legs *legs = arg;
	switch (state) {
	case LEG_UP:
		legs->last_error[0] = 0;
		legs->line = leg_client_line(legs->client);
		log_info("leg_up", "relay=%s", leg_client_url(legs->client));
		break;
	case LEG_DOWN:
		/* Channel numbers were the old leg's; sessions keep their addresses. */
		channel_map_close_line(legs->channels, legs->line);
		snprintf(legs->last_error, sizeof legs->last_error, "%s", reason ? reason : "");
		log_warn("leg_down", "code=%d reason=%s", close_code, legs->last_error);
		break;
	case LEG_CONNECTING:
		break;
	}
}

/* ---- for the actor ---- */

int
forwarder_legs_endpoint(const struct forwarder_legs *legs, const char *session_id, char *ret_text,
			size_t n)
{
	char address[INET_ADDRSTRLEN];
	uint64_t channel = channel_map_session_channel(legs->channels, session_id);
	struct in_addr from = channel_map_address(legs->channels, channel);
	if (!from.s_addr || !inet_ntop(AF_INET, &from, address, sizeof address))
		return -ENOENT;
	snprintf(ret_text, n, "%s:%u", address, tunnel_socket_port(legs->tunnel));
	return 0;
}

int
forwarder_legs_send(struct forwarder_legs *legs, const Boson__Link__Control *control)
{
	return send_on(legs, legs->line, control);
}

int
forwarder_legs_target(struct forwarder_legs *legs, const char *node_id,
		      char *const *relay_endpoints, size_t n, const char *ticket)
{
	char urls[TARGETS_MAX][URL_BYTES];
	const char *pointers[TARGETS_MAX + 1];
	size_t count = 0;
	for (size_t i = 0; i < n && count < TARGETS_MAX; i++) {
		if (snprintf(urls[count], URL_BYTES, "%s/relay/%s", relay_endpoints[i], node_id) >=
		    URL_BYTES)
			continue;
		pointers[count] = urls[count];
		count++;
	}
	pointers[count] = NULL;
	if (count == 0)
		return -EINVAL;
	return leg_client_target(legs->client, pointers, ticket);
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
		send_on(legs, (uint32_t)(channel >> 32), &control);
		channel_map_close(legs->channels, channel);
	}
	channel_map_session_end(legs->channels, session_id);
}

void
forwarder_legs_status(const struct forwarder_legs *legs, struct forwarder_legs_status *ret)
{
	ret->state = leg_client_state(legs->client);
	ret->relay_endpoint = leg_client_url(legs->client);
	ret->last_error = legs->last_error;
	ret->channels = channel_map_count(legs->channels);
	ret->drops = tunnel_socket_drops(legs->tunnel) + metric_value(legs->drop_channel) +
		     metric_value(legs->drop_frame) + metric_value(legs->drop_leg);
}

static void
count_by(struct forwarder_legs *legs, struct metrics *metrics)
{
	static const char name[] = "leg_drops_total";
	static const char help[] = "Datagrams and frames of the leg dropped";
	legs->drop_channel = metrics_counter(metrics, name, "reason=\"channel\"", help);
	legs->drop_frame = metrics_counter(metrics, name, "reason=\"frame\"", help);
	legs->drop_leg = metrics_counter(metrics, name, "reason=\"leg\"", help);
}

int
forwarder_legs_new(struct loop *loop, struct metrics *metrics, const char *ca_file,
		   uint16_t wireguard_port, const struct forwarder_legs_events *events,
		   struct forwarder_legs **ret)
{
	struct forwarder_legs *legs = calloc(1, sizeof *legs);
	uint32_t start;
	if (!legs)
		return -ENOMEM;
	legs->events = *events;
	count_by(legs, metrics);
	const struct leg_client_options options = { .ca_file = ca_file };
	const struct leg_client_events leg_events = { .on_state = on_state,
						      .on_message = on_message,
						      .on_batch_end = on_leg_batch_end,
						      .on_left = on_left,
						      .arg = legs };
	const struct tunnel_socket_events tunnel_events = { .on_datagram = on_datagram,
							    .on_batch_end = on_tunnel_batch_end,
							    .arg = legs };
	int r = getrandom(&start, sizeof start, 0) == sizeof start ? 0 : -EIO;
	if (r == 0)
		r = channel_map_new(start, &legs->channels);
	if (r == 0)
		r = leg_client_new(loop, metrics, &options, &leg_events, &legs->client);
	if (r == 0)
		r = tunnel_socket_new(loop, metrics, wireguard_port, &tunnel_events, &legs->tunnel);
	if (r < 0) {
		forwarder_legs_free(&legs);
		return r;
	}
	*ret = legs;
	return 0;
}

void
forwarder_legs_free(struct forwarder_legs **legs)
{
	if (!*legs)
		return;
	tunnel_socket_free(&(*legs)->tunnel);
	leg_client_free(&(*legs)->client);
	channel_map_free(&(*legs)->channels);
	free(*legs);
	*legs = NULL;
}
