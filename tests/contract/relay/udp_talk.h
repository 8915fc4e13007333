/*
 * udp_talk: both ends of a UDP leg without WireGuard between them: a stock app's socket, and a
 * node's raw leg that answers as WireGuard there would. Messages have the right shape, mac1 and
 * indexes, and nothing inside. Fails the test when nothing comes.
 */
#pragma once

#include "identity/key.h"
#include "raw_leg.h"
#include "wg/datagram.h"

#include <netinet/in.h>
#include <stdbool.h>

struct relay_fixture;

enum { UDP_TALK_INITIATION_BYTES = 148, UDP_TALK_RESPONSE_BYTES = 92, UDP_TALK_COOKIE_BYTES = 64 };

struct udp_app {
	int fd;
	struct key key; /* public */
	uint32_t index; /* by which it is spoken to */
};

/* Bound to this loopback address, and a port (0: any); connected to the relay. */
struct udp_app udp_app_open(const struct relay_fixture *relay, const char *address, uint16_t port);
/* The same with addresses of either family, wherever they are; to: where the relay is heard. */
struct udp_app udp_app_open_to(const struct relay_fixture *relay, const char *address,
			       uint16_t port, const char *to);
void udp_app_close(struct udp_app *app);
void udp_app_send(const struct udp_app *app, const void *bytes, size_t n);

/* The next datagram, of at most `size` bytes; its size. */
size_t udp_app_receive(const struct udp_app *app, uint8_t *to, size_t size);

/* True when nothing comes within so many ms. */
bool udp_app_is_quiet(const struct udp_app *app, int ms);

/* Messages. receiver's public key makes mac1. */
void udp_talk_initiation(uint8_t to[UDP_TALK_INITIATION_BYTES], const struct key *receiver,
			 uint32_t sender);
void udp_talk_response(uint8_t to[UDP_TALK_RESPONSE_BYTES], const struct key *receiver,
		       uint32_t sender, uint32_t receiver_index);
void udp_talk_cookie(uint8_t to[UDP_TALK_COOKIE_BYTES], uint32_t receiver_index);
void udp_talk_transport(uint8_t *to, size_t n, uint32_t receiver_index, uint64_t counter);

/* The relay's call for a session. client_address may be NULL. The BUS_ status. */
int udp_talk_bind(struct relay_fixture *relay, const uint8_t session_id[UUID_BYTES],
		  const uint8_t node_id[UUID_BYTES], const struct key *node_key,
		  const struct key *client_key, int64_t expires_in_ms, const char *client_address);
int udp_talk_unbind(struct relay_fixture *relay, const uint8_t session_id[UUID_BYTES]);

/* What the node's leg hears next must be a channel that opens; its number. session_id NULL: of a
 * session that is not known yet. */
uint32_t udp_talk_channel(struct raw_leg *node, const uint8_t *session_id);

/* ... one data message with one datagram on this channel. */
size_t udp_talk_node_receive(struct raw_leg *node, uint32_t channel, uint8_t *to, size_t size);

/* ... a channel that closes. */
void udp_talk_closed(struct raw_leg *node, uint32_t channel);

void udp_talk_node_send(struct raw_leg *node, uint32_t channel, const uint8_t *datagram, size_t n);

/* From a first initiation to a proven leg: what is said on the way is checked. The channel. */
uint32_t udp_talk_shake_hands(struct raw_leg *node, const struct key *node_key,
			      const struct udp_app *app, const uint8_t session_id[UUID_BYTES],
			      uint32_t node_index);

/* A transport message each way. */
void udp_talk_exchange(struct raw_leg *node, uint32_t channel, const struct udp_app *app,
		       uint32_t node_index, uint64_t counter);
