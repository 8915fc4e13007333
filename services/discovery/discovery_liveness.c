/*
 * discovery_liveness: heartbeats are written behind, thousands in a row of the store; who has not
 * been heard of for a whole lease is offline, which is found out and written by one replica, and
 * told by each. See discovery_replicas.h.
 */
#include "discovery/discovery_replicas.h"

#include "discovery/discovery_beats.h"
#include "identity/proof.h"
#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <stdlib.h>

enum {
	TICK_MAX_MS = 1000,
	TICKS_PER_LEASE = 20,
	SWEEPS_A_TICK = 4, /* the mailbox waits meanwhile */
	SWEEP_MAX = 500,   /* nodes in one transaction, as the next two */
	FLUSH_MAX = 20000,
	FLUSH_PART_BYTES = 512 * 1024,
	FLUSH_MS = 1000,
	FLUSH_ALONE_MS = 5000, /* nobody waits for it: it only spares a lease at the next start */
	FLUSH_MORE_MS = 20,
	PRUNE_MS = 30 * 1000,
	KEPT_LEASES = 3, /* heartbeats are kept for so many */
	KEPT_PROOFS = 2, /* and used proofs for so many of their lives */
};

int
discovery_stamp(struct discovery *discovery, struct discovery_stamp *ret)
{
	if (discovery->batch_change == 0 &&
	    discovery_store_next_change(discovery->store, &discovery->batch_change) != 0)
		return -EIO;
	*ret = (struct discovery_stamp){
		.change = discovery->batch_change,
		.writer = discovery->writer,
		.version = registry_stamp(&discovery->registry, clock_wall_ms()),
	};
	return 0;
}

static int
begin(struct discovery *discovery)
{
	discovery->batch_change = 0;
	return store_begin(discovery->store);
}

static int
end(struct discovery *discovery, int error)
{
	if (error == 0)
		return store_commit(discovery->store);
	store_rollback(discovery->store);
	return error;
}

/* ---- silence ---- */

struct due {
	struct registry_node *nodes[SWEEP_MAX];
	uint64_t versions[SWEEP_MAX];
	size_t n;
	int64_t change;
};

static int
write_due(struct discovery *discovery, struct due *due)
{
	struct discovery_stamp stamp;
	int error = 0;

	for (size_t i = 0; error == 0 && i < due->n; i++) {
		const struct registry_node *node = due->nodes[i];

		error = discovery_stamp(discovery, &stamp);
		if (error == 0)
			error = discovery_store_offline(discovery->store, node->id,
							node->last_seen_wall_ms, &stamp);
		due->versions[i] = stamp.version;
		due->change = stamp.change;
	}
	return error;
}

static void
tell_due(struct discovery *discovery, const struct due *due)
{
	for (size_t i = 0; i < due->n; i++) {
		struct registry_node *node = due->nodes[i];

		node->change = due->change;
		if (!registry_end(&discovery->registry, node, due->versions[i]))
			continue;
		metric_add(discovery->went_offline, 1);
		discovery_tell_node(discovery, node);
	}
}

/* Is it on us to say who is offline? The lease is part of the transaction. 1, 0 or -EIO. */
static int
hold_lease(struct discovery *discovery, int64_t now_ms)
{
	int r = 1;

	if (discovery->is_shared)
		r = store_lease_hold(&discovery->lease, discovery->store, now_ms);
	if (r >= 0 && discovery->sweeps != (r == 1))
		log_info("sweeper", "is_us=%d", r == 1);
	discovery->sweeps = r == 1;
	discovery->lease_ms = now_ms;
	return r;
}

/* True when there may be more. */
static bool
sweep(struct discovery *discovery, int64_t now_ms)
{
	struct due due = { .n = registry_due(&discovery->registry, now_ms, due.nodes, SWEEP_MAX) };
	bool must_renew =
		discovery->is_shared && now_ms - discovery->lease_ms >= DISCOVERY_LEASE_RENEW_MS;
	int r;

	if (due.n == 0 && !must_renew)
		return false;
	if (discovery->is_shared && !must_renew && !discovery->sweeps)
		return false;
	r = begin(discovery);
	if (r == 0)
		r = hold_lease(discovery, now_ms);
	if (r == 0)
		due.n = 0;
	else if (r == 1)
		r = write_due(discovery, &due);
	r = end(discovery, r);
	if (r != 0)
		log_warn("silence_not_saved", "error=%d", r);
	/* A file that cannot be written keeps them online; the next start finds out anew. */
	if (r == 0 || !discovery->is_shared)
		tell_due(discovery, &due);
	return r == 0 && due.n == SWEEP_MAX;
}

