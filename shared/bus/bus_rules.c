/*
 * bus_rules: what is known of methods and events beyond their types. See bus_set_rules.
 */
#include "bus/bus_inside.h"

#include <ctype.h>
#include <string.h>

void
bus_set_rules(struct bus *bus, const struct bus_rule *rules)
{
	bus->rules = rules;
}

const struct bus_rule *
bus_rule_of(const struct bus *bus, const char *name)
{
	for (const struct bus_rule *rule = bus->rules; rule && rule->name; rule++)
		if (strcmp(rule->name, name) == 0)
			return rule;
	return NULL;
}

bool
bus_rule_repeats(const struct bus *bus, const char *name)
{
	const struct bus_rule *rule = bus_rule_of(bus, name);

	return rule && rule->may_repeat;
}

bool
bus_rule_admits(const struct bus *bus, const struct bus_rule *rule, const char *peer)
{
	const char *word = rule && rule->senders ? rule->senders : "";

	if (!bus->rules)
		return true;
	while (*word) {
		size_t n = strcspn(word, " ");

		if (n > 0 && strncmp(peer, word, n) == 0 && !isalpha((unsigned char)peer[n]))
			return true;
		word += n + strspn(word + n, " ");
	}
	return false;
}
