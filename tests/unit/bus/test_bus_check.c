/*
 * The pre-scan of wire bytes: what it lets through, and what it refuses and why. (B24 to B40)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bus/bus.h"
#include "bus/bus_check.h"

#include "echo.pb-c.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Wire bytes being written. */
static uint8_t bytes[2 * BUS_MESSAGE_MAX_BYTES];
static size_t n;

static int
setup(void **state)
{
	(void)state;
	n = 0;
	return 0;
}

static void
put_varint(uint64_t value)
{
	for (; value > 127; value >>= 7)
		bytes[n++] = (uint8_t)(value | 0x80);
	bytes[n++] = (uint8_t)value;
}

static void
put_tag(uint32_t field, unsigned type)
{
	put_varint((uint64_t)field << 3 | type);
}

static void
put_bytes(uint32_t field, const void *value, size_t length)
{
	put_tag(field, 2);
	put_varint(length);
	memcpy(bytes + n, value, length);
	n += length;
}

static void
put_text(uint32_t field, const char *text)
{
	put_bytes(field, text, strlen(text));
}

/* Tree.id is required. */
static void
put_id(void)
{
	put_tag(3, 0);
	put_varint(7);
}

static int
check(void)
{
	struct bus_check_seen seen;

	return bus_check_scan(&boson__test__tree__descriptor, bytes, n, &seen);
}

static int
check_leaf(void)
{
	struct bus_check_seen seen;

	return bus_check_scan(&boson__test__leaf__descriptor, bytes, n, &seen);
}

static void
test_what_protobuf_packs_passes_and_unpacks_the_same(void **state)
{
	Boson__Test__Tree tree = BOSON__TEST__TREE__INIT, leaf = BOSON__TEST__TREE__INIT;
	Boson__Test__Tree *leaves[] = { &leaf, &leaf };
	uint32_t packed[] = { 1, 300, UINT32_MAX };
	uint64_t wide[] = { UINT64_MAX, 0 };
	char *names[] = { (char *)(uintptr_t) "a", (char *)(uintptr_t) "" };
	ProtobufCMessage *again = NULL;

	(void)state;
	leaf.id = 2;
	tree.id = 1;
	tree.left = &leaf;
	tree.leaves = leaves;
	tree.n_leaves = 2;
	tree.name = (char *)(uintptr_t) "caf\xc3\xa9";
	tree.packed = packed;
	tree.n_packed = 3;
	tree.wide = wide;
	tree.n_wide = 2;
	tree.names = names;
	tree.n_names = 2;
	tree.has_weight = tree.has_small = true;
	tree.choice_case = BOSON__TEST__TREE__CHOICE_WORD;
	tree.word = (char *)(uintptr_t) "w";
	n = boson__test__tree__pack(&tree, bytes);
	assert_int_equal(check(), 0);
	assert_int_equal(bus_message_unpack(&boson__test__tree__descriptor, bytes, n, &again), 0);
	assert_int_equal(((Boson__Test__Tree *)again)->n_leaves, 2);
	assert_string_equal(((Boson__Test__Tree *)again)->word, "w");
	protobuf_c_message_free_unpacked(again, NULL);
}

static void
test_empty_message_passes_where_nothing_is_required(void **state)
{
	struct bus_check_seen seen;

	(void)state;
	assert_int_equal(check_leaf(), 0);
	assert_int_equal(bus_check_scan(&boson__test__leaf__descriptor, NULL, 0, &seen), 0);
}

static void
test_message_over_64_kib_is_too_large(void **state)
{
	(void)state;
	n = BUS_MESSAGE_MAX_BYTES + 1;
	assert_int_equal(check(), -EMSGSIZE);
}

static void
test_every_truncation_is_refused(void **state)
{
	(void)state;
	put_id();
	put_text(4, "name");
	put_tag(8, 1);
	n += 8;
	put_tag(9, 5);
	n += 4;
	put_bytes(5, "\x01\x82\x01", 3);
	size_t whole = n;
	assert_int_equal(check(), 0);
	for (n = 3; n < whole; n++) {
		/* Cuts between two fields leave a whole message. */
		if (n == 2 || n == 8 || n == 17 || n == 22)
			continue;
		assert_int_equal(check(), -EBADMSG);
	}
}

/* B28 */
static void
test_length_beyond_the_end_is_refused(void **state)
{
	const uint64_t lengths[] = { 1, 127, UINT32_MAX, (uint64_t)1 << 40, UINT64_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		n = 0;
		put_id();
		put_tag(4, 2);
		put_varint(lengths[i]);
		assert_int_equal(check(), -EBADMSG);
	}
}

static void
test_inner_message_may_not_reach_beyond_its_own_end(void **state)
{
	(void)state;
	/* next { name: says 5 bytes, but the message has 3 left }, followed by enough bytes */
	put_bytes(2,
		  "\x0a\x05"
		  "abc",
		  5);
	put_text(1, "0123456789");
	assert_int_equal(check_leaf(), -EBADMSG);
}

