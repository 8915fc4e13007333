/*
 * bosonctl_call: one request on the bus, its answer as JSON on stdout.
 */
#pragma once

#include "service/service_bus.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

struct bosonctl_call {
	const char *service; /* "relay" */
	const ProtobufCServiceDescriptor *mailbox;
	unsigned int method; /* index in the mailbox */
	const char *json;    /* the request, "{}" for an empty one */
	/* Further members, likewise an object; NULL: none. */
	const char *more_json;
	/* The reply's list: its items are printed, a line each, page after page. NULL: the reply.
	 */
	const char *list;
	/* Before the answer is printed: 0, or an exit code after a sentence. It may take out what
	 * is not to be shown. NULL: nothing. */
	int (*take)(const ProtobufCMessage *answer, void *arg);
	void *take_arg;
	bool is_quiet; /* the answer is not printed */
	/* Where it is, when that is not what the configuration says of the service; NULL: it is. */
	const char *endpoint, *server_key;
	uint32_t timeout_ms;
};

/* Makes the call and waits for its end. An exit code of sysexits.h: 0 and the answer on stdout, or
 * a sentence on stderr: 65 the request does not fit, 69 refused by the service, 75 nobody answers,
 * 76 what answers is none of ours, 77 the socket is not for us.
 */
int bosonctl_call(const struct service_bus *where, const struct bosonctl_call *call);
