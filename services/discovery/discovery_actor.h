/* discovery: the actor. See discovery_handlers.h for what it owns, hears and tells. */
#pragma once

#include "service/service.h"

extern const struct actor discovery_actor;
