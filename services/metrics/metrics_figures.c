/* metrics_figures: boson.metrics.Figures, flat. */
#include "metrics/metrics_figures.h"

#include <math.h>
#include <string.h>

const struct metrics_figure_info metrics_figure_info[METRICS_FIGURES] = {
	[METRICS_LATENCY] = { "latency_ms", "Round trip of a node to a STUN server", false },
	[METRICS_JITTER] = { "jitter_ms", "Jitter of these round trips", false },
	[METRICS_PACKET_LOSS] = { "packet_loss_percent", "Lost of what was asked of it", false },
	[METRICS_BANDWIDTH_UP] = { "bandwidth_up_mbits", "Used upwards, Mbit/s", false },
	[METRICS_BANDWIDTH_DOWN] = { "bandwidth_down_mbits", "Used downwards, Mbit/s", false },
	[METRICS_CPU_USAGE] = { "cpu_usage_percent", "Processor in use", false },
	[METRICS_MEMORY_USAGE] = { "memory_usage_percent", "Memory in use", false },
	[METRICS_DISK_USAGE] = { "disk_usage_percent", "Disk in use", false },
	[METRICS_LOAD_AVERAGE] = { "load_average", "Load average of one minute", false },
	[METRICS_PACKETS_SENT] = { "packets_sent_total", "Packets to clients", true },
	[METRICS_PACKETS_RECEIVED] = { "packets_received_total", "Packets from clients", true },
	[METRICS_PACKET_ERRORS] = { "packet_errors_total", "Packets that failed", true },
	[METRICS_BYTES_SENT] = { "bytes_sent_total", "Bytes to clients", true },
	[METRICS_BYTES_RECEIVED] = { "bytes_received_total", "Bytes from clients", true },
	[METRICS_CONNECTIONS_ACTIVE] = { "connections_active", "Sessions of a node", false },
	[METRICS_CONNECTIONS_TOTAL] = { "connections_total", "Sessions admitted", true },
	[METRICS_CONNECTIONS_FAILED] = { "connections_failed_total", "Sessions refused", true },
};

static void
take(struct metrics_values *values, enum metrics_figure figure, protobuf_c_boolean has,
     double value)
{
	values->has[figure] = has != 0;
	values->value[figure] = has ? value : 0;
}

static void
read_network(const Boson__Metrics__Network *network, struct metrics_values *ret)
{
	const Boson__Common__Bandwidth *bandwidth = network->bandwidth;

	take(ret, METRICS_LATENCY, network->has_latency, network->latency);
	take(ret, METRICS_JITTER, network->has_jitter, network->jitter);
	take(ret, METRICS_PACKET_LOSS, network->has_packet_loss, network->packet_loss);
	if (bandwidth == NULL)
		return;
	take(ret, METRICS_BANDWIDTH_UP, bandwidth->has_up, bandwidth->up);
	take(ret, METRICS_BANDWIDTH_DOWN, bandwidth->has_down, bandwidth->down);
}

static void
read_system(const Boson__Metrics__System *system, struct metrics_values *ret)
{
	take(ret, METRICS_CPU_USAGE, system->has_cpu_usage, system->cpu_usage);
	take(ret, METRICS_MEMORY_USAGE, system->has_memory_usage, system->memory_usage);
	take(ret, METRICS_DISK_USAGE, system->has_disk_usage, system->disk_usage);
	if (system->n_load_average > 0)
		take(ret, METRICS_LOAD_AVERAGE, 1, system->load_average[0]);
}

static void
read_wireguard(const Boson__Metrics__Wireguard *wireguard, struct metrics_values *ret)
{
	const Boson__Metrics__Packets *packets = wireguard->packets;
	const Boson__Metrics__Bytes *bytes = wireguard->bytes;

	if (packets != NULL) {
		take(ret, METRICS_PACKETS_SENT, packets->has_sent, (double)packets->sent);
		take(ret, METRICS_PACKETS_RECEIVED, packets->has_received,
		     (double)packets->received);
		take(ret, METRICS_PACKET_ERRORS, packets->has_errors, (double)packets->errors);
	}
	if (bytes != NULL) {
		take(ret, METRICS_BYTES_SENT, bytes->has_sent, (double)bytes->sent);
		take(ret, METRICS_BYTES_RECEIVED, bytes->has_received, (double)bytes->received);
	}
}

void
metrics_figures_read(const Boson__Metrics__Figures *figures, struct metrics_values *ret)
{
	const Boson__Metrics__Connections *connections = figures->connections;

	memset(ret, 0, sizeof(*ret));
	if (figures->network != NULL)
		read_network(figures->network, ret);
	if (figures->system != NULL)
		read_system(figures->system, ret);
	if (figures->wireguard != NULL)
		read_wireguard(figures->wireguard, ret);
	if (connections == NULL)
		return;
	take(ret, METRICS_CONNECTIONS_ACTIVE, connections->has_active, connections->active);
	take(ret, METRICS_CONNECTIONS_TOTAL, connections->has_total, (double)connections->total);
	take(ret, METRICS_CONNECTIONS_FAILED, connections->has_failed, (double)connections->failed);
}

