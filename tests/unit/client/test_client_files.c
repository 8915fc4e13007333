/*
 * The client's folder: its id, its lock, its access key, the name servers it put aside, and the
 * control socket.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/client_control.h"
#include "client/client_dns.h"
#include "client/client_state.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], path[CLIENT_PATH_BYTES], text[4096], error[512];

static const char *
in_folder(const char *name)
{
	assert_int_equal(client_state_path(folder, name, path), 0);
	return path;
}

static void
put(const char *name, const char *content, mode_t mode)
{
	FILE *file = fopen(in_folder(name), "w");

	assert_non_null(file);
	fputs(content, file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static const char *
get(const char *name)
{
	FILE *file = fopen(in_folder(name), "r");

	assert_non_null(file);
	text[fread(text, 1, sizeof text - 1, file)] = '\0';
	fclose(file);
	return text;
}

static void
test_the_id_is_made_once_and_a_damaged_one_is_replaced(void **state)
{
	(void)state;
	char first[UUID_TEXT_BYTES], second[UUID_TEXT_BYTES];

	assert_int_equal(client_state_id(folder, first), 0);
	assert_int_equal(client_state_id(folder, second), 0);
	assert_string_equal(first, second);
	put("client_id", "5b0e6a52-3d0b", 0600); /* L44: cut in half */
	assert_int_equal(client_state_id(folder, second), 0);
	assert_string_not_equal(first, second);
	assert_int_equal(client_state_id(folder, first), 0);
	assert_string_equal(first, second);
}

/* L34, L46 */
static void
test_the_lock_is_for_one_and_never_stale(void **state)
{
	(void)state;
	struct client_lock one, two;

	put("lock", "4194303\n", 0600); /* of somebody long gone */
	assert_int_equal(client_lock_take(folder, &one), 0);
	assert_int_equal(client_lock_take(folder, &two), -EAGAIN);
	char other[CLIENT_PATH_BYTES];
	strcpy(other, in_folder("other"));
	assert_int_equal(client_state_open(other), 0);
	assert_int_equal(client_lock_take(other, &two), -EAGAIN); /* same network namespace */
	client_lock_release(&one);
	assert_int_equal(client_lock_take(folder, &two), 0);
	client_lock_release(&two);
}

/* L18 */
static void
test_an_access_key_that_others_can_read_is_refused(void **state)
{
	(void)state;
	char key[CLIENT_ACCESS_KEY_BYTES];

	put("key", "an-access-key\r\n", 0600);
	assert_int_equal(client_access_key_read(path, key, error, sizeof error), 0);
	assert_string_equal(key, "an-access-key");
	put("key", "an-access-key\n", 0644);
	assert_int_equal(client_access_key_read(path, key, error, sizeof error), 77);
	assert_non_null(strstr(error, "chmod 600"));
	put("key", "\n", 0600);
	assert_int_equal(client_access_key_read(path, key, error, sizeof error), 64);
	put("key", "two words of it\n", 0600);
	assert_int_equal(client_access_key_read(path, key, error, sizeof error), 64);
	memset(text, 'a', 2000);
	text[2000] = '\0';
	put("key", text, 0600);
	assert_int_equal(client_access_key_read(path, key, error, sizeof error), 64);
	assert_int_equal(client_access_key_read("/nowhere/key", key, error, sizeof error), 66);
}

static const char *const servers[] = { "10.90.0.1", "fd48::1", NULL };

static int
set_dns(void)
{
	char resolv[CLIENT_PATH_BYTES];

	strcpy(resolv, in_folder("resolv.conf"));
	error[0] = '\0';
	return client_dns_set(resolv, folder, "hg0", servers, error, sizeof error);
}

static int
restore_dns(void)
{
	char resolv[CLIENT_PATH_BYTES];

	strcpy(resolv, in_folder("resolv.conf"));
	return client_dns_restore(resolv, folder);
}

static void
test_name_servers_come_back_as_they_were(void **state)
{
	(void)state;
	struct stat before, after;

	put("resolv.conf", "search home\nnameserver 192.168.1.1\n", 0644);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(set_dns(), 0);
	assert_non_null(strstr(get("resolv.conf"), "\nnameserver 10.90.0.1\nnameserver fd48::1\n"));
	assert_int_equal(set_dns(), 0); /* again: what is put aside stays the first */
	assert_int_equal(restore_dns(), 1);
	assert_string_equal(get("resolv.conf"), "search home\nnameserver 192.168.1.1\n");
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino); /* in place: it may be a mount */
	assert_int_equal(restore_dns(), 0);
}

static void
test_a_file_that_was_not_there_is_not_there_afterwards(void **state)
{
	(void)state;
	unlink(in_folder("resolv.conf"));
	assert_int_equal(set_dns(), 0);
	assert_int_equal(access(in_folder("resolv.conf"), F_OK), 0);
	assert_int_equal(restore_dns(), 1);
	assert_int_equal(access(in_folder("resolv.conf"), F_OK), -1);
}

