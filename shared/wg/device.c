/*
 * device: see device.h. The interface is configured by device_configure, at the start and again
 * after each restart of the userspace process; how that process is started and watched is in
 * device_process.c.
 */
#include "wg/device_process.h"

#include "log/log.h"
#include "log/text_file.h"
#include "net/address.h"
#include "wg/link.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	DEVICE_WG_TIMEOUT_MS = 2000,
	DEVICE_DUMP_BYTES = 512 * 1024,
};

static int
device_run_wg(const char *const *argv, const void *input, size_t n, char *output,
	      size_t output_bytes)
{
	return child_run(argv, input, n, output, output_bytes, DEVICE_WG_TIMEOUT_MS);
}

static int
device_set_key(struct device *device)
{
	char key[KEY_TEXT_BYTES], mark[16], port[16];
	snprintf(mark, sizeof mark, "%" PRIu32, device->fwmark);
	snprintf(port, sizeof port, "%" PRIu16, device->listen_port);
	const char *argv[] = { "wg",	      "set", device->name, "private-key", "/dev/stdin",
			       "listen-port", port,  "fwmark",	   mark,	  NULL };
	key_format(&device->private_key, key);
	int r = device_run_wg(argv, key, sizeof key - 1, NULL, 0);
	key_wipe(key, sizeof key);
	return r;
}

static int
device_ask_listen_port(struct device *device)
{
	char text[32];
	const char *argv[] = { "wg", "show", device->name, "listen-port", NULL };
	int r = device_run_wg(argv, NULL, 0, text, sizeof text);
	if (r < 0)
		return r;
	return address_parse_port(text, strcspn(text, "\n"), &device->listen_port) < 0 ? -EIO : 0;
}