void
metrics_figures_increase(struct metrics_values *values, const struct metrics_values *before)
{
	for (size_t i = 0; i < METRICS_FIGURES; i++) {
		if (!metrics_figure_info[i].is_counter || !values->has[i])
			continue;
		if (before == NULL || !before->has[i])
			values->has[i] = false;
		else if (values->value[i] >= before->value[i])
			values->value[i] -= before->value[i];
	}
}

/* 0 for what is not there. */
static double
given(const struct metrics_values *values, enum metrics_figure figure, protobuf_c_boolean *ret_has)
{
	*ret_has = values->has[figure];
	return values->has[figure] ? values->value[figure] : 0;
}

static uint64_t
whole(const struct metrics_values *values, enum metrics_figure figure, protobuf_c_boolean *ret_has)
{
	double value = round(given(values, figure, ret_has));

	if (!(value > 0))
		return 0;
	return value >= 0x1p64 ? UINT64_MAX : (uint64_t)value;
}

static bool
has_any(const struct metrics_values *values, enum metrics_figure first, enum metrics_figure last)
{
	for (size_t i = first; i <= last; i++)
		if (values->has[i])
			return true;
	return false;
}

static void
write_network(const struct metrics_values *values, struct metrics_shape *ret)
{
	Boson__Metrics__Network *network = &ret->network;
	Boson__Common__Bandwidth *bandwidth = &ret->bandwidth;

	boson__metrics__network__init(network);
	boson__common__bandwidth__init(bandwidth);
	network->latency = given(values, METRICS_LATENCY, &network->has_latency);
	network->jitter = given(values, METRICS_JITTER, &network->has_jitter);
	network->packet_loss = given(values, METRICS_PACKET_LOSS, &network->has_packet_loss);
	bandwidth->up = given(values, METRICS_BANDWIDTH_UP, &bandwidth->has_up);
	bandwidth->down = given(values, METRICS_BANDWIDTH_DOWN, &bandwidth->has_down);
	if (has_any(values, METRICS_BANDWIDTH_UP, METRICS_BANDWIDTH_DOWN))
		network->bandwidth = bandwidth;
	if (has_any(values, METRICS_LATENCY, METRICS_BANDWIDTH_DOWN))
		ret->figures.network = network;
}

static void
write_system(const struct metrics_values *values, struct metrics_shape *ret)
{
	Boson__Metrics__System *system = &ret->system;
	protobuf_c_boolean has_load;

	boson__metrics__system__init(system);
	system->cpu_usage = given(values, METRICS_CPU_USAGE, &system->has_cpu_usage);
	system->memory_usage = given(values, METRICS_MEMORY_USAGE, &system->has_memory_usage);
	system->disk_usage = given(values, METRICS_DISK_USAGE, &system->has_disk_usage);
	ret->load_average = given(values, METRICS_LOAD_AVERAGE, &has_load);
	system->load_average = &ret->load_average;
	system->n_load_average = has_load ? 1 : 0;
	if (has_any(values, METRICS_CPU_USAGE, METRICS_LOAD_AVERAGE))
		ret->figures.system = system;
}

static void
write_wireguard(const struct metrics_values *values, struct metrics_shape *ret)
{
	Boson__Metrics__Packets *packets = &ret->packets;
	Boson__Metrics__Bytes *bytes = &ret->bytes;

	boson__metrics__wireguard__init(&ret->wireguard);
	boson__metrics__packets__init(packets);
	boson__metrics__bytes__init(bytes);
	packets->sent = whole(values, METRICS_PACKETS_SENT, &packets->has_sent);
	packets->received = whole(values, METRICS_PACKETS_RECEIVED, &packets->has_received);
	packets->errors = whole(values, METRICS_PACKET_ERRORS, &packets->has_errors);
	bytes->sent = whole(values, METRICS_BYTES_SENT, &bytes->has_sent);
	bytes->received = whole(values, METRICS_BYTES_RECEIVED, &bytes->has_received);
	if (has_any(values, METRICS_PACKETS_SENT, METRICS_PACKET_ERRORS))
		ret->wireguard.packets = packets;
	if (has_any(values, METRICS_BYTES_SENT, METRICS_BYTES_RECEIVED))
		ret->wireguard.bytes = bytes;
	if (has_any(values, METRICS_PACKETS_SENT, METRICS_BYTES_RECEIVED))
		ret->figures.wireguard = &ret->wireguard;
}

void
metrics_figures_write(const struct metrics_values *values, struct metrics_shape *ret)
{
	Boson__Metrics__Connections *connections = &ret->connections;
	uint64_t active;

	boson__metrics__figures__init(&ret->figures);
	boson__metrics__connections__init(connections);
	write_network(values, ret);
	write_system(values, ret);
	write_wireguard(values, ret);
	active = whole(values, METRICS_CONNECTIONS_ACTIVE, &connections->has_active);
	connections->active = active > UINT32_MAX ? UINT32_MAX : (uint32_t)active;
	connections->total = whole(values, METRICS_CONNECTIONS_TOTAL, &connections->has_total);
	connections->failed = whole(values, METRICS_CONNECTIONS_FAILED, &connections->has_failed);
	if (has_any(values, METRICS_CONNECTIONS_ACTIVE, METRICS_CONNECTIONS_FAILED))
		ret->figures.connections = connections;
}
