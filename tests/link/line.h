/*
 * line: one direction of a line as people have it at home: a router's queue that drops at its tail
 * when full, a rate, and behind it a way that takes time, and now and then loses, doubles or
 * overtakes. It holds frames and says when they are due; no I/O, no clock: time is an argument, and
 * what is random follows from the seed and the order of frames. One thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	LINE_SHARE_WHOLE = 1000000,	 /* shares are in millionths */
	LINE_HELD_MAX_BYTES = 128 << 20, /* of frames under way; more is dropped and counted */
	LINE_JITTER_EACH_NS =
		50000000, /* jitter moves from one drawn value to the next in so long */
	LINE_FRAME_MAX_BYTES = 14 + 9000, /* an Ethernet header, and what it can carry */
};

struct line_conditions {
	int64_t rate_bit_s;  /* of Ethernet frames without their checksums; 0: no limit, no queue */
	int64_t queue_bytes; /* what waits for the rate; a frame that does not fit is dropped */
	int64_t delay_ns;
	int64_t jitter_ns;  /* the delay moves between delay - jitter (0 at least) and + jitter, */
			    /* and frames stay in their order */
	int64_t loss_share; /* behind the queue: what is lost has used its share of the rate */
	int64_t double_share;	/* a frame comes twice */
	int64_t overtake_share; /* a frame waits overtaken_by_ns longer; those behind it do not */
	int64_t overtaken_by_ns;
	int64_t mtu_bytes; /* longer IP packets vanish, and nobody is told; 0: none do */
	uint64_t seed;
};

struct line_counts {
	uint64_t offered, offered_bytes, sent, sent_bytes;
	uint64_t dropped; /* the queue was full */
	uint64_t too_long, lost, doubled, overtaken;
	uint64_t held_back; /* dropped at LINE_HELD_MAX_BYTES, or for want of memory */
	uint64_t fragments; /* of IP packets, among those offered */
	uint64_t
		waited; /* frames that waited for the rate, and how long all of them, the longest */
	int64_t waited_ns, waited_max_ns;
};

struct line_frame {
	int64_t due_ns;
	uint64_t order; /* among those due at once */
	size_t n;
	uint8_t bytes[];
};

struct line;

/* -ENOMEM. */
int line_new(const struct line_conditions *conditions, struct line **ret);
void line_free(struct line **line);

/* An Ethernet frame comes to the line; copied. */
void line_offer(struct line *line, const uint8_t *frame, size_t n, int64_t now_ns);

/* When the next frame comes out; INT64_MAX: none is under way. */
int64_t line_due_ns(const struct line *line);

/* The next frame that is due, the caller's to free(); NULL: none is due yet. */
struct line_frame *line_take(struct line *line, int64_t now_ns);

const struct line_counts *line_counted(const struct line *line);
