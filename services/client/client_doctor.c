/*
 * client_doctor: `higgs doctor`: whether the tunnel that is up does what it is for, one line for
 * each thing: name server, IPv6, kill switch, size of packets, way there and back, address at the
 * exit. Blocks, with deadlines. Asks the running client, and GET /turn/stun.
 */
#include "client/client_commands.h"
#include "client/client_control.h"
#include "client/client_exit.h"
#include "client/client_killswitch.h"
#include "loop/clock.h"
#include "net/http_client.h"
#include "stun/stun_message.h"
#include "turn.pb-c.h"
#include "json/json_message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ANSWER_MS = 3000,
	TRIES = 3,
	DNS_PORT = 53,
	DNS_HEADER_BYTES = 12,
	UDP_HEADERS_BYTES = 28, /* IPv4 and UDP */
	MESSAGE_BYTES = 9000,
	EDNS_PADDING = 12, /* RFC 7830 */
	URL_BYTES = 700,
};

enum finding { GOOD, BAD, UNKNOWN };

struct doctor {
	const struct client_options *options;
	char interface[32], dns[INET6_ADDRSTRLEN], address4[INET_ADDRSTRLEN],
		address6[INET6_ADDRSTRLEN], way[16];
	unsigned mtu;
	bool has_kill_switch;
	unsigned bad;
};

static void say(struct doctor *doctor, enum finding finding, const char *what, const char *format,
		...) __attribute__((format(printf, 4, 5)));

static void
say(struct doctor *doctor, enum finding finding, const char *what, const char *format, ...)
{
	static const char *const words[] = { "ok", "BAD", "?" };
	va_list arguments;

	printf("%-4s %-12s ", words[finding], what);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	doctor->bad += finding == BAD;
}

/* ---- names, packets, the way ---- */

/* A question for the root's name servers, which any resolver can answer, padded to n bytes in all.
 */
static size_t
write_question(uint8_t *to, size_t n, uint16_t id)
{
	static const uint8_t question[] = { 0, 0, 2, 0, 1 };		       /* ".", NS, IN */
	static const uint8_t options[] = { 0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0 }; /* EDNS */
	size_t at = DNS_HEADER_BYTES;

	memset(to, 0, n);
	memcpy(to, &id, sizeof id);
	to[2] = 1; /* recursion */
	to[5] = 1;
	to[11] = 1;
	memcpy(to + at, question, sizeof question);
	at += sizeof question;
	memcpy(to + at, options, sizeof options);
	at += sizeof options;
	size_t rest = n > at + 6 ? n - at - 2 : 4;
	to[at++] = (uint8_t)(rest >> 8);
	to[at++] = (uint8_t)rest;
	to[at + 1] = EDNS_PADDING;
	to[at + 2] = (uint8_t)((rest - 4) >> 8);
	to[at + 3] = (uint8_t)(rest - 4);
	return at + rest;
}

/* Milliseconds until the answer came, or -1. size: of the question with its IP and UDP headers. */
static double
ask_name_server(const char *server, size_t size)
{
	struct sockaddr_storage to = { 0 };
	struct sockaddr_in *four = (struct sockaddr_in *)(void *)&to;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)&to;
	uint8_t message[MESSAGE_BYTES];
	uint16_t id = 0;
	double took = -1;

	bool is_four = inet_pton(AF_INET, server, &four->sin_addr) == 1;
	if (!is_four && inet_pton(AF_INET6, server, &six->sin6_addr) != 1)
		return -1;
	to.ss_family = is_four ? AF_INET : AF_INET6;
	six->sin6_port = htons(DNS_PORT);
	int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (int i = 0; fd >= 0 && i < TRIES && took < 0; i++) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		if (getrandom(&id, sizeof id, 0) < 0)
			break;
		size_t n = write_question(message, size - UDP_HEADERS_BYTES, id);
		int64_t begin_us = clock_monotonic_us();
		if (connect(fd, (const struct sockaddr *)&to,
			    is_four ? sizeof *four : sizeof *six) < 0 ||
		    send(fd, message, n, 0) < 0)
			break;
		if (poll(&wait, 1, ANSWER_MS) == 1 &&
		    recv(fd, message, sizeof message, 0) >= DNS_HEADER_BYTES &&
		    memcmp(message, &id, sizeof id) == 0)
			took = (double)(clock_monotonic_us() - begin_us) / 1000;
	}
	if (fd >= 0)
		close(fd);
	return took;
}

static bool
is_in_resolv_conf(const char *server)
{
	char line[256], word[64], address[64];
	FILE *file = fopen("/etc/resolv.conf", "re");
	bool is_first = false;

	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		if (sscanf(line, "%63s %63s", word, address) == 2 &&
		    strcmp(word, "nameserver") == 0) {
			is_first = strcmp(address, server) == 0;
			break;
		}
	if (file != NULL)
		fclose(file);
	return is_first;
}

