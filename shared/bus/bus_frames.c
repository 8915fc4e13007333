/*
 * bus_frames: see bus_frames.h.
 */
#include "bus/bus_frames.h"

#include <errno.h>
#include <stdbool.h>

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
