/*
 * config_describe: the schema in words: what --help shows, and what an error says was expected.
 */
#include "config/config_internal.h"

#include <stdio.h>
#include <string.h>

static const char *
type_words(enum config_type type)
{
	switch (type) {
	case CONFIG_STRING:
		return "text";
	case CONFIG_BOOL:
		return "yes or no";
	case CONFIG_INT:
		return "an integer";
	case CONFIG_DURATION:
		return "a duration with its unit (ms, s, m, h, d)";
	case CONFIG_BYTES:
		return "a size (bytes, KiB, MiB, GiB)";
	case CONFIG_ADDRESS:
		return "host:port or [v6]:port";
	case CONFIG_ENDPOINT:
		return "inproc://name, ipc:///path or tcp://host:port";
	case CONFIG_ENDPOINTS:
		return "inproc://name, ipc:///path or tcp://host:port, or several with commas";
	case CONFIG_PATH:
		return "a path";
	case CONFIG_URL:
		return "a URL";
	case CONFIG_CIDRS:
		return "networks, separated by commas";
	case CONFIG_LIST:
		return "a list, separated by commas";
	case CONFIG_ENUM:
		return "";
	case CONFIG_IFNAME:
		return "an interface name";
	case CONFIG_PORTS:
		return "ports and port ranges, separated by commas";
	}
	return "";
}

static void
append(char *text, size_t text_bytes, const char *more)
{
	size_t n = strlen(text);

	if (n < text_bytes)
		snprintf(text + n, text_bytes - n, "%s", more);
}

static void
format_duration(int64_t ms, char *ret_text, size_t text_bytes)
{
	if (ms % (24 * 3600 * 1000) == 0 && ms > 0)
		snprintf(ret_text, text_bytes, "%lldd", (long long)(ms / (24 * 3600 * 1000)));
	else if (ms % (3600 * 1000) == 0 && ms > 0)
		snprintf(ret_text, text_bytes, "%lldh", (long long)(ms / (3600 * 1000)));
	else if (ms % 1000 == 0 && ms > 0)
		snprintf(ret_text, text_bytes, "%llds", (long long)(ms / 1000));
	else
		snprintf(ret_text, text_bytes, "%lldms", (long long)ms);
}

static void
format_number(enum config_type type, int64_t value, char *ret_text, size_t text_bytes)
{
	if (type == CONFIG_DURATION)
		format_duration(value, ret_text, text_bytes);
	else
		snprintf(ret_text, text_bytes, "%lld", (long long)value);
}

void
config_key_describe(const struct config_key *key, char *ret_text, size_t text_bytes)
{
	bool is_number = key->type == CONFIG_INT || key->type == CONFIG_DURATION ||
			 key->type == CONFIG_BYTES;
	char min[32], max[32], range[80];

	snprintf(ret_text, text_bytes, "%s", type_words(key->type));
	if (is_number && (key->min != 0 || key->max != 0)) {
		format_number(key->type, key->min, min, sizeof(min));
		format_number(key->type, key->max, max, sizeof(max));
		snprintf(range, sizeof(range), " from %s to %s", min, max);
		append(ret_text, text_bytes, range);
	}
	for (const char *const *choice = key->choices; choice != NULL && *choice != NULL;
	     choice++) {
		if (*ret_text != '\0')
			append(ret_text, text_bytes, choice[1] == NULL ? " or " : ", ");
		append(ret_text, text_bytes, *choice);
	}
}

static void
describe_key(const struct config_key *key, FILE *file)
{
	char what[CONFIG_REASON_BYTES];

	config_key_describe(key, what, sizeof(what));
	fprintf(file, "# %s: %s\n", key->help, what);
	if (key->default_value == NULL)
		fprintf(file, "%s =     # required\n", key->name);
	else
		fprintf(file, "#%s =%s%s\n", key->name, *key->default_value != '\0' ? " " : "",
			key->default_value);
}

void
config_describe(const struct config_schema *schema, void *file)
{
	const char *section = "";

	for (const struct config_key *const *table = schema->tables; *table != NULL; table++)
		for (const struct config_key *key = *table; key->section != NULL; key++) {
			if (strcmp(section, key->section) != 0)
				fprintf(file, "%s[%s]\n", *section != '\0' ? "\n" : "",
					key->section);
			section = key->section;
			describe_key(key, file);
		}
}
