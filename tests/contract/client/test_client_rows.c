/*
 * `higgs` where the machine, the disk or the server is not as it should be: a terminal for a file,
 * a full disk, no TUN, no nftables, no IPv6, a server that has enough. Each ends with the status of
 * sysexits.h that says so, and leaves what it found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CLIENT_ID "5b0e6a52-3d0b-4e69-9d0b-0f3ad2a6a0aa"

enum { NO_FILTER = 200 };

extern char **environ;

static void
expect(int got, int wanted, const char *part)
{
	expect_exit(got, wanted);
	expect_contains(output, part);
}

/* Reads to the end, or kills it at the deadline. */
static void
collect(int fd, pid_t pid)
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	size_t n = 0;
	ssize_t got = 1;

	while (got > 0 && n < LAB_TEXT_BYTES - 1) {
		if (poll(&readable, 1, DEADLINE_MS) != 1) {
			kill(pid, SIGKILL);
			break;
		}
		got = read(fd, output + n, LAB_TEXT_BYTES - 1 - n);
		if (got > 0)
			n += (size_t)got;
	}
	output[n] = '\0';
}

/* higgs with these words where we are, and this as its standard input. */
static int
higgs(int input_fd, const char *const *words)
{
	const char *argv[16] = { HIGGS_PROGRAM };
	posix_spawn_file_actions_t actions;
	int fds[2];
	pid_t pid;

	for (size_t i = 0; words[i] != NULL && i < 14; i++)
		argv[i + 1] = words[i];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, input_fd, 0);
	posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
	posix_spawn_file_actions_adddup2(&actions, fds[1], 2);
	int r = posix_spawn(&pid, HIGGS_PROGRAM, &actions, NULL, (char *const *)(uintptr_t)argv,
			    environ);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	assert_int_equal(r, 0);
	collect(fds[0], pid);
	close(fds[0]);
	return lab_wait(pid);
}

#define HIGGS(input_fd, ...) higgs(input_fd, (const char *const[]){ __VA_ARGS__, NULL })

static void
test_l20_a_terminal_where_the_access_key_is_due_is_refused_and_not_waited_for(void **state)
{
	(void)state;
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0) {
		print_message("SKIPPED: no pseudo terminal: %s\n", strerror(errno));
		skip();
	}
	int terminal = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(terminal >= 0 && isatty(terminal));
	const char *commands[] = { "nodes", "config" };
	for (size_t i = 0; i < 2; i++)
		expect(HIGGS(terminal, commands[i], "--server", "https://127.0.0.1:1", "--key-file",
			     "/dev/stdin"),
		       66, "/dev/stdin: not a file");
	close(terminal);
	close(master);
}

static void
test_l36_status_of_a_stopped_client_is_3(void **state)
{
	(void)state;
	char folder[] = "/tmp/higgs-rows-XXXXXX";

	assert_non_null(mkdtemp(folder));
	expect(HIGGS(0, "status", "--state", folder), 3, "not connected\n");
	expect(HIGGS(0, "status", "--state", folder, "--json"), 3,
	       "{\"state\":\"disconnected\"}\n");
	assert_int_equal(rmdir(folder), 0); /* and nothing was made in it */
	expect(HIGGS(0, "status", "--state", folder), 3, "not connected\n");
	assert_int_equal(access(folder, F_OK), -1);
}

/* There is no `config set`: it is a word too many, not a key that is kept. */
static void
test_l64_config_set_of_an_unknown_key_is_wrong_usage(void **state)
{
	(void)state;
	expect(HIGGS(0, "config", "set", "colour", "blue"), 64, "\"set\" is one word too many");
	expect(HIGGS(0, "config", "--colour", "blue"), 64, "unknown flag \"--colour\"");
}

/* connect in a shell of the client's namespace, whose mounts end with it. */
static int
connect_after(const char *commands_before, const char *commands_after)
{
	char command[4096];
	const char *argv[] = { "sh", "-c", command, NULL };

	int n = snprintf(command, sizeof command,
			 "folder=%s; state=%s; mkdir -p $state; %s; "
			 "set -- --server https://10.0.9.1:%u --key-file %s --ca %s; "
			 "%s connect --state $state --interface hgc%d \"$@\"; status=$?; %s; "
			 "exit $status",
			 lab.folder, lab.state, commands_before, lab.relay.port, lab.access_key,
			 lab.certificate, HIGGS_PROGRAM, (int)getpid() % 100000, commands_after);
	assert_true(n > 0 && (size_t)n < sizeof command);
	return lab_run(&lab, argv, output);
}

static void
test_l42_connect_on_a_full_disk_is_74_and_keeps_what_was_there(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	note_state(LAB_ROUTE);
	/* full before the interface is noted */
	expect(connect_after("mount -t tmpfs -o size=8k,mode=700 full $state && umask 077 && "
			     "echo " CLIENT_ID " >$state/client_id; "
			     "dd if=/dev/zero of=$state/filler bs=4k count=2 2>/dev/null",
			     "echo kept $(cat $state/client_id)"),
	       74, "kept " CLIENT_ID "\n");
	expect(74, 74, "No space left on device");
	expect_as_before();
	/* full before the id, of which there is half */
	expect(connect_after("mount -t tmpfs -o size=8k,mode=700 full $state && umask 077 && "
			     "echo 5b0e6a52-3d0b >$state/client_id; "
			     "dd if=/dev/zero of=$state/filler bs=4k count=2 2>/dev/null",
			     "echo kept $(cat $state/client_id)"),
	       74, "kept 5b0e6a52-3d0b\n");
	expect(74, 74, "cannot keep the client's id: No space left on device");
	expect_as_before();
}

