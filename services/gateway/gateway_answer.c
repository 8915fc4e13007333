/*
 * gateway_answer: what goes back; see the header.
 */
#include "gateway/gateway_answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_AFTER_DEFAULT_SEC = 2 };

/* One sentence for people a status. Whatever is more precise is in code and field. */
static const struct {
	int status;
	const char *code; /* when nothing better is known */
	const char *reason;
	const char *message;
} statuses[] = {
	{ 101, "", "Switching Protocols", "" },
	{ 200, "", "OK", "" },
	{ 400, "invalid", "Bad Request", "The request is not valid." },
	{ 401, "token", "Unauthorized", "A valid credential is needed." },
	{ 403, "role", "Forbidden", "This credential does not allow that." },
	{ 404, "not_found", "Not Found", "There is nothing of that name." },
	{ 405, "method", "Method Not Allowed", "This path does not take that method." },
	{ 408, "timeout", "Request Timeout", "The request did not arrive in time." },
	{ 409, "conflict", "Conflict", "The identity or key is in use." },
	{ 413, "too_large", "Content Too Large", "The request is too large." },
	{ 414, "uri_too_long", "URI Too Long", "The request target is too long." },
	{ 415, "media_type", "Unsupported Media Type", "Send application/json, not compressed." },
	{ 417, "expect", "Expectation Failed", "Only 100-continue can be expected." },
	{ 429, "rate", "Too Many Requests", "Too many requests; wait before the next." },
	{ 431, "head_too_large", "Request Header Fields Too Large", "The headers are too large." },
	{ 500, "internal", "Internal Server Error", "A defect of the server; it has been logged." },
	{ 501, "transfer_encoding", "Not Implemented", "That transfer coding is not known." },
	{ 503, "unavailable", "Service Unavailable", "A service is not reachable; try again." },
	{ 505, "version", "HTTP Version Not Supported", "HTTP/1.1 is spoken here." },
};

static size_t
status_find(int status)
{
	size_t n = sizeof(statuses) / sizeof(statuses[0]);
	for (size_t i = 0; i < n; i++) {
		if (statuses[i].status == status)
			return i;
	}
	return status_find(500);
}

int
gateway_answer_status(size_t i)
{
	size_t first = 2; /* after 101 and 200 */
	return first + i < sizeof(statuses) / sizeof(statuses[0]) ? statuses[first + i].status : 0;
}

const char *
gateway_answer_reason(int status)
{
	return statuses[status_find(status)].reason;
}

void
gateway_answer_fini(struct gateway_answer *answer)
{
	free(answer->body);
	*answer = (struct gateway_answer){ 0 };
}

static void
answer_take_text(struct gateway_answer *answer, struct json_text *text)
{
	free(answer->body);
	answer->content_type = "application/json";
	answer->body = text->bytes;
	answer->body_bytes = text->n;
	*text = (struct json_text){ 0 };
}

void
gateway_answer_error(struct gateway_answer *answer, int status, const char *code, const char *field,
		     const char *trace)
{
	struct json_text text = { .max_bytes = GATEWAY_ERROR_MAX_BYTES };
	size_t row = status_find(status);
	if (code == NULL || code[0] == '\0')
		code = statuses[row].code;
	json_text_open(&text, '{');
	json_text_key(&text, "error");
	json_text_open(&text, '{');
	json_text_member(&text, "code", code);
	json_text_member(&text, "message", statuses[row].message);
	if (field != NULL && field[0] != '\0')
		json_text_member(&text, "field", field);
	json_text_member(&text, "requestId", trace);
	json_text_close(&text, '}');
	json_text_close(&text, '}');

	answer->status = status;
	snprintf(answer->code, sizeof(answer->code), "%s", code);
	if ((status == 429 || status == 503) && answer->retry_after_sec == 0)
		answer->retry_after_sec = RETRY_AFTER_DEFAULT_SEC;
	if (json_text_failed(&text))
		json_text_fini(&text); /* the status alone must do */
	answer_take_text(answer, &text);
}

static int
status_of_result(enum bus_status status)
{
	switch (status) {
	case BUS_INVALID:
		return 400;
	case BUS_UNAUTHENTICATED:
		return 401;
	case BUS_FORBIDDEN:
		return 403;
	case BUS_NOT_FOUND:
		return 404;
	case BUS_CONFLICT:
		return 409;
	case BUS_TOO_LARGE:
		return 413;
	case BUS_LIMITED:
		return 429;
	case BUS_UNAVAILABLE:
	case BUS_DEADLINE:
		return 503;
	case BUS_OK:
	case BUS_INTERNAL:
		break;
	}
	return 500;
}

void
gateway_answer_result(struct gateway_answer *answer, const struct bus_result *result,
		      const char *trace)
{
	answer->retry_after_sec = result->retry_after_sec;
	gateway_answer_error(answer, status_of_result(result->status), result->code, result->field,
			     trace);
}

void
gateway_answer_json(struct gateway_answer *answer, int status, struct json_text *text,
		    const char *trace)
{
	if (json_text_failed(text)) {
		json_text_fini(text);
		gateway_answer_error(answer, 500, "too_large", NULL, trace);
		return;
	}
	answer->status = status;
	answer_take_text(answer, text);
}
