/*
 * caller: on whose behalf the gateway asks. Without a word of it: nobody's.
 */
#pragma once

#include "common.pb-c.h"

#include <stdbool.h>

Boson__Common__Caller__Role caller_role(const Boson__Common__Caller *caller);

bool caller_is_admin(const Boson__Common__Caller *caller);

/* The node of this id itself. */
bool caller_is_node(const Boson__Common__Caller *caller, const char *node_id);
