/*
 * routing_liveness: does a node carry what it took (T04)? Some seconds after a session was opened,
 * and at once when its client complains, the relay is asked what went either way. A node that was
 * sent something and sent nothing back is noted, once for each access key: be it that it answers no
 * handshake, or that of packets, once it was sent so many, none came back. Only relays are
 * believed: a client's word moves its own session and says no more.
 *
 * Not noticed: a node that sends back a little, or begins to drop what it carried at first.
 */
#pragma once

#include "routing/routing_handlers.h"

int routing_liveness_start(struct routing *routing);
void routing_liveness_stop(struct routing *routing);

/* A session was opened, or moved to another node. */
void routing_liveness_watch(struct routing *routing, const struct session_record *record);

/* Its client hears nothing from its node. To be called before the session is closed there. */
void routing_liveness_complain(struct routing *routing, const struct session_record *record);

void routing_liveness_tick(struct routing *routing, int64_t now_ms);
