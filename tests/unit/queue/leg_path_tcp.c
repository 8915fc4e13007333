/*
 * leg_path_tcp: cwnd, ssthresh, and what is under way.
 */
#include "leg_path_tcp.h"

#include <linux/tcp.h>

enum {
	PACKET_BYTES = 1448,
	FIRST_PACKETS = 10,
	WAITS_LEAST_US = 4000, /* beyond the least round trip: it has begun to wait */
	WAITS_MOST_US = 16000,
	WAITS_PART = 8,
	NOTSENT_BYTES = 64 * 1024,
};

void
leg_path_tcp_init(struct leg_path_tcp *tcp, int64_t rtt_us)
{
	*tcp = (struct leg_path_tcp){
		.cwnd = FIRST_PACKETS * PACKET_BYTES,
		.ssthresh = 1e9,
		.least_us = rtt_us,
		.rtt_us = rtt_us,
	};
}

bool
leg_path_tcp_is_full(const struct leg_path_tcp *tcp, uint32_t n)
{
	return tcp->unsent + n > NOTSENT_BYTES ||
	       (double)(tcp->unsent + tcp->unacked + n) > 2 * tcp->cwnd;
}

bool
leg_path_tcp_send(struct leg_path_tcp *tcp, uint32_t n)
{
	if ((double)(tcp->unacked + n) > tcp->cwnd)
		return false;
	tcp->unsent -= n;
	tcp->unacked += n;
	return true;
}

static int64_t
most_us(const struct leg_path_tcp *tcp)
{
	int64_t us = tcp->least_us / WAITS_PART;

	if (us < WAITS_LEAST_US)
		us = WAITS_LEAST_US;
	return tcp->least_us + (us < WAITS_MOST_US ? us : WAITS_MOST_US);
}

void
leg_path_tcp_acked(struct leg_path_tcp *tcp, uint32_t n, int64_t rtt_us)
{
	bool is_limited = (double)(tcp->unacked + PACKET_BYTES) > tcp->cwnd;

	tcp->unacked -= n;
	tcp->rtt_us += (rtt_us - tcp->rtt_us) / 8;
	if (rtt_us < tcp->least_us)
		tcp->least_us = rtt_us;
	if (tcp->cwnd < tcp->ssthresh && rtt_us > most_us(tcp))
		tcp->ssthresh = tcp->cwnd;
	if (tcp->cwnd < tcp->ssthresh)
		tcp->cwnd += n;
	else if (is_limited)
		tcp->cwnd += n * PACKET_BYTES / tcp->cwnd;
}

struct leg_way
leg_path_tcp_way(const struct leg_path_tcp *tcp)
{
	const struct tcp_info info = {
		.tcpi_ca_state = TCP_CA_Open,
		.tcpi_snd_cwnd = (uint32_t)(tcp->cwnd / PACKET_BYTES),
		.tcpi_snd_ssthresh = (uint32_t)(tcp->ssthresh / PACKET_BYTES),
		.tcpi_unacked = (uint32_t)(tcp->unacked / PACKET_BYTES),
		.tcpi_notsent_bytes = (uint32_t)tcp->unsent,
		.tcpi_bytes_sent = tcp->unacked,
		.tcpi_snd_mss = PACKET_BYTES,
		.tcpi_snd_wnd = UINT32_MAX,
		.tcpi_rtt = (uint32_t)tcp->rtt_us,
		.tcpi_min_rtt = (uint32_t)tcp->least_us,
	};

	return leg_way_of(&info);
}
