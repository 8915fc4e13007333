/*
 * gateway_actor: the gateway as bosond and boson-gateway start it.
 */
#pragma once

#include "service/service.h"

extern const struct actor gateway_actor;

/* The port it listens on, for who configured port 0. state: what start gave. */
uint16_t gateway_actor_port(const void *state);
