/*
 * agent_rest: the server's REST interface as agent_enrol and agent_heartbeat use it: messages of
 * proto/discovery.proto out and in, as JSON over the HTTP client.
 */
#pragma once

#include "net/http_client.h"

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

struct rest;

enum { REST_CODE_BYTES = 48, REST_FIELD_BYTES = 64 };

struct rest_answer {
	int status;		    /* HTTP status; 0: no answer, or one that could not be read */
	const char *problem;	    /* "" when all is well, else a sentence for people */
	char code[REST_CODE_BYTES]; /* of an error answer, such as "challenge"; or "" */
	char field[REST_FIELD_BYTES];
	uint32_t retry_after_sec;
	const ProtobufCMessage *message; /* of a 2xx answer; valid until the function returns */
};

typedef void (*rest_answer_fn)(const struct rest_answer *answer, void *arg);

/* server: "https://host[:port]". ca_file: NULL for the system's. */
int rest_new(struct loop *loop, const char *server, const char *ca_file, struct rest **ret);
void rest_free(struct rest **rest); /* pending calls are dropped */

struct rest_call {
	const char *path;   /* below /api/v1, e.g. "/nodes/register" */
	const char *bearer; /* or NULL */
	const char *header; /* "Name: value" or NULL */
	const char *body;   /* JSON */
	size_t body_bytes;
	const ProtobufCMessageDescriptor *answer_type;
};

/* POST. 0, or -errno and then fn is not called. */
int rest_post(struct rest *rest, const struct rest_call *call, rest_answer_fn fn, void *arg);
