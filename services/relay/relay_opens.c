/*
 * relay_opens: ids start at random, so that an answer to a call of the relay's earlier life does
 * not fit one of this.
 */
#include "relay/relay_opens.h"

#include "bus/bus.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct open_call {
	struct idtable_link by_id;
	uint64_t id;
	uint8_t node_id[UUID_BYTES];
	int64_t deadline_ms;
	Boson__Relay__OpenSessionReply_Closure closure;
	void *closure_data;
};

int
relay_opens_init(struct relay_opens *opens)
{
	if (getrandom(&opens->last_id, sizeof(opens->last_id), 0) < 0)
		return -errno;
	return idtable_init(&opens->calls, offsetof(struct open_call, by_id),
			    offsetof(struct open_call, id), sizeof(uint64_t));
}

static void
fail(struct relay_opens *opens, struct open_call *call, enum bus_status status, const char *code)
{
	idtable_remove(&opens->calls, call);
	bus_call_fail(call->closure_data, status, code, "");
	free(call);
}

void
relay_opens_fini(struct relay_opens *opens)
{
	struct open_call *call;

	while (opens->calls.count > 0 && (call = idtable_next(&opens->calls, NULL)) != NULL)
		fail(opens, call, BUS_UNAVAILABLE, "relay_stops");
	idtable_fini(&opens->calls);
}

int
relay_opens_add(struct relay_opens *opens, const uint8_t node_id[UUID_BYTES],
		Boson__Relay__OpenSessionReply_Closure closure, void *closure_data,
		uint64_t *ret_id)
{
	struct open_call *call;

	if (opens->calls.count >= RELAY_OPENS_MAX)
		return -ENOSPC;
	call = calloc(1, sizeof(*call));
	if (call == NULL)
		return -ENOMEM;
	call->id = ++opens->last_id;
	memcpy(call->node_id, node_id, UUID_BYTES);
	call->deadline_ms = bus_call_deadline_ms(closure_data);
	call->closure = closure;
	call->closure_data = closure_data;
	idtable_add(&opens->calls, call);
	*ret_id = call->id;
	return 0;
}

bool
relay_opens_answer(struct relay_opens *opens, const uint8_t node_id[UUID_BYTES],
		   Boson__Link__SessionOpened *opened)
{
	Boson__Relay__OpenSessionReply reply = BOSON__RELAY__OPEN_SESSION_REPLY__INIT;
	struct open_call *call = idtable_find(&opens->calls, &opened->request_id);

	if (call == NULL || memcmp(call->node_id, node_id, UUID_BYTES) != 0)
		return false;
	idtable_remove(&opens->calls, call);
	reply.opened = opened;
	call->closure(&reply, call->closure_data);
	free(call);
	return true;
}

void
relay_opens_fail(struct relay_opens *opens, uint64_t id)
{
	struct open_call *call = idtable_find(&opens->calls, &id);

	if (call != NULL)
		fail(opens, call, BUS_UNAVAILABLE, "node_not_attached");
}

void
relay_opens_fail_node(struct relay_opens *opens, const uint8_t node_id[UUID_BYTES])
{
	struct open_call *call = idtable_next(&opens->calls, NULL), *next;

	for (; call != NULL; call = next) {
		next = idtable_next(&opens->calls, call);
		if (memcmp(call->node_id, node_id, UUID_BYTES) == 0)
			fail(opens, call, BUS_UNAVAILABLE, "node_not_attached");
	}
}

void
relay_opens_expire(struct relay_opens *opens, int64_t now_ms)
{
	struct open_call *call = idtable_next(&opens->calls, NULL), *next;

	for (; call != NULL; call = next) {
		next = idtable_next(&opens->calls, call);
		if (now_ms >= call->deadline_ms)
			fail(opens, call, BUS_UNAVAILABLE, "node_silent");
	}
}
