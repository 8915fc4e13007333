/* metrics: the actor. See metrics_handlers.h for what it owns and hears. */
#pragma once

#include "service/service.h"

extern const struct actor metrics_actor;
