/*
 * udp_talk: see the header.
 */
#include "udp_talk.h"

#include "leg/leg_frame.h"
#include "leg_talk.h"
#include "loop/clock.h"
#include "relay/relay_udp_mac1.h"
#include "relay_fixture.h"

#include <netdb.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 10 * 1000 };

/* ---- a stock app ---- */

static struct addrinfo *
resolve(const char *address, uint16_t port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST }, *found;
	char service[8];

	snprintf(service, sizeof(service), "%u", port);
	assert_int_equal(getaddrinfo(address, service, &hints, &found), 0);
	return found;
}

struct udp_app
udp_app_open_to(const struct relay_fixture *relay, const char *address, uint16_t port,
		const char *to)
{
	struct addrinfo *own = resolve(address, port), *peer = resolve(to, relay->udp_port);
	struct udp_app app = { .fd = socket(own->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0) };
	struct key secret;
	int on = 1;

	assert_true(app.fd >= 0);
	assert_int_equal(setsockopt(app.fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)), 0);
	assert_int_equal(bind(app.fd, own->ai_addr, own->ai_addrlen), 0);
	assert_int_equal(connect(app.fd, peer->ai_addr, peer->ai_addrlen), 0);
	freeaddrinfo(own);
	freeaddrinfo(peer);
	assert_int_equal(key_generate(&secret), 0);
	assert_int_equal(key_public(&secret, &app.key), 0);
	assert_true(getrandom(&app.index, sizeof(app.index), 0) > 0);
	return app;
}

struct udp_app
udp_app_open(const struct relay_fixture *relay, const char *address, uint16_t port)
{
	return udp_app_open_to(relay, address, port, "127.0.0.1");
}

void
udp_app_close(struct udp_app *app)
{
	close(app->fd);
	app->fd = -1;
}

void
udp_app_send(const struct udp_app *app, const void *bytes, size_t n)
{
	assert_int_equal(send(app->fd, bytes, n, 0), n);
}

static bool
is_readable(const struct udp_app *app, int ms)
{
	struct pollfd wait = { .fd = app->fd, .events = POLLIN };

	return poll(&wait, 1, ms) == 1 && (wait.revents & POLLIN) != 0;
}

size_t
udp_app_receive(const struct udp_app *app, uint8_t *to, size_t size)
{
	assert_true(is_readable(app, PATIENCE_MS));
	ssize_t n = recv(app->fd, to, size, MSG_DONTWAIT);
	assert_true(n >= 0);
	return (size_t)n;
}

bool
udp_app_is_quiet(const struct udp_app *app, int ms)
{
	return !is_readable(app, ms);
}

/* ---- messages ---- */

static void
fill(uint8_t *to, uint8_t type, size_t n)
{
	for (size_t at = 0; at < n; at += 256)
		assert_true(getrandom(to + at, n - at < 256 ? n - at : 256, 0) > 0);
	memset(to, 0, 4);
	to[0] = type;
}

static void
seal(uint8_t *message, size_t n, const struct key *receiver)
{
	struct mac1_key key;

	mac1_key_init(&key, receiver->bytes);
	mac1_compute(&key, message, n - MAC1_TAIL_BYTES, message + n - MAC1_TAIL_BYTES);
	memset(message + n - MAC1_BYTES, 0, MAC1_BYTES);
}

void
udp_talk_initiation(uint8_t to[UDP_TALK_INITIATION_BYTES], const struct key *receiver,
		    uint32_t sender)
{
	fill(to, DATAGRAM_INITIATION, UDP_TALK_INITIATION_BYTES);
	memcpy(to + 4, &sender, sizeof(sender));
	seal(to, UDP_TALK_INITIATION_BYTES, receiver);
}

void
udp_talk_response(uint8_t to[UDP_TALK_RESPONSE_BYTES], const struct key *receiver, uint32_t sender,
		  uint32_t receiver_index)
{
	fill(to, DATAGRAM_RESPONSE, UDP_TALK_RESPONSE_BYTES);
	memcpy(to + 4, &sender, sizeof(sender));
	memcpy(to + 8, &receiver_index, sizeof(receiver_index));
	seal(to, UDP_TALK_RESPONSE_BYTES, receiver);
}

void
udp_talk_cookie(uint8_t to[UDP_TALK_COOKIE_BYTES], uint32_t receiver_index)
{
	fill(to, DATAGRAM_COOKIE, UDP_TALK_COOKIE_BYTES);
	memcpy(to + 4, &receiver_index, sizeof(receiver_index));
}

void
udp_talk_transport(uint8_t *to, size_t n, uint32_t receiver_index, uint64_t counter)
{
	fill(to, DATAGRAM_TRANSPORT, n);
	memcpy(to + 4, &receiver_index, sizeof(receiver_index));
	for (unsigned i = 0; i < 8; i++)
		to[8 + i] = (uint8_t)(counter >> (8 * i));
}

/* ---- calls ---- */

struct call {
	struct relay_fixture *relay;
	bool is_done;
	int status;
};

static void
on_answer(const Boson__Common__Empty *reply, void *arg)
{
	struct call *call = arg;

	call->status = reply != NULL ? BUS_OK : (int)bus_peer_result(call->relay->relay)->status;
	call->is_done = true;
}

