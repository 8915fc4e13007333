/*
 * gateway_config: the gateway's section of the configuration.
 */
#pragma once

#include "config/config.h"

extern const struct config_key gateway_config_keys[];

/* What the schema cannot say: whether it may listen where it is told to, and with which
 * certificate. 0, or an exit code with a reason. */
int gateway_config_check(const struct config *config, char *ret_error, size_t error_bytes);
