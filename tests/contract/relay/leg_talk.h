/*
 * leg_talk: what honest ends of legs say: datagrams of WireGuard's shape, data messages, control
 * messages.
 */
#pragma once

#include "link.pb-c.h"
#include "raw_leg.h"

/* n random bytes that look like a transport message; n a multiple of 16, 32 at least. */
void leg_talk_datagram(uint8_t *to, size_t n);

/* A data message of `count` datagrams of n bytes each; channel 0: a client's. Returns its size. */
size_t leg_talk_message(uint8_t *to, uint32_t channel, unsigned count, size_t n);

/* The next control message; other frames fail the test. Free it with free_unpacked. */
Boson__Link__Control *leg_talk_control(struct raw_leg *leg);
void leg_talk_send_control(struct raw_leg *leg, const Boson__Link__Control *control);

/* The channel that the next message opens for this session. */
uint32_t leg_talk_channel(struct raw_leg *leg, const uint8_t session_id[UUID_BYTES]);

/* The next message must close this channel. */
void leg_talk_expect_close(struct raw_leg *node, uint32_t channel);

/* The close code that these bytes earn on a fresh client leg. A node's leg, opened beside it, must
 * hear that the channel closes, and go on with the session's next leg. */
unsigned leg_talk_code_for(struct relay_fixture *relay, const uint8_t node_id[UUID_BYTES],
			   const uint8_t session_id[UUID_BYTES], const void *bytes, size_t n);

/* A node's message for the channel must come out at the client, and the other way round. */
void leg_talk_exchange(struct raw_leg *node, struct raw_leg *client, uint32_t channel);

/* As leg_talk_exchange, but the node may hear control messages in between. */
typedef void (*leg_talk_control_fn)(const Boson__Link__Control *control, void *arg);
void leg_talk_exchange_hearing(struct raw_leg *node, struct raw_leg *client, uint32_t channel,
			       leg_talk_control_fn on_control, void *arg);