/* B26 */
static void
test_field_number_zero_and_huge_tags_are_refused(void **state)
{
	(void)state;
	put_varint(0 << 3 | 0);
	put_varint(1);
	assert_int_equal(check_leaf(), -EBADMSG);
	n = 0;
	put_varint((uint64_t)1 << 33);
	put_varint(1);
	assert_int_equal(check_leaf(), -EBADMSG);
}

static void
test_groups_and_reserved_wire_types_are_refused(void **state)
{
	const unsigned types[] = { 3, 4, 6, 7 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		n = 0;
		put_tag(100, types[i]);
		assert_int_equal(check_leaf(), -EBADMSG);
	}
}

static void
test_varint_of_more_than_64_bits_is_refused(void **state)
{
	(void)state;
	put_tag(3, 0);
	memset(bytes + n, 0xff, 9);
	n += 9;
	bytes[n++] = 0x01;
	assert_int_equal(check(), 0);
	bytes[n - 1] = 0x02;
	assert_int_equal(check(), -EBADMSG);
	bytes[n - 1] = 0x81;
	bytes[n++] = 0x00;
	assert_int_equal(check(), -EBADMSG);
}

static void
test_field_of_another_wire_type_is_refused(void **state)
{
	(void)state;
	put_id();
	put_tag(4, 0); /* name, as a varint */
	put_varint(1);
	assert_int_equal(check(), -EBADMSG);
	n = 0;
	put_bytes(3, "x", 1); /* id, singular, as bytes */
	assert_int_equal(check(), -EBADMSG);
}

/* B30: nested 16 deep passes, 17 does not. Leaf { Leaf { ... } } */
static void
nest(unsigned levels)
{
	n = 0;
	for (unsigned i = 1; i < levels; i++) {
		memmove(bytes + 8, bytes, n);
		size_t inner = n;
		n = 0;
		put_tag(2, 2);
		put_varint(inner);
		memmove(bytes + n, bytes + 8, inner);
		n += inner;
	}
}

static void
test_nesting_deeper_than_16_is_refused(void **state)
{
	(void)state;
	nest(16);
	assert_int_equal(check_leaf(), 0);
	nest(17);
	assert_int_equal(check_leaf(), -ELOOP);
	nest(10000);
	assert_true(n < BUS_MESSAGE_MAX_BYTES);
	assert_int_equal(check_leaf(), -ELOOP);
}

/* protobuf-c itself recurses as deep as it is told to: the scan must stand before it. */
static void *
unpack_deep(void *arg)
{
	ProtobufCMessage *message = NULL;

	(void)arg;
	nest(16000);
	return (void *)(intptr_t)bus_message_unpack(&boson__test__leaf__descriptor, bytes, n,
						    &message);
}

static void
test_deep_message_does_not_overrun_a_small_stack(void **state)
{
	pthread_attr_t small;
	pthread_t thread;
	void *r = NULL;

	(void)state;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 128 * 1024);
	assert_int_equal(pthread_create(&thread, &small, unpack_deep, NULL), 0);
	pthread_join(thread, &r);
	pthread_attr_destroy(&small);
	assert_int_equal((intptr_t)r, -ELOOP);
}

/* B32 */
static void
test_more_than_1024_elements_are_refused_however_they_come(void **state)
{
	static uint8_t zeros[8 * (BUS_ELEMENTS_MAX + 1)];

	(void)state;
	put_id();
	put_bytes(5, zeros, BUS_ELEMENTS_MAX);
	assert_int_equal(check(), 0);
	put_bytes(5, zeros, 1);
	assert_int_equal(check(), -E2BIG);
	n = 0;
	put_id();
	put_bytes(6, zeros, 8 * BUS_ELEMENTS_MAX);
	assert_int_equal(check(), 0);
	put_text(7, "one more");
	assert_int_equal(check(), -E2BIG);
	n = 0;
	put_id();
	for (int i = 0; i <= BUS_ELEMENTS_MAX; i++) {
		put_tag(5, 0); /* declared packed, sent one by one */
		put_varint(1);
	}
	assert_int_equal(check(), -E2BIG);
}

static void
test_elements_are_counted_over_all_levels(void **state)
{
	static uint8_t zeros[BUS_ELEMENTS_MAX];
	uint8_t inner[BUS_ELEMENTS_MAX + 16];
	size_t inner_bytes;

	(void)state;
	put_id();
	put_bytes(5, zeros, 600);
	inner_bytes = n;
	assert_true(n <= sizeof(inner));
	memcpy(inner, bytes, inner_bytes);
	n = 0;
	put_id();
	put_bytes(1, inner, inner_bytes);
	assert_int_equal(check(), 0);
	put_bytes(2, inner, inner_bytes);
	assert_int_equal(check(), -E2BIG);
}

static void
test_packed_fixed_numbers_must_come_whole(void **state)
{
	(void)state;
	put_id();
	put_bytes(6, "0123456", 7);
	assert_int_equal(check(), -EBADMSG);
}

