/*
 * tcp_pair: see the header.
 */
#include "tcp_pair.h"

#include "queue/leg_way.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLINE_SEC = 20 };

void
tcp_pair_connect(int ret_ends[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t n = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, n), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &n), 0);
	ret_ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(ret_ends[0], (struct sockaddr *)&address, n), 0);
	ret_ends[1] = accept(listener, NULL, NULL);
	assert_true(ret_ends[1] >= 0);
	close(listener);
}

bool
tcp_pair_fill(int fd)
{
	char bytes[16 * 1024] = { 0 };
	time_t end = time(NULL) + DEADLINE_SEC;
	bool is_full = false;

	while (!is_full && time(NULL) < end)
		is_full = send(fd, bytes, sizeof(bytes), MSG_DONTWAIT) < 0 && errno == EAGAIN &&
			  !leg_way_look(fd).is_growing;
	return is_full;
}
