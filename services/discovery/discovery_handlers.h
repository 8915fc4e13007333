/*
 * discovery's mailbox and what stands behind it. One thread: the actor's.
 *
 *	gateway  -> Challenge RegisterNode Heartbeat GetNode ListNodes DeleteNode ListRevocations
 *	bosonctl -> ListEnrolments DecideEnrolment, and all that the gateway may
 *	            ListRelays
 *	relay    -> AnnounceRelay
 *	routing, metrics -> Snapshot
 *	discovery -> NodeChanged, RelayChanged, TokensRevoked (events)
 *
 * Registrations and deletions run in the mailbox's transaction: the model changes, the answer and
 * the event go out after the commit. Liveness changes at once and is written behind.
 */
#pragma once

#include "cache/cache.h"
#include "discovery/discovery_check.h"
#include "discovery/discovery_registry.h"
#include "discovery/discovery_relays.h"
#include "identity/ticket.h"
#include "service/service.h"
#include "store/store.h"
#include "store/store_lease.h"

enum {
	DISCOVERY_STUN_SERVERS_MAX = 8,
	DISCOVERY_RELAY_SERVERS_MAX = 8, /* told to a node */
	DISCOVERY_FLEET_SECRET_BYTES = 32,
	DISCOVERY_HEARTBEATS_PER_LEASE = 3,
	/* A ticket is renewed so often within its life, for an answer may get lost. */
	DISCOVERY_RENEWALS_PER_LIFETIME = 3,
};

struct discovery_stun {
	char host[CHECK_HOST_BYTES];
	unsigned int port;
};

/* Who may become a node: anybody; who shows a node access key; the latter, and whom the operator
 * approved. */
enum discovery_policy { POLICY_OPEN, POLICY_TOKEN, POLICY_APPROVAL };

struct discovery {
	Boson__Discovery__Discovery_Service service; /* first: handlers find us by it */
	const struct actor_context *context;
	struct store *store;
	struct cache *nonces;	     /* of proofs we have seen */
	struct cache *shared_nonces; /* and of those that replicas have; NULL: there are none */
	struct ticket_signer *signer;
	struct bus_publisher *publisher;
	struct registry registry;
	struct relays relays;
	uint8_t fleet_secret[DISCOVERY_FLEET_SECRET_BYTES];
	int64_t next_number; /* of the next new row, at least */

	/* Replicas: discovery_replicas.h. */
	bool is_shared;	      /* others may write to the store */
	int64_t writer;	      /* our number among them */
	uint32_t epoch;	      /* of our cursors: another replica's positions are not ours */
	int64_t batch_change; /* of the open transaction, or 0 */
	int64_t position;     /* all changes up to this are ours too */
	int64_t followed_ms, tick_ms, lease_ms, pruned_ms;
	int64_t catch_up_ms; /* this second of it, and how many there were */
	unsigned int catch_ups;
	struct store_lease lease;
	bool sweeps; /* the lease was ours when we last looked */
	bool is_loaded;

	/* From the configuration. */
	enum discovery_policy policy;
	int64_t ticket_lifetime_ms, token_renewal_ms, offline_after_ms;
	const char *relay_group;
	struct discovery_stun stun[DISCOVERY_STUN_SERVERS_MAX];
	size_t stun_count;

	struct loop_timer *expiry_timer, *save_timer, *follow_timer, *open_timer;
	struct metric *registered, *refused, *went_offline, *nodes, *online, *relay_count, *sweeper;
};

/* A copy of this, filled in by BOSON__DISCOVERY__DISCOVERY__INIT, is `service`. */
extern const Boson__Discovery__Discovery_Service discovery_mailbox;

/* discovery_register.c: checks and writes one registration, and answers it. */
void discovery_register(struct discovery *discovery,
			const Boson__Discovery__RegisterRequest *request,
			Boson__Discovery__RegisterReply_Closure closure, void *call);

/* discovery_heartbeat.c: takes in a heartbeat of this node, and answers it. */
void discovery_hear(struct discovery *discovery, struct registry_node *node,
		    const Boson__Discovery__HeartbeatRequest *input,
		    Boson__Discovery__HeartbeatReply_Closure closure, void *call);

/* discovery_deletion.c: in the mailbox's transaction. 0 or -errno. */
int discovery_delete(struct discovery *discovery, struct registry_node *node);

/* discovery_proof.c: 0 when the proof of this id and key holds and was never seen; else answers and
 * returns -EACCES. *ret_by_old: the header also has a proof by the key that the id is bound to. */
int discovery_proof_check(struct discovery *discovery,
			  const Boson__Discovery__RegisterRequest *request,
			  const uint8_t id[UUID_BYTES], const struct key *key, bool *ret_by_old,
			  void *call);

/* Counted, and answered. */
void discovery_refuse(struct discovery *discovery, void *call, enum bus_status status,
		      const char *code, const char *field);

/* discovery_enrolment.c: 0 when a node that is not known may enrol; else answers, having noted that
 * it waits where the policy is so. */
int discovery_enrolment_admit(struct discovery *discovery,
			      const Boson__Discovery__RegisterRequest *request, void *call);
void discovery_list_enrolments(struct discovery *discovery,
			       const Boson__Discovery__ListEnrolmentsRequest *request,
			       Boson__Discovery__ListEnrolmentsReply_Closure closure, void *call);
void discovery_decide_enrolment(struct discovery *discovery,
				const Boson__Discovery__DecideEnrolmentRequest *request,
				Boson__Discovery__Enrolment_Closure closure, void *call);

/* discovery_revocation.c: from when tokens of a node count that is deleted or gets another key now:
 * the next full second, for a token's time has no finer grain. */
int64_t discovery_revocation_time(int64_t wall_now_ms);
void discovery_list_revocations(struct discovery *discovery,
				const Boson__Discovery__ListRevocationsRequest *request,
				Boson__Discovery__ListRevocationsReply_Closure closure, void *call);

/* discovery_snapshot.c: relays, and all that an index needs, by the page. */
void discovery_list_relays(struct discovery *discovery,
			   const Boson__Discovery__ListRelaysRequest *request,
			   Boson__Discovery__ListRelaysReply_Closure closure, void *call);
void discovery_snapshot(struct discovery *discovery,
			const Boson__Discovery__SnapshotRequest *request,
			Boson__Discovery__SnapshotReply_Closure closure, void *call);

/* discovery_answer.c: what answers have in common. */
struct discovery_relay_servers {
	Boson__Discovery__RegisterReply__RelayServer servers[DISCOVERY_RELAY_SERVERS_MAX];
	Boson__Discovery__RegisterReply__RelayServer *pointers[DISCOVERY_RELAY_SERVERS_MAX];
	char hosts[DISCOVERY_RELAY_SERVERS_MAX][CHECK_HOST_BYTES];
	size_t count;
};
void discovery_relay_servers_fill(const struct discovery *discovery,
				  struct discovery_relay_servers *ret);
int discovery_ticket_issue(const struct discovery *discovery, const uint8_t node_id[UUID_BYTES],
			   char ret_text[TICKET_TEXT_MAX_BYTES]);

/* discovery_events.c */
void discovery_tell_node(struct discovery *discovery, const struct registry_node *node);
void discovery_tell_revoked(struct discovery *discovery, const struct registry_node *node);
void discovery_tell_relay(struct discovery *discovery, const Boson__Common__Relay *relay,
			  bool gone);
