/*
 * client_pulse: does the node answer? Told of each datagram that WireGuard sends and that something
 * came for it; says when the silence is longer than a living node's ever is. What comes may be
 * forged; that WireGuard repeats its handshake cannot be: then none was completed. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	/* WireGuard repeats a handshake after 5 s (REKEY_TIMEOUT): two, and time for the second's
	 * answer. */
	PULSE_SHAKES = 2,
	PULSE_ANSWER_MS = 1500,
	/* So many, whatever came meanwhile. */
	PULSE_SHAKES_MAX = 5,
	PULSE_REPEAT_MS = 10 * 1000, /* handshakes farther apart are not one repeated */
	/* Who receives data and has none to send answers with an empty packet within 10 s
	 * (KEEPALIVE_TIMEOUT); after 5 s more WireGuard itself takes the node for dead. */
	PULSE_DATA_MS = 15 * 1000,
};

/* Times are monotonic; 0: none. */
struct client_pulse {
	int64_t data_ms;  /* the first data that is unanswered went out */
	int64_t shake_ms; /* the last handshake initiation did */
	unsigned shakes;  /* in a row, none of them completed */
	bool has_heard;	  /* since the last of them */
};

/* As nothing had been sent yet: nothing can go out, or it goes to another node. */
void client_pulse_reset(struct client_pulse *pulse);

/* Datagrams of one kind, of n bytes each. */
void client_pulse_sent(struct client_pulse *pulse, const uint8_t *datagram, size_t n,
		       int64_t now_ms);
/* What came. That the node wants to shake hands itself is no answer: it does when it does not hear
 * us. */
void client_pulse_heard(struct client_pulse *pulse, const uint8_t *datagram, size_t n);

bool client_pulse_is_silent(const struct client_pulse *pulse, int64_t now_ms);
