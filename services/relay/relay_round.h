/*
 * relay_round: what one turn of a shard's loop gathers. All reads of a turn land in one arena,
 * where frames are unmasked and rewritten in place; what they become is noted as pieces, per
 * destination leg, and goes out with one system call per leg at the end of the turn (or earlier,
 * when the arena is full). Only what a socket does not take is copied, into the leg's outbox.
 */
#pragma once

#include "relay/relay_leg.h"

#include <stddef.h>
#include <stdint.h>

enum {
	RELAY_ARENA_BYTES = 1024 * 1024,
	RELAY_SLACK_BYTES = 16, /* before each read: some frames grow by a few bytes */
	RELAY_BOUNCE_BYTES = 256 * 1024,
	RELAY_PIECES_MAX = 8192,
	RELAY_IOVECS_MAX = 512,
	RELAY_CIPHER_OUT_BYTES = 256 * 1024,
	RELAY_CIPHER_CHUNK_BYTES = 96 * 1024, /* encrypted between two sends */
};

struct relay_piece {
	const uint8_t *bytes; /* whole frames */
	uint32_t n;
	uint32_t next;
	struct relay_lane *lane; /* where they wait if they must */
};

struct relay_round {
	uint8_t *arena;
	size_t used;	   /* of the arena: nothing below is free until the flush */
	uint8_t *out;	   /* where the read under way may write next */
	uint8_t *in, *end; /* that read's bytes */
	uint8_t *bounce;
	size_t bounced;
	struct relay_piece *pieces;
	uint32_t n_pieces;
	struct relay_leg *dirty;		 /* legs with something to send */
	uint8_t *cipher_in, *cipher_out, *stage; /* TLS only */
	size_t staged;
};

int relay_round_init(struct relay_round *round, bool has_tls);
void relay_round_fini(struct relay_round *round);

/* Room for a read with `have` bytes before it; RELAY_SLACK_BYTES more lie in front. Flushes when
 * the arena is full. */
uint8_t *relay_round_reserve(struct relay_shard *shard, size_t have);

/* The read's bytes are begin..end: out may be written from its slack on. */
void relay_round_begin(struct relay_round *round, uint8_t *begin, uint8_t *end);

/* The read has been worked through: keeps what was written. */
void relay_round_end(struct relay_round *round);

/* A place for n bytes, `front` of which come before what is now at `from`: in the arena when that
 * leaves the unread bytes alone, else in the bounce buffer. n <= 80 KiB. */
uint8_t *relay_round_place(struct relay_shard *shard, const uint8_t *from, size_t front, size_t n);

/* Whole frames for this leg, by way of this lane; they lie where relay_round_place said. */
void relay_round_add(struct relay_shard *shard, struct relay_leg *leg, struct relay_lane *lane,
		     const uint8_t *bytes, size_t n);

/* The leg has something to send. */
void relay_round_mark(struct relay_shard *shard, struct relay_leg *leg);

/* A leg has been read: sends what nothing more can join in this turn. The next read then finds the
 * arena's beginning free, and in the processor's cache. Frees no leg, but may doom some. */
void relay_round_flush_read(struct relay_shard *shard);

/* Sends everything. Frees no leg, but may doom some. */
void relay_round_flush(struct relay_shard *shard);
