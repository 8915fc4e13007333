/*
 * gateway_gate: a request's head, read strictly (RFC 9112). What two readers could read differently
 * (bare line feeds, folded headers, doubled Content-Length and more: that is how requests are
 * smuggled past proxies) is refused, and nobody else here reads heads. No I/O, no state.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	GATE_HEAD_MAX_BYTES = 16 * 1024,
	GATE_HEADERS_MAX = 64,
	GATE_METHOD_BYTES = 16,
};

/* Headers counted, as far as the gate cares. Start with {0}. */
struct gate_tally {
	unsigned int headers, hosts, lengths, encodings, authorizations, upgrades, expects;
	size_t bytes;
	bool length_is_bad, encoding_is_unknown, expect_is_unknown, body_is_encoded;
	bool is_websocket;  /* the upgrade is to that, which one endpoint takes */
	bool names_upgrade; /* Connection does */
	bool closes;	    /* Connection: close, or HTTP/1.0 */
	bool is_1_0;
	uint64_t content_length; /* of the last one that is a number */
};

struct gate_head {
	char method[GATE_METHOD_BYTES];
	const char *target; /* into the bytes */
	size_t target_bytes;
	struct gate_tally tally;
};

void gateway_gate_count(struct gate_tally *tally, const char *name, size_t name_bytes,
			const char *value, size_t value_bytes);

/* Why a head is refused. status 0: it is not. code is a static word. */
struct gate_verdict {
	int status;
	const char *code;
};

/* Raw bytes from the start of a request. The length of the head with its blank line, and *ret_head;
 * 0: it is not whole yet; or -1: refused, and *ret says why; that may be known before it is whole.
 */
long gateway_gate_head(const char *bytes, size_t n, uint64_t body_max_bytes,
		       struct gate_head *ret_head, struct gate_verdict *ret);
