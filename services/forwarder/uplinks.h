/*
 * uplinks: what is around the node, followed live by rtnetlink: the subnets it is connected to, its
 * gateways, and the interfaces that lead to the internet. Tells forwarder_actor, which hands it to
 * exit_policy. Loop thread.
 */
#pragma once

#include "forwarder/exit_rules.h"
#include "loop/loop.h"

struct uplinks;

/* Something changed; asked for only when the facts differ from the last ones. */
typedef void (*uplinks_fn)(const struct exit_surroundings *surroundings, void *arg);

/* tunnel: our own interface, which does not count. */
int uplinks_new(struct loop *loop, const char *tunnel, uplinks_fn fn, void *arg,
		struct uplinks **ret);
void uplinks_free(struct uplinks **uplinks);

const struct exit_surroundings *uplinks_surroundings(const struct uplinks *uplinks);
