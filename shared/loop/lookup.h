/*
 * lookup: the addresses of a host name, asked of the system's resolver on a thread of its own,
 * since that may take long, cannot be interrupted, and nobody here waits.
 */
#pragma once

#include "loop/loop.h"

#include <stddef.h>
#include <sys/socket.h>

enum { LOOKUP_MAX = 16, LOOKUP_HOST_BYTES = 256 };

struct lookup;

/* addresses: n of them, port 0, best first (RFC 6724), valid until it returns. 0: none, and error
 * says why. The lookup is over by then. */
typedef void (*lookup_fn)(const struct sockaddr_storage *addresses, size_t n, const char *error,
			  void *arg);

/* fn is called once, later. 0, -ENAMETOOLONG, or -errno when there is no thread to be had. */
int lookup_start(struct loop *loop, const char *host, lookup_fn fn, void *arg, struct lookup **ret);

/* For who has no loop. Errors as lookup_start. */
int lookup_start_alone(const char *host, struct lookup **ret);

/* Becomes readable when it is over, and stays so. Closed by lookup_stop. */
int lookup_fd(const struct lookup *lookup);

/* The addresses as lookup_fn has them, at most LOOKUP_MAX, valid until lookup_stop. */
size_t lookup_addresses(const struct lookup *lookup, const struct sockaddr_storage **ret,
			const char **ret_error);

/* Nobody will be called; the thread goes on alone. Takes one that is over as NULL. */
void lookup_stop(struct lookup **lookup);
