/*
 * bus_frames: whole multipart messages in and out of a socket, never waiting.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <zmq.h>

enum { BUS_FRAMES_MAX = 3 };

struct bus_frames {
	zmq_msg_t part[BUS_FRAMES_MAX];
	size_t n; /* as received; those beyond BUS_FRAMES_MAX are already dropped */
};

struct bus_bytes {
	const void *bytes;
	size_t n;
};

/* 0, or -EAGAIN when nothing waits. Then nothing is to be closed. */
int bus_frames_recv(void *handle, struct bus_frames *ret);
void bus_frames_close(struct bus_frames *frames);

/* Two parts as one frame: [u16 length of the head, network order][head][body]. Its length; ret has
 * room for BUS_JOIN_BYTES more than they have. */
enum { BUS_JOIN_BYTES = 2 };
size_t bus_frames_join(const struct bus_bytes *head, const struct bus_bytes *body, uint8_t *ret);
/* They point into the frame. 0, or -EBADMSG when it is none. */
int bus_frames_split(zmq_msg_t *frame, struct bus_bytes *ret_head, struct bus_bytes *ret_body);

/* All parts or none: -EAGAIN (full, or nobody there), -EHOSTUNREACH (ROUTER: peer is gone). */
int bus_frames_send(void *handle, const struct bus_bytes *parts, size_t n);
