/*
 * line: the queue is a time, that at which all that waits will have gone out at the rate; frames
 * are held in a heap by when they come out at the far end.
 */
#include "line.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
	ETHERNET_BYTES = 14,
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_IPV6 = 0x86dd,
	IPV4_FRAGMENT_MASK = 0x3fff, /* "more fragments", and the offset */
	IPV6_FRAGMENT_HEADER = 44,
	HEAP_FIRST = 256,
};

static const double SEC_NS = 1e9;

struct line {
	struct line_conditions conditions;
	struct line_counts counts;
	int64_t free_at_ns; /* all that waits for the rate has gone */
	int64_t last_due_ns;
	uint64_t dice, order;
	size_t held_bytes;
	struct line_frame **heap;
	size_t heap_n, heap_size;
};

/* splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators). */
static uint64_t
mixed(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
	return x ^ (x >> 31);
}

static bool
falls_in(struct line *line, int64_t share)
{
	line->dice += 0x9e3779b97f4a7c15U;
	return (int64_t)(mixed(line->dice) % LINE_SHARE_WHOLE) < share;
}

int
line_new(const struct line_conditions *conditions, struct line **ret)
{
	struct line *line = calloc(1, sizeof(*line));

	if (line == NULL)
		return -ENOMEM;
	line->conditions = *conditions;
	line->dice = mixed(conditions->seed);
	line->free_at_ns = INT64_MIN;
	line->last_due_ns = INT64_MIN;
	*ret = line;
	return 0;
}

void
line_free(struct line **line)
{
	if (*line == NULL)
		return;
	for (size_t i = 0; i < (*line)->heap_n; i++)
		free((*line)->heap[i]);
	free((*line)->heap);
	free(*line);
	*line = NULL;
}

/* ---- the heap ---- */

