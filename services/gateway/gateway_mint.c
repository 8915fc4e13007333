/*
 * gateway_mint: session tokens in replies; see the header.
 */
#include "gateway/gateway_mint.h"

#include "identity/key.h"
#include "loop/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A token may be used half a minute before its time. */
enum { ISSUE_AHEAD_MAX_MS = 25 * 1000 };

static void *
member_at(ProtobufCMessage *message, unsigned int offset)
{
	return (char *)message + offset;
}

/* The message that has a session_token: this one, or one directly in it. */
static ProtobufCMessage *
holder_find(ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	if (protobuf_c_message_descriptor_get_field_by_name(type, "session_token") != NULL)
		return message;
	for (unsigned int i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		if (field->type != PROTOBUF_C_TYPE_MESSAGE ||
		    field->label == PROTOBUF_C_LABEL_REPEATED)
			continue;
		ProtobufCMessage *sub = *(ProtobufCMessage **)member_at(message, field->offset);
		if (sub != NULL && protobuf_c_message_descriptor_get_field_by_name(
					   sub->descriptor, "session_token") != NULL)
			return sub;
	}
	return NULL;
}

static int
holder_fill(ProtobufCMessage *holder, const char *token, int64_t expires_at_ms)
{
	const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(
		holder->descriptor, "session_token");
	if (field->type != PROTOBUF_C_TYPE_STRING)
		return -EINVAL;
	char **member = member_at(holder, field->offset);
	free(*member);
	*member = strdup(token);
	if (*member == NULL)
		return -ENOMEM;

	field = protobuf_c_message_descriptor_get_field_by_name(holder->descriptor, "expires_at");
	if (field == NULL || field->type != PROTOBUF_C_TYPE_INT64)
		return 0;
	protobuf_c_boolean *has = member_at(holder, field->quantifier_offset);
	if (!*has) {
		*has = 1;
		*(int64_t *)member_at(holder, field->offset) = expires_at_ms;
	}
	return 0;
}

static ProtobufCMessage *
message_copy(const ProtobufCMessage *message)
{
	size_t n = protobuf_c_message_get_packed_size(message);
	uint8_t *bytes = malloc(n + 1);
	if (bytes == NULL)
		return NULL;
	protobuf_c_message_pack(message, bytes);
	/* Our own bytes of a moment ago: no need of the bus's pre-scan. */
	ProtobufCMessage *copy = protobuf_c_message_unpack(message->descriptor, NULL, n, bytes);
	free(bytes);
	return copy;
}

static const char *
subject_of(const ProtobufCMessage *reply)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field_by_name(reply->descriptor, "mint_subject");
	if (field == NULL || field->type != PROTOBUF_C_TYPE_STRING)
		return NULL;
	return *(const char *const *)((const char *)reply + field->offset);
}

/* Now, or when tokens of this node count again, if its older ones were made void a moment ago. */
static int64_t
issue_time(const ProtobufCMessage *reply)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field_by_name(reply->descriptor, "tokens_since");
	int64_t now_ms = clock_wall_ms(), since_ms = 0;
	if (field != NULL && field->type == PROTOBUF_C_TYPE_INT64)
		since_ms = *(const int64_t *)((const char *)reply + field->offset);
	return since_ms > now_ms && since_ms - now_ms <= ISSUE_AHEAD_MAX_MS ? since_ms : now_ms;
}

int
gateway_mint(const struct gateway_request *request, const ProtobufCMessage *reply,
	     ProtobufCMessage **ret)
{
	const struct gateway *gateway = request->gateway;
	unsigned int flags = request->match.endpoint->flags;
	const char *subject = subject_of(reply);
	*ret = NULL;
	if (subject == NULL || (flags & (ENDPOINT_MINTS_NODE | ENDPOINT_MINTS_CLIENT)) == 0)
		return 0;

	bool node = (flags & ENDPOINT_MINTS_NODE) != 0;
	char token[TOKEN_TEXT_MAX_BYTES];
	int64_t expires_at_ms = 0;
	int r = gateway_access_mint(
		gateway->access, node ? WHO_NODE : WHO_CLIENT, subject, issue_time(reply),
		node ? gateway->node_token_ms : gateway->client_token_ms, token, &expires_at_ms);
	if (r < 0)
		return r;
	ProtobufCMessage *copy = message_copy(reply);
	ProtobufCMessage *holder = copy != NULL ? holder_find(copy) : NULL;
	r = copy == NULL ? -ENOMEM : 0;
	if (holder != NULL)
		r = holder_fill(holder, token, expires_at_ms);
	key_wipe(token, sizeof(token));
	if (r < 0 && copy != NULL)
		protobuf_c_message_free_unpacked(copy, NULL);
	else
		*ret = copy;
	return r;
}
