/*
 * gateway_health: are the services there? Asked of their buses every 2 s in the background, so that
 * a probe costs nothing and asks nobody.
 */
#pragma once

#include "gateway/gateway_answer.h"

#include <stdbool.h>

struct gateway_health;
struct loop;

/* What the gateway itself leans on; gateway_parts asks them. */
enum gateway_part { PART_DATABASE, PART_CACHE, PART_COUNT };

/* peers: PEER_COUNT of them, borrowed; they outlive it, or are freed (which ends what is under way)
 * just before it. */
int gateway_health_new(struct loop *loop, struct bus_peer *const *peers, struct metrics *metrics,
		       struct gateway_health **ret);
void gateway_health_free(struct gateway_health **health);

/* How one of the parts fares. */
void gateway_health_heard(struct gateway_health *health, enum gateway_part part, bool alive,
			  uint32_t round_trip_us);

/* Discovery and routing are reachable; the reason when not. */
bool gateway_health_is_ready(const struct gateway_health *health, const char **ret_reason);

/* Stopping: from now on not ready. */
void gateway_health_drain(struct gateway_health *health);

void gateway_health_answer(struct gateway_health *health, struct gateway_answer *answer,
			   const char *trace);
void gateway_health_answer_ready(const struct gateway_health *health, struct gateway_answer *answer,
				 const char *trace);
void gateway_health_answer_live(struct gateway_answer *answer, const char *trace);

/* What GET /health gives, as an OpenAPI schema. */
extern const char gateway_health_schema[];