/* A host without IPv6 still has a tunnel for IPv4. */
static int
device_add_addresses(struct device *device)
{
	for (size_t i = 0; device->addresses[i]; i++) {
		const char *address = device->addresses[i];
		int r = link_address_add(device->index, address);
		if (r < 0 && strchr(address, ':') && r != -EINVAL) {
			log_warn("device_without_ipv6", "interface=%s error=%s", device->name,
				 strerror(-r));
			continue;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int
device_configure(struct device *device)
{
	struct link link;
	int r = link_find(device->name, &link);
	if (r < 0)
		return r;
	device->index = link.index;
	r = device_set_key(device);
	if (r == 0 && device->listen_port == 0)
		r = device_ask_listen_port(device);
	if (r == 0)
		r = link_raise(device->index, device->mtu);
	if (r == 0)
		r = device_add_addresses(device);
	return r;
}

static int
device_remove_leftover(const char *name)
{
	struct link link;
	int r = link_find(name, &link);
	if (r == -ENODEV)
		return 0;
	if (r < 0)
		return r;
	if (strcmp(link.alias, LINK_ALIAS) != 0)
		return -EEXIST;
	log_info("device_leftover_removed", "interface=%s", name);
	return device_process_remove_leftover(name, link.index);
}

static int
device_create(struct device *device, bool force_userspace)
{
	int r = device_remove_leftover(device->name);
	if (r < 0)
		return r;
	if (!force_userspace) {
		r = link_add_wireguard(device->name);
		if (r != -EOPNOTSUPP)
			return r < 0 ? r : device_configure(device);
	}
	return device_process_start(device);
}

static int
device_copy_addresses(struct device *device, const char *const *addresses)
{
	size_t n = 0;
	while (addresses && addresses[n])
		n++;
	device->addresses = calloc(n + 1, sizeof *device->addresses);
	if (!device->addresses)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (!(device->addresses[i] = strdup(addresses[i])))
			return -ENOMEM;
	return 0;
}

static void
device_free(struct device *device)
{
	for (size_t i = 0; device->addresses && device->addresses[i]; i++)
		free(device->addresses[i]);
	free(device->addresses);
	free(device->command);
	key_wipe(&device->private_key, sizeof device->private_key);
	free(device);
}

int
device_open(struct loop *loop, const struct device_options *options, struct device **ret)
{
	if (strlen(options->name) == 0 || strlen(options->name) >= LINK_NAME_BYTES)
		return -EINVAL;
	struct device *device = calloc(1, sizeof *device);
	if (!device)
		return -ENOMEM;
	device->loop = loop;
	snprintf(device->name, sizeof device->name, "%s", options->name);
	device->private_key = *options->private_key;
	device->listen_port = options->listen_port;
	device->mtu = options->mtu;
	device->fwmark = options->fwmark;
	device->on_restart = options->on_restart;
	device->arg = options->arg;
	device->process.pidfd = -1;
	device->command = strdup(options->command ? options->command : "wireguard-go");
	int r = device->command ? device_copy_addresses(device, options->addresses) : -ENOMEM;
	if (r == 0)
		r = device_create(device, options->force_userspace);
	if (r == -EEXIST) { /* not ours to remove */
		device_free(device);
		return r;
	}
	if (r < 0) {
		device_close(&device);
		return r;
	}
	log_info("device_up", "interface=%s port=%u implementation=%s", device->name,
		 device->listen_port, device->process.pid ? device->command : "kernel");
	*ret = device;
	return 0;
}

void
device_close(struct device **device)
{
	if (!*device)
		return;
	struct link link;
	device_process_stop(*device);
	if (link_find((*device)->name, &link) == 0 && link.index == (*device)->index)
		link_delete(link.index);
	device_free(*device);
	*device = NULL;
}

uint32_t
device_index(const struct device *device)
{
	return device->index;
}

uint16_t
device_listen_port(const struct device *device)
{
	return device->listen_port;
}

static int
peer_describe(const struct device_peer *peer, FILE *file)
{
	char key[KEY_TEXT_BYTES];
	/* One line each: nothing that others chose may add another. */
	if (strpbrk(peer->allowed_ips, "\r\n#") ||
	    (peer->endpoint && strpbrk(peer->endpoint, "\r\n#")))
		return -EINVAL;
	key_format(&peer->public_key, key);
	fprintf(file,
		"[Peer]\nPublicKey = %s\nAllowedIPs = %s\nPersistentKeepalive = %" PRIu32 "\n", key,
		peer->allowed_ips, peer->keepalive_sec);
	if (peer->endpoint)
		fprintf(file, "Endpoint = %s\n", peer->endpoint);
	return 0;
}

int
device_peer_set(struct device *device, const struct device_peer *peers, size_t n)
{
	struct text_file file;
	char *text;
	size_t bytes = 0;
	int r = 0;
	if (text_file_open(&file) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < n && r == 0; i++)
		r = peer_describe(&peers[i], file.stream);
	if (text_file_close(&file, &text, &bytes) < 0)
		r = -ENOMEM;
	const char *argv[] = { "wg", "addconf", device->name, "/dev/stdin", NULL };
	if (r == 0 && n > 0)
		r = device_run_wg(argv, text, bytes, NULL, 0);
	free(text);
	return r;
}

int
device_peer_remove(struct device *device, const struct key *public_key)
{
	char key[KEY_TEXT_BYTES];
	key_format(public_key, key);
	const char *argv[] = { "wg", "set", device->name, "peer", key, "remove", NULL };
	return device_run_wg(argv, NULL, 0, NULL, 0);
}

/* public-key, preshared-key, endpoint, allowed-ips, latest-handshake, rx, tx, keepalive */
static int
peer_usage_parse(const char *line, struct device_usage *ret)
{
	struct device_usage usage;
	if (sscanf(line, "%*s %*s %*s %*s %" SCNd64 " %" SCNu64 " %" SCNu64,
		   &usage.last_handshake_sec, &usage.received_bytes, &usage.sent_bytes) != 3)
		return -EIO;
	*ret = usage;
	return 0;
}

int
device_peer_usage(struct device *device, const struct key *public_key, struct device_usage *ret)
{
	char key[KEY_TEXT_BYTES];
	char *dump = malloc(DEVICE_DUMP_BYTES);
	if (!dump)
		return -ENOMEM;
	const char *argv[] = { "wg", "show", device->name, "dump", NULL };
	int r = device_run_wg(argv, NULL, 0, dump, DEVICE_DUMP_BYTES);
	key_format(public_key, key);
	if (r == 0) {
		/* The first line is the interface's own, with the private key. */
		const char *line = strchr(dump, '\n');
		while (line && strncmp(line + 1, key, sizeof key - 1) != 0)
			line = strchr(line + 1, '\n');
		r = line ? peer_usage_parse(line + 1, ret) : -ENOENT;
	}
	key_wipe(dump, DEVICE_DUMP_BYTES);
	free(dump);
	return r;
}

int
device_counters(const struct device *device, uint64_t *ret_rx_bytes, uint64_t *ret_tx_bytes)
{
	struct link link;
	int r = link_find(device->name, &link);
	if (r < 0)
		return r;
	*ret_rx_bytes = link.rx_bytes;
	*ret_tx_bytes = link.tx_bytes;
	return 0;
}
