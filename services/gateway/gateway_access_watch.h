/*
 * gateway_access_watch: hears from discovery whose session tokens are void (a node was deleted, or
 * has another key), and asks for all of them at start and after a gap. While no discovery answers
 * it asks again; a gateway that starts meanwhile goes by those that it has kept.
 */
#pragma once

#include "gateway/gateway_access.h"
#include "service/service.h"

struct access_watch;

/* discovery: the gateway's peer; to be freed before the watch, so that its calls end. 0 or -errno.
 */
int access_watch_new(const struct actor_context *context, struct bus_peer *discovery,
		     struct gateway_access *access, struct access_watch **ret);
void access_watch_free(struct access_watch **watch);