static void
test_somebody_elses_later_change_is_left_alone(void **state)
{
	(void)state;
	put("resolv.conf", "nameserver 192.168.1.1\n", 0644);
	assert_int_equal(set_dns(), 0);
	put("resolv.conf", "nameserver 192.168.2.2\n", 0644);
	assert_int_equal(restore_dns(), 0);
	assert_string_equal(get("resolv.conf"), "nameserver 192.168.2.2\n");
	assert_int_equal(restore_dns(), 0); /* and forgotten */
}

static void
test_a_managers_link_is_left_alone_aloud(void **state)
{
	(void)state;
	put("managed", "nameserver 192.168.1.1\n", 0644);
	unlink(in_folder("resolv.conf"));
	assert_int_equal(symlink("managed", in_folder("resolv.conf")), 0);
	assert_int_equal(set_dns(), 1);
	assert_non_null(strstr(error, "left alone"));
	assert_non_null(strstr(error, "10.90.0.1"));
	assert_string_equal(get("managed"), "nameserver 192.168.1.1\n");
	assert_int_equal(restore_dns(), 0);
}

struct asked {
	struct loop *loop;
	struct client_control *control;
	const char *command;
	char answer[CONTROL_ANSWER_BYTES];
	int result;
};

static void
stop(struct loop *loop, void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void *
asker_main(void *arg)
{
	struct asked *asked = arg;

	asked->result =
		client_control_ask(folder, asked->command, asked->answer, sizeof asked->answer);
	loop_post(asked->loop, stop, NULL);
	return NULL;
}

static void
answer_late(struct loop *loop, void *arg)
{
	struct asked *asked = arg;

	(void)loop;
	client_control_answer(asked->control, "late\n");
}

static size_t
on_command(const char *command, char *ret_answer, size_t capacity, void *arg)
{
	struct asked *asked = arg;
	struct loop_timer *timer;

	if (strcmp(command, "later") != 0)
		return (size_t)snprintf(ret_answer, capacity, "<%s>\n", command);
	assert_int_equal(loop_timer_start(asked->loop, 1, 0, answer_late, asked, &timer), 0);
	return 0;
}

static void
test_the_control_socket_answers_now_or_later(void **state)
{
	(void)state;
	struct asked asked = { 0 };
	struct stat st;
	const char *commands[] = { "status", "later" }, *answers[] = { "<status>\n", "late\n" };

	assert_int_equal(client_control_ask(folder, "status", text, sizeof text), -ENOENT);
	put("control.sock", "left by one that was killed", 0600);
	assert_int_equal(loop_new(&asked.loop), 0);
	assert_int_equal(client_control_new(asked.loop, folder, on_command, &asked, &asked.control),
			 0);
	assert_int_equal(stat(in_folder("control.sock"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	for (size_t i = 0; i < 2; i++) {
		pthread_t thread;
		asked.command = commands[i];
		assert_int_equal(pthread_create(&thread, NULL, asker_main, &asked), 0);
		assert_int_equal(loop_run(asked.loop), 0);
		pthread_join(thread, NULL);
		assert_int_equal(asked.result, 0);
		assert_string_equal(asked.answer, answers[i]);
	}
	client_control_free(&asked.control);
	loop_free(&asked.loop);
	assert_int_equal(client_control_ask(folder, "status", text, sizeof text), -ENOENT);
}

static void
test_a_folder_with_a_path_longer_than_a_sockets_works(void **state)
{
	(void)state;
	struct asked asked = { 0 };
	char name[160];

	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	char deep[CLIENT_PATH_BYTES];
	strcpy(deep, in_folder(name));
	assert_int_equal(client_state_open(deep), 0);
	assert_int_equal(loop_new(&asked.loop), 0);
	assert_int_equal(client_control_new(asked.loop, deep, on_command, &asked, &asked.control),
			 0);
	client_control_free(&asked.control);
	loop_free(&asked.loop);
	assert_int_equal(rmdir(deep), 0);
}

static int
make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/higgs-files-XXXXXX");
	return mkdtemp(folder) != NULL ? 0 : -1;
}

static int
remove_folder(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command);
}

#define FOLDER_TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FOLDER_TEST(test_the_id_is_made_once_and_a_damaged_one_is_replaced),
		FOLDER_TEST(test_the_lock_is_for_one_and_never_stale),
		FOLDER_TEST(test_an_access_key_that_others_can_read_is_refused),
		FOLDER_TEST(test_name_servers_come_back_as_they_were),
		FOLDER_TEST(test_a_file_that_was_not_there_is_not_there_afterwards),
		FOLDER_TEST(test_somebody_elses_later_change_is_left_alone),
		FOLDER_TEST(test_a_managers_link_is_left_alone_aloud),
		FOLDER_TEST(test_the_control_socket_answers_now_or_later),
		FOLDER_TEST(test_a_folder_with_a_path_longer_than_a_sockets_works),
	};
	/* The lock is one for each network namespace: not that of a client, or test, beside us. */
	if (unshare(CLONE_NEWNET) < 0)
		print_message("in the network namespace of all: %s\n", strerror(errno));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