static bool
comes_before(const struct line_frame *a, const struct line_frame *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static bool
heap_grow(struct line *line)
{
	if (line->heap_n < line->heap_size)
		return true;
	size_t size = line->heap_size > 0 ? 2 * line->heap_size : HEAP_FIRST;
	struct line_frame **heap = realloc(line->heap, size * sizeof(struct line_frame *));
	if (heap == NULL)
		return false;
	line->heap = heap;
	line->heap_size = size;
	return true;
}

static void
heap_put(struct line *line, struct line_frame *frame)
{
	size_t at = line->heap_n++;

	while (at > 0 && comes_before(frame, line->heap[(at - 1) / 2])) {
		line->heap[at] = line->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	line->heap[at] = frame;
}

static struct line_frame *
heap_take(struct line *line)
{
	struct line_frame *first = line->heap[0], *last = line->heap[--line->heap_n];
	size_t at = 0, child;

	while ((child = 2 * at + 1) < line->heap_n) {
		if (child + 1 < line->heap_n &&
		    comes_before(line->heap[child + 1], line->heap[child]))
			child++;
		if (!comes_before(line->heap[child], last))
			break;
		line->heap[at] = line->heap[child];
		at = child;
	}
	line->heap[at] = last;
	return first;
}

/* ---- the way of a frame ---- */

static uint32_t
big_endian16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static bool
is_fragment(const uint8_t *frame, size_t n)
{
	if (n < ETHERNET_BYTES + 20)
		return false;
	switch (big_endian16(frame + 12)) {
	case ETHERTYPE_IPV4:
		return (big_endian16(frame + ETHERNET_BYTES + 6) & IPV4_FRAGMENT_MASK) != 0;
	case ETHERTYPE_IPV6:
		return frame[ETHERNET_BYTES + 6] == IPV6_FRAGMENT_HEADER;
	default:
		return false;
	}
}

/* The queue and the rate: when the frame's last bit is on its way, INT64_MAX: it was dropped. */
static int64_t
through_the_queue(struct line *line, size_t n, int64_t now_ns)
{
	const struct line_conditions *conditions = &line->conditions;

	if (conditions->rate_bit_s == 0)
		return now_ns;
	int64_t wait_ns = line->free_at_ns > now_ns ? line->free_at_ns - now_ns : 0;
	/* In floating point for its range; it is off by less than a byte. */
	double waiting_bytes = (double)wait_ns * (double)conditions->rate_bit_s / (8 * SEC_NS);
	/* A frame that finds nobody waiting goes, however short the queue. */
	if (wait_ns > 0 && waiting_bytes + (double)n > (double)conditions->queue_bytes + 0.5) {
		line->counts.dropped++;
		return INT64_MAX;
	}
	line->counts.waited++;
	line->counts.waited_ns += wait_ns;
	if (wait_ns > line->counts.waited_max_ns)
		line->counts.waited_max_ns = wait_ns;
	line->free_at_ns = now_ns + wait_ns +
			   (int64_t)((double)n * 8 * SEC_NS / (double)conditions->rate_bit_s);
	return line->free_at_ns;
}

/* The jitter drawn for the nth of the stretches of LINE_JITTER_EACH_NS, from - to + jitter. */
static int64_t
drawn_jitter(const struct line_conditions *conditions, int64_t nth)
{
	uint64_t span = 2 * (uint64_t)conditions->jitter_ns + 1;

	return (int64_t)(mixed(conditions->seed ^ mixed((uint64_t)nth)) % span) -
	       conditions->jitter_ns;
}

static int64_t
delay_at(const struct line_conditions *conditions, int64_t at_ns)
{
	if (conditions->jitter_ns == 0)
		return conditions->delay_ns;
	int64_t nth = at_ns / LINE_JITTER_EACH_NS, part_ns = at_ns % LINE_JITTER_EACH_NS;
	int64_t from_ns = drawn_jitter(conditions, nth), to_ns = drawn_jitter(conditions, nth + 1);
	double part = (double)part_ns / LINE_JITTER_EACH_NS;
	int64_t delay_ns =
		conditions->delay_ns + from_ns + (int64_t)((double)(to_ns - from_ns) * part);
	return delay_ns > 0 ? delay_ns : 0;
}

static void
hold(struct line *line, const uint8_t *bytes, size_t n, int64_t due_ns)
{
	struct line_frame *frame = NULL;

	if (line->held_bytes + n <= LINE_HELD_MAX_BYTES && heap_grow(line))
		frame = malloc(sizeof(*frame) + n);
	if (frame == NULL) {
		line->counts.held_back++;
		return;
	}
	frame->due_ns = due_ns;
	frame->order = line->order++;
	frame->n = n;
	memcpy(frame->bytes, bytes, n);
	line->held_bytes += n;
	heap_put(line, frame);
}

void
line_offer(struct line *line, const uint8_t *frame, size_t n, int64_t now_ns)
{
	const struct line_conditions *conditions = &line->conditions;
	struct line_counts *counts = &line->counts;

	counts->offered++;
	counts->offered_bytes += n;
	counts->fragments += is_fragment(frame, n);
	if (conditions->mtu_bytes > 0 && (int64_t)n > ETHERNET_BYTES + conditions->mtu_bytes) {
		counts->too_long++;
		return;
	}
	int64_t gone_ns = through_the_queue(line, n, now_ns);
	if (gone_ns == INT64_MAX)
		return;
	/* All dice are cast for each frame: one condition changes no other's outcome. */
	bool is_lost = falls_in(line, conditions->loss_share);
	bool is_double = falls_in(line, conditions->double_share);
	bool is_overtaken = falls_in(line, conditions->overtake_share);
	if (is_lost) {
		counts->lost++;
		return;
	}
	int64_t due_ns = gone_ns + delay_at(conditions, gone_ns);
	if (due_ns < line->last_due_ns)
		due_ns = line->last_due_ns;
	line->last_due_ns = due_ns;
	if (is_overtaken)
		due_ns += conditions->overtaken_by_ns;
	counts->overtaken += is_overtaken;
	counts->doubled += is_double;
	for (int copies = is_double ? 2 : 1; copies > 0; copies--)
		hold(line, frame, n, due_ns);
}

int64_t
line_due_ns(const struct line *line)
{
	return line->heap_n > 0 ? line->heap[0]->due_ns : INT64_MAX;
}

struct line_frame *
line_take(struct line *line, int64_t now_ns)
{
	if (line_due_ns(line) > now_ns)
		return NULL;
	struct line_frame *frame = heap_take(line);
	line->held_bytes -= frame->n;
	line->counts.sent++;
	line->counts.sent_bytes += frame->n;
	return frame;
}

const struct line_counts *
line_counted(const struct line *line)
{
	return &line->counts;
}
