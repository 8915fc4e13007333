/* shard_leg: see the header. */
#include "shard_leg.h"

#include "relay/relay_attach.h"
#include "relay/relay_shard.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int
shard_leg_attach(struct relay_shard *shard, const struct ticket *ticket, bool is_raw,
		 struct relay_leg **ret_leg)
{
	struct relay_leg *leg;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -errno;
	leg = relay_leg_new(shard, fds[1]);
	if (leg == NULL || relay_leg_enter(shard, leg) < 0) {
		close(fds[0]);
		return -ENOMEM;
	}
	leg->upgrade->ticket = *ticket;
	leg->upgrade->request.is_raw = leg->is_raw = is_raw;
	strcpy(leg->upgrade->request.key, "dGhlIHNhbXBsZSBub25jZQ==");
	relay_attach(shard, leg);
	*ret_leg = leg;
	return fds[0];
}

uint8_t
shard_leg_next_frame(int fd, uint8_t payload[125], size_t *ret_n)
{
	uint8_t head[2];

	do {
		if (read(fd, head, 2) != 2 || head[1] > 125 ||
		    read(fd, payload, head[1]) != head[1])
			return 0;
		*ret_n = head[1];
	} while (head[0] == 0x89);
	return head[0];
}
