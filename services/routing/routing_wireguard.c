/* routing_wireguard: see the header. */
#include "routing/routing_wireguard.h"
#include "routing/routing_binding.h"
#include "routing/routing_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- answers ---- */

static void
answer(const struct routing *routing, const struct session_record *record, const char *status,
       const char *message, Boson__Routing__WireguardReply_Closure closure, void *call)
{
	Boson__Routing__WireguardReply reply = BOSON__ROUTING__WIREGUARD_REPLY__INIT;
	const struct table_relay *relay = table_relay_find(&routing->table, record->udp_relay_id);
	char session_id[UUID_TEXT_BYTES], node_id[UUID_TEXT_BYTES], client_id[UUID_TEXT_BYTES];

	uuid_format(record->id, session_id);
	uuid_format(record->node_id, node_id);
	uuid_format(record->client_id, client_id);
	reply.status = (char *)(uintptr_t)status;
	reply.message = (char *)(uintptr_t)message;
	reply.session_id = session_id;
	reply.node_id = node_id;
	reply.client_id = client_id;
	if (relay != NULL && relay->udp_endpoint[0] != '\0')
		reply.udp_endpoint = (char *)(uintptr_t)relay->udp_endpoint;
	closure(&reply, call);
}

/* Writes where a session may be used over UDP; "" nowhere. 0, -ESTALE, -EIO. */
static int
write_place(struct routing *routing, const struct session *session, const char *relay_id)
{
	struct session_record record = session->record;
	int error;

	if (strcmp(record.udp_relay_id, relay_id) == 0)
		return 0;
	memset(record.udp_relay_id, 0, sizeof(record.udp_relay_id));
	strncpy(record.udp_relay_id, relay_id, sizeof(record.udp_relay_id) - 1);
	error = routing->store == NULL ? -EIO : store_begin(routing->store);
	if (error == 0)
		error = routing_store_change(routing->store, &record, false);
	if (error == 0)
		error = store_commit(routing->store);
	else if (routing->store != NULL)
		store_rollback(routing->store);
	return error == 0 ? routing_keep(routing, &record, NULL) : error;
}

/* ---- RegisterWireguard ---- */

static void
end_registration(struct binding *binding)
{
	struct routing *routing = binding->routing;
	struct session *session = sessions_find(&routing->sessions, binding->session_id);
	int error = -ESTALE;

	if (session != NULL && session->record.status == SESSION_OPEN)
		error = write_place(routing, session, binding->relay_id);
	if (error == -ESTALE) {
		bus_call_fail(binding->call, BUS_NOT_FOUND, "session_unknown", "sessionId");
		return;
	}
	if (error != 0) {
		bus_call_fail_retry(binding->call, BUS_UNAVAILABLE, "store_failed", 1);
		return;
	}
	session->bound_told = binding->told;
	session->bound_at = routing->table.told;
	if (routing_binding_is_wanted_elsewhere(routing, &session->record))
		session->bound_told = routing->bound_told = 0; /* the tick sees to it */
	answer(routing, &session->record, "registered",
	       "the session may be used over UDP until it ends", binding->closure, binding->call);
}

static void
on_registered(const Boson__Common__Empty *reply, void *arg)
{
	struct binding *binding = arg;

	if (reply == NULL)
		bus_call_fail_as(binding->call, bus_peer_result(binding->peer));
	else if (binding->routing->stopping)
		bus_call_fail(binding->call, BUS_UNAVAILABLE, "stopping", NULL);
	else
		end_registration(binding);
	free(binding);
}

static void
start_registration(struct routing *routing, struct session *session,
		   const Boson__Common__Caller *caller,
		   Boson__Routing__WireguardReply_Closure closure, void *call)
{
	const struct table_node *node = table_find(&routing->table, session->record.node_id);
	const struct table_leg *home = table_home_leg(node);
	const struct table_relay *place;
	struct binding *binding;

	if (home == NULL) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "node_not_attached", 1);
		return;
	}
	place = routing_binding_place(routing, home);
	if (place == NULL) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "no_udp", 0);
		return;
	}
	binding = routing_binding_new(routing, session, place);
	if (binding == NULL) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "memory", 1);
		return;
	}
	binding->told = home->told;
	binding->closure = closure;
	binding->call = call;
	routing_binding_send(binding, &session->record, node, caller->address, on_registered);
}

/* The client's open session with this key that the caller may use, or NULL. */
static struct session *
find_session(const struct routing *routing, const Boson__Routing__RegisterWireguardRequest *input,
	     const uint8_t client_id[UUID_BYTES], const struct key *key)
{
	struct session *session = sessions_find_client(&routing->sessions, client_id, key);
	uint8_t node_id[UUID_BYTES], session_id[UUID_BYTES];
	struct routing_caller caller;

	routing_caller_take(&caller, input->caller);
	if (session == NULL || session->record.status != SESSION_OPEN ||
	    routing_check_use(session, &caller) != 0)
		return NULL;
	if (input->session_id != NULL && (uuid_parse(input->session_id, session_id) != 0 ||
					  memcmp(session->record.id, session_id, UUID_BYTES) != 0))
		return NULL;
	if (input->node_id != NULL && (uuid_parse(input->node_id, node_id) != 0 ||
				       memcmp(session->record.node_id, node_id, UUID_BYTES) != 0))
		return NULL;
	return session;
}

