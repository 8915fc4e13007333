/*
 * relay_shard: one packet thread: its epoll, its legs, its nodes. Shards share nothing; a
 * connection comes to the shard of its node once, by mailbox, and stays.
 *
 * A door is a shard without nodes: it accepts connections, shakes hands, checks tickets, and sends
 * each leg that it admits to its shard. Its thread comes after those of the shards, so that neither
 * a herd nor an attacker at the door takes their time from legs that are there.
 */
#pragma once

#include "relay/relay_accept.h"
#include "relay/relay_channel.h"
#include "relay/relay_counters.h"
#include "relay/relay_gone.h"
#include "relay/relay_leg.h"
#include "relay/relay_mailbox.h"
#include "relay/relay_mesh_leg.h"
#include "relay/relay_round.h"
#include "relay/relay_settings.h"
#include "relay/relay_wait.h"
#include "relay/relay_wheel.h"

#include <pthread.h>

struct relay_shard {
	unsigned index; /* doors come after the shards */
	const struct relay_settings *settings;
	struct tls_context *tls;	/* shared, NULL: plain */
	struct relay_shard *const *all; /* the shards, and then the doors */
	unsigned count, doors;
	struct ticket_verifier *verifier;
	struct relay_mailbox *control; /* reports go there */

	pthread_t thread;
	bool has_thread;
	int epoll_fd;
	struct relay_accept accept;
	struct relay_mailbox mailbox;
	struct relay_message *unsent, *unsent_tail; /* reports that must not be lost */

	int64_t now_ms;
	struct relay_wait wait;
	struct relay_wheel wheel;
	struct relay_directory directory;
	struct relay_gone closed,
		deleted; /* sessions; nodes, which many sessions do not push out */
	struct relay_round round;
	_Atomic int64_t udp_bytes;    /* datagrams of other shards, waiting in our mailbox */
	struct relay_udp *udp;	      /* NULL: this relay has no UDP ingress */
	struct relay_mesh_mail *mesh; /* NULL: this relay has none */
	struct relay_ports ports;
	_Atomic int64_t mesh_bytes; /* of the mesh, waiting in our mailbox */
	LIST_HEAD(, relay_leg) legs, paused, paced;
	struct relay_leg *doomed;
	_Atomic uint32_t leg_count;	   /* doors add them up */
	int64_t resume_ms;		   /* the earliest of the paused legs */
	int64_t paced_ms;		   /* when the paced legs are looked at */
	uint64_t queued_bytes, held_bytes; /* for slow legs; of messages and requests not whole */
	struct fair_ledger ledger;
	struct relay_channel *limited; /* whose senders are to be told */
	struct metric_spread queue_ages, turns;
	struct metric_spread queue_ages_folded, turns_folded; /* the control actor's */
	uint64_t dice;					      /* for jitter only */
	int64_t usage_ms;
	int64_t drain_until_ms; /* 0: not draining */
	bool is_drained, is_stopping;
	_Atomic uint32_t lag_us; /* the longest turn since it was last asked for */
	struct relay_counters counters;
	_Atomic uint64_t busy_us; /* processor time, as of the last quarter second */
};

/* listen_fd (a door's, else -1) is taken. verifier is the shard's from then on. Does not start the
 * thread. */
int relay_shard_new(unsigned index, const struct relay_settings *settings, struct tls_context *tls,
		    struct relay_mailbox *control, int listen_fd, struct ticket_verifier *verifier,
		    struct relay_shard **ret);

/* all: count shards, for connections that move, and then the doors; in order of index. */
int relay_shard_start(struct relay_shard *shard, struct relay_shard *const *all, unsigned count,
		      unsigned doors);

/* Asks the thread to end and waits for it. */
void relay_shard_stop(struct relay_shard *shard);
void relay_shard_free(struct relay_shard **shard);

/* One turn of the thread's loop: waits for something to do, does it. For tests that have no thread;
 * all and count must be set. */
int relay_shard_turn(struct relay_shard *shard);

/* Which of count shards has this node. */
unsigned relay_shard_of(const uint8_t node_id[UUID_BYTES], unsigned count);

/* Only once started. */
static inline bool
relay_shard_is_door(const struct relay_shard *shard)
{
	return shard->index >= shard->count;
}

/* 0 to below n. */
uint32_t relay_shard_dice(struct relay_shard *shard, uint32_t n);
