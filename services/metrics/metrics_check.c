/* metrics_check: the fields of a Submit. */
#include "metrics/metrics_check.h"

#include "identity/key.h"

#include <math.h>
#include <stdbool.h>

#define TIME_MAX_MS	    60000.0
#define BANDWIDTH_MAX_MBITS 1e6
#define LOAD_MAX	    1e5

/* Absent is fine; NaN and infinity are not. */
static bool
is_bad(protobuf_c_boolean has, double value, double max)
{
	return has && !(isfinite(value) && value >= 0 && value <= max);
}

static int
check_network(const Boson__Metrics__Network *network, struct field_problem *ret_problem)
{
	const Boson__Common__Bandwidth *bandwidth = network->bandwidth;

	if (is_bad(network->has_latency, network->latency, TIME_MAX_MS))
		return field_wrong(ret_problem, "range", "metrics.network.latency");
	if (is_bad(network->has_jitter, network->jitter, TIME_MAX_MS))
		return field_wrong(ret_problem, "range", "metrics.network.jitter");
	if (is_bad(network->has_packet_loss, network->packet_loss, 100))
		return field_wrong(ret_problem, "range", "metrics.network.packetLoss");
	if (bandwidth != NULL &&
	    (is_bad(bandwidth->has_up, bandwidth->up, BANDWIDTH_MAX_MBITS) ||
	     is_bad(bandwidth->has_down, bandwidth->down, BANDWIDTH_MAX_MBITS)))
		return field_wrong(ret_problem, "range", "metrics.network.bandwidth");
	return 0;
}

static int
check_system(const Boson__Metrics__System *system, struct field_problem *ret_problem)
{
	if (is_bad(system->has_cpu_usage, system->cpu_usage, 100))
		return field_wrong(ret_problem, "range", "metrics.system.cpuUsage");
	if (is_bad(system->has_memory_usage, system->memory_usage, 100))
		return field_wrong(ret_problem, "range", "metrics.system.memoryUsage");
	if (is_bad(system->has_disk_usage, system->disk_usage, 100))
		return field_wrong(ret_problem, "range", "metrics.system.diskUsage");
	if (system->n_load_average > METRICS_LOAD_AVERAGES)
		return field_wrong(ret_problem, "field", "metrics.system.loadAverage");
	for (size_t i = 0; i < system->n_load_average; i++)
		if (is_bad(1, system->load_average[i], LOAD_MAX))
			return field_wrong(ret_problem, "range", "metrics.system.loadAverage");
	return 0;
}

int
metrics_check_submit(const Boson__Metrics__SubmitRequest *request, int64_t now_wall_ms,
		     struct field_problem *ret_problem)
{
	const Boson__Metrics__Figures *figures = request->metrics;
	uint8_t id[UUID_BYTES];
	int error = 0;

	if (request->node_id == NULL || uuid_parse(request->node_id, id) != 0)
		return field_wrong(ret_problem, "field", "nodeId");
	if (!request->has_timestamp)
		return field_wrong(ret_problem, "field", "timestamp");
	/* Compared, not subtracted: the number is a stranger's. */
	if (request->timestamp < now_wall_ms - METRICS_CLOCK_OFF_MAX_MS ||
	    request->timestamp > now_wall_ms + METRICS_CLOCK_OFF_MAX_MS)
		return field_wrong(ret_problem, "range", "timestamp");
	if (figures == NULL)
		return field_wrong(ret_problem, "field", "metrics");
	if (figures->network != NULL)
		error = check_network(figures->network, ret_problem);
	if (error == 0 && figures->system != NULL)
		error = check_system(figures->system, ret_problem);
	return error;
}
