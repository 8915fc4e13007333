/*
 * device: a WireGuard interface of ours: the kernel's where it has one, else `wireguard-go -f`
 * supervised in the foreground. Keys and peers go through the `wg` tool (keys on stdin, never in
 * arguments); addresses, routes and the link through netlink. Used by forwarder and client. Needs
 * CAP_NET_ADMIN.
 *
 * The loop is never blocked for long: `wg` runs for a few ms. Children get PDEATHSIG, die with us,
 * and inherit no descriptor.
 */
#pragma once

#include "identity/key.h"
#include "loop/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct device;

struct device_options {
	const char *name;    /* interface, at most 15 bytes */
	const char *command; /* userspace implementation, "wireguard-go" */
	bool force_userspace;
	const struct key *private_key;
	uint16_t listen_port; /* 0: WireGuard chooses */
	uint32_t mtu;
	const char *const *addresses; /* "10.90.0.1/16", NULL-terminated */
	uint32_t fwmark;	      /* 0: none */
	/* The userspace process died and was started anew (peers must be set again), or could not
	 * be. */
	void (*on_restart)(bool alive, void *arg);
	void *arg;
};

/* A left-over interface of this name that carries our alias ("higgs") is removed first; one without
 * it is not ours: -EEXIST. Returns with the link up. */
int device_open(struct loop *loop, const struct device_options *options, struct device **ret);

/* Removes the interface and ends the child. */
void device_close(struct device **device);

uint32_t device_index(const struct device *device);
uint16_t device_listen_port(const struct device *device);

struct device_peer {
	struct key public_key;
	const char *endpoint;	 /* "127.0.0.1:5000", or NULL */
	const char *allowed_ips; /* "10.90.0.2/32,fd..::2/128" */
	uint32_t keepalive_sec;	 /* 0: off */
};

int device_peer_set(struct device *device, const struct device_peer *peers, size_t n);
int device_peer_remove(struct device *device, const struct key *public_key);

struct device_usage {
	uint64_t received_bytes, sent_bytes;
	int64_t last_handshake_sec;
};

/* By `wg show NAME dump`. -ENOENT: no such peer. */
int device_peer_usage(struct device *device, const struct key *public_key,
		      struct device_usage *ret);

/* The interface's own counters, from netlink. */
int device_counters(const struct device *device, uint64_t *ret_rx_bytes, uint64_t *ret_tx_bytes);