static void
sweep_relays(struct discovery *discovery, int64_t now_ms)
{
	Boson__Common__Relay *relay;

	while ((relay = discovery_relays_expire(&discovery->relays, now_ms)) != NULL) {
		log_warn("relay_silent", "relay=%s", relay->id);
		discovery_tell_relay(discovery, relay, true);
		if (discovery->is_shared && discovery->sweeps)
			(void)discovery_store_remove_relay(discovery->store, relay->id);
		boson__common__relay__free_unpacked(relay, NULL);
	}
}

static void
on_tick(struct loop *loop, void *arg)
{
	struct discovery *discovery = arg;
	int64_t now_ms = loop_now_ms(loop);

	/* We were stopped or stuck: what nobody listened to was not silence. (F09) */
	if (now_ms - discovery->tick_ms > DISCOVERY_BLIND_MS) {
		log_warn("was_blind", "ms=%lld", (long long)(now_ms - discovery->tick_ms));
		registry_forgive(&discovery->registry, now_ms);
		discovery_relays_forgive(&discovery->relays, now_ms);
	}
	discovery->tick_ms = now_ms;
	if (!discovery->is_shared || now_ms - discovery->followed_ms < DISCOVERY_SYNC_MS)
		for (int i = 0; i < SWEEPS_A_TICK && sweep(discovery, now_ms); i++)
			continue;
	sweep_relays(discovery, now_ms);
	metric_set(discovery->nodes, (double)discovery->registry.count);
	metric_set(discovery->online, (double)discovery->registry.online);
	metric_set(discovery->relay_count, (double)discovery->relays.count);
	metric_set(discovery->sweeper, discovery->sweeps ? 1 : 0);
}

/* ---- heartbeats ---- */

struct flush {
	struct registry_node **taken;
	size_t n;
	uint8_t *bytes;
	size_t used;
	int64_t part;
};

static int
write_part(struct discovery *discovery, struct flush *flush, const struct discovery_stamp *stamp)
{
	int error = 0;

	if (flush->used > 0)
		error = discovery_store_put_beats(discovery->store, flush->part++, clock_wall_ms(),
						  flush->bytes, flush->used, stamp);
	flush->used = 0;
	return error;
}

static int
write_beats(struct discovery *discovery, struct flush *flush, const struct discovery_stamp *stamp)
{
	struct registry_node *node;
	int error = 0;

	while (error == 0 && flush->n < FLUSH_MAX &&
	       (node = registry_take_unsaved(&discovery->registry)) != NULL) {
		struct beat beat = { .version = node->version, .status = node->status };

		flush->taken[flush->n++] = node;
		if (node->deleted)
			continue;
		memcpy(beat.id, node->id, UUID_BYTES);
		if (node->unsaved_vitals)
			beat.vitals = node->vitals;
		flush->used += beats_write(&beat, flush->bytes + flush->used);
		if (flush->used + BEATS_ONE_MAX_BYTES > FLUSH_PART_BYTES)
			error = write_part(discovery, flush, stamp);
	}
	return error == 0 ? write_part(discovery, flush, stamp) : error;
}

static int
write_relays(struct discovery *discovery, const struct discovery_stamp *stamp)
{
	int error = 0;

	for (size_t i = 0; error == 0 && i < discovery->relays.count; i++) {
		const struct relays_entry *entry = &discovery->relays.entries[i];
		uint8_t bytes[RELAYS_ANNOUNCEMENT_MAX_BYTES];

		if (!entry->is_unsaved ||
		    boson__common__relay__get_packed_size(entry->relay) > sizeof(bytes))
			continue;
		error = discovery_store_put_relay(discovery->store, entry->relay->id, bytes,
						  boson__common__relay__pack(entry->relay, bytes),
						  entry->peer, stamp);
	}
	return error;
}

static void
settle_flush(struct discovery *discovery, const struct flush *flush, int error)
{
	for (size_t i = 0; i < flush->n; i++) {
		if (error == 0)
			flush->taken[i]->unsaved_vitals = false;
		else
			registry_put_unsaved(&discovery->registry, flush->taken[i]);
	}
	if (error == 0)
		discovery_relays_saved(&discovery->relays);
}

