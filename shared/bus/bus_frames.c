/*
 * bus_frames: see bus_frames.h.
 */
#include "bus/bus_frames.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

int
bus_frames_recv(void *handle, struct bus_frames *ret)
{
	zmq_msg_t surplus;
	bool more = true;

	for (ret->n = 0; more; ret->n++) {
		bool keep = ret->n < BUS_FRAMES_MAX;
		zmq_msg_t *part = keep ? &ret->part[ret->n] : &surplus;
		zmq_msg_init(part);
		if (zmq_msg_recv(part, handle, ZMQ_DONTWAIT) < 0) {
			int r = -errno;
			zmq_msg_close(part);
			bus_frames_close(ret);
			return r;
		}
		more = zmq_msg_more(part);
		if (!keep)
			zmq_msg_close(part);
	}
	return 0;
}

void
bus_frames_close(struct bus_frames *frames)
{
	for (size_t i = 0; i < frames->n && i < BUS_FRAMES_MAX; i++)
		zmq_msg_close(&frames->part[i]);
	frames->n = 0;
}

int
bus_frames_send(void *handle, const struct bus_bytes *parts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int flags = ZMQ_DONTWAIT | (i + 1 < n ? ZMQ_SNDMORE : 0);
		if (zmq_send(handle, parts[i].bytes, parts[i].n, flags) < 0)
			return -errno;
	}
	return 0;
}

size_t
bus_frames_join(const struct bus_bytes *head, const struct bus_bytes *body, uint8_t *ret)
{
	ret[0] = (uint8_t)(head->n >> 8);
	ret[1] = (uint8_t)head->n;
	memcpy(ret + BUS_JOIN_BYTES, head->bytes, head->n);
	if (body->n > 0)
		memcpy(ret + BUS_JOIN_BYTES + head->n, body->bytes, body->n);
	return BUS_JOIN_BYTES + head->n + body->n;
}

int
bus_frames_split(zmq_msg_t *frame, struct bus_bytes *ret_head, struct bus_bytes *ret_body)
{
	const uint8_t *bytes = zmq_msg_data(frame);
	size_t n = zmq_msg_size(frame), head_n;

	if (n < BUS_JOIN_BYTES)
		return -EBADMSG;
	head_n = (size_t)bytes[0] << 8 | bytes[1];
	if (head_n > n - BUS_JOIN_BYTES)
		return -EBADMSG;
	*ret_head = (struct bus_bytes){ bytes + BUS_JOIN_BYTES, head_n };
	*ret_body =
		(struct bus_bytes){ bytes + BUS_JOIN_BYTES + head_n, n - BUS_JOIN_BYTES - head_n };
	return 0;
}
