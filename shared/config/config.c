/*
 * config: the values of a program: defaults, then the file, then the environment, each checked
 * against the schema. Reads nothing after loading.
 */
#include "config/config_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENV_NAME_BYTES = 128 };

struct entry {
	const struct config_key *key;
	struct config_value value;
	unsigned line; /* 0: not set by the file */
	bool is_set;
};

struct config {
	const struct config_schema *schema;
	struct entry *entries;
	size_t n;
};

struct loading {
	struct config *config;
	struct config_error error;
	bool is_passed_over; /* inside a section of another service */
};

static struct entry *
find(const struct config *config, const char *section, const char *name)
{
	for (size_t i = 0; i < config->n; i++) {
		const struct config_key *key = config->entries[i].key;

		if (strcmp(key->section, section) == 0 && strcmp(key->name, name) == 0)
			return &config->entries[i];
	}
	return NULL;
}

static bool
has_section(const struct config *config, const char *section)
{
	for (size_t i = 0; i < config->n; i++)
		if (strcmp(config->entries[i].key->section, section) == 0)
			return true;
	return false;
}

static bool
is_other_section(const struct config_schema *schema, const char *section)
{
	for (const char *const *other = schema->other_sections; other != NULL && *other != NULL;
	     other++)
		if (strcmp(*other, section) == 0)
			return true;
	return false;
}

/* The sections, or with section the names of its keys, as config_nearest wants them. */
static const char *
nearest_of(const struct config *config, const char *section, const char *word)
{
	const char **names = calloc(config->n + 1, sizeof(*names));
	const char *nearest;
	size_t n = 0;

	if (names == NULL)
		return NULL;
	for (size_t i = 0; i < config->n; i++) {
		const struct config_key *key = config->entries[i].key;

		if (section == NULL)
			names[n++] = key->section;
		else if (strcmp(key->section, section) == 0)
			names[n++] = key->name;
	}
	nearest = config_nearest(word, names);
	free(names);
	return nearest;
}

