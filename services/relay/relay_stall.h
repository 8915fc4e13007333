/*
 * relay_stall: a leg for which something waits must take something now and then; one that has not
 * for the setting `stall` is closed. That it took something is seen from
 *
 *	pongs		its program has read what came before the ping
 *	acknowledgments of its kernel: but not of what lies behind a mark (queue/leg_window.h) that
 *			was acknowledged too and is not answered. There only the kernel takes
 *
 * What our own kernel takes says nothing, nor does what a window lets go because no pong comes.
 * Shard thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct relay_leg;
struct relay_shard;

struct relay_stall {
	int64_t since_ms; /* when it last took something, or something began to wait; 0: nothing
			     does */
	int64_t look_ms;  /* when its kernel is next asked */
	uint32_t acked;	  /* what that said last; the rest of a 64 bit number */
};

/* Something waits for the leg. */
void relay_stall_begin(struct relay_shard *shard, struct relay_leg *leg);

/* Nothing does any more. */
void relay_stall_end(struct relay_leg *leg);

/* With a payload of n bytes: ours have as many as a mark. */
void relay_stall_on_pong(struct relay_shard *shard, struct relay_leg *leg, size_t n);

/* When relay_stall_look is due; INT64_MAX: nothing waits. */
int64_t relay_stall_deadline_ms(const struct relay_shard *shard, const struct relay_leg *leg);

/* True: it has taken nothing for too long. */
bool relay_stall_look(struct relay_shard *shard, struct relay_leg *leg);
