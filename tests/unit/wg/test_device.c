/*
 * The WireGuard interface, with the real wireguard-go, `wg` and rtnetlink, in a network namespace
 * of this test's own, which goes with its process. Names carry the pid: wireguard-go's sockets are
 * in one folder for all namespaces.
 */
#include "wg/child.h"
#include "wg/device.h"
#include "wg/link.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLINE_MS = 20000, TEST_MTU = 1280 };

static const char *const addresses[] = { "10.90.0.1/16", "fd48:6967:6773::1/64", NULL };

struct fixture {
	struct loop *loop;
	struct loop_timer *deadline;
	struct key private_key, peer_key;
	char name[LINK_NAME_BYTES], port[16];
	int restarts;
	bool alive;
};

static bool
can_run(void)
{
	static int can = -1;
	if (can < 0)
		can = geteuid() == 0 && unshare(CLONE_NEWNET) == 0 &&
		      access("/dev/net/tun", R_OK | W_OK) == 0;
	if (!can)
		print_message("skipped: needs root, a network namespace and /dev/net/tun\n");
	return can;
}

static void
on_deadline(struct loop *loop, void *arg)
{
	(void)arg;
	print_error("deadline\n");
	loop_stop(loop);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct key peer_private;
	static int number;
	if (!f)
		return -1;
	snprintf(f->name, sizeof f->name, "hgt%d.%d", getpid() % 1000000, number++);
	*state = f;
	return loop_new(&f->loop) < 0 || key_generate(&f->private_key) < 0 ||
			       key_generate(&peer_private) < 0 ||
			       key_public(&peer_private, &f->peer_key) < 0 ||
			       loop_timer_start(f->loop, DEADLINE_MS, 0, on_deadline, f,
						&f->deadline) < 0
		       ? -1
		       : 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	loop_free(&f->loop);
	free(f);
	return 0;
}

static void
on_restart(bool alive, void *arg)
{
	struct fixture *f = arg;
	f->restarts++;
	f->alive = alive;
	loop_stop(f->loop);
}

static int
open_device(struct fixture *f, const char *command, struct device **ret)
{
	struct device_options options = {
		.name = f->name,
		.command = command,
		.force_userspace = true,
		.private_key = &f->private_key,
		.mtu = TEST_MTU,
		.addresses = addresses,
		.on_restart = on_restart,
		.arg = f,
	};
	return device_open(f->loop, &options, ret);
}

static void
socket_path(const struct fixture *f, char *path, size_t n)
{
	snprintf(path, n, "/var/run/wireguard/%s.sock", f->name);
}

static void
test_device_is_up_marked_and_gone_after_close(void **state)
{
	struct fixture *f = *state;
	struct device *device;
	struct link link;
	char path[128];
	uint64_t rx, tx;
	if (!can_run())
		skip();
	assert_int_equal(open_device(f, NULL, &device), 0);
	assert_int_equal(link_find(f->name, &link), 0);
	assert_true(link.is_up);
	assert_string_equal(link.alias, LINK_ALIAS);
	assert_int_equal(link.index, device_index(device));
	assert_int_not_equal(device_listen_port(device), 0);
	assert_int_equal(device_counters(device, &rx, &tx), 0);
	device_close(&device);
	assert_null(device);
	assert_int_equal(link_find(f->name, &link), -ENODEV);
	socket_path(f, path, sizeof path);
	assert_int_equal(access(path, F_OK), -1);
}

static void
test_peers_are_set_replaced_and_removed(void **state)
{
	struct fixture *f = *state;
	struct device *device;
	struct device_usage usage;
	struct device_peer peer = { .endpoint = "127.0.0.9:4000",
				    .allowed_ips = "10.90.0.2/32,fd48:6967:6773::2/128",
				    .keepalive_sec = 25 };
	char dump[8192];
	const char *argv[] = { "wg", "show", f->name, "allowed-ips", NULL };
	if (!can_run())
		skip();
	peer.public_key = f->peer_key;
	assert_int_equal(open_device(f, NULL, &device), 0);
	assert_int_equal(device_peer_usage(device, &f->peer_key, &usage), -ENOENT);
	assert_int_equal(device_peer_set(device, &peer, 1), 0);
	assert_int_equal(device_peer_usage(device, &f->peer_key, &usage), 0);
	assert_int_equal(usage.last_handshake_sec, 0);
	peer.allowed_ips = "10.90.0.3/32";
	assert_int_equal(device_peer_set(device, &peer, 1), 0);
	assert_int_equal(child_run(argv, NULL, 0, dump, sizeof dump, DEADLINE_MS), 0);
	assert_non_null(strstr(dump, "10.90.0.3/32"));
	assert_null(strstr(dump, "10.90.0.2/32"));
	assert_int_equal(device_peer_remove(device, &f->peer_key), 0);
	assert_int_equal(device_peer_usage(device, &f->peer_key, &usage), -ENOENT);
	device_close(&device);
}

static void
test_peer_with_a_line_break_in_it_is_refused(void **state)
{
	struct fixture *f = *state;
	struct device *device;
	struct device_peer peer = { .allowed_ips = "10.90.0.2/32\nPrivateKey = x" };
	if (!can_run())
		skip();
	assert_int_equal(open_device(f, NULL, &device), 0);
	assert_int_equal(device_peer_set(device, &peer, 1), -EINVAL);
	device_close(&device);
}

