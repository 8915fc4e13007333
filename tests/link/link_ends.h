/*
 * link_ends: the network interfaces that link_box joins, as packet sockets (packet(7)): frames that
 * come in, many at a time, and frames to send. Interfaces are veths whose other ends work without
 * offloads (link_end_bare), so that a frame is what a wire would carry.
 */
#pragma once

#include "line.h"

#include <stdbool.h>
#include <stdint.h>

enum { LINK_BATCH = 32 };

struct link_end {
	int fd;
	const char *name;
	struct line_frame *leaving[LINK_BATCH];
	unsigned leaving_n;
	uint64_t missed;  /* came while the socket's buffer was full: the machine is too slow */
	uint64_t refused; /* the kernel did not take them */
};

/* came_ns: by CLOCK_MONOTONIC, when the interface got it: whoever reads it later, because he was
 * not run, is no part of the line. */
typedef void link_frame_fn(const uint8_t *frame, size_t n, int64_t came_ns, void *arg);

/* -ENODEV, -EPERM, ... */
int link_end_open(struct link_end *end, const char *interface);
void link_end_close(struct link_end *end);

/* Hands over what has come, LINK_BATCH frames at most; how many those were. -EPROTO: a frame is
 * longer than the interface carries, or without its checksum: the other end has its offloads on. */
int link_end_receive(struct link_end *end, link_frame_fn *on_frame, void *arg);

/* Takes the frame; it leaves with others, at the latest with link_end_flush. */
void link_end_send(struct link_end *end, struct line_frame *frame);
void link_end_flush(struct link_end *end);

/* Adds to end->missed what the socket has missed since the last time. */
void link_end_count_missed(struct link_end *end);

/* Turns an interface's offloads off: checksums, segmentation, joined receipt. -ENODEV, -EPERM. */
int link_end_bare(const char *interface);
