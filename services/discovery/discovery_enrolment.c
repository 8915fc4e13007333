/*
 * discovery: who may become a node. What it knows of a node that waits lies in the store alone,
 * where every replica finds it; no memory of ours grows by strangers.
 */
#include "discovery/discovery_enrolment_store.h"
#include "discovery/discovery_handlers.h"

#include "identity/mac.h"
#include "log/log.h"
#include "loop/clock.h"
#include "service/caller.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* How soon to ask again, told to who waits; and who was refused, in case it was a mistake.
	 */
	WAIT_SEC = 60,
	REFUSED_SEC = 3600,
	ASKED_PERIOD_MS = 3600 * 1000,
	LIST_DEFAULT = 50,
	LIST_MAX = 200,
	CURSOR_BYTES = 24,
	NUMBER_CHANCE_BITS = 20,
};

static bool
has_key(const Boson__Common__Caller *caller)
{
	return caller_is_node(caller, "enrol") || caller_is_admin(caller);
}

static void
refuse_later(struct discovery *discovery, void *call, const char *code, uint32_t retry_after_sec)
{
	metric_add(discovery->refused, 1);
	bus_call_fail_retry(call, BUS_FORBIDDEN, code, retry_after_sec);
}

/* ---- a node asks ---- */

static int
note(struct discovery *discovery, const Boson__Discovery__RegisterRequest *request, int64_t now_ms)
{
	struct enrolment asked = { .state = ENROLMENT_PENDING, .asked_ms = now_ms };
	const char *address = request->caller != NULL && request->caller->address != NULL
				      ? request->caller->address
				      : "";
	uint32_t chance = 0;
	int error;

	(void)snprintf(asked.node_id, sizeof(asked.node_id), "%s", request->node_id);
	(void)snprintf(asked.public_key, sizeof(asked.public_key), "%s", request->public_key);
	(void)snprintf(asked.address, sizeof(asked.address), "%s", address);
	/* By time, and by chance within a millisecond: replicas do not ask each other. */
	error = mac_random(&chance, sizeof(chance));
	asked.number = now_ms << NUMBER_CHANCE_BITS | (chance >> (32 - NUMBER_CHANCE_BITS));
	if (error == 0)
		error = enrolment_add(discovery->store, &asked);
	if (error == 0)
		log_info("enrolment_pending", "node=%s key=%s", request->node_id,
			 request->public_key);
	return error;
}

static int
still_asking(struct discovery *discovery, const struct enrolment *asked, int64_t now_ms)
{
	if (now_ms - asked->last_asked_ms < ASKED_PERIOD_MS)
		return 0;
	return enrolment_asked(discovery->store, asked->node_id, now_ms);
}

static int
await_approval(struct discovery *discovery, const Boson__Discovery__RegisterRequest *request,
	       void *call)
{
	int64_t now_ms = clock_wall_ms();
	struct enrolment asked;
	int error = enrolment_find(discovery->store, request->node_id, &asked);
	bool is_known = error == 0;

	if (is_known && strcmp(asked.public_key, request->public_key) != 0) {
		discovery_refuse(discovery, call, BUS_CONFLICT, "identity_in_use", "nodeId");
		return -EACCES;
	}
	if (is_known && asked.state == ENROLMENT_APPROVED)
		return 0;
	if (is_known)
		error = still_asking(discovery, &asked, now_ms);
	else if (error == -ENOENT)
		error = note(discovery, request, now_ms);
	if (error == -ENOSPC)
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "too_many_enrolments", WAIT_SEC);
	else if (error != 0)
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "store_failed", 1);
	else if (is_known && asked.state == ENROLMENT_REFUSED)
		refuse_later(discovery, call, "enrolment_refused", REFUSED_SEC);
	else
		refuse_later(discovery, call, "awaiting_approval", WAIT_SEC);
	return -EACCES;
}

int
discovery_enrolment_admit(struct discovery *discovery,
			  const Boson__Discovery__RegisterRequest *request, void *call)
{
	if (discovery->policy == POLICY_OPEN || has_key(request->caller))
		return 0;
	if (discovery->policy == POLICY_APPROVAL)
		return await_approval(discovery, request, call);
	discovery_refuse(discovery, call, BUS_UNAUTHENTICATED, "enrolment", NULL);
	return -EACCES;
}

/* ---- the operator looks, and decides ---- */

struct shown {
	Boson__Discovery__Enrolment message;
	char asked[CLOCK_ISO8601_BYTES], last[CLOCK_ISO8601_BYTES], decided[CLOCK_ISO8601_BYTES];
};

static void
show(struct shown *shown, const struct enrolment *row)
{
	Boson__Discovery__Enrolment *message = &shown->message;

	boson__discovery__enrolment__init(message);
	/* protobuf-c's strings are not const; packing only reads. */
	message->node_id = (char *)(uintptr_t)row->node_id;
	message->public_key = (char *)(uintptr_t)row->public_key;
	message->state = (char *)(uintptr_t)enrolment_state_name(row->state);
	message->address = (char *)(uintptr_t)row->address;
	clock_format_iso8601(row->asked_ms, shown->asked);
	clock_format_iso8601(row->last_asked_ms, shown->last);
	clock_format_iso8601(row->decided_ms, shown->decided);
	message->asked_at = shown->asked;
	message->last_asked_at = shown->last;
	if (row->decided_ms != 0)
		message->decided_at = shown->decided;
}

