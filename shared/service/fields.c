/* fields: see the header. */
#include "service/fields.h"

#include <errno.h>
#include <math.h>
#include <string.h>

int
field_wrong(struct field_problem *ret_problem, const char *code, const char *field)
{
	ret_problem->code = code;
	ret_problem->field = field;
	return -EINVAL;
}

bool
field_is_within(double value, double min, double max)
{
	return isfinite(value) && value >= min && value <= max;
}

bool
field_is_plain_text(const char *text, size_t max_bytes)
{
	size_t n = strnlen(text, max_bytes + 1);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	return n <= max_bytes;
}

bool
field_is_country(const char *text)
{
	return strlen(text) == 2 && text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'A' &&
	       text[1] <= 'Z';
}
