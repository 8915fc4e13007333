/*
 * lab: see the header.
 */
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 40, COMMAND_MAX_MS = 60 * 1000 };

extern char **environ;

static const char client_id_of_route[] = "5b0e6a52-3d0b-4e69-9d0b-0f3ad2a6a001";
static const char node_id[] = "5b0e6a52-3d0b-4e69-9d0b-0f3ad2a6a002";
static const char session_id[] = "5b0e6a52-3d0b-4e69-9d0b-0f3ad2a6a003";

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

/* The client's key of the request becomes the node's peer, as an agent would admit it. */
static void
admit(struct lab *lab, const char *body)
{
	const char *at = strstr(body, "\"publicKey\":\"");
	struct device_peer peer = { .allowed_ips = "10.90.0.2/32,fd48:6967:6773::2/128" };
	char text[KEY_TEXT_BYTES];

	if (at == NULL || strlen(at) < 13 + KEY_TEXT_BYTES)
		return;
	memcpy(text, at + 13, KEY_TEXT_BYTES - 1);
	text[KEY_TEXT_BYTES - 1] = '\0';
	if (key_parse(text, &peer.public_key) == 0)
		device_peer_set(lab->device, &peer, 1);
}

static int
route_body(struct lab *lab, char *ret, size_t capacity)
{
	char key[KEY_TEXT_BYTES];
	bool is_wrong = atomic_load(&lab->answer) == LAB_WRONG_ROUTE;

	key_format(&lab->node_public, key);
	return snprintf(
		ret, capacity,
		"{\"routes\":[],\"selectedRoute\":{\"id\":\"%s\",\"relayEndpoint\":\"x\","
		"\"relayEndpoints\":[\"%s://10.0.9.1:%u/relay/%s\"],\"sessionId\":\"%s\","
		"\"sessionToken\":\"t.o.k\",\"relayTicket\":\"%s\",\"expiresAt\":4102444800000,"
		"\"nodeEndpoint\":{\"nodeId\":\"%s\",\"publicKey\":\"%s\",\"wireguardConfig\":{"
		"\"address\":\"10.90.0.2/32, fd48:6967:6773::2/128\",\"dns\":[\"10.90.0.1\"],"
		"\"mtu\":1280,\"allowedIPs\":[\"0.0.0.0/0\"],\"persistentKeepalive\":25}}}}",
		client_id_of_route, is_wrong ? "http" : "wss", lab->relay.port, session_id,
		session_id, lab->ticket, node_id, key);
}

