/*
 * store_postgresql_values: our values on their way to PostgreSQL and back, by its binary formats.
 */
#include "store/store_postgresql.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS_MAX = 64, VALUE_MAX_BYTES = 64 * 1024 * 1024 };

/* Of the types our tables use, from PostgreSQL's pg_type.dat. */
enum {
	OID_BOOL = 16,
	OID_BYTEA = 17,
	OID_NAME = 19,
	OID_INT8 = 20,
	OID_INT2 = 21,
	OID_INT4 = 23,
	OID_TEXT = 25,
	OID_FLOAT4 = 700,
	OID_FLOAT8 = 701,
	OID_BPCHAR = 1042,
	OID_VARCHAR = 1043,
};

int
pg_values_put(struct postgresql *db, const struct store_value *values, size_t n,
	      struct pg_values *ret)
{
	if (n > PG_PARAMETERS_MAX) {
		snprintf(db->reason, sizeof(db->reason), "more than %d values", PG_PARAMETERS_MAX);
		return -EIO;
	}
	ret->n = (int)n;
	for (size_t i = 0; i < n; i++) {
		const struct store_value *value = &values[i];

		ret->bytes[i] = ret->numbers[i];
		ret->lengths[i] = ret->formats[i] = 0;
		switch (value->type) {
		case STORE_NULL:
			ret->bytes[i] = NULL;
			break;
		case STORE_INT: /* as text, whose type the server finds out */
			snprintf(ret->numbers[i], sizeof(ret->numbers[i]), "%lld",
				 (long long)value->integer);
			break;
		case STORE_REAL:
			snprintf(ret->numbers[i], sizeof(ret->numbers[i]), "%.17g", value->real);
			break;
		case STORE_TEXT:
		case STORE_BLOB:
			if (value->data.n > VALUE_MAX_BYTES) {
				snprintf(db->reason, sizeof(db->reason), "value too long");
				return -EIO;
			}
			ret->bytes[i] = value->data.bytes != NULL ? value->data.bytes : "";
			ret->lengths[i] = (int)value->data.n;
			ret->formats[i] = 1;
			break;
		}
	}
	return 0;
}

static int64_t
integer_of(const char *bytes, int n)
{
	int64_t eight;
	int32_t four;
	int16_t two;

	switch (n) {
	case 8:
		memcpy(&eight, bytes, sizeof(eight));
		return (int64_t)be64toh((uint64_t)eight);
	case 4:
		memcpy(&four, bytes, sizeof(four));
		return (int32_t)be32toh((uint32_t)four);
	case 2:
		memcpy(&two, bytes, sizeof(two));
		return (int16_t)be16toh((uint16_t)two);
	case 1:
		return *bytes;
	default:
		return 0;
	}
}

static double
real_of(const char *bytes, int n)
{
	int64_t bits = integer_of(bytes, n);
	uint32_t half = (uint32_t)bits;
	double whole;
	float single;

	if (n == (int)sizeof(single)) {
		memcpy(&single, &half, sizeof(single));
		return (double)single;
	}
	memcpy(&whole, &bits, sizeof(whole));
	return whole;
}

static int
read_column(const PGresult *result, int row, int column, struct store_value *ret)
{
	const char *bytes = PQgetvalue(result, row, column); /* a NUL follows it */
	int n = PQgetlength(result, row, column);

	if (PQgetisnull(result, row, column)) {
		*ret = STORE_V_NULL;
		return 0;
	}
	switch (PQftype(result, column)) {
	case OID_BOOL:
	case OID_INT2:
	case OID_INT4:
	case OID_INT8:
		*ret = STORE_V_INT(integer_of(bytes, n));
		return 0;
	case OID_FLOAT4:
	case OID_FLOAT8:
		*ret = STORE_V_REAL(real_of(bytes, n));
		return 0;
	case OID_TEXT:
	case OID_NAME:
	case OID_BPCHAR:
	case OID_VARCHAR:
	case OID_BYTEA:
		ret->type = PQftype(result, column) == OID_BYTEA ? STORE_BLOB : STORE_TEXT;
		ret->data.bytes = bytes;
		ret->data.n = (size_t)n;
		return 0;
	default:
		return -EIO;
	}
}

int
pg_rows_read(struct postgresql *db, const PGresult *result, store_row_fn fn, void *arg)
{
	struct store_value row[COLUMNS_MAX];
	int columns = PQnfields(result), rows = PQntuples(result);

	if (columns > COLUMNS_MAX) {
		snprintf(db->reason, sizeof(db->reason), "more than %d columns", COLUMNS_MAX);
		return -EIO;
	}
	for (int i = 0; i < rows; i++) {
		int stop;

		for (int k = 0; k < columns; k++)
			if (read_column(result, i, k, &row[k]) < 0) {
				snprintf(db->reason, sizeof(db->reason), "column %d has type %u", k,
					 PQftype(result, k));
				return -EIO;
			}
		stop = fn(row, (size_t)columns, arg);
		if (stop != 0)
			return stop;
	}
	return rows;
}
