/* turn: the actor. See turn_handlers.h for whom it answers. */
#pragma once

#include "service/service.h"

extern const struct actor turn_actor;