static size_t
answer_http(const char *request, const char *body, char *ret, size_t capacity, void *arg)
{
	static const char *const statuses[] = {
		[LAB_401] = "401 Unauthorized", [LAB_403] = "403 Forbidden",
		[LAB_404] = "404 Not Found",	[LAB_409] = "409 Conflict",
		[LAB_429] = "429 Too Many",	[LAB_503] = "503 Unavailable",
		[LAB_REDIRECT] = "302 Found",	[LAB_GARBAGE] = "200 OK",
		[LAB_ROUTE] = "200 OK",		[LAB_WRONG_ROUTE] = "200 OK",
		[LAB_SILENT] = "200 OK",
	};
	struct lab *lab = arg;
	enum lab_answer answer = atomic_load(&lab->answer);
	char text[4096] = "{\"error\":{\"code\":\"no_suitable_node\",\"message\":\"x\"}}";

	if (strncmp(request, "DELETE ", 7) == 0) {
		atomic_fetch_add(&lab->deletes, 1);
		return (size_t)snprintf(ret, capacity,
					"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
	}
	if (strncmp(request, "POST /api/v1/routing/request ", 29) == 0) {
		atomic_fetch_add(&lab->routes, 1);
		if (strstr(body, "\"sessionId\":\"") != NULL)
			atomic_fetch_add(&lab->resumes, 1);
		while (atomic_load(&lab->answer) == LAB_SILENT && !atomic_load(&lab->relay.stop))
			usleep(1000);
		if (answer == LAB_ROUTE || answer == LAB_WRONG_ROUTE) {
			admit(lab, body);
			route_body(lab, text, sizeof text);
		}
		if (answer == LAB_GARBAGE)
			snprintf(text, sizeof text, "{\"selectedRoute\":{");
	} else if (strncmp(request, "POST /api/v1/wireguard/register ", 32) == 0) {
		snprintf(text, sizeof text,
			 "{\"status\":\"registered\",\"udpEndpoint\":\"10.0.9.1:51820\"}");
		answer = LAB_ROUTE;
	} else {
		snprintf(text, sizeof text, "{\"nodeId\":\"%s\",\"location\":{\"country\":\"SE\"}}",
			 node_id);
		answer = LAB_ROUTE;
	}
	return (size_t)snprintf(ret, capacity,
				"HTTP/1.1 %s\r\nContent-Length: %zu\r\n"
				"Location: http://10.0.9.1/\r\nRetry-After: 7\r\n"
				"Connection: close\r\n\r\n%s",
				statuses[answer], strlen(text), text);
}

static int
start_relay(struct lab *lab, uint16_t port)
{
	lab->relay.answer_http = answer_http;
	lab->relay.arg = lab;
	atomic_store(&lab->relay.udp_port, device_listen_port(lab->device));
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
			  "-days 2 -subj /CN=boson -addext subjectAltName=IP:10.0.9.1 -out %s "
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
		   "echo 'nameserver 10.0.9.53' > /etc/netns/%s/resolv.conf",
		   n, n, n);
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
make_node(struct lab *lab)
{
	const char *addresses[] = { "10.90.0.1/16", "fd48:6967:6773::1/64", NULL };
	char name[16];
	const struct device_options options = {
		.name = name,
		.private_key = &lab->node_private,
		.mtu = 1280,
		.addresses = addresses,
	};

	snprintf(name, sizeof name, "hgn%d", (int)getpid() % 100000);
	int r = loop_new(&lab->loop);
	if (r == 0)
		r = key_generate(&lab->node_private);
	if (r == 0)
		r = key_public(&lab->node_private, &lab->node_public);
	return r < 0 ? r : device_open(lab->loop, &options, &lab->device);
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

	*lab = (struct lab){ 0 };
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
	if (r == 0 && make_node(lab) < 0)
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
	device_close(&lab->device);
	if (lab->loop != NULL)
		loop_free(&lab->loop);
	sh("for p in $(ip netns pids %s 2>/dev/null); do kill -9 $p; done; ip netns del %s "
	   "2>/dev/null; rm -rf /etc/netns/%s %s",
	   lab->name, lab->name, lab->name, lab->folder);
}

pid_t
lab_start(struct lab *lab, const char *const *argv, int *ret_output_fd)
{
	const char *all[ARGUMENTS_MAX] = { "ip", "netns", "exec", lab->name };
	posix_spawn_file_actions_t actions;
	size_t n = 4;
	pid_t pid;
	int fds[2];

	for (size_t i = 0; argv[i] != NULL && n + 1 < ARGUMENTS_MAX; i++)
		all[n++] = argv[i];
	all[n] = NULL;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	if (ret_output_fd == NULL) {
		close(fds[1]);
		fds[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
	posix_spawn_file_actions_adddup2(&actions, fds[1], 2);
	int r = posix_spawnp(&pid, "ip", &actions, NULL, (char *const *)(uintptr_t)all, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	if (r != 0 || ret_output_fd == NULL)
		close(fds[0]);
	else
		*ret_output_fd = fds[0];
	return r == 0 ? pid : -1;
}

int
lab_wait(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int
lab_run(struct lab *lab, const char *const *argv, char *ret_output)
{
	size_t n = 0;
	int fd = -1;
	pid_t pid = lab_start(lab, argv, &fd);

	if (pid < 0)
		return -1;
	for (;;) {
		struct pollfd output = { .fd = fd, .events = POLLIN };
		char text[4096];
		if (poll(&output, 1, COMMAND_MAX_MS) <= 0)
			break;
		ssize_t got = read(fd, text, sizeof text);
		if (got <= 0)
			break;
		if (ret_output != NULL && n + (size_t)got < LAB_TEXT_BYTES) {
			memcpy(ret_output + n, text, (size_t)got);
			n += (size_t)got;
		}
	}
	if (ret_output != NULL)
		ret_output[n] = '\0';
	close(fd);
	return lab_wait(pid);
}

static void
higgs_arguments(struct lab *lab, const char *command, const char *const *more, char server[64],
		char interface[16], const char *ret[ARGUMENTS_MAX])
{
	bool asks = strcmp(command, "connect") == 0 || strcmp(command, "nodes") == 0;
	size_t n = 0;

	snprintf(server, 64, "https://10.0.9.1:%u", lab->relay.port);
	snprintf(interface, 16, "hgc%d", (int)getpid() % 100000);
	ret[n++] = HIGGS_PROGRAM;
	ret[n++] = command;
	if (strcmp(command, "nodes") != 0) {
		ret[n++] = "--state";
		ret[n++] = lab->state;
	}
	if (strcmp(command, "connect") == 0) {
		ret[n++] = "--interface";
		ret[n++] = interface;
	}
	if (asks) {
		ret[n++] = "--server";
		ret[n++] = server;
		ret[n++] = "--key-file";
		ret[n++] = lab->access_key;
		ret[n++] = "--ca";
		ret[n++] = lab->certificate;
	}
	while (more != NULL && *more != NULL)
		ret[n++] = *more++;
	ret[n] = NULL;
}

int
lab_higgs(struct lab *lab, const char *command, const char *const *more, char *ret_output)
{
	const char *argv[ARGUMENTS_MAX];
	char server[64], interface[16];

	higgs_arguments(lab, command, more, server, interface, argv);
	return lab_run(lab, argv, ret_output);
}

pid_t
lab_higgs_start(struct lab *lab, const char *command, const char *const *more, int *ret_output_fd)
{
	const char *argv[ARGUMENTS_MAX];
	char server[64], interface[16];

	higgs_arguments(lab, command, more, server, interface, argv);
	return lab_start(lab, argv, ret_output_fd);
}

void
lab_kernel_state(struct lab *lab, char *ret_text)
{
	const char *argv[] = { "sh", "-c",
			       "nft list ruleset; ip rule; ip -6 rule; ip route show table all; "
			       "ip -6 route show table all | sed 's/expires [0-9]*sec//'; "
			       "ip -br link; cat /etc/resolv.conf",
			       NULL };

	lab_run(lab, argv, ret_text);
}
