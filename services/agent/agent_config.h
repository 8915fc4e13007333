/*
 * agent_config: section [agent] of the configuration, and what its values mean.
 */
#pragma once

#include "agent/agent_admission.h"
#include "agent/agent_enrol.h"
#include "config/config.h"

extern const struct config_key agent_config_keys[];

/* What the schema cannot say: files that must be there, one pool each, a country's form. As struct
 * actor's check. */
int agent_config_check(const struct config *config, char *ret_error, size_t error_bytes);

/* After a good check these cannot fail. Strings are the config's. */
void agent_config_pool(const struct config *config, struct admission_pool *ret);
void agent_config_facts(const struct config *config, struct enrol_facts *ret);
