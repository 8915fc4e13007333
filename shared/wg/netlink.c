/*
 * netlink: see netlink.h.
 */
#include "wg/netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { NETLINK_ANSWER_BYTES = 32 * 1024 };

struct nlmsghdr *
netlink_request_init(union netlink_request *request, uint16_t type, uint16_t flags,
		     size_t header_bytes, void *ret_header)
{
	memset(request, 0, sizeof *request);
	struct nlmsghdr *header = mnl_nlmsg_put_header(request->bytes);
	header->nlmsg_type = type;
	header->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	header->nlmsg_seq = 1;
	*(void **)ret_header = mnl_nlmsg_put_extra_header(header, header_bytes);
	return header;
}

int
netlink_request_send(struct nlmsghdr *header, mnl_cb_t fn, void *arg)
{
	char answer[NETLINK_ANSWER_BYTES];
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!socket)
		return -errno;
	int r;
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) == 0 &&
	    mnl_socket_sendto(socket, header, header->nlmsg_len) >= 0) {
		int more;
		do {
			ssize_t n = mnl_socket_recvfrom(socket, answer, sizeof answer);
			more = n < 0 ? -1
				     : mnl_cb_run(answer, (size_t)n, 1,
						  mnl_socket_get_portid(socket), fn, arg);
		} while (more > 0);
		r = more == 0 ? 0 : -errno;
	} else {
		r = -errno;
	}
	mnl_socket_close(socket);
	return r;
}
