/* fuzz_shard: see the header. */
#include "fuzz_shard.h"

#include "log/log.h"

#include <signal.h>

struct relay_settings fuzz_shard_settings = {
	.legs_max = 100,
	.channels_max = 10,
	.shards = 1,
	.queue_bytes = 64 * 1024,
	.queue_age_ms = 1000,
	.stall_ms = 10000,
	.grace_ms = 1000,
	.half_frame_ms = 10000,
	.ping_ms = 10000,
	.silence_ms = 10000,
	.queue_budget_bytes = 1 << 20,
	.notsent_lowat_bytes = 128 * 1024,
};

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	signal(SIGPIPE, SIG_IGN); /* as service_main does */
	log_init("fuzz", LOG_LEVEL_ERROR);
	return 0;
}
