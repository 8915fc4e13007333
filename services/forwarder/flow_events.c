/*
 * flow_events: see flow_events.h. Two netlink sockets: events come unasked on one, dumps on the
 * other. libnetfilter_conntrack only parses and builds messages.
 */
#include "forwarder/flow_events.h"

#include "log/log.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <stdlib.h>
#include <string.h>

enum {
	DUMP_PERIOD_MS = 1000,
	EVENT_BUFFER_BYTES = 4 * 1024 * 1024,
	READ_BYTES = 32 * 1024,
	READS_PER_TURN = 32,
	CUT_BYTES = 1024,
};

struct flow_events {
	struct loop *loop;
	struct flow_table *table;
	struct mnl_socket *events, *dumps;
	struct loop_fd *events_watch, *dumps_watch;
	struct loop_timer *timer;
	struct metric *lost;
	bool is_dumping;
	void (*on_dump)(void *arg);
	void *arg;
};

static struct in6_addr
mapped(uint32_t address4)
{
	struct in6_addr address = { 0 };
	address.s6_addr[10] = address.s6_addr[11] = 0xff;
	memcpy(&address.s6_addr[12], &address4, sizeof address4);
	return address;
}

static struct in6_addr
read_address(const struct nf_conntrack *ct, bool is_ipv6, enum nf_conntrack_attr attribute4,
	     enum nf_conntrack_attr attribute6)
{
	struct in6_addr address = { 0 };
	if (!is_ipv6)
		return mapped(nfct_get_attr_u32(ct, attribute4));
	const void *bytes = nfct_get_attr(ct, attribute6);
	if (bytes)
		memcpy(&address, bytes, sizeof address);
	return address;
}

static void
read_flow(const struct nf_conntrack *ct, struct flow_seen *ret)
{
	bool is_ipv6 = nfct_get_attr_u8(ct, ATTR_ORIG_L3PROTO) == AF_INET6;
	struct flow_tuple *reply = &ret->reply;
	memset(ret, 0, sizeof *ret);
	ret->id = nfct_get_attr_u32(ct, ATTR_ID);
	ret->is_ipv6 = is_ipv6;
	ret->client = read_address(ct, is_ipv6, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC);
	reply->source = read_address(ct, is_ipv6, ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC);
	reply->destination = read_address(ct, is_ipv6, ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_DST);
	reply->protocol = nfct_get_attr_u8(ct, ATTR_REPL_L4PROTO);
	if (reply->protocol == IPPROTO_ICMP || reply->protocol == IPPROTO_ICMPV6) {
		reply->source_port = ntohs(nfct_get_attr_u16(ct, ATTR_ICMP_ID));
		reply->destination_port = reply->source_port;
	} else {
		reply->source_port = ntohs(nfct_get_attr_u16(ct, ATTR_REPL_PORT_SRC));
		reply->destination_port = ntohs(nfct_get_attr_u16(ct, ATTR_REPL_PORT_DST));
	}
	ret->bytes_up = nfct_get_attr_u64(ct, ATTR_ORIG_COUNTER_BYTES);
	ret->bytes_down = nfct_get_attr_u64(ct, ATTR_REPL_COUNTER_BYTES);
	ret->packets_up = nfct_get_attr_u64(ct, ATTR_ORIG_COUNTER_PACKETS);
	ret->packets_down = nfct_get_attr_u64(ct, ATTR_REPL_COUNTER_PACKETS);
}

static int
on_message(const struct nlmsghdr *header, void *arg)
{
	struct flow_events *events = arg;
	struct flow_seen seen;
	struct nf_conntrack *ct = nfct_new();
	if (!ct)
		return MNL_CB_OK;
	if (nfct_nlmsg_parse(header, ct) == 0) {
		read_flow(ct, &seen);
		if ((header->nlmsg_type & 0xff) == IPCTNL_MSG_CT_DELETE)
			flow_table_end(events->table, &seen);
		else
			flow_table_see(events->table, &seen,
				       (header->nlmsg_flags & NLM_F_MULTI) != 0);
	}
	nfct_destroy(ct);
	return MNL_CB_OK;
}