int
udp_talk_bind(struct relay_fixture *relay, const uint8_t session_id[UUID_BYTES],
	      const uint8_t node_id[UUID_BYTES], const struct key *node_key,
	      const struct key *client_key, int64_t expires_in_ms, const char *client_address)
{
	Boson__Relay__BindUdpRequest request = BOSON__RELAY__BIND_UDP_REQUEST__INIT;
	char session[UUID_TEXT_BYTES], node[UUID_TEXT_BYTES];
	char nodes[KEY_TEXT_BYTES], clients[KEY_TEXT_BYTES];
	struct call call = { .relay = relay };

	uuid_format(session_id, session);
	uuid_format(node_id, node);
	key_format(node_key, nodes);
	key_format(client_key, clients);
	request.session_id = session;
	request.node_id = node;
	request.node_public_key = nodes;
	request.client_public_key = clients;
	request.has_expires_at = 1;
	request.expires_at = clock_wall_ms() + expires_in_ms;
	request.client_address = (char *)(uintptr_t)client_address;
	boson__relay__relay__bind_udp(bus_peer_service(relay->relay), &request, on_answer, &call);
	relay_fixture_wait(relay, &call.is_done);
	return call.status;
}

int
udp_talk_unbind(struct relay_fixture *relay, const uint8_t session_id[UUID_BYTES])
{
	Boson__Relay__UnbindUdpRequest request = BOSON__RELAY__UNBIND_UDP_REQUEST__INIT;
	struct call call = { .relay = relay };
	char session[UUID_TEXT_BYTES];

	uuid_format(session_id, session);
	request.session_id = session;
	boson__relay__relay__unbind_udp(bus_peer_service(relay->relay), &request, on_answer, &call);
	relay_fixture_wait(relay, &call.is_done);
	return call.status;
}

/* ---- the node ---- */

uint32_t
udp_talk_channel(struct raw_leg *node, const uint8_t *session_id)
{
	Boson__Link__Control *control = leg_talk_control(node);
	char text[UUID_TEXT_BYTES];

	assert_int_equal(control->body_case, BOSON__LINK__CONTROL__BODY_CHANNEL_OPEN);
	uint32_t channel = control->channel_open->channel;
	if (session_id == NULL) {
		assert_null(control->channel_open->session_id);
	} else {
		uuid_format(session_id, text);
		assert_string_equal(control->channel_open->session_id, text);
	}
	boson__link__control__free_unpacked(control, NULL);
	return channel;
}

void
udp_talk_closed(struct raw_leg *node, uint32_t channel)
{
	Boson__Link__Control *control = leg_talk_control(node);

	assert_int_equal(control->body_case, BOSON__LINK__CONTROL__BODY_CHANNEL_CLOSE);
	assert_int_equal(control->channel_close->channel, channel);
	boson__link__control__free_unpacked(control, NULL);
}

size_t
udp_talk_node_receive(struct raw_leg *node, uint32_t channel, uint8_t *to, size_t size)
{
	struct leg_reader reader;
	struct raw_frame frame;
	const uint8_t *datagram;
	size_t n;

	assert_true(raw_leg_receive(node, &frame));
	assert_int_equal(leg_reader_init(&reader, true, frame.payload, frame.n), 0);
	assert_int_equal(reader.channel, channel);
	assert_int_equal(leg_reader_next(&reader, &datagram, &n), 1);
	assert_true(n <= size);
	memcpy(to, datagram, n);
	assert_int_equal(leg_reader_next(&reader, &datagram, &size), 0);
	return n;
}

void
udp_talk_node_send(struct raw_leg *node, uint32_t channel, const uint8_t *datagram, size_t n)
{
	uint8_t message[16 * 1024];
	struct leg_writer writer;

	leg_writer_init(&writer, true, channel, message, sizeof(message));
	assert_int_equal(leg_writer_add(&writer, datagram, n), 0);
	assert_true(raw_leg_send(node, 0x82, message, writer.n));
}

/* ---- whole ways ---- */

void
udp_talk_exchange(struct raw_leg *node, uint32_t channel, const struct udp_app *app,
		  uint32_t node_index, uint64_t counter)
{
	uint8_t sent[1312], got[2048];

	udp_talk_transport(sent, 128, node_index, counter);
	udp_app_send(app, sent, 128);
	assert_int_equal(udp_talk_node_receive(node, channel, got, sizeof(got)), 128);
	assert_memory_equal(got, sent, 128);
	udp_talk_transport(sent, sizeof(sent), app->index, counter);
	udp_talk_node_send(node, channel, sent, sizeof(sent));
	assert_int_equal(udp_app_receive(app, got, sizeof(got)), sizeof(sent));
	assert_memory_equal(got, sent, sizeof(sent));
}

uint32_t
udp_talk_shake_hands(struct raw_leg *node, const struct key *node_key, const struct udp_app *app,
		     const uint8_t session_id[UUID_BYTES], uint32_t node_index)
{
	uint8_t message[UDP_TALK_INITIATION_BYTES], got[2048];

	udp_talk_initiation(message, node_key, app->index);
	udp_app_send(app, message, sizeof(message));
	uint32_t channel = udp_talk_channel(node, NULL);
	assert_int_equal(udp_talk_node_receive(node, channel, got, sizeof(got)), sizeof(message));
	assert_memory_equal(got, message, sizeof(message));
	udp_talk_response(message, &app->key, node_index, app->index);
	udp_talk_node_send(node, channel, message, UDP_TALK_RESPONSE_BYTES);
	assert_int_equal(udp_talk_channel(node, session_id), channel);
	assert_int_equal(udp_app_receive(app, got, sizeof(got)), UDP_TALK_RESPONSE_BYTES);
	assert_memory_equal(got, message, UDP_TALK_RESPONSE_BYTES);
	udp_talk_exchange(node, channel, app, node_index, 0);
	return channel;
}
