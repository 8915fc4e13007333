/*
 * gateway_openapi_answers: answers described; see the header.
 */
#include "gateway/gateway_openapi_answers.h"

#include "gateway/gateway_answer.h"
#include "gateway/gateway_schema.h"

#include <stdio.h>
#include <string.h>

enum { KEY_BYTES = 32, REF_BYTES = 64 };

#define STRING_SCHEMA  "{\"type\":\"string\"}"
#define INTEGER_SCHEMA "{\"type\":\"integer\",\"minimum\":1}"

void
gateway_openapi_write_content(struct json_text *text, const char *schema)
{
	json_text_key(text, "content");
	json_text_open(text, '{');
	json_text_key(text, "application/json");
	json_text_open(text, '{');
	json_text_key(text, "schema");
	gateway_schema_write_ref(text, schema);
	json_text_close(text, '}');
	json_text_close(text, '}');
}

static void
write_response(struct json_text *text, int status, const char *description, const char *schema)
{
	char key[KEY_BYTES];
	snprintf(key, sizeof(key), "%d", status);
	json_text_key(text, key);
	json_text_open(text, '{');
	json_text_member(text, "description", description);
	if (schema != NULL)
		gateway_openapi_write_content(text, schema);
	json_text_close(text, '}');
}

static const char *
answer_schema(const struct gateway_endpoint *endpoint, const ProtobufCMethodDescriptor *rpc)
{
	switch (endpoint->local) {
	case LOCAL_HEALTH:
		return "Health";
	case LOCAL_READY:
	case LOCAL_LIVE:
		return "Status";
	case LOCAL_OPENAPI:
		return "Description";
	case LOCAL_EVENTS:
		return NULL;
	case LOCAL_NONE:
		break;
	}
	return endpoint->status != 204 ? gateway_schema_name(rpc->output) : NULL;
}

static void
write_text_response(struct json_text *text, int status)
{
	char key[KEY_BYTES];
	snprintf(key, sizeof(key), "%d", status);
	json_text_key(text, key);
	json_text_raw(
		text,
		"{\"description\":\"done\",\"content\":{\"text/plain\":{\"schema\":" STRING_SCHEMA
		"}}}");
}

/* Errors of how the request is made are everybody's; these depend on the row. */
static bool
can_answer(const struct gateway_endpoint *endpoint, int status)
{
	bool has_body = endpoint->body_max_bytes > 0;
	bool asks = endpoint->local == LOCAL_NONE;
	switch (status) {
	case 401:
	case 403:
		return endpoint->who != WHO_ANYONE || (endpoint->flags & ENDPOINT_PROOF) != 0;
	case 404:
		return (endpoint->flags & ENDPOINT_EMPTY) == 0 &&
		       (strchr(endpoint->path, '{') != NULL ||
			(endpoint->peer == PEER_ROUTING && has_body));
	case 409:
		return (endpoint->flags & ENDPOINT_CONFLICTS) != 0;
	case 408:
	case 413:
	case 415:
	case 417:
		return has_body;
	case 405: /* of the path's other methods */
		return false;
	case 500:
		return asks;
	case 503:
		return asks || endpoint->local == LOCAL_EVENTS;
	default:
		return true;
	}
}

static void
write_error_ref(struct json_text *text, const char *key, int status)
{
	char ref[REF_BYTES];
	snprintf(ref, sizeof(ref), "#/components/responses/Error%d", status);
	json_text_key(text, key);
	json_text_open(text, '{');
	json_text_member(text, "$ref", ref);
	json_text_close(text, '}');
}

void
gateway_openapi_write_responses(struct json_text *text, const struct gateway_endpoint *endpoint,
				const ProtobufCMethodDescriptor *rpc)
{
	json_text_key(text, "responses");
	json_text_open(text, '{');
	if ((endpoint->flags & ENDPOINT_TEXT) != 0)
		write_text_response(text, endpoint->status);
	else
		write_response(text, endpoint->status, "done", answer_schema(endpoint, rpc));
	if ((endpoint->flags & ENDPOINT_CREATES) != 0)
		write_response(text, 200, "known already", answer_schema(endpoint, rpc));
	if (endpoint->local == LOCAL_HEALTH || endpoint->local == LOCAL_READY)
		write_response(text, 503, "not well", answer_schema(endpoint, rpc));
	for (size_t i = 0; gateway_answer_status(i) != 0; i++) {
		int status = gateway_answer_status(i);
		char key[KEY_BYTES];
		snprintf(key, sizeof(key), "%d", status);
		if (can_answer(endpoint, status))
			write_error_ref(text, key, status);
	}
	json_text_close(text, '}');
}

static void
write_header(struct json_text *text, const char *name, const char *schema)
{
	json_text_key(text, "headers");
	json_text_open(text, '{');
	json_text_key(text, name);
	json_text_open(text, '{');
	json_text_member_bool(text, "required", true);
	json_text_key(text, "schema");
	json_text_raw(text, schema);
	json_text_close(text, '}');
	json_text_close(text, '}');
}

void
gateway_openapi_write_errors(struct json_text *text)
{
	json_text_key(text, "responses");
	json_text_open(text, '{');
	for (size_t i = 0; gateway_answer_status(i) != 0; i++) {
		int status = gateway_answer_status(i);
		char key[KEY_BYTES];
		snprintf(key, sizeof(key), "Error%d", status);
		json_text_key(text, key);
		json_text_open(text, '{');
		json_text_member(text, "description", gateway_answer_reason(status));
		if (status == 429 || status == 503)
			write_header(text, "Retry-After", INTEGER_SCHEMA);
		else if (status == 401)
			write_header(text, "WWW-Authenticate", STRING_SCHEMA);
		else if (status == 405)
			write_header(text, "Allow", STRING_SCHEMA);
		gateway_openapi_write_content(text, "Error");
		json_text_close(text, '}');
	}
	json_text_close(text, '}');
}
