/* routing_choice: what came of asking a node; it fades. */
#include "routing/routing_choice_inside.h"

#include <math.h>

/* A node with this many recent failures is asked only when there is no other. */
#define FAILURES_BAD 3.0
/* So is one that took so many sessions and answered none of them (T04). They fade. */
#define DEAF_BAD (CHOICE_DEAF_VOTERS - 0.5)

static double
faded(float count, int64_t age_ms, int64_t half_life_ms)
{
	return count <= 0 ? 0 : (double)count * exp2(-(double)age_ms / (double)half_life_ms);
}

double
choice_failures(const struct table_node *node, int64_t now_ms)
{
	return faded(node->failures, now_ms - node->failures_at_ms, CHOICE_FAILURE_HALF_LIFE_MS);
}

static double
deafness(const struct table_node *node, int64_t now_ms)
{
	return faded(node->deaf, now_ms - node->deaf_at_ms, CHOICE_DEAF_HALF_LIFE_MS);
}

bool
choice_note_deaf(struct table_node *node, int64_t now_ms)
{
	node->deaf = (float)(deafness(node, now_ms) + 1);
	node->deaf_at_ms = now_ms;
	return (double)node->deaf >= DEAF_BAD;
}

void
choice_note_heard(struct table_node *node)
{
	node->deaf /= 2;
}

void
choice_note_failure(struct table_node *node, int64_t now_ms)
{
	node->failures = (float)(choice_failures(node, now_ms) + 1);
	node->failures_at_ms = now_ms;
}

void
choice_note_full(struct table_node *node, int64_t now_ms)
{
	node->full_until_ms = now_ms + CHOICE_FULL_MS;
}

void
choice_note_success(struct table_node *node)
{
	node->failures = 0;
	node->full_until_ms = 0;
}

bool
choice_is_failing(const struct table_node *node, int64_t now_ms)
{
	return choice_failures(node, now_ms) >= FAILURES_BAD || deafness(node, now_ms) >= DEAF_BAD;
}

double
choice_troubles(const struct table_node *node, int64_t now_ms)
{
	return choice_failures(node, now_ms) + deafness(node, now_ms);
}
