/*
 * lookup: the addresses of a host name, asked of the system's resolver on a thread of its own,
 * since that may take long, cannot be interrupted, and nobody here waits. Not tied to a loop: the
 * descriptor may be watched or polled.
 */
#pragma once

#include <stddef.h>
#include <sys/socket.h>

enum { LOOKUP_MAX = 16, LOOKUP_HOST_BYTES = 256 };

struct lookup;

/* 0, -ENAMETOOLONG, or -errno when there is no thread to be had. */
int lookup_start(const char *host, struct lookup **ret);

/* Becomes readable when it is over, and stays so. Closed by lookup_free. */
int lookup_fd(const struct lookup *lookup);

/* The addresses, port 0, best first (RFC 6724), lookup's; at most LOOKUP_MAX. 0: none, or not over
 * yet, and *ret_error says why. */
size_t lookup_addresses(const struct lookup *lookup, const struct sockaddr_storage **ret,
			const char **ret_error);

/* Also while it runs: the thread goes on alone. Takes NULL. */
void lookup_free(struct lookup **lookup);
