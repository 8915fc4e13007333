/* discovery_vitals: see the header. */
#include "discovery/discovery_vitals.h"

#include <math.h>

/* Places in discovery_vitals.values, and the bits behind them. */
enum {
	VITALS_LATENCY,
	VITALS_JITTER,
	VITALS_LOSS,
	VITALS_CPU,
	VITALS_MEMORY,
	VITALS_UP,
	VITALS_DOWN,
	HAS_CONNECTIONS = 1 << DISCOVERY_VITALS,
	HAS_BANDWIDTH = 1 << (DISCOVERY_VITALS + 1),
};

/* Vitals that moved less are not told on. */
#define MOVED_SHARE	      0.2
#define LATENCY_MOVED_MS      5.0
#define BANDWIDTH_MOVED_MBITS 1.0

static void
take(struct discovery_vitals *vitals, int i, protobuf_c_boolean has, double value)
{
	vitals->values[i] = has ? value : 0;
	if (has)
		vitals->has = (uint16_t)(vitals->has | 1 << i);
}

void
discovery_vitals_take(struct discovery_vitals *vitals, const Boson__Discovery__NodeMetrics *message)
{
	const Boson__Common__Bandwidth *bandwidth = message->bandwidth;

	*vitals = (struct discovery_vitals){ .is_known = true };
	take(vitals, VITALS_LATENCY, message->has_latency, message->latency);
	take(vitals, VITALS_JITTER, message->has_jitter, message->jitter);
	take(vitals, VITALS_LOSS, message->has_packet_loss, message->packet_loss);
	take(vitals, VITALS_CPU, message->has_cpu_usage, message->cpu_usage);
	take(vitals, VITALS_MEMORY, message->has_memory_usage, message->memory_usage);
	if (bandwidth != NULL) {
		vitals->has |= HAS_BANDWIDTH;
		take(vitals, VITALS_UP, bandwidth->has_up, bandwidth->up);
		take(vitals, VITALS_DOWN, bandwidth->has_down, bandwidth->down);
	}
	if (message->has_active_connections) {
		vitals->has |= HAS_CONNECTIONS;
		vitals->active_connections = message->active_connections;
	}
}

static protobuf_c_boolean
fill(const struct discovery_vitals *vitals, int i, double *ret_value)
{
	*ret_value = vitals->values[i];
	return (vitals->has & 1 << i) != 0;
}

void
discovery_vitals_fill(const struct discovery_vitals *vitals, Boson__Discovery__NodeMetrics *message,
		      Boson__Common__Bandwidth *bandwidth)
{
	boson__discovery__node_metrics__init(message);
	boson__common__bandwidth__init(bandwidth);
	message->has_latency = fill(vitals, VITALS_LATENCY, &message->latency);
	message->has_jitter = fill(vitals, VITALS_JITTER, &message->jitter);
	message->has_packet_loss = fill(vitals, VITALS_LOSS, &message->packet_loss);
	message->has_cpu_usage = fill(vitals, VITALS_CPU, &message->cpu_usage);
	message->has_memory_usage = fill(vitals, VITALS_MEMORY, &message->memory_usage);
	bandwidth->has_up = fill(vitals, VITALS_UP, &bandwidth->up);
	bandwidth->has_down = fill(vitals, VITALS_DOWN, &bandwidth->down);
	if ((vitals->has & HAS_BANDWIDTH) != 0)
		message->bandwidth = bandwidth;
	message->has_active_connections = (vitals->has & HAS_CONNECTIONS) != 0;
	message->active_connections = vitals->active_connections;
}

static bool
has_moved(double before, double after, double at_least)
{
	return fabs(after - before) > at_least && fabs(after - before) > MOVED_SHARE * before;
}

bool
discovery_vitals_moved(const struct discovery_vitals *old, const struct discovery_vitals *new)
{
	const double *before = old->values, *after = new->values;

	return !old->is_known || old->active_connections != new->active_connections ||
	       has_moved(before[VITALS_LATENCY], after[VITALS_LATENCY], LATENCY_MOVED_MS) ||
	       has_moved(before[VITALS_UP], after[VITALS_UP], BANDWIDTH_MOVED_MBITS) ||
	       has_moved(before[VITALS_DOWN], after[VITALS_DOWN], BANDWIDTH_MOVED_MBITS);
}
