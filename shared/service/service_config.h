/*
 * service_config: the sections that all programs of a product share ([service], [log], [admin],
 * [bus]) and the names of its services. For service_main, and for tools that read the same file.
 */
#pragma once

#include "config/config.h"

enum { SERVICE_TABLES_MAX = 16 };

/* Lives as long as the config loaded with it. */
struct service_schema {
	struct config_schema schema;
	const struct config_key *tables[SERVICE_TABLES_MAX];
	const char *other_sections[SERVICE_TABLES_MAX];
};

/* product: "boson" or "higgs". own_tables: the actors' sections, NULL-terminated, or NULL; the
 * product's other services become sections that are passed over. */
void service_schema_init(struct service_schema *schema, const char *product,
			 const struct config_key *const *own_tables);

/* The services of a product, NULL-terminated. */
const char *const *service_names(const char *product);
