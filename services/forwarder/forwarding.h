/*
 * forwarding: the kernel settings that let packets pass between the tunnel and the uplinks, and
 * count them: on these interfaces only where the kernel can, so that a volunteer's PC does not
 * become a router between its other networks. Every change is in the journal and undone.
 */
#pragma once

#include "forwarder/exit_rules.h"

struct forwarding;

/* Undoes what an earlier run left. */
int forwarding_new(const char *state_dir, const char *tunnel, struct forwarding **ret);

/* After the rules are in force, and again when the tunnel or the surroundings change. */
int forwarding_apply(struct forwarding *forwarding, const struct exit_surroundings *surroundings);

/* Puts everything back as it was. */
void forwarding_free(struct forwarding **forwarding);
