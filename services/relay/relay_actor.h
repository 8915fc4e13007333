/*
 * relay_actor: the relay as bosond and boson-relay start it.
 */
#pragma once

#include "service/service.h"

extern const struct actor relay_actor;
