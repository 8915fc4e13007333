/*
 * gateway_answer: what goes back: a status, a JSON body, a few headers. All errors of the REST API
 * are made here: {"error":{"code","message","field"?,"requestId"}}, never over 1 KiB, never an echo
 * of what was sent. No I/O.
 */
#pragma once

#include "bus/bus.h"
#include "gateway/gateway_endpoints.h"
#include "json/json_text.h"

struct gateway_answer {
	int status; /* 0: none yet */
	char *body; /* malloc'd, or NULL */
	size_t body_bytes;
	const char *content_type;
	char code[BUS_CODE_BYTES]; /* of an error, "" */
	char allow[GATEWAY_ALLOW_BYTES];
	uint32_t retry_after_sec;
	bool closes; /* no further request on this connection */
};

enum { GATEWAY_ERROR_MAX_BYTES = 1024 };

void gateway_answer_fini(struct gateway_answer *answer);

/* code: a short stable word; field: what is wrong, in camelCase, or NULL; trace: the request id. */
void gateway_answer_error(struct gateway_answer *answer, int status, const char *code,
			  const char *field, const char *trace);

/* How a call on the bus failed, as an HTTP error. */
void gateway_answer_result(struct gateway_answer *answer, const struct bus_result *result,
			   const char *trace);

/* Takes the text's bytes; the text is empty afterwards. A text that failed becomes a 500. */
void gateway_answer_json(struct gateway_answer *answer, int status, struct json_text *text,
			 const char *trace);

/* The statuses of errors, one after the other; 0 at the end. */
int gateway_answer_status(size_t i);

/* "Bad Request" */
const char *gateway_answer_reason(int status);