static bool
has_news(const struct discovery *discovery)
{
	return discovery->registry.unsaved_first != NULL ||
	       (discovery->is_shared && discovery_relays_has_unsaved(&discovery->relays));
}

static int
flush_all(struct discovery *discovery, struct flush *flush)
{
	struct discovery_stamp stamp;
	int error = begin(discovery);

	if (error == 0)
		error = discovery_stamp(discovery, &stamp);
	if (error == 0)
		error = write_beats(discovery, flush, &stamp);
	if (error == 0 && discovery->is_shared)
		error = write_relays(discovery, &stamp);
	return end(discovery, error);
}

static int
save(struct discovery *discovery)
{
	struct flush flush = { .taken = malloc(FLUSH_MAX * sizeof(*flush.taken)),
			       .bytes = malloc(FLUSH_PART_BYTES) };
	int error = flush.taken != NULL && flush.bytes != NULL ? 0 : -ENOMEM;

	if (error == 0) {
		error = flush_all(discovery, &flush);
		settle_flush(discovery, &flush, error);
	}
	free(flush.taken);
	free(flush.bytes);
	if (error != 0)
		log_warn("liveness_not_saved", "error=%d", error);
	return error;
}

static void
prune(struct discovery *discovery, int64_t now_ms)
{
	if (now_ms - discovery->pruned_ms < PRUNE_MS ||
	    (discovery->is_shared && !discovery->sweeps))
		return;
	discovery->pruned_ms = now_ms;
	(void)discovery_store_prune_beats(
		discovery->store, clock_wall_ms() - KEPT_LEASES * discovery->offline_after_ms);
	(void)discovery_store_prune_proofs(discovery->store,
					   clock_wall_ms() - KEPT_PROOFS * PROOF_REMEMBER_MS);
}

static void
on_save(struct loop *loop, void *arg)
{
	struct discovery *discovery = arg;
	int64_t delay_ms = discovery->is_shared ? FLUSH_MS : FLUSH_ALONE_MS;

	if (has_news(discovery) && save(discovery) == 0 && has_news(discovery))
		delay_ms = FLUSH_MORE_MS;
	prune(discovery, loop_now_ms(loop));
	loop_timer_stop(&discovery->save_timer);
	(void)loop_timer_start(loop, delay_ms, 0, on_save, discovery, &discovery->save_timer);
}

static void
on_follow(struct loop *loop, void *arg)
{
	struct discovery *discovery = arg;
	int64_t began_ms = clock_monotonic_ms();
	bool is_well = discovery_follow(discovery) == 0 &&
		       clock_monotonic_ms() - began_ms < DISCOVERY_SLOW_MS;

	loop_timer_stop(&discovery->follow_timer);
	(void)loop_timer_start(loop, is_well ? DISCOVERY_FOLLOW_MS : DISCOVERY_FOLLOW_AGAIN_MS, 0,
			       on_follow, discovery, &discovery->follow_timer);
}

int
discovery_liveness_start(struct discovery *discovery)
{
	struct loop *loop = discovery->context->loop;
	int64_t period_ms = discovery->offline_after_ms / TICKS_PER_LEASE;
	int error;

	if (period_ms > TICK_MAX_MS)
		period_ms = TICK_MAX_MS;
	discovery->tick_ms = discovery->pruned_ms = loop_now_ms(loop);
	discovery->lease_ms = discovery->tick_ms - DISCOVERY_LEASE_RENEW_MS;
	error = loop_timer_start(loop, period_ms, period_ms, on_tick, discovery,
				 &discovery->expiry_timer);
	if (error == 0)
		error = loop_timer_start(loop, FLUSH_MS, 0, on_save, discovery,
					 &discovery->save_timer);
	if (error == 0 && discovery->is_shared)
		error = loop_timer_start(loop, DISCOVERY_FOLLOW_MS, 0, on_follow, discovery,
					 &discovery->follow_timer);
	return error;
}

void
discovery_liveness_stop(struct discovery *discovery)
{
	loop_timer_stop(&discovery->follow_timer);
	loop_timer_stop(&discovery->save_timer);
	loop_timer_stop(&discovery->expiry_timer);
	if (discovery->store == NULL)
		return;
	while (has_news(discovery) && save(discovery) == 0)
		continue;
	if (discovery->is_shared && discovery->sweeps)
		(void)store_lease_release(&discovery->lease, discovery->store);
}