/* nfnetlink's header in front of conntrack's attributes. */
static struct nlmsghdr *
request_init(char *buffer, uint16_t type, uint16_t flags, uint8_t family)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	header->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	header->nlmsg_flags = NLM_F_REQUEST | flags;
	struct nfgenmsg *family_header = mnl_nlmsg_put_extra_header(header, sizeof *family_header);
	family_header->nfgen_family = family;
	family_header->version = NFNETLINK_V0;
	return header;
}

static void
dump_start(struct flow_events *events)
{
	char buffer[128];
	if (events->is_dumping || flow_table_session_count(events->table) == 0)
		return;
	struct nlmsghdr *header = request_init(buffer, IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC);
	if (mnl_socket_sendto(events->dumps, header, header->nlmsg_len) < 0) {
		log_warn("flow_dump_failed", "error=%s", strerror(errno));
		return;
	}
	events->is_dumping = true;
	flow_table_dump_begin(events->table);
}

static void
on_timer(struct loop *loop, void *arg)
{
	(void)loop;
	dump_start(arg);
}

static void
on_events(struct loop *loop, int fd, uint32_t ready, void *arg)
{
	(void)loop;
	(void)ready;
	struct flow_events *events = arg;
	char buffer[READ_BYTES];
	for (int reads = 0; reads < READS_PER_TURN; reads++) {
		ssize_t n = recv(fd, buffer, sizeof buffer, 0);
		if (n >= 0) {
			mnl_cb_run(buffer, (size_t)n, 0, 0, on_message, events);
		} else if (errno == ENOBUFS) {
			metric_add(events->lost, 1);
			dump_start(events);
		} else if (errno != EINTR) {
			return;
		}
	}
}

