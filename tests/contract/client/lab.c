/*
 * lab: see the header.
 */
#include "lab_inside.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int sh(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int
sh(const char *format, ...)
{
	char command[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(command, sizeof command, format, arguments);
	va_end(arguments);
	return system(command) == 0 ? 0 : -EIO;
}

static int
start_relay(struct lab *lab, uint16_t port)
{
	lab->relay.answer_http = lab_answer_http;
	lab->relay.arg = lab;
	atomic_store(&lab->relay.udp_port, device_listen_port(lab->nodes[0].device));
	return stand_in_start(&lab->relay, port, lab->certificate, lab->key);
}

int
lab_restart_relay(struct lab *lab)
{
	uint16_t port = lab->relay.port;

	stand_in_stop(&lab->relay);
	return start_relay(lab, port);
}

static int
make_files(struct lab *lab)
{
	snprintf(lab->certificate, sizeof lab->certificate, "%s/relay.pem", lab->folder);
	snprintf(lab->key, sizeof lab->key, "%s/relay.key", lab->folder);
	snprintf(lab->access_key, sizeof lab->access_key, "%s/access.key", lab->folder);
	snprintf(lab->state, sizeof lab->state, "%s/state", lab->folder);
	snprintf(lab->ticket, sizeof lab->ticket, "the-ticket");
	int r = sh("umask 077; echo an-access-key-of-a-client > %s", lab->access_key);
	return r < 0 ? r
		     : sh("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
			  "-days 2 -subj /CN=boson -addext "
			  "subjectAltName=IP:10.0.9.1,DNS:boson.lab -out %s "
			  "-keyout %s 2>/dev/null",
			  lab->certificate, lab->key);
}

static int
make_network(struct lab *lab)
{
	const char *n = lab->name;

	if (unshare(CLONE_NEWNET) < 0)
		return -ENOTSUP;
	int r = sh("ip netns add %s && mkdir -p /etc/netns/%s && "
		   "echo 'nameserver 10.0.9.53' > /etc/netns/%s/resolv.conf && "
		   "printf '10.0.9.%%s boson.lab\\n' 1 3 > /etc/netns/%s/hosts",
		   n, n, n, n);
	/* No address that comes by itself a second later: the state is compared. */
	if (r == 0)
		r = sh("ip link set lo up && ip link add s0 type veth peer name c0 netns %s && "
		       "sysctl -qw net.ipv6.conf.s0.addr_gen_mode=1 && "
		       "ip netns exec %s sysctl -qw net.ipv6.conf.c0.addr_gen_mode=1 && "
		       "ip addr add 10.0.9.1/24 dev s0 && ip link set s0 up && "
		       "ip addr add fd09::1/64 dev s0 nodad",
		       n, n);
	if (r == 0)
		r = sh("ip -n %s link set lo up && ip -n %s addr add 10.0.9.2/24 dev c0 && "
		       "ip -n %s addr add fd09::2/64 dev c0 nodad && ip -n %s link set c0 up && "
		       "ip -n %s route add default via 10.0.9.1 && "
		       "ip -n %s route add default via fd09::1",
		       n, n, n, n, n, n);
	/* The kernel adds this one when the link has found its carrier. */
	if (r == 0)
		r = sh("for i in $(seq 500); do ip -n %s -6 route show table local | grep -q ff00 "
		       "&& "
		       "exit 0; sleep 0.01; done; exit 1",
		       n);
	/* beyond the tunnel, and beside it: an address to reach or not to reach */
	return r < 0 ? r
		     : sh("ip addr add 192.0.2.80/32 dev lo && ip addr add 2001:db8::80/128 dev "
			  "lo");
}

static int
make_node(struct lab *lab, size_t i)
{
	struct lab_node *node = &lab->nodes[i];
	char name[16], four[32], six[64];
	const char *addresses[] = { four, six, NULL };
	const struct device_options options = {
		.name = name,
		.private_key = &node->private_key,
		.mtu = 1280,
		.addresses = addresses,
	};

	snprintf(name, sizeof name, "hg%c%d", "nm"[i], (int)getpid() % 100000);
	snprintf(four, sizeof four, "%s/16", lab_places[i].node4);
	snprintf(six, sizeof six, "%s/64", lab_places[i].node6);
	int r = key_generate(&node->private_key);
	if (r == 0)
		r = key_public(&node->private_key, &node->public_key);
	return r < 0 ? r : device_open(lab->loop, &options, &node->device);
}

static int
make_nodes(struct lab *lab)
{
	int r = loop_new(&lab->loop);

	for (size_t i = 0; i < LAB_NODES && r == 0; i++)
		r = make_node(lab, i);
	return r;
}

static int
watch_leaks(struct lab *lab)
{
	return sh(
		"nft 'add table inet lab; add counter inet lab leaks; add chain inet lab in { type "
		"filter hook prerouting priority raw; }; add rule inet lab in iifname s0 tcp dport "
		"%u accept; add rule inet lab in iifname s0 icmpv6 type != echo-request accept; "
		"add rule inet lab in iifname s0 counter name leaks'",
		lab->relay.port);
}

uint64_t
lab_leaks(struct lab *lab)
{
	char line[256];
	uint64_t packets = UINT64_MAX;
	FILE *list = popen("nft list counter inet lab leaks", "r");

	(void)lab;
	while (list != NULL && fgets(line, sizeof line, list) != NULL)
		sscanf(line, " packets %" SCNu64, &packets);
	if (list != NULL)
		pclose(list);
	return packets;
}

int
lab_up(struct lab *lab)
{
	const char *variables[] = { "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
				    "ALL_PROXY" };

	*lab = (struct lab){ .host = "10.0.9.1" };
	if (geteuid() != 0)
		return -EPERM;
	for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
		unsetenv(variables[i]);
	snprintf(lab->name, sizeof lab->name, "higgsclient%d", (int)getpid());
	snprintf(lab->folder, sizeof lab->folder, "/tmp/higgs-client-XXXXXX");
	if (mkdtemp(lab->folder) == NULL)
		return -errno;
	int r = make_files(lab);
	if (r == 0)
		r = make_network(lab);
	if (r == 0 && make_nodes(lab) < 0)
		r = -ENOTSUP;
	if (r == 0)
		r = start_relay(lab, 0);
	if (r == 0)
		r = watch_leaks(lab);
	if (r < 0)
		lab_down(lab);
	return r;
}

void
lab_down(struct lab *lab)
{
	if (lab->relay.port != 0)
		stand_in_stop(&lab->relay);
	for (size_t i = 0; i < LAB_NODES; i++)
		device_close(&lab->nodes[i].device);
	if (lab->loop != NULL)
		loop_free(&lab->loop);
	sh("for p in $(ip netns pids %s 2>/dev/null); do kill -9 $p; done; ip netns del %s "
	   "2>/dev/null; rm -rf /etc/netns/%s %s",
	   lab->name, lab->name, lab->name, lab->folder);
}
