/*
 * relay_udp_cookie: WireGuard's own answer to forged addresses (WireGuard paper, section 5.4.7),
 * given in a node's place: sealing a cookie takes the node's public key and no secret of its. Who
 * shows it in the mac2 of its next initiation gets what is sent to its address and port. Stock apps
 * do so by themselves, when they try again after five seconds. No I/O, no clock. One thread.
 */
#pragma once

#include "identity/key.h"
#include "relay/relay_udp_bucket.h"
#include "relay/relay_udp_mac1.h"
#include "relay/relay_udp_shape.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	RELAY_UDP_COOKIE_SECRET_BYTES = 32,
	RELAY_UDP_COOKIE_REPLY_BYTES = 64,
	/* Good for one to two of these; an app shows it for 115 s. */
	RELAY_UDP_COOKIE_MS = 120 * 1000,
	RELAY_UDP_COOKIES_PER_SEC = 5000, /* some 3 % of a core */
};

struct relay_udp_cookies {
	struct mac1_key secret;
	struct relay_tokens replies;
};

/* secret: of the relay as a whole, since any shard may hear the source next. */
void relay_udp_cookies_init(struct relay_udp_cookies *cookies,
			    const uint8_t secret[RELAY_UDP_COOKIE_SECRET_BYTES]);

/* Whether the initiation shows a cookie that was sealed for this source. */
bool relay_udp_cookie_is_shown(const struct relay_udp_cookies *cookies,
			       const struct relay_udp_tuple *tuple, const uint8_t *initiation,
			       int64_t now_ms);

/* The reply to an initiation whose mac1 is right for this node. -EBUSY: so many go in a second;
 * -EIO. */
int relay_udp_cookie_reply(struct relay_udp_cookies *cookies, const struct relay_udp_tuple *tuple,
			   const struct key *node, const uint8_t *initiation, int64_t now_ms,
			   uint8_t ret[RELAY_UDP_COOKIE_REPLY_BYTES]);
