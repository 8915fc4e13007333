/*
 * agent_rest: JSON is read strictly; what cannot be read is no answer.
 */
#include "agent/agent_rest.h"
#include "json/json_message.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum { CALL_TIMEOUT_MS = 15 * 1000, URL_BYTES = 512 };

struct rest {
	struct http_client *http;
	LIST_HEAD(, pending) calls;
	char base[URL_BYTES];
};

struct pending {
	LIST_ENTRY(pending) of_rest;
	const ProtobufCMessageDescriptor *answer_type;
	rest_answer_fn fn;
	void *arg;
};

static void
pending_free(struct pending *pending)
{
	LIST_REMOVE(pending, of_rest);
	free(pending);
}

static struct pending *
pending_new(struct rest *rest)
{
	struct pending *pending = calloc(1, sizeof(*pending));

	if (!pending)
		return NULL;
	LIST_INSERT_HEAD(&rest->calls, pending, of_rest);
	return pending;
}

int
rest_new(struct loop *loop, const char *server, const char *ca_file, struct rest **ret)
{
	struct rest *rest = calloc(1, sizeof(*rest));
	size_t n = strlen(server);
	int r = -EINVAL;

	if (!rest)
		return -ENOMEM;
	while (n > 0 && server[n - 1] == '/')
		n--;
	if (n < URL_BYTES / 2) {
		snprintf(rest->base, sizeof(rest->base), "%.*s/api/v1", (int)n, server);
		r = http_client_new(loop, ca_file, &rest->http);
	}
	if (r < 0)
		rest_free(&rest);
	else
		*ret = rest;
	return r;
}

void
rest_free(struct rest **rest)
{
	if (!*rest)
		return;
	http_client_free(&(*rest)->http);
	while (!LIST_EMPTY(&(*rest)->calls))
		pending_free(LIST_FIRST(&(*rest)->calls));
	free(*rest);
	*rest = NULL;
}

/* {"error": {"code", "message", "field"?}}; whatever is missing stays "". */
static void
read_error(const struct http_answer *http, struct rest_answer *answer)
{
	json_t *root = json_loadb(http->body, http->body_bytes, JSON_REJECT_DUPLICATES, NULL);
	const char *code = NULL, *field = NULL;

	if (root &&
	    json_unpack(root, "{s:{s:s, s?s}}", "error", "code", &code, "field", &field) == 0) {
		snprintf(answer->code, sizeof(answer->code), "%s", code);
		snprintf(answer->field, sizeof(answer->field), "%s", field ? field : "");
	}
	json_decref(root);
}

static const char *
problem_of(const struct rest_answer *answer)
{
	switch (answer->status) {
	case 401:
		return "the server does not accept the proof, or wants an access key";
	case 403:
		return "the server forbids it";
	case 404:
		return "the server does not know this node, or is none of ours";
	case 409:
		return "key does not match node";
	case 429:
		return "the server asks for patience";
	case 503:
		return "the server, or a part of it, is down at the moment";
	default:
		return answer->status >= 500 ? "the server failed"
					     : "the server refuses the request";
	}
}

static void
on_http_answer(const struct http_answer *http, void *arg)
{
	struct pending *pending = arg;
	const struct pending call = *pending;
	struct rest_answer answer = { .status = http->status, .problem = http->error };
	ProtobufCMessage *message = NULL;
	char field[JSON_FIELD_BYTES];

	/* First, because fn may free the whole of rest. */
	pending_free(pending);
	answer.retry_after_sec = http->retry_after_sec > 0 ? (uint32_t)http->retry_after_sec : 0;
	if (http->error[0] != '\0') {
		/* A redirect, too, is no answer. */
		answer.status = 0;
	} else if (http->status >= 200 && http->status < 300) {
		if (json_message_read(call.answer_type, http->body, http->body_bytes, 0, &message,
				      field) < 0) {
			answer.status = 0;
			answer.problem = "the server's answer cannot be read: is it the right "
					 "URL?";
		}
	} else {
		read_error(http, &answer);
		answer.problem = problem_of(&answer);
	}
	answer.message = message;
	call.fn(&answer, call.arg);
	if (message)
		protobuf_c_message_free_unpacked(message, NULL);
}

int
rest_post(struct rest *rest, const struct rest_call *call, rest_answer_fn fn, void *arg)
{
	char url[URL_BYTES * 2];
	struct http_request request = { .method = "POST",
					.url = url,
					.bearer = call->bearer,
					.header = call->header,
					.body = call->body,
					.body_bytes = call->body_bytes,
					.timeout_ms = CALL_TIMEOUT_MS };
	struct pending *pending = pending_new(rest);
	int r;

	if (!pending)
		return -ENOMEM;
	pending->answer_type = call->answer_type;
	pending->fn = fn;
	pending->arg = arg;
	snprintf(url, sizeof(url), "%s%s", rest->base, call->path);
	r = http_client_send(rest->http, &request, on_http_answer, pending);
	if (r < 0)
		pending_free(pending);
	return r;
}