static void
on_dumps(struct loop *loop, int fd, uint32_t ready, void *arg)
{
	(void)loop;
	(void)ready;
	struct flow_events *events = arg;
	char buffer[READ_BYTES];
	for (int reads = 0; reads < READS_PER_TURN && events->is_dumping; reads++) {
		ssize_t n = recv(fd, buffer, sizeof buffer, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		/* A dump that breaks off proves no flow's end: its number is used up, and the next
		 * one says more. */
		int more = n < 0 ? -1 : mnl_cb_run(buffer, (size_t)n, 0, 0, on_message, events);
		if (more > 0)
			continue;
		events->is_dumping = false;
		if (more == 0) {
			flow_table_dump_end(events->table);
			events->on_dump(events->arg);
		}
	}
}

static int
socket_open(struct flow_events *events, unsigned groups, loop_fd_fn fn, struct mnl_socket **ret,
	    struct loop_fd **ret_watch)
{
	int bytes = EVENT_BUFFER_BYTES;
	*ret = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!*ret || mnl_socket_bind(*ret, groups, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	int fd = mnl_socket_get_fd(*ret);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
	return loop_fd_add(events->loop, fd, EPOLLIN, fn, events, ret_watch);
}

int
flow_events_new(struct loop *loop, struct metrics *metrics, struct flow_table *table,
		void (*on_dump)(void *arg), void *arg, struct flow_events **ret)
{
	struct flow_events *events = calloc(1, sizeof *events);
	if (!events)
		return -ENOMEM;
	events->loop = loop;
	events->table = table;
	events->on_dump = on_dump;
	events->arg = arg;
	events->lost = metrics_counter(metrics, "flow_event_overflows_total", NULL,
				       "Times that conntrack's events did not fit the buffer");
	int r = socket_open(events, NF_NETLINK_CONNTRACK_NEW | NF_NETLINK_CONNTRACK_DESTROY,
			    on_events, &events->events, &events->events_watch);
	if (r == 0)
		r = socket_open(events, 0, on_dumps, &events->dumps, &events->dumps_watch);
	if (r == 0)
		r = loop_timer_start(loop, DUMP_PERIOD_MS, DUMP_PERIOD_MS, on_timer, events,
				     &events->timer);
	if (r < 0) {
		flow_events_free(&events);
		return r;
	}
	*ret = events;
	return 0;
}

void
flow_events_free(struct flow_events **events)
{
	if (!*events)
		return;
	loop_timer_stop(&(*events)->timer);
	loop_fd_remove(&(*events)->events_watch);
	loop_fd_remove(&(*events)->dumps_watch);
	if ((*events)->events)
		mnl_socket_close((*events)->events);
	if ((*events)->dumps)
		mnl_socket_close((*events)->dumps);
	free(*events);
	*events = NULL;
}

static void
put_addresses(struct nlmsghdr *header, const struct flow_seen *flow)
{
	const struct flow_tuple *reply = &flow->reply;
	struct nlattr *nest = mnl_attr_nest_start(header, CTA_TUPLE_IP);
	if (flow->is_ipv6) {
		mnl_attr_put(header, CTA_IP_V6_SRC, sizeof reply->source, &reply->source);
		mnl_attr_put(header, CTA_IP_V6_DST, sizeof reply->destination, &reply->destination);
	} else {
		mnl_attr_put(header, CTA_IP_V4_SRC, 4, &reply->source.s6_addr[12]);
		mnl_attr_put(header, CTA_IP_V4_DST, 4, &reply->destination.s6_addr[12]);
	}
	mnl_attr_nest_end(header, nest);
}

static void
put_ports(struct nlmsghdr *header, const struct flow_tuple *reply)
{
	struct nlattr *nest = mnl_attr_nest_start(header, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(header, CTA_PROTO_NUM, (uint8_t)reply->protocol);
	if (reply->protocol == IPPROTO_ICMP) {
		mnl_attr_put_u16(header, CTA_PROTO_ICMP_ID, htons(reply->source_port));
		mnl_attr_put_u8(header, CTA_PROTO_ICMP_TYPE, ICMP_ECHOREPLY);
		mnl_attr_put_u8(header, CTA_PROTO_ICMP_CODE, 0);
	} else if (reply->protocol == IPPROTO_ICMPV6) {
		mnl_attr_put_u16(header, CTA_PROTO_ICMPV6_ID, htons(reply->source_port));
		mnl_attr_put_u8(header, CTA_PROTO_ICMPV6_TYPE, ICMP6_ECHO_REPLY);
		mnl_attr_put_u8(header, CTA_PROTO_ICMPV6_CODE, 0);
	} else {
		mnl_attr_put_u16(header, CTA_PROTO_SRC_PORT, htons(reply->source_port));
		mnl_attr_put_u16(header, CTA_PROTO_DST_PORT, htons(reply->destination_port));
	}
	mnl_attr_nest_end(header, nest);
}

/* By tuple and id. One that ended meanwhile is no error: the answer is passed over with the rest. A
 * request without a tuple would end every entry of the kernel, so it is built here, in full. */
static bool
cut_flow(const struct flow_seen *flow, void *arg)
{
	struct flow_events *events = arg;
	char buffer[CUT_BYTES];
	struct nlmsghdr *header =
		request_init(buffer, IPCTNL_MSG_CT_DELETE, 0, flow->is_ipv6 ? AF_INET6 : AF_INET);
	struct nlattr *tuple = mnl_attr_nest_start(header, CTA_TUPLE_REPLY);
	put_addresses(header, flow);
	put_ports(header, &flow->reply);
	mnl_attr_nest_end(header, tuple);
	mnl_attr_put_u32(header, CTA_ID, htonl(flow->id));
	if (mnl_socket_sendto(events->events, header, header->nlmsg_len) < 0)
		log_warn("flow_not_cut", "error=%s", strerror(errno));
	return true;
}

void
flow_events_cut(struct flow_events *events, const char *session_id)
{
	flow_table_each(events->table, session_id, cut_flow, events);
}
