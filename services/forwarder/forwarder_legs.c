/*
 * forwarder_legs: see forwarder_legs.h. What WireGuard sends in one turn is gathered into a batch
 * for each channel, and handed over at the turn's end: nothing waits to be filled.
 */
#include "forwarder/forwarder_legs_inside.h"

#include "bus/bus.h"
#include "log/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	TARGETS_MAX = 8,
	URL_BYTES = 320,
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
	struct in_addr from = channel_map_address(
		legs->channels, forwarder_legs_channel_here(legs, reader.channel));
	if (!from.s_addr) {
		metric_add(legs->drop_channel, count);
		return;
	}
	tunnel_socket_send(legs->tunnel, from, datagrams, count);
}

static void
on_left(uint32_t line, void *arg)
{
	struct forwarder_legs *legs = arg;
	channel_map_close_line(legs->channels, line);
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
	forwarder_legs_on_control(legs, (const Boson__Link__Control *)control);
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
	return forwarder_legs_send_on(legs, legs->line, control);
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
forwarder_legs_new(struct loop *loop, struct metrics *metrics, const struct leg_client_options *leg,
		   uint16_t wireguard_port, const struct forwarder_legs_events *events,
		   struct forwarder_legs **ret)
{
	struct forwarder_legs *legs = calloc(1, sizeof *legs);
	uint32_t start;
	if (!legs)
		return -ENOMEM;
	legs->events = *events;
	count_by(legs, metrics);
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
		r = leg_client_new(loop, metrics, leg, &leg_events, &legs->client);
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
