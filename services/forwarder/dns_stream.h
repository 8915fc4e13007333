/*
 * dns_stream: DNS over TCP: a client's connection joined to one of the node's resolvers, byte for
 * byte, for at most ten seconds. For dns_forwarder.
 */
#pragma once

#include "loop/loop.h"

#include <stdbool.h>
#include <sys/socket.h>

enum { DNS_STREAMS_MAX = 32 };

struct dns_streams;

int dns_streams_new(struct loop *loop, struct dns_streams **ret);
void dns_streams_free(struct dns_streams **streams);

/* Takes client_fd, whatever it returns. -ENOSPC too many, or what connect said. */
int dns_streams_join(struct dns_streams *streams, int client_fd,
		     const struct sockaddr_storage *upstream);