static void
test_interface_of_somebody_else_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct device *device = NULL;
	struct link link;
	const char *argv[] = { "ip", "link", "add", f->name, "type", "veth", NULL };
	if (!can_run())
		skip();
	assert_int_equal(child_run(argv, NULL, 0, NULL, 0, DEADLINE_MS), 0);
	assert_int_equal(open_device(f, NULL, &device), -EEXIST);
	assert_null(device);
	assert_int_equal(link_find(f->name, &link), 0);
	assert_int_equal(link_delete(link.index), 0);
}

/* T37: what a killed program left behind. */
static void
test_leftover_interface_goes_and_its_process_with_it(void **state)
{
	struct fixture *f = *state;
	struct device *device;
	struct child orphan;
	struct link link;
	const char *argv[] = { "wireguard-go", "-f", f->name, NULL };
	char path[128];
	if (!can_run())
		skip();
	socket_path(f, path, sizeof path);
	assert_int_equal(child_start(argv, -1, -1, &orphan), 0);
	for (int tries = 0; link_find(f->name, &link) < 0 || access(path, F_OK) < 0; tries++) {
		assert_true(tries < DEADLINE_MS / 5);
		usleep(5000);
	}
	assert_int_equal(link_raise(link.index, TEST_MTU), 0);
	assert_int_equal(open_device(f, NULL, &device), 0);
	assert_int_not_equal(child_reap(&orphan), -EAGAIN);
	assert_int_equal(access(path, F_OK), 0);
	device_close(&device);
}

static void
test_process_that_dies_is_started_anew(void **state)
{
	struct fixture *f = *state;
	struct device *device;
	struct device_peer peer = { .allowed_ips = "10.90.0.2/32" };
	struct link before, after;
	char command[64], pid[32];
	const char *argv[] = { "pgrep", "-f", command, NULL };
	if (!can_run())
		skip();
	peer.public_key = f->peer_key;
	assert_int_equal(open_device(f, NULL, &device), 0);
	assert_int_equal(link_find(f->name, &before), 0);
	uint16_t port = device_listen_port(device);
	snprintf(command, sizeof command, "^wireguard-go -f %s$", f->name);
	assert_int_equal(child_run(argv, NULL, 0, pid, sizeof pid, DEADLINE_MS), 0);
	assert_int_equal(kill((pid_t)strtol(pid, NULL, 10), SIGKILL), 0);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(f->restarts, 1);
	assert_true(f->alive);
	assert_int_equal(link_find(f->name, &after), 0);
	assert_int_equal(after.index, device_index(device));
	assert_true(after.is_up);
	assert_int_equal(device_listen_port(device), port);
	assert_int_equal(device_peer_set(device, &peer, 1), 0);
	device_close(&device);
}

static void
on_look(struct loop *loop, void *arg)
{
	struct fixture *f = arg;
	char sockets[8192];
	const char *argv[] = { "sh", "-c", "ss -uanm | grep -A1 \"$0\"", f->port, NULL };
	/* Forced to 2 MiB, and the kernel doubles it. */
	if (child_run(argv, NULL, 0, sockets, sizeof sockets, DEADLINE_MS) == 0 &&
	    strstr(sockets, "rb4194304"))
		f->alive = true;
	if (f->alive)
		loop_stop(loop);
}

/* A batch of a leg is more than the kernel's default holds. */
static void
test_sockets_of_the_process_take_bursts(void **state)
{
	struct fixture *f = *state;
	struct device *device;
	struct loop_timer *look;
	if (!can_run())
		skip();
	assert_int_equal(open_device(f, NULL, &device), 0);
	snprintf(f->port, sizeof f->port, ":%u ", device_listen_port(device));
	assert_int_equal(loop_timer_start(f->loop, 0, 20, on_look, f, &look), 0);
	assert_int_equal(loop_run(f->loop), 0);
	assert_true(f->alive);
	loop_timer_stop(&look);
	device_close(&device);
}

static void
test_implementation_that_cannot_be_started_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct device *device = NULL;
	if (!can_run())
		skip();
	assert_int_equal(open_device(f, "no-such-wireguard", &device), -ENOENT);
	assert_int_equal(open_device(f, "false", &device), -EIO);
	assert_null(device);
}

static void
test_address_text_is_checked(void **state)
{
	(void)state;
	assert_int_equal(link_address_add(1, "10.90.0.1"), -EINVAL);
	assert_int_equal(link_address_add(1, "10.90.0.1/33"), -EINVAL);
	assert_int_equal(link_address_add(1, "10.90.0.1/"), -EINVAL);
	assert_int_equal(link_address_add(1, "10.90.0/24"), -EINVAL);
	assert_int_equal(link_address_add(1, "fd48::1/129"), -EINVAL);
	assert_int_equal(link_address_add(1, "/24"), -EINVAL);
}

#define DEVICE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		DEVICE_TEST(test_device_is_up_marked_and_gone_after_close),
		DEVICE_TEST(test_peers_are_set_replaced_and_removed),
		DEVICE_TEST(test_peer_with_a_line_break_in_it_is_refused),
		DEVICE_TEST(test_interface_of_somebody_else_is_left_alone),
		DEVICE_TEST(test_leftover_interface_goes_and_its_process_with_it),
		DEVICE_TEST(test_process_that_dies_is_started_anew),
		DEVICE_TEST(test_sockets_of_the_process_take_bursts),
		DEVICE_TEST(test_implementation_that_cannot_be_started_is_an_error),
		cmocka_unit_test(test_address_text_is_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