static bool
number_parse(const char *text, int64_t *ret)
{
	size_t n = text != NULL ? strlen(text) : 0;

	*ret = 0;
	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9' || *ret > (INT64_MAX - 9) / 10)
			return false;
		*ret = *ret * 10 + (text[i] - '0');
	}
	return text == NULL || n > 0;
}

struct page {
	struct enrolment rows[LIST_MAX + 1];
	struct shown shown[LIST_MAX];
	Boson__Discovery__Enrolment *pointers[LIST_MAX];
};

static void
answer_page(struct page *page, size_t found, size_t limit,
	    Boson__Discovery__ListEnrolmentsReply_Closure closure, void *call)
{
	Boson__Discovery__ListEnrolmentsReply reply = BOSON__DISCOVERY__LIST_ENROLMENTS_REPLY__INIT;
	char cursor[CURSOR_BYTES];
	size_t n = found < limit ? found : limit;

	for (size_t i = 0; i < n; i++) {
		show(&page->shown[i], &page->rows[i]);
		page->pointers[i] = &page->shown[i].message;
	}
	if (found > limit) {
		(void)snprintf(cursor, sizeof(cursor), "%" PRId64, page->rows[n - 1].number);
		reply.next_cursor = cursor;
	}
	reply.n_enrolments = n;
	reply.enrolments = page->pointers;
	reply.has_count = 1;
	reply.count = (uint32_t)n;
	closure(&reply, call);
}

void
discovery_list_enrolments(struct discovery *discovery,
			  const Boson__Discovery__ListEnrolmentsRequest *request,
			  Boson__Discovery__ListEnrolmentsReply_Closure closure, void *call)
{
	enum enrolment_state state = ENROLMENT_PENDING;
	uint32_t limit = request->has_limit ? request->limit : LIST_DEFAULT;
	bool good_limit = limit > 0 && limit <= LIST_MAX;
	const char *name = request->state;
	struct page *page;
	int64_t after;
	int n;

	if (!good_limit || !number_parse(request->cursor, &after) ||
	    (name != NULL && !enrolment_state_parse(name, strlen(name), &state))) {
		bus_call_fail(call, BUS_INVALID, "field",
			      !good_limit			       ? "limit"
			      : !number_parse(request->cursor, &after) ? "cursor"
								       : "state");
		return;
	}
	page = calloc(1, sizeof(*page));
	n = page != NULL ? enrolment_list(discovery->store, state, after, page->rows, limit + 1)
			 : -ENOMEM;
	if (n < 0)
		bus_call_fail_retry(call, BUS_UNAVAILABLE, page != NULL ? "store_failed" : "memory",
				    1);
	else
		answer_page(page, (size_t)n, limit, closure, call);
	free(page);
}

#define DECISION(word) BOSON__DISCOVERY__DECIDE_ENROLMENT_REQUEST__DECISION__##word

static int
decide(struct store *store, const char *node_id,
       Boson__Discovery__DecideEnrolmentRequest__Decision decision, int64_t now_ms)
{
	if (decision == DECISION(approve))
		return enrolment_decide(store, node_id, ENROLMENT_APPROVED, now_ms);
	if (decision == DECISION(refuse))
		return enrolment_decide(store, node_id, ENROLMENT_REFUSED, now_ms);
	return decision == DECISION(forget) ? enrolment_remove(store, node_id) : -EINVAL;
}

void
discovery_decide_enrolment(struct discovery *discovery,
			   const Boson__Discovery__DecideEnrolmentRequest *request,
			   Boson__Discovery__Enrolment_Closure closure, void *call)
{
	uint8_t id[UUID_BYTES];
	struct enrolment row;
	struct shown shown;
	int error;

	if (request->node_id == NULL || uuid_parse(request->node_id, id) != 0 ||
	    !request->has_decision) {
		bus_call_fail(call, BUS_INVALID, "field",
			      request->has_decision ? "nodeId" : "decision");
		return;
	}
	error = enrolment_find(discovery->store, request->node_id, &row);
	if (error == 0)
		error = decide(discovery->store, request->node_id, request->decision,
			       clock_wall_ms());
	if (error == 0 && request->decision != DECISION(forget))
		error = enrolment_find(discovery->store, request->node_id, &row);
	log_info("admin_write",
		 "rpc=DecideEnrolment peer=%s node=%s decision=%d result=%s trace=%s",
		 bus_call_peer(call), request->node_id, (int)request->decision,
		 error == 0	    ? "ok"
		 : error == -ENOENT ? "unknown"
				    : "failed",
		 bus_call_trace(call));
	if (error == -ENOENT)
		bus_call_fail(call, BUS_NOT_FOUND, "enrolment_unknown", NULL);
	else if (error == -EINVAL)
		bus_call_fail(call, BUS_INVALID, "field", "decision");
	else if (error != 0)
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "store_failed", 1);
	else {
		show(&shown, &row);
		closure(&shown.message, call);
	}
}
