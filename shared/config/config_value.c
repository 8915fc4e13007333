/*
 * config_value: one value against one key of the schema: its type, its range, its choices.
 */
#include "config/config_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
	const char *suffix;
	int64_t factor;
};

static const struct unit duration_units[] = {
	{ "ms", 1 },
	{ "s", 1000 },
	{ "m", 60 * 1000 },
	{ "h", 3600 * 1000 },
	{ "d", 24 * 3600 * 1000 },
	{ NULL, 0 },
};

static const struct unit byte_units[] = {
	{ "", 1 },
	{ "B", 1 },
	{ "KiB", 1024 },
	{ "MiB", 1024 * 1024 },
	{ "GiB", 1024 * 1024 * 1024 },
	{ NULL, 0 },
};

static const int64_t duration_max_ms = INT64_C(3653) * 24 * 3600 * 1000;

static bool
is_list(enum config_type type)
{
	return type == CONFIG_LIST || type == CONFIG_CIDRS || type == CONFIG_PORTS ||
	       type == CONFIG_ENDPOINTS;
}

int
config_parse_integer(const char *text, size_t n, bool is_signed, int64_t *ret)
{
	bool is_negative = is_signed && n > 0 && text[0] == '-';
	int64_t value = 0;

	if (is_negative) {
		text++;
		n--;
	}
	if (n == 0)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		int digit = text[i] - '0';

		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_sub_overflow(value, digit, &value)) /* negative: INT64_MIN fits */
			return -ERANGE;
	}
	if (!is_negative && value == INT64_MIN)
		return -ERANGE;
	*ret = is_negative ? value : -value;
	return 0;
}

static int
parse_with_unit(const char *text, const struct unit *units, int64_t *ret)
{
	size_t digits = strspn(text, "0123456789");
	int64_t value = 0;

	if (config_parse_integer(text, digits, false, &value) < 0)
		return -EINVAL;
	for (; units->suffix != NULL; units++)
		if (strcmp(text + digits, units->suffix) == 0)
			return __builtin_mul_overflow(value, units->factor, ret) ? -ERANGE : 0;
	return -EINVAL;
}

static int
parse_bool(const char *text, int64_t *ret)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on", NULL };

	for (int i = 0; words[i] != NULL; i++)
		if (strcmp(text, words[i]) == 0) {
			*ret = i % 2;
			return 0;
		}
	return -EINVAL;
}

static bool
is_choice(const struct config_key *key, const char *text)
{
	for (const char *const *choice = key->choices; choice != NULL && *choice != NULL; choice++)
		if (strcmp(text, *choice) == 0)
			return true;
	return false;
}

static int
reject_as(const struct config_key *key, char *ret_reason)
{
	char what[CONFIG_REASON_BYTES - 16];

	config_key_describe(key, what, sizeof(what));
	snprintf(ret_reason, CONFIG_REASON_BYTES, "must be %s", what);
	return -EINVAL;
}

static int
parse_number(const struct config_key *key, const char *text, int64_t *ret, char *ret_reason)
{
	int64_t value = 0;
	bool is_ranged = key->min != 0 || key->max != 0;
	int result = key->type == CONFIG_BOOL ? parse_bool(text, &value)
		     : key->type == CONFIG_INT
			     ? config_parse_integer(text, strlen(text), true, &value)
		     : key->type == CONFIG_DURATION ? parse_with_unit(text, duration_units, &value)
						    : parse_with_unit(text, byte_units, &value);

	if (result < 0 || (is_ranged && (value < key->min || value > key->max)) ||
	    (key->type == CONFIG_DURATION && value > duration_max_ms))
		return reject_as(key, ret_reason);
	*ret = value;
	return 0;
}

static int
check_scalar(const struct config_key *key, const char *text, int64_t *ret_number, char *ret_reason)
{
	switch (key->type) {
	case CONFIG_BOOL:
	case CONFIG_INT:
	case CONFIG_DURATION:
	case CONFIG_BYTES:
		return parse_number(key, text, ret_number, ret_reason);
	case CONFIG_ADDRESS:
		return config_address_check(text, ret_reason);
	case CONFIG_ENDPOINT:
	case CONFIG_ENDPOINTS:
		return config_endpoint_check(text, ret_reason);
	case CONFIG_URL:
		return config_url_check(text, ret_reason);
	case CONFIG_CIDRS:
		return config_cidr_check(text, key->min, ret_reason);
	case CONFIG_PORTS:
		return config_port_range_check(text, ret_reason);
	case CONFIG_IFNAME:
		return config_ifname_check(text, ret_reason);
	case CONFIG_PATH:
		return strlen(text) < PATH_MAX ? 0 : reject_as(key, ret_reason);
	case CONFIG_ENUM: /* a choice was accepted before */
		return reject_as(key, ret_reason);
	case CONFIG_STRING:
	case CONFIG_LIST:
		return 0;
	}
	return reject_as(key, ret_reason);
}

/* Splits value->list_text at its commas, in place. */
static int
split_list(const struct config_key *key, struct config_value *value, char *ret_reason)
{
	size_t n = 0, capacity = 2;
	char *rest = value->list_text, *item;

	for (const char *c = rest; *c != '\0'; c++)
		capacity += *c == ',';
	value->list = calloc(capacity, sizeof(*value->list));
	if (value->list == NULL)
		return -ENOMEM;
	while (*value->text != '\0' && (item = strsep(&rest, ",")) != NULL) {
		size_t length;

		item += strspn(item, " \t");
		length = strlen(item);
		while (length > 0 && (item[length - 1] == ' ' || item[length - 1] == '\t'))
			item[--length] = '\0';
		if (length == 0) {
			snprintf(ret_reason, CONFIG_REASON_BYTES, "has an empty item");
			return -EINVAL;
		}
		if (check_scalar(key, item, &value->number, ret_reason) < 0)
			return -EINVAL;
		value->list[n++] = item;
	}
	return 0;
}

static int
parse_into(const struct config_key *key, struct config_value *value, char *ret_reason)
{
	bool may_be_empty = key->default_value != NULL && *key->default_value == '\0';

	if (is_list(key->type))
		return split_list(key, value, ret_reason);
	if (*value->text == '\0' && may_be_empty)
		return 0;
	if (is_choice(key, value->text))
		return 0;
	if (*value->text == '\0') {
		snprintf(ret_reason, CONFIG_REASON_BYTES, "must not be empty");
		return -EINVAL;
	}
	return check_scalar(key, value->text, &value->number, ret_reason);
}

int
config_value_parse(const struct config_key *key, const char *text, struct config_value *ret,
		   char ret_reason[CONFIG_REASON_BYTES])
{
	struct config_value value = { .text = strdup(text), .list_text = strdup(text) };
	int result = -ENOMEM;

	snprintf(ret_reason, CONFIG_REASON_BYTES, "out of memory");
	if (value.text != NULL && value.list_text != NULL)
		result = parse_into(key, &value, ret_reason);
	if (result < 0) {
		config_value_fini(&value);
		return result;
	}
	*ret = value;
	return 0;
}

void
config_value_fini(struct config_value *value)
{
	free(value->text);
	free(value->list);
	free(value->list_text);
	*value = (struct config_value){ 0 };
}
