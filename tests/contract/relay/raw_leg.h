/*
 * raw_leg: the far end of a leg, by hand and byte by byte, so that it can also do what no honest
 * peer would. Blocking, every wait with a deadline; fails the test when nothing comes.
 */
#pragma once

#include "identity/key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct relay_fixture;

struct raw_leg {
	int fd;
	void *ssl, *ssl_context; /* NULL: plain */
	uint8_t input[256 * 1024];
	size_t have;
	bool is_ended;	/* the peer closed */
	unsigned pings; /* that came and were answered */
	size_t bite;	/* bytes that are read at once; 0: any number */
};

/* A frame as it came. payload lies in the leg and is good until the next call. */
struct raw_frame {
	uint8_t first; /* FIN, RSV, opcode */
	const uint8_t *payload;
	size_t n;
};

/* Connects, with TLS where the relay has it. */
struct raw_leg *raw_leg_connect(const struct relay_fixture *fixture);
/* The same; NULL when the relay does not go along. */
struct raw_leg *raw_leg_try(const struct relay_fixture *fixture);
void raw_leg_close(struct raw_leg **leg);

/* Bytes as they are. False: the peer has closed. */
bool raw_leg_write(struct raw_leg *leg, const void *bytes, size_t n);

/* A valid upgrade request for this id and ticket, as text. */
void raw_leg_request(char *to, size_t size, const uint8_t id[UUID_BYTES], const char *ticket);

/* The status of the answer to what was written; 0: closed without one. The head is taken off. */
int raw_leg_status(struct raw_leg *leg, char *ret_head, size_t size);

/* The whole way: connect, upgrade, 101. session_id NULL: a node leg. */
struct raw_leg *raw_leg_open(const struct relay_fixture *fixture, const uint8_t node_id[UUID_BYTES],
			     const uint8_t *session_id);

/* The status that a leg with a good ticket gets, which is then closed. */
int raw_leg_ask(const struct relay_fixture *fixture, const uint8_t node_id[UUID_BYTES],
		const uint8_t *session_id);

/* A mask of zeros: with it a frame's bytes can be written down. */
#define NO_MASK "\0\0\0\0"

/* A frame with a mask of its own; first as on the wire. Length in its shortest form. Its size: up
 * to RAW_FRAME_HEADER_BYTES more than n. */
enum { RAW_FRAME_HEADER_BYTES = 2 + 8 + 4 };
size_t raw_leg_frame(uint8_t *to, uint8_t first, const uint8_t *payload, size_t n);

/* The same, sent. */
bool raw_leg_send(struct raw_leg *leg, uint8_t first, const uint8_t *payload, size_t n);

/* The same, cut into writes of `part` bytes. */
bool raw_leg_send_split(struct raw_leg *leg, uint8_t first, const uint8_t *payload, size_t n,
			size_t part);

/* The next frame within the deadline; pings are answered and passed over. False: closed. */
bool raw_leg_receive(struct raw_leg *leg, struct raw_frame *ret);

/* The same within so many ms. False: nothing but pings came; leg->is_ended tells. */
bool raw_leg_receive_within(struct raw_leg *leg, struct raw_frame *ret, int64_t ms);

/* True when nothing but pings comes within so many ms. */
bool raw_leg_is_quiet(struct raw_leg *leg, int64_t ms);

/* Reads on to the close frame and its end; the code. 0: closed without a frame. */
unsigned raw_leg_close_code(struct raw_leg *leg);
