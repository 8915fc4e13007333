/*
 * relay_load: see relay_load.h.
 */
#include "relay/relay_load.h"

#include "relay/relay_control.h"

enum { LAG_FULL_US = 50 * 1000, SMOOTHING = 4 };

static double
larger(double a, double b)
{
	return a > b ? a : b;
}

static double
of_processor(struct relay_control *control, double passed_us)
{
	double most = 0;

	for (unsigned i = 0; i < control->shard_count; i++) {
		struct relay_shard *shard = control->shards[i];
		uint64_t busy_us = atomic_load_explicit(&shard->busy_us, memory_order_relaxed);
		uint64_t used_us = busy_us - control->load.busy_us[i];

		control->load.busy_us[i] = busy_us;
		most = larger(most, (double)used_us / passed_us);
	}
	return most < 1 ? most : 1; /* counted in steps, it may overshoot */
}

static double
of_lag(struct relay_control *control)
{
	uint32_t most_us = 0;

	for (unsigned i = 0; i < control->shard_count; i++) {
		uint32_t lag_us = atomic_exchange_explicit(&control->shards[i]->lag_us, 0,
							   memory_order_relaxed);
		most_us = lag_us > most_us ? lag_us : most_us;
	}
	return (double)most_us / LAG_FULL_US;
}

static double
of_bytes(struct relay_control *control, double passed_us)
{
	uint64_t bytes = relay_control_count(control, RELAY_BYTES_UP) +
			 relay_control_count(control, RELAY_BYTES_DOWN);
	uint64_t moved = bytes - control->load.bytes;
	uint64_t bandwidth = control->settings.bandwidth_bytes;

	control->load.bytes = bytes;
	return bandwidth == 0 ? 0 : (double)moved * 1e6 / passed_us / (double)bandwidth;
}

static double
of_stock(const struct relay_control *control)
{
	double legs = (double)(relay_control_count(control, RELAY_LEGS_NODE) +
			       relay_control_count(control, RELAY_LEGS_CLIENT)) /
		      control->settings.legs_max;
	double waiting = (double)relay_control_count(control, RELAY_QUEUED_BYTES) /
			 (double)control->settings.queue_budget_bytes;

	return larger(legs, waiting);
}

void
relay_load_measure(struct relay_control *control, int64_t now_us)
{
	double passed_us = (double)(now_us - control->load.at_us);
	bool is_first = control->load.at_us == 0;
	double load = of_stock(control);

	control->load.at_us = now_us;
	double lag = of_lag(control), processor = of_processor(control, passed_us),
	       bytes = of_bytes(control, passed_us);
	if (!is_first)
		load = larger(larger(load, lag), larger(processor, bytes));
	if (load > 1)
		load = 1;
	control->load.value += (load - control->load.value) / SMOOTHING;
	if (control->is_draining)
		control->load.value = 1;
}
