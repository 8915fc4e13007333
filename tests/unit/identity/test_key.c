/*
 * X25519 against RFC 7748's vectors, and key files: 0600, ours, whole, one winner.
 */
#include "../../temp_folder.h"
#include "identity/key.h"
#include "identity/state_file.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct temp_folder folder;
static char race_path[128];

static int
setup(void **state)
{
	(void)state;
	temp_folder_make(&folder);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	return temp_folder_drop(&folder);
}

static struct key
key_of(const char *text)
{
	struct key key;

	assert_int_equal(key_parse(text, &key), 0);
	return key;
}

/* RFC 7748, section 6.1. */
static void
test_exchange_gives_the_secret_of_rfc_7748(void **state)
{
	struct key alice = key_of("dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=");
	struct key bob_public = key_of("3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=");
	struct key expected = key_of("Sl2dW6TOLeFyjjv0gDUPJeB+IclH0Z4zdvCbPB4WF0I="), secret;

	(void)state;
	assert_int_equal(key_exchange(&alice, &bob_public, &secret), 0);
	assert_true(key_is_equal(&secret, &expected));
}

/* T01: keys of low order give a zero secret, which would let anybody compute a proof. */
static void
test_t01_exchange_with_a_key_of_low_order_is_refused(void **state)
{
	static const char *const low_order[] = {
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA=",
		"X5yVvKNQjCSx0LFVnIPvWwREXMRYHI6G2CJO3dCfEVc=",
		"7P///////////////////////////////////////38=",
		"7f///////////////////////////////////////38=",
		"7v///////////////////////////////////////38=",
	};
	struct key private_key, secret;

	(void)state;
	assert_int_equal(key_generate(&private_key), 0);
	for (size_t i = 0; i < sizeof(low_order) / sizeof(low_order[0]); i++) {
		struct key public_key = key_of(low_order[i]);

		assert_int_equal(key_exchange(&private_key, &public_key, &secret), -EINVAL);
	}
}

static void
test_two_sides_of_an_exchange_agree(void **state)
{
	struct key a, b, a_public, b_public, one, two;

	(void)state;
	assert_int_equal(key_generate(&a), 0);
	assert_int_equal(key_generate(&b), 0);
	assert_false(key_is_equal(&a, &b));
	assert_int_equal(a.bytes[0] & 7, 0);
	assert_int_equal(a.bytes[31] & 0xc0, 0x40);
	assert_int_equal(key_public(&a, &a_public), 0);
	assert_int_equal(key_public(&b, &b_public), 0);
	assert_int_equal(key_exchange(&a, &b_public, &one), 0);
	assert_int_equal(key_exchange(&b, &a_public, &two), 0);
	assert_true(key_is_equal(&one, &two));
}

static void
test_key_file_is_made_once_and_kept_0600(void **state)
{
	const char *path = temp_folder_file(&folder, "identity.key");
	struct key first, second;
	struct stat st;

	(void)state;
	assert_int_equal(key_file_load_or_create(path, &first), 0);
	assert_int_equal(key_file_load_or_create(path, &second), 0);
	assert_true(key_is_equal(&first, &second));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 45);
}

/* L18: a key file that others may read. */
static void
test_l18_key_file_that_others_may_read_is_refused(void **state)
{
	struct key key;

	(void)state;
	temp_folder_write(&folder, "wide.key", "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8=\n",
			  0640);
	assert_int_equal(key_file_load_or_create(temp_folder_file(&folder, "wide.key"), &key),
			 -EPERM);
}

static void
test_key_file_that_is_not_one_key_is_refused_and_left_alone(void **state)
{
	static const char *const bad[] = {
		"",
		"\n",
		"short\n",
		"QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8=\n\n",
		"QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8=\r\n",
	};
	struct key key;
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		temp_folder_write(&folder, "bad.key", bad[i], 0600);
		assert_int_equal(
			key_file_load_or_create(temp_folder_file(&folder, "bad.key"), &key),
			-EINVAL);
		assert_int_equal(state_file_read(temp_folder_file(&folder, "bad.key"), true, text,
						 sizeof(text)),
				 strlen(bad[i]));
		assert_string_equal(text, bad[i]);
	}
}