static int
fail_unknown(const struct loading *loading, const struct config_line *line, const char *what,
	     const char *word, const char *nearest)
{
	return config_fail(&loading->error, CONFIG_EXIT_CONFIG, "%s:%u: unknown %s '%s'%s%s%s",
			   line->path, line->number, what, word,
			   nearest != NULL ? ", did you mean '" : "",
			   nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
}

static int
on_section(const struct config_line *line, void *arg)
{
	struct loading *loading = arg;
	const struct config *config = loading->config;

	loading->is_passed_over = false;
	if (has_section(config, line->section))
		return CONFIG_OK;
	loading->is_passed_over = is_other_section(config->schema, line->section);
	if (loading->is_passed_over)
		return CONFIG_OK;
	return fail_unknown(loading, line, "section", line->section,
			    nearest_of(config, NULL, line->section));
}

static int
entry_set(struct entry *entry, const char *text, char *ret_reason)
{
	struct config_value value;
	int result = config_value_parse(entry->key, text, &value, ret_reason);

	if (result < 0)
		return result;
	config_value_fini(&entry->value);
	entry->value = value;
	return 0;
}

static int
on_value(const struct config_line *line, void *arg)
{
	struct loading *loading = arg;
	struct entry *entry = find(loading->config, line->section, line->name);
	char reason[CONFIG_REASON_BYTES];

	if (loading->is_passed_over)
		return CONFIG_OK;
	if (entry == NULL)
		return fail_unknown(loading, line, "key", line->name,
				    nearest_of(loading->config, line->section, line->name));
	if (entry->line != 0)
		return config_fail(&loading->error, CONFIG_EXIT_CONFIG,
				   "%s:%u: [%s] %s is set twice, first on line %u", line->path,
				   line->number, line->section, line->name, entry->line);
	if (entry_set(entry, line->value, reason) < 0)
		return config_fail(&loading->error, CONFIG_EXIT_CONFIG,
				   "%s:%u: [%s] %s = %.80s: %s", line->path, line->number,
				   line->section, line->name, line->value, reason);
	entry->line = line->number;
	entry->is_set = true;
	return CONFIG_OK;
}

static void
env_name(const struct config_schema *schema, const struct config_key *key,
	 char ret_name[ENV_NAME_BYTES])
{
	snprintf(ret_name, ENV_NAME_BYTES, "%s_%s_%s", schema->env_prefix, key->section, key->name);
	for (char *c = ret_name; *c != '\0'; c++)
		*c = *c == '-' || *c == '.' ? '_' : (char)toupper((unsigned char)*c);
}

/* Only the names of the schema are looked up: orchestrators put variables such as
 * BOSON_RELAY_SERVICE_HOST into the environment, so an unknown one is no mistake. */
static int
load_environment(const struct loading *loading)
{
	const struct config *config = loading->config;
	char name[ENV_NAME_BYTES], reason[CONFIG_REASON_BYTES];

	for (size_t i = 0; i < config->n; i++) {
		struct entry *entry = &config->entries[i];
		const char *text;

		env_name(config->schema, entry->key, name);
		text = getenv(name);
		if (text == NULL)
			continue;
		if (entry_set(entry, text, reason) < 0)
			return config_fail(&loading->error, CONFIG_EXIT_CONFIG,
					   "environment variable %s=%.80s: %s", name, text, reason);
		entry->is_set = true;
	}
	return CONFIG_OK;
}

static int
load_defaults(const struct loading *loading)
{
	const struct config *config = loading->config;
	char reason[CONFIG_REASON_BYTES];

	for (size_t i = 0; i < config->n; i++) {
		const struct config_key *key = config->entries[i].key;

		if (key->default_value != NULL &&
		    entry_set(&config->entries[i], key->default_value, reason) < 0)
			return config_fail(&loading->error, CONFIG_EXIT_CONFIG,
					   "default of [%s] %s = %s: %s", key->section, key->name,
					   key->default_value, reason);
	}
	return CONFIG_OK;
}

static int
check_required(const struct loading *loading, const char *path)
{
	const struct config *config = loading->config;
	char name[ENV_NAME_BYTES];

	for (size_t i = 0; i < config->n; i++) {
		const struct config_key *key = config->entries[i].key;

		if (key->default_value != NULL || config->entries[i].is_set)
			continue;
		env_name(config->schema, key, name);
		return config_fail(&loading->error, CONFIG_EXIT_CONFIG,
				   "%s: [%s] %s is required (or %s in the environment)",
				   path != NULL ? path : "no configuration file", key->section,
				   key->name, name);
	}
	return CONFIG_OK;
}

static int
config_new(const struct config_schema *schema, struct config **ret)
{
	struct config *config = calloc(1, sizeof(*config));
	size_t capacity = 0;

	if (config == NULL)
		return -ENOMEM;
	for (const struct config_key *const *table = schema->tables; *table != NULL; table++)
		for (const struct config_key *key = *table; key->section != NULL; key++)
			capacity++;
	config->schema = schema;
	config->entries = calloc(capacity + 1, sizeof(*config->entries));
	if (config->entries == NULL) {
		free(config);
		return -ENOMEM;
	}
	for (const struct config_key *const *table = schema->tables; *table != NULL; table++)
		for (const struct config_key *key = *table; key->section != NULL; key++)
			if (find(config, key->section, key->name) == NULL)
				config->entries[config->n++].key = key;
	*ret = config;
	return 0;
}

int
config_load(const char *path, const struct config_schema *schema, struct config **ret,
	    char *ret_error, size_t error_bytes)
{
	struct loading loading = { .error = { ret_error, error_bytes } };
	struct config_reader reader = { on_section, on_value, &loading };
	int result;

	if (config_new(schema, &loading.config) < 0)
		return config_fail(&loading.error, CONFIG_EXIT_CONFIG, "out of memory");
	result = load_defaults(&loading);
	if (result == CONFIG_OK && path != NULL)
		result = config_file_read(path, &reader, &loading.error);
	if (result == CONFIG_OK)
		result = load_environment(&loading);
	if (result == CONFIG_OK)
		result = check_required(&loading, path);
	if (result != CONFIG_OK) {
		config_free(&loading.config);
		return result;
	}
	*ret = loading.config;
	return CONFIG_OK;
}

void
config_free(struct config **config)
{
	if (*config == NULL)
		return;
	for (size_t i = 0; i < (*config)->n; i++)
		config_value_fini(&(*config)->entries[i].value);
	free((*config)->entries);
	free(*config);
	*config = NULL;
}

static const struct entry *
must_find(const struct config *config, const char *section, const char *name)
{
	const struct entry *entry = find(config, section, name);

	if (entry == NULL) {
		fprintf(stderr, "defect: no key [%s] %s in the schema\n", section, name);
		abort();
	}
	return entry;
}

const char *
config_string(const struct config *config, const char *section, const char *name)
{
	return must_find(config, section, name)->value.text;
}

bool
config_bool(const struct config *config, const char *section, const char *name)
{
	return must_find(config, section, name)->value.number != 0;
}

int64_t
config_int(const struct config *config, const char *section, const char *name)
{
	return must_find(config, section, name)->value.number;
}

const char *const *
config_list(const struct config *config, const char *section, const char *name)
{
	static const char *const nothing[] = { NULL };
	char *const *list = must_find(config, section, name)->value.list;

	return list != NULL ? (const char *const *)list : nothing;
}

void
config_address(const struct config *config, const char *section, const char *name, char *ret_host,
	       size_t host_bytes, uint16_t *ret_port)
{
	const char *text = must_find(config, section, name)->value.text;

	if (config_address_split(text, ret_host, host_bytes, ret_port) < 0) {
		ret_host[0] = '\0';
		*ret_port = 0;
	}
}
