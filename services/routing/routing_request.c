/*
 * routing: a route request until a node said yes: a node is picked, asked through its home relay to
 * open the session, and passed over when it refuses or is silent; then the next. So an answer is a
 * working route, not a hope.
 */
#include "routing/routing_handlers.h"

#include "log/log.h"
#include "loop/clock.h"
#include "net/address.h"
#include "relay.pb-c.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	RETRY_AFTER_SEC = 5,
	OPENING_KEPT_MS = 60 * 1000, /* a row whose request died with its replica ends then */
};

void
routing_request_free(struct routing_request *request)
{
	request->routing->in_flight--;
	free(request);
}

/* What of the request is wrong when it fails so; NULL: nothing in particular. */
static const char *
field_of(const char *code)
{
	static const struct {
		const char *code, *field;
	} fields[] = {
		{ "session_unknown", "sessionId" },
		{ "client_in_use", "clientId" },
		{ "key_in_use", "publicKey" },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strcmp(code, fields[i].code) == 0)
			return fields[i].field;
	return NULL;
}

void
routing_request_fail(struct routing_request *request, enum bus_status status, const char *code)
{
	if (status == BUS_UNAVAILABLE)
		bus_call_fail_retry(request->call, status, code,
				    strcmp(code, "no_node_available") == 0 ? RETRY_AFTER_SEC : 1);
	else
		bus_call_fail(request->call, status, code, field_of(code));
	routing_request_free(request);
}

static void
give_up(struct routing_request *request)
{
	struct routing *routing = request->routing;
	bool is_impossible = request->tried_count == 0 && !request->is_resume &&
			     !choice_is_possible(&routing->table, &request->wish);

	metric_add(routing->unserved, 1);
	request->failure = is_impossible ? BUS_NOT_FOUND : BUS_UNAVAILABLE;
	request->failure_code = is_impossible ? "no_suitable_node" : "no_node_available";
	if (!request->is_new || !request->has_row) {
		routing_request_fail(request, request->failure, request->failure_code);
		return;
	}
	request->record.status = SESSION_CLOSED;
	request->record.expires_wall_ms = clock_wall_ms();
	routing_commit(request, ROUTING_GIVES_UP);
}

static bool
was_tried(const struct routing_request *request, const uint8_t id[UUID_BYTES])
{
	for (size_t i = 0; i < request->tried_count; i++)
		if (memcmp(request->tried[i], id, UUID_BYTES) == 0)
			return true;
	return false;
}

/* A session that is taken up again stays with its node while that can be reached and fits; else,
 * and for a new one, the choice decides. */
static struct table_node *
pick(const struct routing_request *request)
{
	struct table *table = &request->routing->table;
	struct table_node *excluded[CHOICE_EXCLUDED_MAX];
	struct table_node *old;
	size_t n = 0;

	if (request->has_old && !was_tried(request, request->old_node_id)) {
		old = table_find(table, request->old_node_id);
		if (old != NULL && choice_keeps(old, &request->wish))
			return old;
	}
	for (size_t i = 0; i < request->tried_count; i++) {
		struct table_node *node = table_find(table, request->tried[i]);

		if (node != NULL)
			excluded[n++] = node;
	}
	return choice_pick(table, &request->wish, excluded, n, clock_monotonic_ms(),
			   &request->routing->random);
}

/* An address in its canonical form, or "" when there is none. -EINVAL for anything else: what a
 * node says goes into a client's configuration. */
static int
take_address(const char *text, int family, char ret_text[ROUTING_ADDRESS_BYTES])
{
	uint8_t address[sizeof(struct in6_addr)];

	ret_text[0] = '\0';
	if (text == NULL || text[0] == '\0')
		return 0;
	if (inet_pton(family, text, address) != 1 ||
	    inet_ntop(family, address, ret_text, ROUTING_ADDRESS_BYTES) == NULL)
		return -EINVAL;
	return 0;
}

static bool
is_good_answer(struct routing_request *request, const struct table_node *node,
	       const Boson__Link__SessionOpened *opened)
{
	if (take_address(opened->address4, AF_INET, request->address4) != 0 ||
	    take_address(opened->address6, AF_INET6, request->address6) != 0 ||
	    take_address(opened->dns4, AF_INET, request->dns4) != 0 ||
	    take_address(opened->dns6, AF_INET6, request->dns6) != 0 ||
	    (request->address4[0] == '\0' && request->address6[0] == '\0'))
		return false;
	request->mtu = opened->has_mtu ? opened->mtu : 0;
	/* Its key is what it enrolled with: a relay cannot put another in its place (T21). */
	return opened->node_public_key == NULL || node == NULL ||
	       strcmp(opened->node_public_key, node->public_key) == 0;
}

static void
note_failure(struct routing_request *request, struct table_node *node)
{
	const struct session_record *record = &request->record;
	bool is_old = !request->is_new && request->has_old &&
		      memcmp(record->node_id, request->old_node_id, UUID_BYTES) == 0;

	if (node != NULL)
		choice_note_failure(node, clock_monotonic_ms());
	/* It may open the session yet, after we have given up on it; an old one may still be in
	 * use there. */
	if (!is_old)
		routing_close_unwanted(request->routing, record->node_id, record->relay_id,
				       record->id, "not_opened");
}