static void
test_a_key_file_behind_a_symlink_is_refused(void **state)
{
	struct key key;

	(void)state;
	temp_folder_write(&folder, "real.key", "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8=\n",
			  0600);
	assert_int_equal(symlink("real.key", temp_folder_file(&folder, "link.key")), 0);
	assert_int_equal(key_file_load_or_create(temp_folder_file(&folder, "link.key"), &key),
			 -ELOOP);
}

enum { STARTERS = 8 };

struct starter {
	pthread_t thread;
	pthread_barrier_t *barrier;
	struct key key;
	int r;
};

static void *
start(void *arg)
{
	struct starter *starter = arg;

	pthread_barrier_wait(starter->barrier);
	starter->r = key_file_load_or_create(race_path, &starter->key);
	return NULL;
}

/* L34: two starts at once agree on one key. */
static void
test_l34_starters_at_the_same_moment_agree_on_one_key(void **state)
{
	pthread_barrier_t barrier;
	struct starter starters[STARTERS];

	(void)state;
	for (int round = 0; round < 20; round++) {
		snprintf(race_path, sizeof(race_path), "%s/race-%d.key", folder.path, round);
		assert_int_equal(pthread_barrier_init(&barrier, NULL, STARTERS), 0);
		for (int i = 0; i < STARTERS; i++) {
			starters[i].barrier = &barrier;
			assert_int_equal(
				pthread_create(&starters[i].thread, NULL, start, &starters[i]), 0);
		}
		for (int i = 0; i < STARTERS; i++)
			assert_int_equal(pthread_join(starters[i].thread, NULL), 0);
		for (int i = 0; i < STARTERS; i++) {
			assert_int_equal(starters[i].r, 0);
			assert_true(key_is_equal(&starters[i].key, &starters[0].key));
		}
		pthread_barrier_destroy(&barrier);
	}
}

static void
test_secret_file_keeps_its_bytes_and_its_length(void **state)
{
	const char *path = temp_folder_file(&folder, "fleet.secret");
	uint8_t first[32], second[32], shorter[16], huge[65];

	(void)state;
	assert_int_equal(secret_file_load(path, first, sizeof(first)), -ENOENT);
	assert_int_equal(secret_file_load_or_create(path, first, sizeof(first)), 0);
	assert_int_equal(secret_file_load(path, second, sizeof(second)), 0);
	assert_memory_equal(first, second, sizeof(first));
	assert_int_equal(secret_file_load(path, shorter, sizeof(shorter)), -EINVAL);
	assert_int_equal(secret_file_load_or_create(path, huge, sizeof(huge)), -EINVAL);
}

static void
test_state_file_replaces_whole_and_leaves_nothing_beside(void **state)
{
	const char *path = temp_folder_file(&folder, "attachment");
	char text[64];
	DIR *dir;
	struct dirent *entry;

	(void)state;
	assert_int_equal(state_file_replace(path, 0600, "one", 3), 0);
	assert_int_equal(state_file_replace(path, 0600, "two!", 4), 0);
	assert_int_equal(state_file_create(path, 0600, "three", 5), -EEXIST);
	assert_int_equal(state_file_read(path, true, text, sizeof(text)), 4);
	assert_string_equal(text, "two!");
	assert_int_equal(state_file_read(path, true, text, 4), -EFBIG);
	dir = opendir(folder.path);
	while ((entry = readdir(dir)))
		assert_null(strstr(entry->d_name, ".tmp"));
	closedir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exchange_gives_the_secret_of_rfc_7748),
		cmocka_unit_test(test_t01_exchange_with_a_key_of_low_order_is_refused),
		cmocka_unit_test(test_two_sides_of_an_exchange_agree),
		cmocka_unit_test(test_key_file_is_made_once_and_kept_0600),
		cmocka_unit_test(test_l18_key_file_that_others_may_read_is_refused),
		cmocka_unit_test(test_key_file_that_is_not_one_key_is_refused_and_left_alone),
		cmocka_unit_test(test_a_key_file_behind_a_symlink_is_refused),
		cmocka_unit_test(test_l34_starters_at_the_same_moment_agree_on_one_key),
		cmocka_unit_test(test_secret_file_keeps_its_bytes_and_its_length),
		cmocka_unit_test(test_state_file_replaces_whole_and_leaves_nothing_beside),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
