/*
 * bosonctl_call: one request on the bus, its answer as JSON on stdout.
 */
#pragma once

#include "service/service_bus.h"

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

struct bosonctl_call {
	const char *service; /* "relay" */
	const ProtobufCServiceDescriptor *mailbox;
	unsigned int method; /* index in the mailbox */
	const char *json;    /* the request, "{}" for an empty one */
	uint32_t timeout_ms;
};

/* Makes the call and waits for its end. An exit code of sysexits.h: 0 and the answer on stdout, or
 * a sentence on stderr: 65 the request does not fit, 69 refused by the service, 75 nobody answers.
 */
int bosonctl_call(const struct service_bus *where, const struct bosonctl_call *call);
