/*
 * gateway_endpoints: the table of what the REST API offers: one row an endpoint. A row names the
 * rpc that answers; the endpoint itself has no code. docs/rest.md and openapi.json say the
 * same, and the latter is made from this table. No I/O, no state.
 */
#pragma once

#include "gateway/gateway_path.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who may call: roles, as bits. ANYONE needs no credential. */
enum gateway_who {
	WHO_ANYONE = 0,
	WHO_NODE = 1 << 0,
	WHO_CLIENT = 1 << 1,
	WHO_ADMIN = 1 << 2,
	WHO_SCRAPER = 1 << 3, /* reads figures, nothing else */
	WHO_ANY = WHO_NODE | WHO_CLIENT | WHO_ADMIN,
};

/* Buckets that requests are counted in, see gateway_limits. */
enum gateway_rate {
	RATE_GENERAL,
	RATE_PROBE,
	RATE_CHALLENGE,
	RATE_ENROLMENT,
	RATE_HEARTBEAT,
	RATE_ADMIN,
	RATE_CLASSES
};

/* Services that stand behind endpoints, and the relay, whose health is shown. */
enum gateway_peer {
	PEER_DISCOVERY,
	PEER_ROUTING,
	PEER_RELAY,
	PEER_METRICS,
	PEER_TURN,
	PEER_COUNT,
	PEER_NONE = PEER_COUNT
};

enum gateway_flags {
	ENDPOINT_ROOT = 1 << 0,	    /* also without the base path, for probes */
	ENDPOINT_OWN_NODE = 1 << 1, /* a node may only name itself */
	ENDPOINT_ENROLS = 1 << 2,   /* the node access key counts, no other credential does */
	ENDPOINT_PROOF = 1 << 3,    /* carries Higgs-Proof and the hash of the body */
	ENDPOINT_CREATES = 1 << 4,  /* 200 instead when the reply's `created` is false */
	/* A reply with mint_subject gets a token of this role. */
	ENDPOINT_MINTS_NODE = 1 << 5,
	ENDPOINT_MINTS_CLIENT = 1 << 6,
	ENDPOINT_ROOT_ONLY = 1 << 7,  /* without the base path, and not with it */
	ENDPOINT_TEXT = 1 << 8,	      /* answers with the reply's `text`, in Prometheus' format */
	ENDPOINT_SCRAPE = 1 << 9,     /* configured addresses need no credential */
	ENDPOINT_UPGRADE = 1 << 10,   /* a WebSocket, and nothing else */
	ENDPOINT_EMPTY = 1 << 12,     /* of what is not known it says nothing, and not 404 */
	ENDPOINT_CONFLICTS = 1 << 11, /* 409 is among its answers */
};

/* What answers when no service does. */
enum gateway_local {
	LOCAL_NONE,
	LOCAL_HEALTH,
	LOCAL_READY,
	LOCAL_LIVE,
	LOCAL_OPENAPI,
	LOCAL_EVENTS,
};

struct gateway_endpoint {
	const char *method;
	const char *path; /* below the base path; {name} is a parameter */
	unsigned int who;
	enum gateway_rate rate;
	uint32_t body_max_bytes; /* 0: takes no body */
	enum gateway_peer peer;
	const char *rpc; /* in the peer's mailbox */
	unsigned int flags;
	int status; /* of success */
	enum gateway_local local;
	const char *summary;
};

extern const struct gateway_endpoint gateway_endpoints[];
extern const size_t gateway_endpoints_n;

enum {
	GATEWAY_ENDPOINTS_MAX = 64,
	GATEWAY_BODY_MAX_BYTES = 64 * 1024,
	GATEWAY_ALLOW_BYTES = 64,
	GATEWAY_PATH_PARAMETERS_MAX = 2,
};

#define GATEWAY_BASE_PATH "/api/v1"

/* A parameter that the path filled in. Both are borrowed, name is not terminated. */
struct gateway_parameter {
	const char *name;
	size_t name_bytes;
	const char *value;
};

struct gateway_match {
	const struct gateway_endpoint *endpoint;
	struct gateway_parameter parameters[GATEWAY_PATH_PARAMETERS_MAX];
	size_t parameters_n;
};

/* 0; -ENOENT: no such path; -EPERM: the path exists, but not with this method, and ret_allow lists
 * those it has. HEAD is taken as GET. */
int gateway_endpoints_match(const char *method, const struct gateway_path *path,
			    struct gateway_match *ret, char ret_allow[GATEWAY_ALLOW_BYTES]);

const ProtobufCServiceDescriptor *gateway_peer_descriptor(enum gateway_peer peer);
const char *gateway_peer_name(enum gateway_peer peer);

/* The rpc behind a row, and its index in the mailbox; NULL for rows that are answered here. */
const ProtobufCMethodDescriptor *gateway_endpoint_rpc(const struct gateway_endpoint *endpoint,
						      unsigned int *ret_index);