static void
test_unknown_fields_pass_up_to_the_limit_of_elements(void **state)
{
	(void)state;
	put_id();
	put_text(100, "from the next version");
	assert_int_equal(check(), 0);
	for (int i = 0; i < BUS_ELEMENTS_MAX; i++) {
		put_tag(101, 0);
		put_varint(0);
	}
	assert_int_equal(check(), -E2BIG);
}

static void
test_unknown_fields_are_not_kept(void **state)
{
	Boson__Test__Tree *tree = NULL;
	static uint8_t inner[4096];
	size_t inner_bytes;

	(void)state;
	put_id();
	put_text(100, "new");
	inner_bytes = n;
	assert_true(n <= sizeof(inner));
	memcpy(inner, bytes, inner_bytes);
	put_bytes(1, inner, inner_bytes);
	put_bytes(2, inner, inner_bytes);
	assert_int_equal(bus_message_unpack(&boson__test__tree__descriptor, bytes, n,
					    (ProtobufCMessage **)&tree),
			 0);
	assert_int_equal(tree->base.n_unknown_fields, 0);
	assert_int_equal(tree->left->base.n_unknown_fields, 0);
	assert_int_equal(tree->leaves[0]->base.n_unknown_fields, 0);
	assert_int_equal(protobuf_c_message_get_packed_size(&tree->base), 2 + 2 + 2 + 2 + 2);
	boson__test__tree__free_unpacked(tree, NULL);
}

/* B36 */
static void
test_text_must_be_utf8_without_nul(void **state)
{
	static const struct {
		const char *text;
		size_t length;
		int r;
	} cases[] = {
		{ "plain", 5, 0 },
		{ "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, 0 },
		{ "", 0, 0 },
		{ "a\0b", 3, -EBADMSG },
		{ "\xff", 1, -EBADMSG },
		{ "\x80", 1, -EBADMSG },
		{ "\xc3", 1, -EBADMSG },	 /* cut */
		{ "\xc0\xaf", 2, -EBADMSG },	 /* over-long / */
		{ "\xe0\x80\xaf", 3, -EBADMSG }, /* longer */
		{ "\xed\xa0\x80", 3, -EBADMSG }, /* surrogate */
		{ "\xf4\x90\x80\x80", 4, -EBADMSG },
		{ "\xf5\x80\x80\x80", 4, -EBADMSG },
		{ "\xe2\x28\xa1", 3, -EBADMSG },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		n = 0;
		put_bytes(1, cases[i].text, cases[i].length);
		assert_int_equal(check_leaf(), cases[i].r);
	}
	n = 0;
	put_id();
	put_bytes(12, "\xff\0", 2); /* bytes are just bytes */
	assert_int_equal(check(), 0);
}

/* B38 */
static void
test_absent_required_field_is_refused_on_every_level(void **state)
{
	(void)state;
	put_text(4, "no id");
	assert_int_equal(check(), -EBADMSG);
	n = 0;
	put_id();
	put_bytes(1, "", 0);
	assert_int_equal(check(), -EBADMSG);
}

/* B40 */
static void
test_singular_field_that_comes_twice_is_refused(void **state)
{
	(void)state;
	put_id();
	put_id();
	assert_int_equal(check(), -EBADMSG);
	n = 0;
	put_id();
	put_text(10, "word");
	assert_int_equal(check(), 0);
	put_tag(11, 0); /* the oneof's other member */
	put_varint(1);
	assert_int_equal(check(), -EBADMSG);
	n = 0;
	put_text(1, "a");
	put_bytes(3,
		  "\x0a\x01"
		  "b",
		  3); /* the same field on another level is another field */
	put_bytes(3,
		  "\x0a\x01"
		  "b",
		  3);
	assert_int_equal(check_leaf(), 0);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_protobuf_packs_passes_and_unpacks_the_same),
		TEST(test_empty_message_passes_where_nothing_is_required),
		TEST(test_message_over_64_kib_is_too_large),
		TEST(test_every_truncation_is_refused),
		TEST(test_length_beyond_the_end_is_refused),
		TEST(test_inner_message_may_not_reach_beyond_its_own_end),
		TEST(test_field_number_zero_and_huge_tags_are_refused),
		TEST(test_groups_and_reserved_wire_types_are_refused),
		TEST(test_varint_of_more_than_64_bits_is_refused),
		TEST(test_field_of_another_wire_type_is_refused),
		TEST(test_nesting_deeper_than_16_is_refused),
		TEST(test_deep_message_does_not_overrun_a_small_stack),
		TEST(test_more_than_1024_elements_are_refused_however_they_come),
		TEST(test_elements_are_counted_over_all_levels),
		TEST(test_packed_fixed_numbers_must_come_whole),
		TEST(test_unknown_fields_pass_up_to_the_limit_of_elements),
		TEST(test_unknown_fields_are_not_kept),
		TEST(test_text_must_be_utf8_without_nul),
		TEST(test_absent_required_field_is_refused_on_every_level),
		TEST(test_singular_field_that_comes_twice_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
