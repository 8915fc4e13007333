/*
 * relay_settings: the section [relay] of the configuration, read once.
 */
#pragma once

#include "config/config.h"
#include "identity/ticket.h"

#include <stdbool.h>
#include <stdint.h>

enum { RELAY_SHARDS_MAX = 64, RELAY_HOST_BYTES = 256 };

struct relay_settings {
	char host[RELAY_HOST_BYTES];
	uint16_t port;			       /* 0: any */
	const char *certificate, *private_key; /* "" both: plain ws */
	const char *tls_tickets;	       /* "": its own */
	int64_t tls_ticket_ms;
	const char *public_url, *region, *group, *id, *announce_bus;
	const char *congestion;		 /* "": the system's */
	char udp_host[RELAY_HOST_BYTES]; /* "": no UDP ingress */
	uint16_t udp_port;		 /* 0: any */
	const char *udp_public;		 /* "": as it is bound */
	bool behind_proxy;
	uint32_t shards;
	uint32_t legs_max, channels_max;
	uint32_t notsent_lowat_bytes;
	uint32_t segment_bytes; /* TCP_MAXSEG of legs, both ways; 0: the interfaces' */
	uint32_t queue_bytes;
	uint64_t queue_budget_bytes;	    /* of all shards together */
	uint32_t rate_kbytes;		    /* of a session whose ticket names none; 0: no limit */
	uint64_t bandwidth_bytes;	    /* a second, in and out; 0: not known */
	uint32_t accept_pace;		    /* connections a second and shard; 0: no limit */
	uint32_t drain_pace;		    /* legs a second that are told to leave */
	uint32_t accept_rate, accept_burst; /* a second and address; 0: no limit */
	uint32_t pending_max;		    /* of an address, not admitted yet */
	int64_t queue_age_ms, stall_ms, grace_ms, drain_ms;
	int64_t handshake_ms, half_frame_ms, ping_ms, silence_ms;
};

extern const struct config_key relay_keys[];

/* Strings are the config's. */
void relay_settings_read(const struct config *config, struct relay_settings *ret);

/* What must hold between them: 0, or an exit code of sysexits.h and a reason. */
int relay_settings_check(const struct config *config, char *ret_error, size_t error_bytes);
