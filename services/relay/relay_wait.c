/*
 * relay_wait: each time it asks it also looks at the clock, which is what ends it.
 */
#include "relay/relay_wait.h"

#include "loop/clock.h"

int
relay_wait(struct relay_wait *wait, int epoll_fd, struct epoll_event *events, int most,
	   int timeout_ms, int64_t *ret_now_us)
{
	int64_t now_us = wait->since_us;
	int n = 0;

	while (n == 0 && relay_wait_is_awake(wait, now_us)) {
		n = epoll_wait(epoll_fd, events, most, 0);
		now_us = clock_monotonic_us();
	}
	if (n == 0) {
		n = epoll_wait(epoll_fd, events, most, timeout_ms);
		now_us = clock_monotonic_us();
	}
	relay_wait_learn(wait, n > 0, now_us);
	*ret_now_us = now_us;
	return n;
}
