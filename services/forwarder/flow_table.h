/*
 * flow_table: the conntrack entries of the sessions here, and what each session has used. A model:
 * no I/O. flow_events feeds it, forwarder_reports reads it.
 *
 * Bytes are what the tunnel carried: where the kernel joined segments into one (GRO, GSO),
 * conntrack counts their headers once, and the table puts the missing headers back.
 */
#pragma once

#include "identity/key.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FLOWS_MAX = 65536 };

/* IPv4 addresses in their mapped form. All bytes count: zero it first. */
struct flow_tuple {
	struct in6_addr source, destination;
	uint16_t source_port, destination_port; /* host order; ICMP: the id in both */
	uint32_t protocol;			/* IP protocol number */
};

/* One conntrack entry as the kernel told it. */
struct flow_seen {
	uint32_t id;
	bool is_ipv6;
	struct in6_addr client;	 /* the original source: a session's tunnel address */
	struct flow_tuple reply; /* from the internet to our side of the NAT */
	uint64_t bytes_up, bytes_down, packets_up, packets_down;
};

struct flow_usage {
	uint64_t bytes_up, bytes_down; /* client to internet, and back; ended flows included */
	uint32_t live;
	uint64_t epoch; /* never twice for one session, whoever of us counted it */
};

struct flow_table;

/* mtu: the tunnel's. epoch: where those of the sessions begin; greater for each later table. */
int flow_table_new(uint32_t mtu, uint64_t epoch, struct flow_table **ret);
void flow_table_free(struct flow_table **table);

/* A session and its tunnel addresses (::, none). -EEXIST: the session or an address is there. */
int flow_table_session_add(struct flow_table *table, const char *session_id,
			   const struct in6_addr *address4, const struct in6_addr *address6);

/* Its flows are forgotten. */
void flow_table_session_remove(struct flow_table *table, const char *session_id);

/* An entry was made (event), or is there (dump). Those of no session are passed over. */
void flow_table_see(struct flow_table *table, const struct flow_seen *seen, bool from_dump);

/* An entry ended (event), with its last figures. */
void flow_table_end(struct flow_table *table, const struct flow_seen *seen);

/* Around a whole dump. A flow that two dumps in a row do not show ended unheard. */
void flow_table_dump_begin(struct flow_table *table);
void flow_table_dump_end(struct flow_table *table);

/* -ENOENT: no such session. */
int flow_table_usage(const struct flow_table *table, const char *session_id,
		     struct flow_usage *ret);

/* Calls fn for each live flow of a session, newest first, until it returns false. Figures are the
 * tunnel's. */
typedef bool (*flow_fn)(const struct flow_seen *flow, void *arg);
void flow_table_each(const struct flow_table *table, const char *session_id, flow_fn fn, void *arg);

size_t flow_table_session_count(const struct flow_table *table);
