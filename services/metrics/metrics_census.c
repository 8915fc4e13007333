/* metrics_census: a short list of countries. */
#include "metrics/metrics_census.h"

#include <stdlib.h>
#include <string.h>

const char *const census_status_names[CENSUS_STATUSES] = { "online", "degraded", "offline" };

void
census_init(struct census *census)
{
	census->n = 0;
}

/* The country's, or "other" when there are too many already. */
static struct census_country *
get(struct census *census, const char *code)
{
	struct census_country *country;

	for (size_t i = 0; i < census->n; i++)
		if (strcmp(census->countries[i].code, code) == 0)
			return &census->countries[i];
	/* The place beyond the last is for "other" alone. */
	if (census->n >= CENSUS_COUNTRIES_MAX && strcmp(code, "other") != 0)
		return get(census, "other");
	country = &census->countries[census->n++];
	memset(country, 0, sizeof(*country));
	strcpy(country->code, code);
	return country;
}

void
census_add(struct census *census, const char *country, const char *status)
{
	static const char capitals[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	const char *code = country == NULL || country[0] == '\0' ? "none" : country;
	size_t place = CENSUS_STATUSES - 1;

	if (code == country && (strlen(code) != 2 || strspn(code, capitals) != 2))
		code = "other";
	for (size_t i = 0; i < CENSUS_STATUSES; i++)
		if (status != NULL && strcmp(status, census_status_names[i]) == 0)
			place = i;
	get(census, code)->nodes[place]++;
}

static uint64_t
sum(const struct census_country *country)
{
	uint64_t nodes = 0;

	for (size_t i = 0; i < CENSUS_STATUSES; i++)
		nodes += country->nodes[i];
	return nodes;
}

/* "other" sorts last, however many it has. */
static int
compare(const void *a, const void *b)
{
	const struct census_country *one = a, *two = b;
	int is_other = strcmp(one->code, "other") == 0,
	    is_other_too = strcmp(two->code, "other") == 0;

	if (is_other != is_other_too)
		return is_other - is_other_too;
	if (sum(one) != sum(two))
		return sum(one) < sum(two) ? 1 : -1;
	return strcmp(one->code, two->code);
}

void
census_fold(struct census *census)
{
	struct census_country other = { .code = "other" };
	size_t kept;

	qsort(census->countries, census->n, sizeof(census->countries[0]), compare);
	kept = census->n < CENSUS_SHOWN_MAX ? census->n : CENSUS_SHOWN_MAX;
	if (kept > 0 && strcmp(census->countries[kept - 1].code, "other") == 0)
		return; /* all others are among those shown */
	for (size_t i = kept; i < census->n; i++)
		for (size_t k = 0; k < CENSUS_STATUSES; k++)
			other.nodes[k] += census->countries[i].nodes[k];
	if (census->n > kept) {
		census->countries[kept] = other;
		census->n = kept + 1;
	}
}
