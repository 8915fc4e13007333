/*
 * gateway_call: a request as a message on the bus; see the header.
 */
#include "gateway/gateway_call.h"

#include "common.pb-c.h"
#include "gateway/gateway_mint.h"
#include "identity/mac.h"
#include "log/log.h"
#include "net/address.h"
#include "json/json_message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *
member_of(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	return (char *)message + field->offset;
}

static const ProtobufCFieldDescriptor *
field_of(const ProtobufCMessage *message, const char *name, ProtobufCType type)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
	return field != NULL && field->type == type ? field : NULL;
}

static int
refuse(struct gateway_request *request, int status, const char *code, const char *field)
{
	gateway_answer_error(&request->answer, status, code, field, request->trace);
	return -1;
}

static int
refuse_json(struct gateway_request *request, int r, const char *field)
{
	switch (r) {
	case -EBADMSG:
		return refuse(request, 400, "json", NULL);
	case -ELOOP:
		return refuse(request, 400, "depth", NULL);
	case -EINVAL:
		return refuse(request, 400, "field", field);
	case -ERANGE:
		return refuse(request, 400, "range", field);
	case -E2BIG:
		return refuse(request, 400, "too_many", field);
	default:
		return refuse(request, 503, "memory", NULL);
	}
}

static int
fill_query(struct gateway_request *request, ProtobufCMessage *message)
{
	for (size_t i = 0; i < request->path.query_n; i++) {
		const char *name = request->path.query[i].name;
		int r = json_message_set(message, name, request->path.query[i].value);
		const ProtobufCFieldDescriptor *field =
			json_field_find(message->descriptor, name, 0);
		/* Unknown parameters are passed over; a known name is ours to show. */
		if (r < 0 && r != -ENOENT && field != NULL)
			return refuse_json(request, r, name);
	}
	return 0;
}

static int
fill_path(struct gateway_request *request, ProtobufCMessage *message)
{
	for (size_t i = 0; i < request->match.parameters_n; i++) {
		const struct gateway_parameter *parameter = &request->match.parameters[i];
		char name[JSON_NAME_BYTES];
		snprintf(name, sizeof(name), "%.*s", (int)parameter->name_bytes, parameter->name);
		int r = json_message_set(message, name, parameter->value);
		if (r < 0)
			return refuse_json(request, r, name);
	}
	return 0;
}

/* A node that names a node in its body names itself (the path was seen to already). */
static int
check_own_node(struct gateway_request *request, ProtobufCMessage *message)
{
	if ((request->match.endpoint->flags & ENDPOINT_OWN_NODE) == 0 ||
	    request->caller.role != WHO_NODE)
		return 0;
	const ProtobufCFieldDescriptor *field =
		field_of(message, "node_id", PROTOBUF_C_TYPE_STRING);
	const char *node_id = field != NULL ? *(char **)member_of(message, field) : NULL;
	if (node_id == NULL)
		return refuse(request, 400, "field", "nodeId");
	if (strcmp(node_id, request->caller.subject) != 0)
		return refuse(request, 403, "role", NULL);
	return 0;
}

static Boson__Common__Caller__Role
role_on_bus(enum gateway_who role)
{
	switch (role) {
	case WHO_NODE:
		return BOSON__COMMON__CALLER__ROLE__NODE;
	case WHO_CLIENT:
		return BOSON__COMMON__CALLER__ROLE__CLIENT;
	case WHO_ADMIN:
		return BOSON__COMMON__CALLER__ROLE__ADMIN;
	case WHO_ANYONE:
	case WHO_SCRAPER:
	case WHO_ANY:
		break;
	}
	return BOSON__COMMON__CALLER__ROLE__ANYONE;
}

static int
fill_caller(const struct gateway_request *request, ProtobufCMessage *message)
{
	const ProtobufCFieldDescriptor *field =
		field_of(message, "caller", PROTOBUF_C_TYPE_MESSAGE);
	if (field == NULL)
		return 0;
	Boson__Common__Caller *caller =
		(void *)json_message_new(&boson__common__caller__descriptor);
	if (caller == NULL)
		return -ENOMEM;
	*(Boson__Common__Caller **)member_of(message, field) = caller;
	char address[INET6_ADDRSTRLEN];
	address_format(&request->origin, address);
	caller->has_role = 1;
	caller->role = role_on_bus(request->caller.role);
	caller->address = strdup(address);
	if (request->caller.role != WHO_ANYONE)
		caller->subject = strdup(request->caller.subject);
	return caller->address == NULL ||
			       (request->caller.role != WHO_ANYONE && caller->subject == NULL)
		       ? -ENOMEM
		       : 0;
}

static int
fill_proof(const struct gateway_request *request, ProtobufCMessage *message)
{
	const ProtobufCFieldDescriptor *proof = field_of(message, "proof", PROTOBUF_C_TYPE_STRING);
	const ProtobufCFieldDescriptor *hash =
		field_of(message, "body_sha256", PROTOBUF_C_TYPE_BYTES);
	if ((request->match.endpoint->flags & ENDPOINT_PROOF) == 0 || proof == NULL || hash == NULL)
		return 0;
	ProtobufCBinaryData digest = { .len = MAC_BYTES, .data = malloc(MAC_BYTES) };
	if (digest.data == NULL)
		return -ENOMEM;
	if (mac_sha256(request->body, request->body_bytes, digest.data) < 0) {
		free(digest.data);
		return -ENOMEM;
	}
	*(ProtobufCBinaryData *)member_of(message, hash) = digest;
	*(protobuf_c_boolean *)((char *)message + hash->quantifier_offset) = 1;
	if (request->head.proof == NULL)
		return 0;
	char *copy = strdup(request->head.proof);
	*(char **)member_of(message, proof) = copy;
	return copy == NULL ? -ENOMEM : 0;
}

