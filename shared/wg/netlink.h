/*
 * netlink: one rtnetlink question and its whole answer. Each call opens a socket of its own and
 * waits for the kernel, which answers at once. Any thread.
 */
#pragma once

#include <libmnl/libmnl.h>
#include <stddef.h>
#include <stdint.h>

enum { NETLINK_REQUEST_BYTES = 1024 };

union netlink_request {
	struct nlmsghdr header;
	uint8_t bytes[NETLINK_REQUEST_BYTES];
};

/* type, e.g. RTM_NEWLINK; flags besides NLM_F_REQUEST | NLM_F_ACK; the family's header, zeroed, of
 * header_bytes comes back in *ret_header. */
struct nlmsghdr *netlink_request_init(union netlink_request *request, uint16_t type, uint16_t flags,
				      size_t header_bytes, void *ret_header);

/* Hands each message of the answer to fn (may be NULL). 0 or the kernel's -errno. */
int netlink_request_send(struct nlmsghdr *header, mnl_cb_t fn, void *arg);
