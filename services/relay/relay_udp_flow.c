/*
 * relay_udp_flow: one table and four kinds of lists, each in order of age.
 */
#include "relay/relay_udp_flow.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { MOVE_EVERY_MS = 1000 };

int
relay_udp_flows_init(struct relay_udp_flows *flows, uint32_t half_open_max)
{
	memset(flows, 0, sizeof(*flows));
	TAILQ_INIT(&flows->half_open.by_age);
	TAILQ_INIT(&flows->answered.by_age);
	flows->half_open_max = half_open_max;
	return idtable_init(&flows->by_tuple, offsetof(struct relay_udp_flow, by_tuple),
			    offsetof(struct relay_udp_flow, tuple), sizeof(struct relay_udp_tuple));
}

void
relay_udp_flows_fini(struct relay_udp_flows *flows)
{
	assert(flows->by_tuple.count == 0);
	idtable_fini(&flows->by_tuple);
}

struct relay_udp_flow *
relay_udp_flows_find(const struct relay_udp_flows *flows, const struct relay_udp_tuple *tuple)
{
	return idtable_find(&flows->by_tuple, tuple);
}

/* ---- lists ---- */

static void
list_append(struct relay_udp_flow_list *list, struct relay_udp_flow *flow)
{
	TAILQ_INSERT_TAIL(&list->by_age, flow, by_age);
	list->n++;
}

static void
list_remove(struct relay_udp_flow_list *list, struct relay_udp_flow *flow)
{
	TAILQ_REMOVE(&list->by_age, flow, by_age);
	list->n--;
}

static void
join_node(struct relay_udp_flow *flow)
{
	TAILQ_INSERT_TAIL(&flow->node->half_open, flow, of_node);
	flow->node->half_count++;
}

static void
leave_node(struct relay_udp_flow *flow)
{
	TAILQ_REMOVE(&flow->node->half_open, flow, of_node);
	flow->node->half_count--;
}

static void
join_session(struct relay_udp_flow *flow, struct relay_udp_session *session)
{
	flow->session = session;
	if (session == NULL)
		return;
	LIST_INSERT_HEAD(&session->flows, flow, of_session);
	*(flow->state == RELAY_UDP_HALF_OPEN ? &session->half_count : &session->flow_count) += 1;
}

static void
leave_session(struct relay_udp_flow *flow)
{
	struct relay_udp_session *session = flow->session;

	if (session == NULL)
		return;
	LIST_REMOVE(flow, of_session);
	*(flow->state == RELAY_UDP_HALF_OPEN ? &session->half_count : &session->flow_count) -= 1;
	flow->session = NULL;
}

/* ---- life ---- */

static struct relay_udp_flow *
oldest_half_open(const struct relay_udp_session *session)
{
	struct relay_udp_flow *flow, *oldest = NULL;

	LIST_FOREACH (flow, &session->flows, of_session)
		if (flow->state == RELAY_UDP_HALF_OPEN)
			oldest = flow; /* the list has the newest first */
	return oldest;
}

struct relay_udp_flow *
relay_udp_flows_in_the_way(const struct relay_udp_flows *flows, const struct relay_udp_node *node,
			   const struct relay_udp_session *session)
{
	if (session != NULL && session->half_count >= RELAY_UDP_HALF_OPEN_SESSION_MAX)
		return oldest_half_open(session);
	if (node->half_count >= RELAY_UDP_HALF_OPEN_NODE_MAX)
		return TAILQ_FIRST(&node->half_open);
	return flows->half_open.n >= flows->half_open_max ? TAILQ_FIRST(&flows->half_open.by_age)
							  : NULL;
}

struct relay_udp_flow *
relay_udp_flows_add(struct relay_udp_flows *flows, const struct relay_udp_tuple *tuple,
		    struct relay_udp_node *node, struct relay_udp_session *session, int64_t now_ms)
{
	struct relay_udp_flow *flow = calloc(1, sizeof(*flow));

	if (flow == NULL)
		return NULL;
	flow->tuple = *tuple;
	flow->node = node;
	flow->opened_ms = now_ms;
	idtable_add(&flows->by_tuple, flow);
	list_append(&flows->half_open, flow);
	join_node(flow);
	join_session(flow, session);
	return flow;
}

void
relay_udp_flow_answered(struct relay_udp_flows *flows, struct relay_udp_flow *flow,
			struct relay_udp_session *session, enum relay_udp_state state,
			int64_t now_ms)
{
	assert(flow->state == RELAY_UDP_HALF_OPEN && state != RELAY_UDP_HALF_OPEN);
	list_remove(&flows->half_open, flow);
	leave_node(flow);
	leave_session(flow);
	flow->state = state;
	flow->answered_ms = now_ms;
	list_append(&flows->answered, flow);
	join_session(flow, session);
}

void
relay_udp_flow_set_session(struct relay_udp_flow *flow, struct relay_udp_session *session)
{
	if (flow->session == session)
		return;
	leave_session(flow);
	join_session(flow, session);
}

void
relay_udp_flow_heard(struct relay_udp_flows *flows, struct relay_udp_flow *flow, int64_t now_ms)
{
	if (now_ms - flow->answered_ms < MOVE_EVERY_MS)
		return;
	flow->answered_ms = now_ms;
	list_remove(&flows->answered, flow);
	list_append(&flows->answered, flow);
}

struct relay_udp_flow *
relay_udp_session_surplus(const struct relay_udp_session *session)
{
	struct relay_udp_flow *flow, *oldest = NULL;

	if (session->flow_count <= RELAY_UDP_FLOWS_SESSION_MAX)
		return NULL;
	LIST_FOREACH (flow, &session->flows, of_session)
		if (flow->state != RELAY_UDP_HALF_OPEN &&
		    (oldest == NULL || flow->answered_ms <= oldest->answered_ms))
			oldest = flow;
	return oldest;
}

struct relay_udp_flow *
relay_udp_flows_ended(const struct relay_udp_flows *flows, int64_t now_ms)
{
	struct relay_udp_flow *half_open = TAILQ_FIRST(&flows->half_open.by_age);
	struct relay_udp_flow *answered = TAILQ_FIRST(&flows->answered.by_age);

	if (half_open != NULL && now_ms - half_open->opened_ms >= RELAY_UDP_HALF_OPEN_MS)
		return half_open;
	if (answered != NULL && now_ms - answered->answered_ms >= RELAY_UDP_IDLE_MS)
		return answered;
	return NULL;
}

void
relay_udp_flows_remove(struct relay_udp_flows *flows, struct relay_udp_flow *flow)
{
	bool is_half_open = flow->state == RELAY_UDP_HALF_OPEN;

	idtable_remove(&flows->by_tuple, flow);
	list_remove(is_half_open ? &flows->half_open : &flows->answered, flow);
	if (is_half_open)
		leave_node(flow);
	leave_session(flow);
	free(flow->held);
	free(flow);
}