static void
look_at_names(struct doctor *doctor)
{
	double took = doctor->dns[0] != '\0' ? ask_name_server(doctor->dns, 128) : -1;

	if (doctor->dns[0] == '\0')
		say(doctor, BAD, "names", "the node offers no name server");
	else if (took < 0)
		say(doctor, BAD, "names", "the tunnel's name server %s does not answer",
		    doctor->dns);
	else if (!is_in_resolv_conf(doctor->dns))
		say(doctor, UNKNOWN, "names",
		    "%s answers, but /etc/resolv.conf names another first: names may leak",
		    doctor->dns);
	else
		say(doctor, GOOD, "names", "%s answers", doctor->dns);
}

static void
look_at_packets(struct doctor *doctor)
{
	double took = doctor->dns[0] != '\0' ? ask_name_server(doctor->dns, doctor->mtu) : -1;

	if (took < 0)
		say(doctor, BAD, "packets", "those of %u bytes do not get through", doctor->mtu);
	else
		say(doctor, GOOD, "packets", "those of %u bytes get through", doctor->mtu);
}

static void
look_at_the_way(struct doctor *doctor)
{
	double best = -1;

	for (int i = 0; i < TRIES && doctor->dns[0] != '\0'; i++) {
		double took = ask_name_server(doctor->dns, 128);
		if (took >= 0 && (best < 0 || took < best))
			best = took;
	}
	if (best < 0)
		say(doctor, BAD, "way", "no answer through the node");
	else
		say(doctor, GOOD, "way", "%.0f ms to the node's name server and back, by %s", best,
		    strcmp(doctor->way, "udp") == 0 ? "UDP" : "WebSocket");
}

/* ---- leaks ---- */

/* Where the system would send from: nothing is sent. */
static void
look_at_ipv6(struct doctor *doctor)
{
	struct sockaddr_in6 far = { .sin6_family = AF_INET6, .sin6_port = htons(DNS_PORT) }, own;
	socklen_t n = sizeof own;
	char address[INET6_ADDRSTRLEN] = "";
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET6, "2001:4860:4860::8888", &far.sin6_addr);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&far, sizeof far) < 0)
		say(doctor, GOOD, "IPv6", "leads nowhere: %s", strerror(errno));
	else if (getsockname(fd, (struct sockaddr *)&own, &n) == 0 &&
		 inet_ntop(AF_INET6, &own.sin6_addr, address, sizeof address) != NULL &&
		 strcmp(address, doctor->address6) == 0)
		say(doctor, GOOD, "IPv6", "goes into the tunnel");
	else
		say(doctor, BAD, "IPv6", "leaves beside the tunnel, from %s", address);
	if (fd >= 0)
		close(fd);
}

static void
look_at_kill_switch(struct doctor *doctor)
{
	int r = doctor->has_kill_switch ? client_killswitch_is_set() : 0;

	if (!doctor->has_kill_switch)
		say(doctor, UNKNOWN, "kill switch", "off, as you wished");
	else if (r == 1)
		say(doctor, GOOD, "kill switch", "its rules are in place");
	else if (r == 0)
		say(doctor, BAD, "kill switch", "its rules are gone: reconnect");
	else
		say(doctor, UNKNOWN, "kill switch", "cannot look: %s", strerror(-r));
}

/* ---- the exit ---- */

struct stun_asking {
	struct loop *loop;
	char host[256];
	unsigned port;
};

static void
on_servers(const struct http_answer *answer, void *arg)
{
	struct stun_asking *asking = arg;
	ProtobufCMessage *message = NULL;
	char field[JSON_FIELD_BYTES];

	if (answer->status == 200 &&
	    json_message_read(&boson__turn__stun_reply__descriptor, answer->body,
			      answer->body_bytes, 0, &message, field) == 0) {
		const Boson__Turn__StunReply *reply = (const Boson__Turn__StunReply *)message;
		const char *host = reply->n_servers > 0 ? reply->servers[0]->host : NULL;
		if (host != NULL && strlen(host) < sizeof asking->host) {
			strcpy(asking->host, host);
			asking->port =
				reply->servers[0]->has_port ? reply->servers[0]->port : STUN_PORT;
		}
		protobuf_c_message_free_unpacked(message, NULL);
	}
	loop_stop(asking->loop);
}

/* A STUN server that BosonServer names; host "" when there is none. */
static void
find_stun(const struct doctor *doctor, struct stun_asking *ret)
{
	struct http_client *http = NULL;
	const char *server = doctor->options->server;
	char url[URL_BYTES];
	const struct http_request request = { .method = "GET",
					      .url = url,
					      .timeout_ms = ANSWER_MS };

	snprintf(url, sizeof url, "%s/api/v1/turn/stun", server);
	if (loop_new(&ret->loop) < 0)
		return;
	if (http_client_new(ret->loop, doctor->options->ca_file, &http) == 0 &&
	    http_client_send(http, &request, on_servers, ret) == 0)
		loop_run(ret->loop);
	http_client_free(&http);
	loop_free(&ret->loop);
}

