/*
 * client_doctor: `higgs doctor`: whether the tunnel that is up does what it is for, one line for
 * each thing: name server, IPv6, kill switch, size of packets, way there and back, address at the
 * exit. Asks the running client, and what is beyond it by client_probe.
 */
#include "client/client_commands.h"
#include "client/client_control.h"
#include "client/client_exit.h"
#include "client/client_killswitch.h"
#include "client/client_probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DNS_PORT = 53, MTU_MIN = 576, QUESTION_BYTES = 128 };

enum finding { GOOD, BAD, UNKNOWN };

struct doctor {
	const struct client_options *options;
	char interface[32], dns[INET6_ADDRSTRLEN], address4[INET_ADDRSTRLEN],
		address6[INET6_ADDRSTRLEN], way[16];
	unsigned mtu;
	bool has_kill_switch, is_narrow;
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

static bool
is_by_udp(const struct doctor *doctor)
{
	return strcmp(doctor->way, "udp") == 0;
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
	double took =
		doctor->dns[0] != '\0' ? client_probe_name_server(doctor->dns, QUESTION_BYTES) : -1;

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

/* A node that answers no echoes is asked for a name in as many bytes: the answer has fewer. */
static void
look_at_packets(struct doctor *doctor)
{
	switch (client_probe_size(doctor->dns, doctor->interface, doctor->mtu)) {
	case PROBE_PASSES:
		say(doctor, GOOD, "packets", "those of %u bytes get through, both ways",
		    doctor->mtu);
		return;
	case PROBE_LOST:
		say(doctor, BAD, "packets",
		    "those of %u bytes do not get through, smaller ones do: downloads will stand "
		    "still%s",
		    doctor->mtu,
		    is_by_udp(doctor) ? "; UDP loses them, and WebSocket, which would not, is down"
				      : "");
		return;
	case PROBE_SILENT:
		break;
	}
	if (doctor->dns[0] == '\0' || client_probe_name_server(doctor->dns, doctor->mtu) < 0)
		say(doctor, BAD, "packets", "those of %u bytes do not get through", doctor->mtu);
	else
		say(doctor, GOOD, "packets", "those of %u bytes get to the node", doctor->mtu);
}

static void
look_at_the_way(struct doctor *doctor)
{
	double best = -1;

	for (int i = 0; i < PROBE_TRIES && doctor->dns[0] != '\0'; i++) {
		double took = client_probe_name_server(doctor->dns, QUESTION_BYTES);
		if (took >= 0 && (best < 0 || took < best))
			best = took;
	}
	if (best < 0)
		say(doctor, BAD, "way", "no answer through the node");
	else
		say(doctor, GOOD, "way", "%.0f ms to the node's name server and back, by %s", best,
		    is_by_udp(doctor)	? "UDP"
		    : doctor->is_narrow ? "WebSocket: UDP loses long packets on this path"
					: "WebSocket");
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

static void
look_at_exit(struct doctor *doctor)
{
	char host[PROBE_HOST_BYTES] = "", address[INET6_ADDRSTRLEN] = "", shown[128];

	if (doctor->options->server == NULL) {
		say(doctor, UNKNOWN, "exit", "not asked: which server? --server https://...");
		return;
	}
	int r = client_probe_exit(doctor->options, host, address);
	if (host[0] == '\0')
		say(doctor, UNKNOWN, "exit", "the server names nobody who could say (STUN)");
	else if (r < 0)
		say(doctor, UNKNOWN, "exit", "%s does not answer: %s",
		    client_escape(host, shown, sizeof shown), strerror(-r));
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
		doctor->is_narrow = json_is_true(json_object_get(report, "udpLosesLongPackets"));
		doctor->has_kill_switch = json_is_true(json_object_get(report, "killSwitch"));
		if (doctor->mtu < MTU_MIN || doctor->mtu > PROBE_MESSAGE_BYTES)
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
