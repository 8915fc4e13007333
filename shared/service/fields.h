/*
 * fields: what is wrong with a request, and checks of fields that several mailboxes have. No state.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A static code ("field", "range", "address") and the field's camelCase path. */
struct field_problem {
	const char *code;
	const char *field;
};

/* -EINVAL, and the problem. */
int field_wrong(struct field_problem *ret_problem, const char *code, const char *field);

/* No number that is not finite is within anything. */
bool field_is_within(double value, double min, double max);

/* At most so many bytes, no control characters among them. */
bool field_is_plain_text(const char *text, size_t max_bytes);

/* Two letters A to Z, as in ISO 3166-1. */
bool field_is_country(const char *text);
