/* turn_config: the section [turn], and what of it the schema cannot check. */
#pragma once

#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>

enum { TURN_ADDRESS_TEXT_BYTES = 64 };

extern const struct config_key turn_config_keys[]; /* ends in {0} */

/* 0, or CONFIG_EXIT_CONFIG and why. */
int turn_config_check(const struct config *config, char *ret_error, size_t error_bytes);

/* The next part of "public/private" or "first-last", and *text behind it; false at the end. */
bool turn_config_part(const char **text, char separator, char ret[TURN_ADDRESS_TEXT_BYTES]);
