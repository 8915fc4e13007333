/*
 * relay_round: the arena is a bump allocator that starts again at each flush.
 */
#include "relay/relay_round.h"

#include "relay/relay_output.h"
#include "relay/relay_shard.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_LINE_BYTES = 64 };

int
relay_round_init(struct relay_round *round, bool has_tls)
{
	memset(round, 0, sizeof(*round));
	round->arena = aligned_alloc(CACHE_LINE_BYTES, RELAY_ARENA_BYTES);
	round->bounce = malloc(RELAY_BOUNCE_BYTES);
	round->pieces = malloc(RELAY_PIECES_MAX * sizeof(*round->pieces));
	if (has_tls) {
		round->cipher_in = malloc(RELAY_CIPHER_BYTES);
		round->cipher_out = malloc(RELAY_CIPHER_OUT_BYTES);
		round->stage = malloc(TLS_RECORD_BYTES);
	}
	if (round->arena == NULL || round->bounce == NULL || round->pieces == NULL ||
	    (has_tls &&
	     (round->cipher_in == NULL || round->cipher_out == NULL || round->stage == NULL))) {
		relay_round_fini(round);
		return -ENOMEM;
	}
	return 0;
}

void
relay_round_fini(struct relay_round *round)
{
	free(round->arena);
	free(round->bounce);
	free(round->pieces);
	free(round->cipher_in);
	free(round->cipher_out);
	free(round->stage);
	memset(round, 0, sizeof(*round));
}

uint8_t *
relay_round_reserve(struct relay_shard *shard, size_t have)
{
	struct relay_round *round = &shard->round;

	if (round->used + RELAY_SLACK_BYTES + have + RELAY_READ_BYTES > RELAY_ARENA_BYTES)
		relay_round_flush(shard);
	assert(round->used + RELAY_SLACK_BYTES + have + RELAY_READ_BYTES <= RELAY_ARENA_BYTES);
	return round->arena + round->used + RELAY_SLACK_BYTES;
}

void
relay_round_begin(struct relay_round *round, uint8_t *begin, uint8_t *end)
{
	round->out = begin - RELAY_SLACK_BYTES;
	round->in = begin;
	round->end = end;
}

void
relay_round_end(struct relay_round *round)
{
	size_t used = (size_t)(round->out - round->arena);

	/* A flush in the middle of the read has set used to 0, but what came after it still lies
	 * where it was written. */
	round->used = round->n_pieces > 0
			      ? (used + CACHE_LINE_BYTES - 1) & ~(size_t)(CACHE_LINE_BYTES - 1)
			      : 0;
	round->in = round->end = NULL;
}

uint8_t *
relay_round_place(struct relay_shard *shard, const uint8_t *from, size_t front, size_t n)
{
	struct relay_round *round = &shard->round;

	if (round->n_pieces == RELAY_PIECES_MAX)
		relay_round_flush(shard);
	if (from >= round->in && from < round->end &&
	    (uintptr_t)round->out + front <= (uintptr_t)from) {
		uint8_t *place = round->out;

		round->out += n;
		return place;
	}
	assert(n <= RELAY_BOUNCE_BYTES);
	if (round->bounced + n > RELAY_BOUNCE_BYTES)
		relay_round_flush(shard);
	uint8_t *place = round->bounce + round->bounced;
	round->bounced += n;
	return place;
}

void
relay_round_mark(struct relay_shard *shard, struct relay_leg *leg)
{
	if (leg->is_dirty)
		return;
	leg->is_dirty = true;
	leg->next_dirty = shard->round.dirty;
	shard->round.dirty = leg;
}

void
relay_round_add(struct relay_shard *shard, struct relay_leg *leg, struct relay_lane *lane,
		const uint8_t *bytes, size_t n)
{
	struct relay_round *round = &shard->round;

	if (leg->first_piece != RELAY_NO_PIECE) {
		struct relay_piece *last = &round->pieces[leg->last_piece];

		if (last->lane == lane && last->bytes + last->n == bytes) {
			last->n += (uint32_t)n;
			return;
		}
	}
	assert(round->n_pieces < RELAY_PIECES_MAX); /* relay_round_place saw to it */
	uint32_t i = round->n_pieces++;
	round->pieces[i] = (struct relay_piece){ bytes, (uint32_t)n, RELAY_NO_PIECE, lane };
	if (leg->first_piece != RELAY_NO_PIECE)
		round->pieces[leg->last_piece].next = i;
	else
		leg->first_piece = i;
	leg->last_piece = i;
	relay_round_mark(shard, leg);
}

static void
flush_leg(struct relay_shard *shard, struct relay_leg *leg)
{
	leg->is_dirty = false;
	relay_output_flush(shard, leg);
	leg->first_piece = leg->last_piece = RELAY_NO_PIECE;
}

static void
start_again(struct relay_round *round)
{
	round->n_pieces = 0;
	round->bounced = 0;
	round->used = 0;
}

void
relay_round_flush(struct relay_shard *shard)
{
	struct relay_round *round = &shard->round;

	while (round->dirty != NULL) {
		struct relay_leg *leg = round->dirty;

		round->dirty = leg->next_dirty;
		flush_leg(shard, leg);
	}
	start_again(round);
}

/* Can nobody but the leg that was just read add to it in this turn? */
static bool
has_one_source(const struct relay_leg *leg)
{
	if (leg->carrier != NULL)
		return false; /* carriers gather over a turn */
	return leg->channel != NULL || (leg->node != NULL && leg->node->count == 1);
}

void
relay_round_flush_read(struct relay_shard *shard)
{
	struct relay_round *round = &shard->round;
	struct relay_leg *rest = round->dirty;

	round->dirty = NULL;
	while (rest != NULL) {
		struct relay_leg *leg = rest;

		rest = leg->next_dirty;
		if (has_one_source(leg)) {
			flush_leg(shard, leg);
		} else {
			leg->next_dirty = round->dirty;
			round->dirty = leg;
		}
	}
	if (round->dirty == NULL)
		start_again(round);
}
