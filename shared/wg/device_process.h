/*
 * device_process: the userspace WireGuard of a device: started in the foreground, watched by pidfd,
 * started anew when it dies (with growing delay). For device.c only.
 */
#pragma once

#include "wg/child.h"
#include "wg/device.h"
#include "wg/link.h"

struct device {
	struct loop *loop;
	char name[LINK_NAME_BYTES];
	char *command;
	char **addresses;
	struct key private_key;
	uint16_t listen_port;
	uint32_t mtu, fwmark, index;
	void (*on_restart)(bool alive, void *arg);
	void *arg;

	struct child process; /* none with the kernel's WireGuard */
	struct loop_fd *process_watch;
	struct loop_timer *timer; /* the next attempt, or the next look whether it is ready */
	struct loop_timer *widen; /* looks for its UDP sockets, see device_buffers.h */
	int64_t widen_by_ms;
	unsigned failures; /* in a row */
	int64_t ready_by_ms;
};

/* Starts the process, waits (up to 5 s) until it answers, and configures the interface. */
int device_process_start(struct device *device);

/* Ends the process, if there is one, and with it its interface. */
void device_process_stop(struct device *device);

/* Sees an interface's process out that outlived the one who started it: it exits when its interface
 * goes, which link_delete of `index` makes happen here, and is killed when it does not. */
int device_process_remove_leftover(const char *name, uint32_t index);

/* device.c: sets key, port, addresses and raises the link, whoever made it. */
int device_configure(struct device *device);
