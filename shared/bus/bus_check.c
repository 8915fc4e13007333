/*
 * bus_check: the pre-scan of wire bytes before protobuf_c_message_unpack, which recurses as deep as
 * the bytes tell it to and allocates as much. One pass, a fixed stack of BUS_DEPTH_MAX levels; the
 * work is bounded by the number of bytes.
 *
 * Format: protobuf.dev "Encoding". Stricter than protobuf: groups, a singular field twice (B40), a
 * second member of a oneof, an absent required field (B38), text with NUL or bad UTF-8 (B36) and
 * over-long varints are refused. Unknown fields are allowed, and counted as elements.
 */
#include "bus/bus_check.h"

#include "bus/bus.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

enum { FIELDS_MAX = 128 }; /* fields of one message type that are looked after for doubles */

struct level {
	const ProtobufCMessageDescriptor *type;
	const uint8_t *end;
	uint64_t seen[FIELDS_MAX / 64]; /* by index of the field in the descriptor */
};

struct scan {
	const uint8_t *at;
	struct level levels[BUS_DEPTH_MAX];
	size_t depth; /* levels in use */
	struct bus_check_seen *seen;
};

/* 0 or -EBADMSG. At most ten bytes, and no more than 64 bits. */
static int
take_varint(const uint8_t **at, const uint8_t *end, uint64_t *ret)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 70 && *at < end; shift += 7) {
		uint8_t byte = *(*at)++;
		if (shift == 63 && byte > 1)
			return -EBADMSG;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret = value;
			return 0;
		}
	}
	return -EBADMSG;
}

static int
count_elements(struct scan *scan, size_t n)
{
	if (n > BUS_ELEMENTS_MAX - scan->seen->elements)
		return -E2BIG;
	scan->seen->elements += (uint32_t)n;
	return 0;
}

/* How many bytes at p are plain ASCII but NUL, eight at a time. */
static size_t
ascii_run(const uint8_t *p, size_t n)
{
	const uint64_t ones = 0x0101010101010101, tops = 0x8080808080808080;
	size_t i = 0;
	uint64_t word;

	for (; n - i >= sizeof(word); i += sizeof(word)) {
		memcpy(&word, p + i, sizeof(word));
		/* With no top bit set, taking one away sets it in a zero byte only. */
		if ((word | (word - ones)) & tops)
			break;
	}
	return i;
}

/* RFC 3629, and no NUL. */
static bool
is_text(const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n;

	for (p += ascii_run(p, n); p < end;) {
		uint8_t a = *p++;
		size_t more = a < 0x80 ? 0 : a < 0xe0 ? 1 : a < 0xf0 ? 2 : 3;
		if (a == 0 || (a >= 0x80 && a < 0xc2) || a > 0xf4 || more > (size_t)(end - p))
			return false;
		if ((a == 0xe0 && p[0] < 0xa0) || (a == 0xed && p[0] > 0x9f) ||
		    (a == 0xf0 && p[0] < 0x90) || (a == 0xf4 && p[0] > 0x8f))
			return false;
		for (; more > 0; more--) {
			if ((*p++ & 0xc0) != 0x80)
				return false;
		}
	}
	return true;
}

static enum wire_type
wire_type_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return WIRE_32;
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return WIRE_64;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		return WIRE_BYTES;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_BOOL:
	case PROTOBUF_C_TYPE_ENUM:
	default:
		return WIRE_VARINT;
	}
}

static int
scan_packed(struct scan *scan, enum wire_type type, const uint8_t *bytes, size_t n)
{
	const uint8_t *end = bytes + n;
	uint64_t ignored;
	int r = 0;

	if (type != WIRE_VARINT) {
		size_t width = type == WIRE_32 ? 4 : 8;
		return n % width ? -EBADMSG : count_elements(scan, n / width);
	}
	while (r == 0 && bytes < end) {
		r = take_varint(&bytes, end, &ignored);
		if (r == 0)
			r = count_elements(scan, 1);
	}
	return r;
}

static bool
is_marked(const struct level *level, size_t index)
{
	return index < FIELDS_MAX && (level->seen[index / 64] >> (index % 64) & 1);
}

static bool
oneof_is_taken(const struct level *level, const ProtobufCFieldDescriptor *field)
{
	for (size_t i = 0; i < level->type->n_fields; i++) {
		const ProtobufCFieldDescriptor *other = &level->type->fields[i];
		if ((other->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) && is_marked(level, i) &&
		    other->quantifier_offset == field->quantifier_offset)
			return true;
	}
	return false;
}