static int
ask_stun(const struct stun_asking *server, char ret_address[INET6_ADDRSTRLEN])
{
	static const uint8_t head[] = { 0, STUN_BINDING, 0, 0, 0x21, 0x12, 0xa4, 0x42 };
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_DGRAM }, *found;
	uint8_t request[STUN_HEADER_BYTES], answer[STUN_MESSAGE_MAX_BYTES];
	struct stun_message message;
	struct sockaddr_in6 mapped;
	bool is_legacy;
	char port[8];
	int r = -ETIMEDOUT;

	snprintf(port, sizeof port, "%u", server->port);
	if (getaddrinfo(server->host, port, &hints, &found) != 0)
		return -EHOSTUNREACH;
	memcpy(request, head, sizeof head);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) < 0)
		r = -errno;
	for (int i = 0; r == -ETIMEDOUT && i < TRIES; i++) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		if (getrandom(request + sizeof head, STUN_TRANSACTION_BYTES, 0) < 0 ||
		    send(fd, request, sizeof request, 0) < 0 || poll(&wait, 1, ANSWER_MS) != 1)
			continue;
		ssize_t n = recv(fd, answer, sizeof answer, 0);
		if (n > 0 && stun_message_parse(answer, (size_t)n, &message) == 0 &&
		    memcmp(message.transaction, request + sizeof head, STUN_TRANSACTION_BYTES) ==
			    0 &&
		    stun_mapped_address(&message, &mapped, &is_legacy) == 0)
			r = 0;
	}
	if (fd >= 0)
		close(fd);
	freeaddrinfo(found);
	if (r == 0)
		inet_ntop(AF_INET, mapped.sin6_addr.s6_addr + 12, ret_address, INET6_ADDRSTRLEN);
	return r;
}

static void
look_at_exit(struct doctor *doctor)
{
	struct stun_asking server = { .port = 0 };
	char address[INET6_ADDRSTRLEN] = "", shown[128];

	if (doctor->options->server == NULL) {
		say(doctor, UNKNOWN, "exit", "not asked: which server? --server https://...");
		return;
	}
	find_stun(doctor, &server);
	if (server.host[0] == '\0') {
		say(doctor, UNKNOWN, "exit", "the server names nobody who could say (STUN)");
		return;
	}
	int r = ask_stun(&server, address);
	if (r < 0)
		say(doctor, UNKNOWN, "exit", "%s does not answer: %s",
		    client_escape(server.host, shown, sizeof shown), strerror(-r));
	else
		say(doctor, GOOD, "exit", "the internet sees %s", address);
}

/* ---- the whole ---- */

static void
take(json_t *report, const char *name, char *to, size_t capacity)
{
	const char *text = json_string_value(json_object_get(report, name));

	snprintf(to, capacity, "%s", text != NULL ? text : "");
}

/* 0, or an exit status. */
static int
ask_client(struct doctor *doctor)
{
	char answer[CONTROL_ANSWER_BYTES];
	int r = client_control_ask(doctor->options->state_dir, "status", answer, sizeof answer);
	json_t *report = r == 0 ? json_loads(answer, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const char *state = json_string_value(json_object_get(report, "state"));
	int status = EXIT_OK;

	if (r == -EACCES || r == -EPERM) {
		client_complain("only root and the account that connected may ask: run it with "
				"sudo");
		status = EXIT_NOT_PERMITTED;
	} else if (state == NULL || strcmp(state, "connected") != 0) {
		printf("not connected\n");
		status = EXIT_NOT_CONNECTED;
	} else {
		take(report, "interface", doctor->interface, sizeof doctor->interface);
		take(report, "dns", doctor->dns, sizeof doctor->dns);
		take(report, "address4", doctor->address4, sizeof doctor->address4);
		take(report, "address6", doctor->address6, sizeof doctor->address6);
		take(report, "carriedBy", doctor->way, sizeof doctor->way);
		doctor->mtu = (unsigned)json_integer_value(json_object_get(report, "mtu"));
		doctor->has_kill_switch = json_is_true(json_object_get(report, "killSwitch"));
		if (doctor->mtu < 576 || doctor->mtu > MESSAGE_BYTES)
			doctor->mtu = 1280;
	}
	json_decref(report);
	return status;
}

int
client_command_doctor(const struct client_options *options)
{
	struct doctor doctor = { .options = options };
	int status = ask_client(&doctor);

	if (status != EXIT_OK)
		return status;
	look_at_names(&doctor);
	look_at_ipv6(&doctor);
	look_at_kill_switch(&doctor);
	look_at_packets(&doctor);
	look_at_exit(&doctor);
	look_at_the_way(&doctor);
	return doctor.bad > 0 ? EXIT_NOT_AVAILABLE : EXIT_OK;
}
