/*
 * client_probe: questions sent through the tunnel, for `higgs doctor`: does the name server answer,
 * and how soon; packets of which size pass; which address the internet sees. Block, with deadlines.
 */
#pragma once

#include "client/client_options.h"

#include <netinet/in.h>
#include <stddef.h>

enum { PROBE_TRIES = 3, PROBE_HOST_BYTES = 256, PROBE_MESSAGE_BYTES = 9000 };

/* Milliseconds until the answer came, or -1. size: of the question with its IP and UDP headers. */
double client_probe_name_server(const char *server, size_t size);

enum probe_size {
	PROBE_PASSES, /* both ways */
	PROBE_LOST,   /* but small ones pass */
	PROBE_SILENT, /* what is there answers no echoes */
};

/* Packets of so many bytes to an address in the tunnel. */
enum probe_size client_probe_size(const char *address, const char *interface, size_t bytes);

/* By a STUN server that BosonServer names (GET /turn/stun), and says here: its host. -ENOENT: none;
 * -ETIMEDOUT, or what the system said. */
int client_probe_exit(const struct client_options *options, char ret_host[PROBE_HOST_BYTES],
		      char ret_address[INET6_ADDRSTRLEN]);
