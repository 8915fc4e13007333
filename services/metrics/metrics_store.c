/* metrics_store: tables samples and usage. */
#include "metrics/metrics_store.h"

#include <errno.h>

static const struct store_migration migrations[] = {
	{ 1, "samples and usage",
	  "CREATE TABLE samples ("
	  " node_id TEXT NOT NULL PRIMARY KEY,"
	  " at BIGINT NOT NULL," /* epoch ms */
	  " figures BYTEA NOT NULL);"
	  "CREATE TABLE usage ("
	  " session_id TEXT NOT NULL PRIMARY KEY,"
	  " node_id TEXT NOT NULL,"
	  " before_up BIGINT NOT NULL," /* bytes, as the next three */
	  " before_down BIGINT NOT NULL,"
	  " last_up BIGINT NOT NULL,"
	  " last_down BIGINT NOT NULL,"
	  " reported_at BIGINT NOT NULL);" /* epoch ms */
	  "CREATE INDEX usage_by_age ON usage (reported_at)" },
};

int
metrics_store_open(const char *url, struct store **ret, char *ret_error, size_t error_bytes)
{
	return store_open(url, migrations, sizeof(migrations) / sizeof(migrations[0]), ret,
			  ret_error, error_bytes);
}

int
metrics_store_put_sample(struct store *store, const struct sample *sample)
{
	char node_id[UUID_TEXT_BYTES];

	uuid_format(sample->node_id, node_id);
	return store_exec(store,
			  "INSERT INTO samples (node_id, at, figures) VALUES ($1, $2, $3)"
			  " ON CONFLICT (node_id) DO UPDATE SET at = excluded.at,"
			  " figures = excluded.figures",
			  (struct store_value[]){
				  store_text(node_id), STORE_V_INT(sample->timestamp_ms),
				  store_blob(sample->figures, sample->figures_bytes) },
			  3) < 0
		       ? -EIO
		       : 0;
}

static int64_t
clamp(uint64_t bytes)
{
	return bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
}

int
metrics_store_put_usage(struct store *store, const struct usage_record *record)
{
	char session_id[UUID_TEXT_BYTES], node_id[UUID_TEXT_BYTES];

	uuid_format(record->session_id, session_id);
	uuid_format(record->node_id, node_id);
	return store_exec(store,
			  "INSERT INTO usage (session_id, node_id, before_up, before_down, last_up,"
			  " last_down, reported_at) VALUES ($1, $2, $3, $4, $5, $6, $7)"
			  " ON CONFLICT (session_id) DO UPDATE SET node_id = excluded.node_id,"
			  " before_up = excluded.before_up, before_down = excluded.before_down,"
			  " last_up = excluded.last_up, last_down = excluded.last_down,"
			  " reported_at = excluded.reported_at",
			  (struct store_value[]){ store_text(session_id), store_text(node_id),
						  STORE_V_INT(clamp(record->before_up)),
						  STORE_V_INT(clamp(record->before_down)),
						  STORE_V_INT(clamp(record->last_up)),
						  STORE_V_INT(clamp(record->last_down)),
						  STORE_V_INT(record->reported_at_ms) },
			  7) < 0
		       ? -EIO
		       : 0;
}

int
metrics_store_forget_usage(struct store *store, int64_t reported_before_ms)
{
	return store_exec(store, "DELETE FROM usage WHERE reported_at < $1",
			  (struct store_value[]){ STORE_V_INT(reported_before_ms) }, 1) < 0
		       ? -EIO
		       : 0;
}

struct load {
	struct samples *samples;
	struct usages *usages;
	int64_t now_ms;
};

/* Rows have a NUL after each text. */
static const char *
text_of(const struct store_value *value)
{
	return value->type == STORE_TEXT ? value->data.bytes : "";
}

static int
load_sample(const struct store_value *row, size_t columns, void *arg)
{
	const struct load *load = arg;
	uint8_t node_id[UUID_BYTES];

	(void)columns;
	if (uuid_parse(text_of(&row[0]), node_id) != 0 || row[2].type != STORE_BLOB)
		return -EBADMSG;
	return samples_put(load->samples, node_id, row[1].integer, row[2].data.bytes, row[2].data.n,
			   SAMPLES_NEVER);
}

static int
load_usage(const struct store_value *row, size_t columns, void *arg)
{
	const struct load *load = arg;
	struct usage_record record;

	(void)columns;
	if (uuid_parse(text_of(&row[0]), record.session_id) != 0 ||
	    uuid_parse(text_of(&row[1]), record.node_id) != 0)
		return -EBADMSG;
	record.before_up = (uint64_t)row[2].integer;
	record.before_down = (uint64_t)row[3].integer;
	record.last_up = (uint64_t)row[4].integer;
	record.last_down = (uint64_t)row[5].integer;
	record.reported_at_ms = row[6].integer;
	return usages_load(load->usages, &record, load->now_ms);
}

int
metrics_store_load(struct store *store, struct samples *samples, struct usages *usages,
		   int64_t now_ms)
{
	struct load load = { samples, usages, now_ms };
	int n = store_query(store, "SELECT node_id, at, figures FROM samples", NULL, 0, load_sample,
			    &load);

	if (n >= 0)
		n = store_query(store,
				"SELECT session_id, node_id, before_up, before_down, last_up,"
				" last_down, reported_at FROM usage ORDER BY reported_at",
				NULL, 0, load_usage, &load);
	return n < 0 ? n : 0;
}
