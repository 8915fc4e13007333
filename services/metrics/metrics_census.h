/*
 * metrics_census: how many nodes there are, by country and status. Nodes say their country
 * themselves, so countries are bounded, and those with few nodes become "other" (T42). The model:
 * no I/O, no clock.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	CENSUS_COUNTRIES_MAX = 250,
	CENSUS_SHOWN_MAX = 50,
	CENSUS_STATUSES = 3,
};

extern const char *const census_status_names[CENSUS_STATUSES]; /* online, degraded, offline */

struct census_country {
	char code[8]; /* two capitals, "none" or "other" */
	uint64_t nodes[CENSUS_STATUSES];
};

struct census {
	size_t n;
	struct census_country countries[CENSUS_COUNTRIES_MAX + 1]; /* the last is "other", if any */
};

void census_init(struct census *census);

/* country: as the node said it, or NULL; a status that is not known counts as offline. */
void census_add(struct census *census, const char *country, const char *status);

/* Those with most nodes come first, and all but CENSUS_SHOWN_MAX become "other", the last. */
void census_fold(struct census *census);
