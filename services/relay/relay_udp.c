/*
 * relay_udp: a shard's UDP ingress as a whole: its socket, the sessions that may use it, what ends
 * with time. relay_udp_up has the way to the nodes, relay_udp_strangers how a leg begins,
 * relay_udp_down the way back.
 */
#include "relay/relay_udp.h"

#include "log/log.h"
#include "net/udp_bundle.h"
#include "relay/relay_shard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { READS_A_TURN = 4, EVERY_MS = 1000 };

static void
drop(struct relay_shard *shard, enum relay_counter reason)
{
	relay_count(&shard->counters, reason, 1);
}

/* ---- the socket ---- */

static void
on_bundle(const struct relay_udp_arrival *arrival, const uint8_t *bytes, size_t n, size_t segment,
	  void *arg)
{
	struct relay_shard *shard = arg;
	int r = relay_udp_check_source(arrival, &shard->udp->peers);

	if (n == 0)
		drop(shard, RELAY_UDP_DROP_SHORT);
	for (size_t at = 0; at < n; at += segment) {
		if (r < 0)
			drop(shard, RELAY_UDP_DROP_SHORT + (unsigned)(-r - 1));
		else
			relay_udp_take(shard, &arrival->tuple, bytes + at,
				       n - at < segment ? n - at : segment);
	}
}

void
relay_udp_on_event(struct relay_shard *shard)
{
	struct relay_udp *udp = shard->udp;

	for (int i = 0; i < READS_A_TURN; i++) {
		int r = relay_udp_socket_read(udp->fd, udp->reads, on_bundle, shard);

		relay_udp_batch_flush(shard); /* it lies in the reads */
		relay_udp_hand_flush(shard);
		if (r <= 0)
			return;
	}
}

/* ---- sessions ---- */

static void
arm(struct relay_shard *shard)
{
	struct relay_udp *udp = shard->udp;

	if (udp->timer.at == NULL && udp->sessions.sessions.count > 0)
		relay_timer_set(&shard->wheel, &udp->timer, shard->now_ms + EVERY_MS);
}

void
relay_udp_bind(struct relay_shard *shard, const struct relay_udp_binding *binding)
{
	struct relay_udp_sessions *sessions = &shard->udp->sessions;
	int r = relay_udp_sessions_bind(sessions, binding);

	if (r == -EEXIST) { /* a resumed session on another node, or with another key */
		relay_udp_unbind(shard, binding->session_id, NULL);
		r = relay_udp_sessions_bind(sessions, binding);
	}
	if (r < 0)
		log_warn("udp_not_bound", "reason=\"%s\"", strerror(-r));
	else
		relay_udp_recall(shard, relay_udp_sessions_find(sessions, binding->session_id));
	arm(shard);
}

static void
unbind(struct relay_shard *shard, struct relay_udp_session *session)
{
	struct relay_udp_node *node = session->node;

	while (!LIST_EMPTY(&session->flows))
		relay_udp_close_flow(shard, LIST_FIRST(&session->flows), "session is closed");
	while (node->session_count == 1 && !TAILQ_EMPTY(&node->half_open))
		relay_udp_close_flow(shard, TAILQ_FIRST(&node->half_open), "session is closed");
	relay_udp_sessions_unbind(&shard->udp->sessions, session);
}

void
relay_udp_unbind(struct relay_shard *shard, const uint8_t session_id[UUID_BYTES],
		 const uint8_t *node_id)
{
	struct relay_udp_session *session;

	if (shard->udp == NULL)
		return;
	session = relay_udp_sessions_find(&shard->udp->sessions, session_id);
	if (session != NULL &&
	    (node_id == NULL || memcmp(session->node->id, node_id, UUID_BYTES) == 0))
		unbind(shard, session);
}

void
relay_udp_set_peers(struct relay_shard *shard, const struct relay_udp_peers *peers)
{
	shard->udp->peers = *peers;
}

bool
relay_udp_is_used(const struct relay_shard *shard)
{
	return shard->udp != NULL && shard->udp->flows.answered.n > 0;
}

/* ---- time ---- */

/* One pass, however many they are. */
static void
end_sessions(struct relay_shard *shard, int64_t now_ms)
{
	struct idtable *sessions = &shard->udp->sessions.sessions;
	struct relay_udp_session *next, *session = idtable_next(sessions, NULL);

	for (; session != NULL; session = next) {
		next = idtable_next(sessions, session);
		if (session->ends_ms <= now_ms)
			unbind(shard, session);
	}
}

void
relay_udp_on_timer(struct relay_shard *shard)
{
	struct relay_udp *udp = shard->udp;
	struct relay_udp_flow *flow;

	while ((flow = relay_udp_flows_ended(&udp->flows, shard->now_ms)) != NULL) {
		relay_count(&shard->counters, RELAY_UDP_EXPIRED, 1);
		relay_udp_close_flow(shard, flow, "nothing was heard");
	}
	end_sessions(shard, shard->now_ms);
	relay_udp_hand_expire(shard);
	relay_count(&shard->counters, RELAY_UDP_HASHES, udp->sessions.hashes - udp->hashes);
	udp->hashes = udp->sessions.hashes;
	arm(shard);
}

/* ---- life ---- */

int
relay_udp_new(struct relay_shard *shard, int fd,
	      const uint8_t secret[RELAY_UDP_COOKIE_SECRET_BYTES])
{
	struct relay_udp *udp = calloc(1, sizeof(*udp));
	int r = udp != NULL ? 0 : -ENOMEM;

	if (udp == NULL) {
		close(fd);
		return r;
	}
	shard->udp = udp;
	udp->fd = fd;
	udp->timer.kind = RELAY_TIMER_UDP;
	relay_udp_cookies_init(&udp->cookies, secret);
	udp->reads = malloc(sizeof(*udp->reads));
	if (udp->reads == NULL)
		r = -ENOMEM;
	if (r == 0)
		r = relay_buckets_init(&udp->buckets, RELAY_UDP_PREFIXES);
	if (r == 0)
		r = relay_udp_sessions_init(&udp->sessions);
	if (r == 0)
		r = relay_udp_flows_init(&udp->flows,
					 RELAY_UDP_HALF_OPEN_MAX / shard->settings->shards);
	if (r == 0)
		r = relay_udp_hand_init(&udp->hand);
	if (r == 0 && epoll_ctl(shard->epoll_fd, EPOLL_CTL_ADD, fd,
				&(struct epoll_event){ .events = EPOLLIN, .data.ptr = udp }) < 0)
		r = -errno;
	return r;
}

void
relay_udp_free(struct relay_shard *shard)
{
	struct relay_udp *udp = shard->udp;

	if (udp == NULL)
		return;
	relay_timer_stop(&shard->wheel, &udp->timer);
	if (udp->sessions.sessions.count > 0)
		end_sessions(shard, INT64_MAX);
	relay_leg_reap(shard);
	relay_udp_sessions_fini(&udp->sessions);
	relay_udp_flows_fini(&udp->flows);
	relay_buckets_fini(&udp->buckets);
	relay_udp_hand_fini(&udp->hand);
	free(udp->reads);
	close(udp->fd);
	free(udp);
	shard->udp = NULL;
}
