/*
 * bus_rules: what is known of methods beyond their types. See bus_set_rules.
 */
#include "bus/bus_inside.h"

#include <string.h>

void
bus_set_rules(struct bus *bus, const struct bus_rule *rules)
{
	bus->rules = rules;
}

const struct bus_rule *
bus_rule_of(const struct bus *bus, const char *method)
{
	for (const struct bus_rule *rule = bus->rules; rule && rule->method; rule++)
		if (strcmp(rule->method, method) == 0)
			return rule;
	return NULL;
}

bool
bus_rule_repeats(const struct bus *bus, const char *method)
{
	const struct bus_rule *rule = bus_rule_of(bus, method);

	return rule && rule->may_repeat;
}
