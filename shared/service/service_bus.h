/*
 * service_bus: where each service of a product has its mailbox, and the keys to it, from a loaded
 * config. Usable without an actor (bosonctl). Immutable once made, so any thread may read it.
 */
#pragma once

#include "bus/bus.h"
#include "config/config.h"

#include <stdbool.h>

struct service_bus;

/* inproc_default: endpoints that are not configured are inproc instead of ipc. 0, or an exit code
 * of sysexits.h (66 a key file is missing, 77 others may read it, 78 it is wrong) with a reason. */
int service_bus_new(const struct config *config, const char *product, bool inproc_default,
		    struct service_bus **ret, char *ret_error, size_t error_bytes);
void service_bus_free(struct service_bus **bus);

/* Where to call a service, and where to hear it: one endpoint, or several separated by commas, as
 * bus_peer_new and bus_subscribe take them. NULL when the product has no such service. */
const char *service_bus_endpoint(const struct service_bus *bus, const char *service);
const char *service_bus_event_endpoint(const struct service_bus *bus, const char *service);

/* Where the events beside a mailbox, or several, are: inproc://relay-events,
 * ipc:///run/boson/relay-events.sock, tcp's next port. malloc'd. -EINVAL: there is no next port. */
int service_bus_events_beside(const char *endpoints, char **ret);

/* Whether this program can open that mailbox; n services run in it. 0, or EX_CONFIG and a reason.
 */
int service_bus_check_own(const struct service_bus *bus, const char *service, size_t n,
			  char *ret_error, size_t error_bytes);

/* NULL unless the endpoint is tcp and a key is configured. */
const char *service_bus_server_key(const struct service_bus *bus, const char *service);

/* NULL when no endpoint is tcp and no curve_secret is configured. */
const struct bus_security *service_bus_security(const struct service_bus *bus);