static void
test_l42_config_on_a_full_disk_is_74_and_keeps_the_old_file(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	char command[2048];
	const char *argv[] = { "sh", "-c", command, NULL };

	note_state(LAB_ROUTE);
	snprintf(command, sizeof command,
		 "cd %s && mkdir -p full && mount -t tmpfs -o size=8k full full && "
		 "echo the old one >full/old.conf; "
		 "dd if=/dev/zero of=full/filler bs=4k count=2 2>/dev/null; "
		 "config() { %s config --server https://10.0.9.1:%u --key-file %s --ca %s \"$@\"; "
		 "}; "
		 "config --output full/new.conf; echo new $?; "
		 "config --output full/old.conf --force; status=$?; cat full/old.conf; ls full; "
		 "rm full/filler; config --output full/old.conf --force && cat full/old.conf; "
		 "exit $status",
		 lab.folder, HIGGS_PROGRAM, lab.relay.port, lab.access_key, lab.certificate);
	/* the new one, the replaced one, nothing half written; with room it is replaced */
	expect(lab_run(&lab, argv, output), 74, "new 74\n");
	expect(74, 74, "the old one\nfiller\nold.conf\n");
	expect(74, 74, "[Interface]\nPrivateKey = ");
}

static void
test_l48_without_dev_net_tun_connect_is_69(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	const char *argv[] = { "sh", "-c",
			       "ip link add hgprobe type wireguard 2>/dev/null && "
			       "ip link del hgprobe",
			       NULL };

	if (lab_run(&lab, argv, output) == 0) {
		print_message("SKIPPED: the kernel's own WireGuard needs no /dev/net/tun\n");
		skip();
	}
	note_state(LAB_ROUTE);
	expect(connect_after("mount -t tmpfs none /dev/net", "test ! -e /dev/net/tun && echo gone"),
	       69, "no /dev/net/tun");
	expect(69, 69, "gone\n");
	expect_as_before();
}

/* From here on nobody gets a socket of nftables, but this error. */
static bool
refuse_nftables(int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NETLINK_NETFILTER, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { .len = sizeof code / sizeof *code, .filter = code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int
connect_without_nftables(int error, const char *const *more)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(refuse_nftables(error) ? lab_higgs(&lab, "connect", more, output)
					     : NO_FILTER);
	int status = lab_wait(pid);
	if (status == NO_FILTER) {
		print_message("SKIPPED: no system call filters here\n");
		skip();
	}
	return status;
}

static void
test_l50_without_nftables_connect_is_69_and_without_permission_77(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	const char *more[] = { "--no-kill-switch", NULL };

	note_state(LAB_ROUTE);
	expect(connect_without_nftables(EPROTONOSUPPORT, NULL), 69, "kill switch (nftables)");
	expect_as_before();
	expect(connect_without_nftables(EPERM, NULL), 77, "kill switch (nftables): not permitted");
	expect_as_before();
	/* who does without the kill switch does without nftables */
	expect(connect_without_nftables(EPROTONOSUPPORT, more), 0, "connected: node");
	expect(lab_higgs(&lab, "disconnect", NULL, output), 0, "disconnected");
	expect_as_before();
}

static void
test_l58_a_server_that_has_enough_is_75_and_says_for_how_many_seconds(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	char server[64];
	const char *config[] = { HIGGS_PROGRAM,	 "config", "--server",	    server, "--key-file",
				 lab.access_key, "--ca",   lab.certificate, NULL };

	note_state(LAB_429);
	snprintf(server, sizeof server, "https://10.0.9.1:%u", lab.relay.port);
	expect(lab_higgs(&lab, "connect", NULL, output), 75, "too many requests; try again in 7 s");
	expect_as_before();
	expect(lab_run(&lab, config, output), 75, "too many requests; try again in 7 s");
}

/* The last: the namespace's IPv6 addresses are gone after it. */
static void
test_l52_without_ipv6_connect_works_on_ipv4(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	const char *off[] = { "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1",
			      "net.ipv6.conf.default.disable_ipv6=1", NULL };
	const char *ping[] = { "ping", "-c", "1", "-W", "2", "10.90.0.1", NULL };
	const char *beside[] = { "ping", "-c", "1", "-W", "2", "192.0.2.80", NULL };
	const char *six[] = { "ip", "-6", "-br", "addr", NULL };

	expect(lab_run(&lab, off, output), 0, "");
	note_state(LAB_ROUTE);
	expect(lab_higgs(&lab, "connect", NULL, output), 0, "connected: node");
	expect(lab_run(&lab, ping, output), 0, "");
	uint64_t leaks = lab_leaks(&lab);
	expect(lab_run(&lab, beside, output), 0, ""); /* by the tunnel, which still blocks */
	assert_int_equal(lab_leaks(&lab), leaks);
	expect(lab_run(&lab, six, output), 0, "");
	assert_string_equal(output, "");
	expect(lab_higgs(&lab, "disconnect", NULL, output), 0, "disconnected");
	expect_as_before();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_l20_a_terminal_where_the_access_key_is_due_is_refused_and_not_waited_for),
		cmocka_unit_test(test_l36_status_of_a_stopped_client_is_3),
		cmocka_unit_test(test_l64_config_set_of_an_unknown_key_is_wrong_usage),
		RIG_TEST(test_l42_connect_on_a_full_disk_is_74_and_keeps_what_was_there),
		RIG_TEST(test_l42_config_on_a_full_disk_is_74_and_keeps_the_old_file),
		RIG_TEST(test_l48_without_dev_net_tun_connect_is_69),
		RIG_TEST(test_l50_without_nftables_connect_is_69_and_without_permission_77),
		RIG_TEST(test_l58_a_server_that_has_enough_is_75_and_says_for_how_many_seconds),
		RIG_TEST(test_l52_without_ipv6_connect_works_on_ipv4),
	};
	return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
