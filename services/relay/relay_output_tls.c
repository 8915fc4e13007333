/*
 * relay_output_tls: frames are encrypted into the thread's buffer, a hundred kilobytes at a time,
 * and sent with one call. Small frames share a record. Encryption stops at frame boundaries only,
 * so that what has not been encrypted may still be dropped.
 */
#include "relay/relay_output_tls.h"

#include "relay/relay_output.h"
#include "relay/relay_shard.h"

#include <stdlib.h>
#include <string.h>

static struct tls_io
output_io(const struct relay_shard *shard)
{
	return (struct tls_io){ .out = shard->round.cipher_out,
				.out_capacity = RELAY_CIPHER_OUT_BYTES };
}

void
relay_output_say(struct relay_shard *shard, struct relay_leg *leg, const uint8_t *bytes, size_t n)
{
	if (leg->tls == NULL) {
		relay_output_wire(shard, leg, bytes, n);
		return;
	}
	struct tls_io io = output_io(shard);
	if (tls_channel_write(leg->tls, &io, bytes, n) < 0)
		relay_leg_doom(shard, leg, 0, "TLS failed");
	else
		relay_output_wire(shard, leg, io.out, io.out_n);
}

void
relay_output_goodbye(struct relay_shard *shard, struct relay_leg *leg)
{
	struct tls_io io = output_io(shard);

	if (leg->tls == NULL)
		return;
	tls_channel_close(leg->tls, &io);
	relay_output_wire(shard, leg, io.out, io.out_n);
}

/* Gathers small frames into whole records; large ones, and those that nothing can share a record
 * with, are encrypted where they lie. */
static int
encrypt(struct relay_shard *shard, struct relay_leg *leg, struct tls_io *io, const uint8_t *bytes,
	size_t n, bool has_more)
{
	struct relay_round *round = &shard->round;
	int r = 0;

	while (n > 0 && r == 0) {
		size_t whole = has_more ? n - n % TLS_RECORD_BYTES : n;

		if (round->staged == 0 && whole > 0) {
			r = tls_channel_write(leg->tls, io, bytes, whole);
			bytes += whole;
			n -= whole;
			continue;
		}
		size_t room = TLS_RECORD_BYTES - round->staged, part = n < room ? n : room;
		memcpy(round->stage + round->staged, bytes, part);
		round->staged += part;
		bytes += part;
		n -= part;
		if (round->staged == TLS_RECORD_BYTES) {
			r = tls_channel_write(leg->tls, io, round->stage, round->staged);
			round->staged = 0;
		}
	}
	return r;
}

/* Sends what was encrypted. True: all of it went; else the rest is kept and the leg blocked. */
static bool
send_encrypted(struct relay_shard *shard, struct relay_leg *leg, struct tls_io *io)
{
	struct relay_round *round = &shard->round;
	int r = tls_channel_write(leg->tls, io, round->stage, round->staged);

	round->staged = 0;
	if (r < 0)
		relay_leg_doom(shard, leg, 0, "TLS failed");
	else
		relay_output_wire(shard, leg, io->out, io->out_n);
	io->out_n = 0;
	return relay_leg_is_open(leg) && !leg->is_blocked;
}

bool
relay_output_encrypt_waiting(struct relay_shard *shard, struct relay_leg *leg)
{
	struct fair_list waiting = leg->outbox.committed;
	struct tls_io io = output_io(shard);
	struct fair_item *item;
	int r = 0;

	leg->outbox.committed = (struct fair_list){ 0 };
	while ((item = fair_list_pop(&waiting)) != NULL) {
		if (r == 0)
			r = encrypt(shard, leg, &io, item->bytes, item->n, waiting.head != NULL);
		free(item);
	}
	if (r < 0)
		relay_leg_doom(shard, leg, 0, "TLS failed");
	return send_encrypted(shard, leg, &io) && r == 0;
}

void
relay_output_encrypt_pieces(struct relay_shard *shard, struct relay_leg *leg)
{
	struct tls_io io = output_io(shard);

	for (uint32_t i = leg->first_piece; i != RELAY_NO_PIECE; i = shard->round.pieces[i].next) {
		const struct relay_piece *piece = &shard->round.pieces[i];
		size_t at = 0;

		while (at < piece->n) {
			size_t start = at;

			while (at < piece->n && at - start + io.out_n < RELAY_CIPHER_CHUNK_BYTES)
				at += ws_frame_bytes(piece->bytes + at);
			/* What is cut short here is sent before the rest. */
			bool has_more = at == piece->n && piece->next != RELAY_NO_PIECE;
			int r = encrypt(shard, leg, &io, piece->bytes + start, at - start,
					has_more);
			if (r < 0) {
				relay_leg_doom(shard, leg, 0, "TLS failed");
				return;
			}
			if (at < piece->n || io.out_n >= RELAY_CIPHER_CHUNK_BYTES) {
				if (!send_encrypted(shard, leg, &io)) {
					relay_output_keep(shard, leg, i, at);
					return;
				}
			}
		}
	}
	send_encrypted(shard, leg, &io);
}