static int
message_read(struct gateway_request *request, const ProtobufCMessageDescriptor *type,
	     ProtobufCMessage **ret)
{
	char field[JSON_FIELD_BYTES];
	if (request->match.endpoint->body_max_bytes == 0) {
		*ret = json_message_new(type);
		return *ret != NULL ? fill_query(request, *ret)
				    : refuse(request, 503, "memory", NULL);
	}
	int r = json_message_read(type, request->body != NULL ? request->body : "",
				  request->body_bytes, 0, ret, field);
	return r < 0 ? refuse_json(request, r, field) : 0;
}

int
gateway_call_build(struct gateway_request *request, ProtobufCMessage **ret)
{
	unsigned int index;
	const ProtobufCMethodDescriptor *rpc =
		gateway_endpoint_rpc(request->match.endpoint, &index);
	ProtobufCMessage *message = NULL;
	int r = message_read(request, rpc->input, &message);
	if (r == 0)
		r = fill_path(request, message);
	if (r == 0)
		r = check_own_node(request, message);
	if (r == 0 && (fill_caller(request, message) < 0 || fill_proof(request, message) < 0))
		r = refuse(request, 503, "memory", NULL);
	if (r < 0) {
		if (message != NULL)
			protobuf_c_message_free_unpacked(message, NULL);
		return r;
	}
	*ret = message;
	return 0;
}

static int
success_status(const struct gateway_endpoint *endpoint, const ProtobufCMessage *reply)
{
	const ProtobufCFieldDescriptor *field = field_of(reply, "created", PROTOBUF_C_TYPE_BOOL);
	if ((endpoint->flags & ENDPOINT_CREATES) == 0 || field == NULL)
		return endpoint->status;
	bool has = *(const protobuf_c_boolean *)((const char *)reply + field->quantifier_offset);
	bool created = *(const protobuf_c_boolean *)((const char *)reply + field->offset);
	return has && !created ? 200 : endpoint->status;
}

static void
answer_with_text(struct gateway_request *request, const ProtobufCMessage *reply)
{
	const ProtobufCFieldDescriptor *field = field_of(reply, "text", PROTOBUF_C_TYPE_STRING);
	const char *text =
		field != NULL ? *(const char *const *)((const char *)reply + field->offset) : NULL;
	char *copy = strdup(text != NULL ? text : "");
	if (copy == NULL) {
		gateway_answer_error(&request->answer, 503, "memory", NULL, request->trace);
		return;
	}
	request->answer.status = request->match.endpoint->status;
	request->answer.content_type = "text/plain; version=0.0.4; charset=utf-8";
	request->answer.body = copy;
	request->answer.body_bytes = strlen(copy);
}

static void
answer_with(struct gateway_request *request, const ProtobufCMessage *reply)
{
	const struct gateway_endpoint *endpoint = request->match.endpoint;
	if ((endpoint->flags & ENDPOINT_TEXT) != 0) {
		answer_with_text(request, reply);
		return;
	}
	if (endpoint->status == 204) {
		request->answer.status = 204;
		return;
	}
	ProtobufCMessage *minted = NULL;
	int r = gateway_mint(request, reply, &minted);
	if (r < 0) {
		log_error("mint_failed", "endpoint=%s error=%s trace=%s", endpoint->path,
			  strerror(-r), request->trace);
		gateway_answer_error(&request->answer, 500, NULL, NULL, request->trace);
		return;
	}
	struct json_text text = { 0 };
	json_message_write(&text, minted != NULL ? minted : reply, 0);
	gateway_answer_json(&request->answer, success_status(endpoint, reply), &text,
			    request->trace);
	if (minted != NULL)
		protobuf_c_message_free_unpacked(minted, NULL);
}

static void
on_reply(const ProtobufCMessage *reply, void *arg)
{
	struct gateway_request *request = arg;
	if (reply != NULL)
		answer_with(request, reply);
	else
		gateway_answer_result(&request->answer, bus_peer_result(request->peer),
				      request->trace);
	if (request->answer.status == 500)
		log_error("request_failed", "endpoint=%s code=%s trace=%s",
			  request->match.endpoint->path, request->answer.code, request->trace);
	request->on_answer(request, request->on_answer_arg);
}

void
gateway_call_send(struct gateway_request *request, ProtobufCMessage **message)
{
	unsigned int index = 0;
	const struct gateway_endpoint *endpoint = request->match.endpoint;
	gateway_endpoint_rpc(endpoint, &index);
	struct bus_peer *peer = request->gateway->peers[endpoint->peer];
	ProtobufCService *mailbox = bus_peer_service(peer);
	request->peer = peer;
	bus_peer_next(peer, 0, request->trace);
	mailbox->invoke(mailbox, index, *message, on_reply, request);
	protobuf_c_message_free_unpacked(*message, NULL);
	*message = NULL;
}
