/*
 * exit_rules: the text of the two nftables tables of a node, made from plain facts. No I/O: what is
 * here can be read, tested and compared without a kernel. exit_policy loads it.
 *
 *	guard	drops whatever passes between the tunnel and anything else unless marked.
 *		Persistent.
 *	exit	decides, marks, translates. Carries the owner flag: it goes when we go.
 *
 * Names and mark come from the interface's name, so that two nodes on one host do not meet.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
	EXIT_INTERFACE_BYTES = 16,
	EXIT_TABLE_BYTES = 48,
	EXIT_NETWORKS_MAX = 256, /* connected subnets */
	EXIT_UPLINKS_MAX = 16,	 /* interfaces with a default route, of either family */
	EXIT_CLIENTS_MAX = 1024,
	EXIT_NAT_PORT_MIN = 32768, /* outside the listeners' range (CVE-2021-3773, T30) */
	EXIT_NAT_PORT_MAX = 60999,
};

struct exit_network {
	int family; /* AF_INET, AF_INET6 */
	uint8_t prefix;
	struct in6_addr address; /* IPv4: the first four bytes */
};

/* What is around the node; from rtnetlink. */
struct exit_surroundings {
	struct exit_network connected[EXIT_NETWORKS_MAX];
	size_t connected_count;
	char uplinks4[EXIT_UPLINKS_MAX][EXIT_INTERFACE_BYTES];
	size_t uplinks4_count;
	char uplinks6[EXIT_UPLINKS_MAX][EXIT_INTERFACE_BYTES];
	size_t uplinks6_count;
};

struct exit_client {
	struct in_addr address4;  /* 0: none */
	struct in6_addr address6; /* ::: none */
};

struct exit_rules {
	char interface[EXIT_INTERFACE_BYTES];
	bool policy_on;		  /* off: translate, but keep nobody from anything */
	const char *const *allow; /* the owner's exceptions, CIDRs, NULL-terminated, or NULL */
	const char *const *deny;  /* further addresses or CIDRs, likewise */
	struct in_addr address4;  /* the node's own in the tunnel */
	struct in6_addr address6;
	uint32_t mtu;
	uint16_t dns_port;			  /* our DNS forwarder's; 0: none */
	uint32_t new_flows_per_second, flows_max; /* per client */
	uint32_t udp_packets_per_second;	  /* of one client to the internet; 0: any */
	uint32_t up_mbits, down_mbits; /* of all together, as they see it; 0: as it comes */
};

void exit_rules_guard_name(const char *interface, char ret_name[EXIT_TABLE_BYTES]);
void exit_rules_exit_name(const char *interface, char ret_name[EXIT_TABLE_BYTES]);
uint32_t exit_rules_mark(const char *interface);

/* One transaction each; the old table of that name, if any, is replaced by it. */
void exit_rules_write_guard(const struct exit_rules *rules, FILE *file);
void exit_rules_write_exit(const struct exit_rules *rules,
			   const struct exit_surroundings *surroundings,
			   const struct exit_client *clients, size_t n, FILE *file);

/* "add" or "delete" one client in the exit table. */
void exit_rules_write_client(const struct exit_rules *rules, const char *verb,
			     const struct exit_client *client, FILE *file);
