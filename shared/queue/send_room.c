/*
 * send_room: TCP_NOTSENT_LOWAT alone lets a whole train of segments in on top of what it allows, so
 * a slow socket is asked what it holds (SIOCOUTQNSD).
 */
#include "queue/send_room.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

size_t
send_room(const struct send_pace *pace, int fd, uint32_t most)
{
	int unsent = 0;

	if (pace->unsent_bytes == 0 || pace->unsent_bytes >= most ||
	    ioctl(fd, SIOCOUTQNSD, &unsent) < 0)
		return SIZE_MAX;
	return unsent >= (int)pace->unsent_bytes ? 0 : pace->unsent_bytes - (uint32_t)unsent;
}

bool
send_room_full(struct send_pace *pace, int fd, int64_t now_ms, uint32_t most)
{
	bool is_new = send_pace_full(pace, now_ms, most);
	int unsent = (int)pace->unsent_bytes;

	if (is_new)
		setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
	return is_new;
}
