/*
 * link: network interfaces through rtnetlink: find, make, name as ours, address, raise, remove.
 * Each call opens a socket of its own, asks, and waits for the kernel's answer, which comes at
 * once. Any thread. Changes need CAP_NET_ADMIN.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define LINK_ALIAS "higgs" /* marks an interface as made by us */

enum { LINK_NAME_BYTES = 16, LINK_ALIAS_BYTES = 256 };

struct link {
	uint32_t index;
	bool is_up;
	char alias[LINK_ALIAS_BYTES];
	uint64_t rx_bytes, tx_bytes;
};

/* -ENODEV: no interface of this name. */
int link_find(const char *name, struct link *ret);

/* A kernel WireGuard interface. -EOPNOTSUPP: this kernel has none. */
int link_add_wireguard(const char *name);
int link_delete(uint32_t index);

/* Sets alias (LINK_ALIAS), MTU, no automatic IPv6 address, and up. */
int link_raise(uint32_t index, uint32_t mtu);

/* "10.90.0.1/16" or "fd48::1/64"; one that is there already is fine. -EINVAL: no such text. */
int link_address_add(uint32_t index, const char *address);
