/*
 * turn_probe: asks one server, over UDP, as a client would: a STUN binding, and of a TURN server an
 * allocation with a credential of ours, which is given back at once. A server that hangs, that
 * takes another secret, or that is out of ports is found out so (F44).
 */
#pragma once

#include "loop/loop.h"
#include "metrics/metrics.h"
#include "turn/turn_secrets.h"

#include <netinet/in.h>
#include <stdint.h>

enum { TURN_PROBE_TIMEOUT_MS = 2000 }; /* of each question */

struct turn_probe;

/* reason: NULL when all was answered well, else a static sentence; the round trip is the binding's.
 * The probe is over by then. */
typedef void (*turn_probe_fn)(const char *reason, uint32_t round_trip_us, void *arg);

/* secret: NULL: binding only. fn is called once, never from inside. 0 or -errno. */
int turn_probe_start(struct loop *loop, struct metrics *metrics, const struct sockaddr_in6 *server,
		     const char *secret, turn_probe_fn fn, void *arg, struct turn_probe **ret);
/* fn will not be called. Takes one that is over as NULL. */
void turn_probe_stop(struct turn_probe **probe);
