/* The common sections of both products. See service_config.h. */
#include "service/service_config.h"

#include <assert.h>
#include <string.h>

static const char *const boson_names[] = { "gateway", "discovery", "routing", "relay",
					   "metrics", "turn",	   NULL };
static const char *const higgs_names[] = { "agent", "forwarder", NULL };

static const char *const levels[] = { "error", "warn", "info", "debug", NULL };
static const char *const off[] = { "off", NULL };

#define KEY(section_, name_, type_, default_, help_)                                          \
	{                                                                                     \
		.section = section_, .name = name_, .type = type_, .default_value = default_, \
		.help = help_                                                                 \
	}
#define STATE(product)                                            \
	KEY("service", "state", CONFIG_PATH, "/var/lib/" product, \
	    "what must survive a restart; a folder for each service is made in it")
#define RUN(product) KEY("service", "run", CONFIG_PATH, "/run/" product, "sockets of the bus; 0700")
#define DRAIN                                                                      \
	{                                                                          \
		.section = "service", .name = "drain", .type = CONFIG_DURATION,    \
		.default_value = "30s", .max = 600 * 1000,                         \
		.help = "at most this long to finish what is under way on SIGTERM" \
	}
#define LEVEL                                                                                    \
	{                                                                                        \
		.section = "log", .name = "level", .type = CONFIG_ENUM, .default_value = "info", \
		.choices = levels, .help = "how much is logged on stderr"                        \
	}
#define ADMIN(name_, default_)                                               \
	{                                                                    \
		.section = "admin", .name = name_, .type = CONFIG_ADDRESS,   \
		.default_value = default_, .choices = off,                   \
		.help = "/health/live, /health/ready and /metrics of " name_ \
	}
#define MAILBOX(name_)                                                          \
	KEY("bus", name_, CONFIG_ENDPOINTS, "",                                 \
	    "mailbox of " name_                                                 \
	    "; empty: inproc in one process, else a socket in the run folder; " \
	    "replicas: several with commas, or a name with several addresses")
#define MAILBOX_KEY(name_)                          \
	KEY("bus", name_ "_key", CONFIG_STRING, "", \
	    "CURVE public key of " name_ " (Z85), when its mailbox is tcp")
#define BIND                                    \
	KEY("bus", "bind", CONFIG_ENDPOINT, "", \
	    "where this program opens its own mailbox, when its endpoint names several or a host")
#define CURVE_SECRET                                \
	KEY("bus", "curve_secret", CONFIG_PATH, "", \
	    "file with our CURVE secret key (Z85), 0600; tcp mailboxes need it")
#define CURVE_ALLOW                                \
	KEY("bus", "curve_allow", CONFIG_PATH, "", \
	    "file of `name z85key` lines: who may connect to our tcp mailboxes")

static const struct config_key boson_keys[] = {
	STATE("boson"),
	RUN("boson"),
	DRAIN,
	LEVEL,
	ADMIN("bosond", "127.0.0.1:9900"),
	ADMIN("gateway", "127.0.0.1:9901"),
	ADMIN("discovery", "127.0.0.1:9902"),
	ADMIN("routing", "127.0.0.1:9903"),
	ADMIN("relay", "127.0.0.1:9904"),
	ADMIN("metrics", "127.0.0.1:9905"),
	ADMIN("turn", "127.0.0.1:9906"),
	MAILBOX("gateway"),
	MAILBOX_KEY("gateway"),
	MAILBOX("discovery"),
	MAILBOX_KEY("discovery"),
	MAILBOX("routing"),
	MAILBOX_KEY("routing"),
	MAILBOX("relay"),
	MAILBOX_KEY("relay"),
	MAILBOX("metrics"),
	MAILBOX_KEY("metrics"),
	MAILBOX("turn"),
	MAILBOX_KEY("turn"),
	BIND,
	CURVE_SECRET,
	CURVE_ALLOW,
	{ 0 },
};

static const struct config_key higgs_keys[] = {
	STATE("higgs"),
	RUN("higgs"),
	DRAIN,
	LEVEL,
	ADMIN("agent", "127.0.0.1:9907"),
	ADMIN("forwarder", "127.0.0.1:9908"),
	MAILBOX("agent"),
	MAILBOX_KEY("agent"),
	MAILBOX("forwarder"),
	MAILBOX_KEY("forwarder"),
	BIND,
	CURVE_SECRET,
	CURVE_ALLOW,
	{ 0 },
};

static bool
is_boson(const char *product)
{
	return strcmp(product, "boson") == 0;
}

const char *const *
service_names(const char *product)
{
	return is_boson(product) ? boson_names : higgs_names;
}

static bool
has_section(const struct service_schema *schema, const char *section)
{
	for (const struct config_key *const *table = schema->tables; *table != NULL; table++)
		for (const struct config_key *key = *table; key->section != NULL; key++)
			if (strcmp(key->section, section) == 0)
				return true;
	return false;
}

void
service_schema_init(struct service_schema *schema, const char *product,
		    const struct config_key *const *own_tables)
{
	size_t n = 0, others_n = 0;

	*schema = (struct service_schema){
		.schema = { .env_prefix = is_boson(product) ? "BOSON" : "HIGGS",
			    .other_sections = schema->other_sections,
			    .tables = schema->tables },
	};
	schema->tables[n++] = is_boson(product) ? boson_keys : higgs_keys;
	for (; own_tables != NULL && *own_tables != NULL; own_tables++) {
		assert(n < SERVICE_TABLES_MAX - 1);
		schema->tables[n++] = *own_tables;
	}
	for (const char *const *name = service_names(product); *name != NULL; name++)
		if (!has_section(schema, *name))
			schema->other_sections[others_n++] = *name;
	if (!is_boson(product)) /* `higgs` reads the same file, but is no service */
		schema->other_sections[others_n++] = "client";
}
