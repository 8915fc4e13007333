/*
 * gateway_actor: the gateway as bosond and boson-gateway start it.
 */
#pragma once

#include "service/service.h"

extern const struct actor gateway_actor;