/* A client that has given up on its answer cannot use it. */
static bool
is_in_time(const struct routing_request *request)
{
	return clock_monotonic_ms() < bus_call_deadline_ms(request->call);
}

static void
on_opened(const Boson__Relay__OpenSessionReply *reply, void *arg)
{
	struct routing_request *request = arg;
	struct routing *routing = request->routing;
	const Boson__Link__SessionOpened *opened = reply == NULL ? NULL : reply->opened;
	struct table_node *node;
	bool said_yes;

	if (routing->stopping) {
		bus_call_fail(request->call, BUS_UNAVAILABLE, "stopping", NULL);
		routing_request_free(request);
		return;
	}
	node = table_find(&routing->table, request->record.node_id);
	said_yes = opened != NULL && opened->has_result &&
		   opened->result == BOSON__LINK__SESSION_OPENED__RESULT__OK &&
		   is_good_answer(request, node, opened);
	if (said_yes && is_in_time(request)) {
		if (node != NULL)
			choice_note_success(node);
		request->record.status = SESSION_OPEN;
		request->record.expires_wall_ms = request->expires_wall_ms;
		routing_commit(request, ROUTING_OPENED);
		return;
	}
	if (opened != NULL && opened->result == BOSON__LINK__SESSION_OPENED__RESULT__FULL) {
		metric_add(routing->refusals, 1);
		if (node != NULL)
			choice_note_full(node, clock_monotonic_ms());
	} else if (opened != NULL &&
		   opened->result == BOSON__LINK__SESSION_OPENED__RESULT__REFUSED) {
		metric_add(routing->refusals, 1);
		if (node != NULL)
			choice_note_failure(node, clock_monotonic_ms());
	} else {
		metric_add(routing->silences, 1);
		note_failure(request, said_yes ? NULL : node);
	}
	routing_request_try(request);
}

/* Never longer than the client waits. */
static uint32_t
time_to_answer_ms(const struct routing_request *request)
{
	int64_t left_ms = bus_call_deadline_ms(request->call) - clock_monotonic_ms();

	if (left_ms > request->routing->answer_timeout_ms)
		left_ms = request->routing->answer_timeout_ms;
	return left_ms > 1 ? (uint32_t)left_ms : 1;
}

void
routing_request_ask(struct routing_request *request)
{
	Boson__Relay__OpenSessionRequest open = BOSON__RELAY__OPEN_SESSION_REQUEST__INIT;
	Boson__Link__SessionOpen session = BOSON__LINK__SESSION_OPEN__INIT;
	const struct session_record *record = &request->record;
	char node_id[UUID_TEXT_BYTES], session_id[UUID_TEXT_BYTES], client_id[UUID_TEXT_BYTES];
	char client_key[KEY_TEXT_BYTES];

	request->peer = routing_links_peer(request->routing, record->relay_id);
	if (request->peer == NULL) { /* gone while the intent was written */
		routing_request_try(request);
		return;
	}
	uuid_format(record->node_id, node_id);
	uuid_format(record->id, session_id);
	uuid_format(record->client_id, client_id);
	key_format(&record->client_key, client_key);
	session.session_id = session_id;
	session.client_id = client_id;
	session.client_public_key = client_key;
	session.has_expires_at = 1;
	session.expires_at = request->expires_wall_ms;
	open.node_id = node_id;
	open.session = &session;
	bus_peer_next(request->peer, time_to_answer_ms(request), bus_call_trace(request->call));
	boson__relay__relay__open_session(bus_peer_service(request->peer), &open, on_opened,
					  request);
}

/* Where the client enters, and what that is like. */
static void
choose_entry(struct routing_request *request, const struct table_node *node,
	     const struct table_relay *home)
{
	const struct table_relay *entries[CHOICE_ENTRIES_MAX];
	const struct routing *routing = request->routing;
	struct session_record *record = &request->record;
	size_t n = choice_entries(&routing->table, node, &request->wish, routing->has_cascade,
				  entries);
	const struct table_relay *entry = n > 0 ? entries[0] : home;

	memcpy(record->entry_relay_id, entry->id, sizeof(record->entry_relay_id));
	choice_estimate(node, entry, &request->wish, record);
}

/* What a new session's node is, is written before the node is asked: whoever finds the row after
 * our death knows where to look. */
void
routing_request_try(struct routing_request *request)
{
	const struct table_leg *home = NULL;
	struct table_node *node = NULL;

	while (home == NULL) {
		node = NULL;
		if (request->tried_count < request->routing->candidates && is_in_time(request))
			node = pick(request);
		if (node == NULL) {
			give_up(request);
			return;
		}
		memcpy(request->tried[request->tried_count++], node->id, UUID_BYTES);
		home = table_home_leg(node);
	}
	memcpy(request->record.node_id, node->id, UUID_BYTES);
	memcpy(request->record.relay_id, home->relay->id, sizeof(request->record.relay_id));
	choose_entry(request, node, home->relay);
	if (!request->is_new) {
		routing_request_ask(request);
		return;
	}
	request->record.status = SESSION_OPENING;
	request->record.expires_wall_ms = clock_wall_ms() + OPENING_KEPT_MS;
	routing_commit(request, ROUTING_INTENDS);
}
