/*
 * gateway_request: the life of one request between its head and its answer: who may, how often,
 * what its body says, and the bus call that answers. Knows no socket.
 */
#pragma once

#include "gateway/gateway.h"
#include "gateway/gateway_gate.h"
#include "gateway/gateway_path.h"

#include <protobuf-c/protobuf-c.h>

/* What of the head counts. All strings are borrowed and outlive the request; NULL: absent. */
struct gateway_head {
	const char *method;
	const char *authorization, *content_type, *origin, *proof;
	const char *forwarded_for;
	const char *websocket_key, *websocket_version;
	struct in6_addr peer;
	struct gate_tally tally;
};

struct gateway_request {
	struct gateway *gateway;
	struct gateway_head head;
	int path_result;	    /* of gateway_path_parse */
	struct gateway_match match; /* endpoint NULL: none */
	struct gateway_caller caller;
	struct in6_addr origin; /* where it comes from, proxies looked through */
	char trace[BUS_TRACE_BYTES];
	int64_t started_us;
	char *body;
	size_t body_bytes, body_capacity;
	const struct bus_peer *peer;  /* that was asked */
	struct gateway_answer answer; /* status 0: not yet; 101: see gateway_upgrade */
	/* Called once when gateway_request_run did not answer at once. */
	void (*on_answer)(struct gateway_request *request, void *arg);
	void *on_answer_arg;
	struct gateway_path path; /* the last: its text is large, and not cleared */
};

void gateway_request_init(struct gateway_request *request, struct gateway *gateway,
			  const char *target);
void gateway_request_fini(struct gateway_request *request);

/* After the head is filled in: everything that can be refused without the body. An answer may be
 * there afterwards; the body then need not be kept. */
void gateway_request_begin(struct gateway_request *request);

/* A piece of the body. One that is too long gives an answer. */
void gateway_request_add_body(struct gateway_request *request, const char *bytes, size_t n);

/* The whole request is there. Answers now, or later through on_answer. */
void gateway_request_run(struct gateway_request *request);

/* Do we let scripts from where it comes read answers ([gateway] cors_origins)? */
bool gateway_request_origin_is_ours(const struct gateway_request *request);

/* The answer was sent, or given up (sent false): counts, times and logs. */
void gateway_request_done(struct gateway_request *request, bool sent);