/* Remembers that a field came; a singular one may come once only. */
static int
mark_field(struct scan *scan, struct level *level, const ProtobufCFieldDescriptor *field)
{
	size_t index = (size_t)(field - level->type->fields);

	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return 0;
	if (is_marked(level, index))
		return -EBADMSG;
	if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) && oneof_is_taken(level, field))
		return -EBADMSG;
	if (index < FIELDS_MAX)
		level->seen[index / 64] |= (uint64_t)1 << (index % 64);
	else
		return count_elements(scan, 1);
	return 0;
}

static bool
required_are_there(const struct level *level)
{
	for (size_t i = 0; i < level->type->n_fields; i++) {
		if (level->type->fields[i].label == PROTOBUF_C_LABEL_REQUIRED &&
		    !is_marked(level, i) && i < FIELDS_MAX)
			return false;
	}
	return true;
}

static int
enter(struct scan *scan, const ProtobufCMessageDescriptor *type, const uint8_t *end)
{
	if (scan->depth == BUS_DEPTH_MAX)
		return -ELOOP;
	scan->levels[scan->depth++] = (struct level){ .type = type, .end = end };
	return 0;
}

/* A field with a length: at stands on its first byte. */
static int
scan_bytes(struct scan *scan, const ProtobufCFieldDescriptor *field, size_t n)
{
	const uint8_t *bytes = scan->at;

	if (field && field->type == PROTOBUF_C_TYPE_MESSAGE)
		return enter(scan, field->descriptor, bytes + n);
	scan->at += n;
	if (!field || field->type == PROTOBUF_C_TYPE_BYTES)
		return 0;
	if (field->type == PROTOBUF_C_TYPE_STRING)
		return is_text(bytes, n) ? 0 : -EBADMSG;
	return scan_packed(scan, wire_type_of(field->type), bytes, n);
}

static int
scan_value(struct scan *scan, const ProtobufCFieldDescriptor *field, enum wire_type type)
{
	const uint8_t *end = scan->levels[scan->depth - 1].end;
	uint64_t value = 0;

	if (type == WIRE_32 || type == WIRE_64) {
		size_t width = type == WIRE_32 ? 4 : 8;
		if ((size_t)(end - scan->at) < width)
			return -EBADMSG;
		scan->at += width;
		return 0;
	}
	int r = take_varint(&scan->at, end, &value);
	if (r < 0 || type == WIRE_VARINT)
		return r;
	if (value > (size_t)(end - scan->at))
		return -EBADMSG;
	return scan_bytes(scan, field, (size_t)value);
}

static bool
is_repeated(const ProtobufCFieldDescriptor *field)
{
	return field->label == PROTOBUF_C_LABEL_REPEATED;
}

/* Does the field come as its declaration says? A packed array counts its elements itself. */
static int
admit_field(struct scan *scan, const ProtobufCFieldDescriptor *field, enum wire_type type)
{
	enum wire_type declared = wire_type_of(field->type);

	if (type == declared) {
		int r = mark_field(scan, &scan->levels[scan->depth - 1], field);
		return r < 0 || !is_repeated(field) ? r : count_elements(scan, 1);
	}
	if (type == WIRE_BYTES && is_repeated(field))
		return 0;
	return -EBADMSG;
}

static int
scan_field(struct scan *scan)
{
	struct level *level = &scan->levels[scan->depth - 1];
	uint64_t tag = 0;
	int r = take_varint(&scan->at, level->end, &tag);

	if (r < 0)
		return r;
	if (tag > UINT32_MAX || tag >> 3 == 0)
		return -EBADMSG;
	unsigned type = tag & 7;
	if (type != WIRE_VARINT && type != WIRE_64 && type != WIRE_BYTES && type != WIRE_32)
		return -EBADMSG;
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field(level->type, (unsigned)(tag >> 3));
	if (!field) {
		scan->seen->unknown++;
		r = count_elements(scan, 1);
	} else {
		r = admit_field(scan, field, (enum wire_type)type);
	}
	return r < 0 ? r : scan_value(scan, field, (enum wire_type)type);
}

int
bus_check_scan(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t n,
	       struct bus_check_seen *ret_seen)
{
	static const uint8_t nothing[1];
	struct scan scan;
	int r = 0;

	*ret_seen = (struct bus_check_seen){ 0 };
	if (n > BUS_MESSAGE_MAX_BYTES)
		return -EMSGSIZE;
	scan.at = n > 0 ? bytes : nothing;
	scan.depth = 0;
	scan.seen = ret_seen;
	enter(&scan, type, scan.at + n);
	while (r == 0 && scan.depth > 0) {
		const struct level *level = &scan.levels[scan.depth - 1];
		if (scan.at < level->end)
			r = scan_field(&scan);
		else if (required_are_there(level))
			scan.depth--;
		else
			r = -EBADMSG;
	}
	return r;
}
