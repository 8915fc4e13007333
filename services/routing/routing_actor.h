/* routing: the actor. See routing_handlers.h for what it owns, hears and tells. */
#pragma once

#include "service/service.h"

extern const struct actor routing_actor;