/* The field that is malformed, or NULL. */
static const char *
bad_field(const char *client_id, const char *session_id, const char *node_id)
{
	uint8_t id[UUID_BYTES];

	if (client_id == NULL || uuid_parse(client_id, id) != 0)
		return "clientId";
	if (session_id != NULL && uuid_parse(session_id, id) != 0)
		return "sessionId";
	return node_id != NULL && uuid_parse(node_id, id) != 0 ? "nodeId" : NULL;
}

void
routing_wireguard_register(struct routing *routing,
			   const Boson__Routing__RegisterWireguardRequest *input,
			   Boson__Routing__WireguardReply_Closure closure, void *call)
{
	const char *field = bad_field(input->client_id, input->session_id, input->node_id);
	uint8_t client_id[UUID_BYTES];
	struct session *session;
	struct key key;

	if (field == NULL && (input->public_key == NULL || key_parse(input->public_key, &key) != 0))
		field = "publicKey";
	if (field != NULL || uuid_parse(input->client_id, client_id) != 0) {
		bus_call_fail(call, BUS_INVALID, "field", field);
		return;
	}
	if (!routing_may_speak_for(input->caller, input->client_id)) {
		bus_call_fail(call, BUS_FORBIDDEN, "role", NULL);
		return;
	}
	if (routing_follow(routing) != 0) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "store_failed", 1);
		return;
	}
	session = find_session(routing, input, client_id, &key);
	if (session == NULL)
		bus_call_fail(call, BUS_NOT_FOUND, "session_unknown", "sessionId");
	else
		start_registration(routing, session, input->caller, closure, call);
}

/* ---- UnregisterWireguard ---- */

static void
unbind_everywhere(struct routing *routing, const struct session_record *before,
		  const struct session *session)
{
	(void)session;
	routing_unbind(routing, before);
}

/* 0, also when it is not bound, or has ended. */
static int
unbind_session(struct routing *routing, const struct session *session)
{
	struct session_record record = session->record;
	int error;

	if (record.udp_relay_id[0] == '\0')
		return 0;
	memset(record.udp_relay_id, 0, sizeof(record.udp_relay_id));
	error = routing_change(routing, session, &record, unbind_everywhere);
	return error == -ESTALE ? 0 : error;
}

/* The next bound session of a client, from `session` on. */
static struct session *
next_of_client(struct session *session, const uint8_t client_id[UUID_BYTES])
{
	while (session != NULL && memcmp(session->record.client_id, client_id, UUID_BYTES) != 0)
		session = session->bound_next;
	return session;
}

/* All of a client's. 0 and the record of one of them, -ENOENT, -errno. */
static int
unbind_client(struct routing *routing, const uint8_t client_id[UUID_BYTES],
	      const struct routing_caller *caller, struct session_record *ret)
{
	struct session *session = next_of_client(routing->sessions.bound, client_id), *next;
	int error = 0, found = -ENOENT;

	for (; error == 0 && session != NULL; session = next) {
		next = next_of_client(session->bound_next, client_id);
		if (routing_check_use(session, caller) != 0)
			continue;
		*ret = session->record;
		found = 0;
		error = unbind_session(routing, session);
	}
	return error != 0 ? error : found;
}

static int
unbind_asked(struct routing *routing, const Boson__Routing__UnregisterWireguardRequest *input,
	     struct session_record *ret)
{
	uint8_t client_id[UUID_BYTES], session_id[UUID_BYTES];
	struct routing_caller caller;
	struct session *session;

	routing_caller_take(&caller, input->caller);
	if (uuid_parse(input->client_id, client_id) != 0)
		return -ENOENT;
	if (input->session_id == NULL)
		return unbind_client(routing, client_id, &caller, ret);
	if (uuid_parse(input->session_id, session_id) != 0)
		return -ENOENT;
	session = sessions_find(&routing->sessions, session_id);
	if (session == NULL || memcmp(session->record.client_id, client_id, UUID_BYTES) != 0 ||
	    routing_check_use(session, &caller) != 0)
		return -ENOENT;
	*ret = session->record;
	return unbind_session(routing, session);
}

void
routing_wireguard_unregister(struct routing *routing,
			     const Boson__Routing__UnregisterWireguardRequest *input,
			     Boson__Routing__WireguardReply_Closure closure, void *call)
{
	const char *field = bad_field(input->client_id, input->session_id, NULL);
	struct session_record record;
	int error;

	if (field != NULL) {
		bus_call_fail(call, BUS_INVALID, "field", field);
		return;
	}
	if (!routing_may_speak_for(input->caller, input->client_id)) {
		bus_call_fail(call, BUS_FORBIDDEN, "role", NULL);
		return;
	}
	error = routing_follow(routing);
	if (error == 0)
		error = unbind_asked(routing, input, &record);
	if (error == -ENOENT) {
		bus_call_fail(call, BUS_NOT_FOUND, "session_unknown", "sessionId");
		return;
	}
	if (error != 0) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "store_failed", 1);
		return;
	}
	memset(record.udp_relay_id, 0, sizeof(record.udp_relay_id));
	answer(routing, &record, "unregistered", "the session may not be used over UDP any more",
	       closure, call);
}
