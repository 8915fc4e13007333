/*
 * udp_message: WireGuard's initiations as a relay sees them, with nothing inside, and what an app
 * does with a cookie.
 */
#pragma once

#include "identity/key.h"

#include <stdint.h>

enum { UDP_MESSAGE_INITIATION_BYTES = 148, UDP_MESSAGE_COOKIE_BYTES = 64 };

/* receiver's public key makes mac1; mac2 is empty. */
void udp_message_initiation(uint8_t to[UDP_MESSAGE_INITIATION_BYTES], const struct key *receiver,
			    uint32_t sender);

/* mac2, by the cookie in the reply to this very message. Fails the test when it does not open. */
void udp_message_show_cookie(uint8_t message[UDP_MESSAGE_INITIATION_BYTES],
			     const struct key *receiver,
			     const uint8_t reply[UDP_MESSAGE_COOKIE_BYTES]);
