/* agent_identity: three small files. */
#include "agent/agent_identity.h"
#include "identity/state_file.h"
#include "log/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

/* L18: a file that others may read is 77, one that is not what it should be 65. */
static int
exit_code(const char *path, int error)
{
	const char *hint = error == -EPERM ? "it must be ours and 0600" : strerrordesc_np(-error);

	log_error("identity_not_loaded", "path=%s reason=%s", path, hint);
	switch (error) {
	case -EPERM:
	case -EACCES:
	case -ELOOP:
		return EX_NOPERM;
	case -EINVAL:
	case -EFBIG:
		return EX_DATAERR;
	default:
		return EX_CANTCREAT;
	}
}

int
agent_identity_load_key(const char *path, struct key *ret_private)
{
	int r = key_file_load_or_create(path, ret_private);

	return r < 0 ? exit_code(path, r) : 0;
}

static int
read_node_id(const char *path, char ret_text[UUID_TEXT_BYTES])
{
	char line[UUID_TEXT_BYTES + 2];
	uint8_t id[UUID_BYTES];
	ssize_t n = state_file_read(path, false, line, sizeof(line));

	if (n < 0)
		return (int)n;
	if (n > 0 && line[n - 1] == '\n')
		line[n - 1] = '\0';
	if (uuid_parse(line, id) < 0)
		return -EINVAL;
	memcpy(ret_text, line, UUID_TEXT_BYTES);
	return 0;
}

static int
create_node_id(const char *path)
{
	char line[UUID_TEXT_BYTES + 1];
	int r = uuid_generate_text(line);

	if (r < 0)
		return r;
	line[UUID_TEXT_BYTES - 1] = '\n';
	r = state_file_create(path, 0644, line, UUID_TEXT_BYTES);
	return r == -EEXIST ? 0 : r;
}

int
agent_identity_load_node_id(const char *path, char ret_text[UUID_TEXT_BYTES])
{
	int r = read_node_id(path, ret_text);

	if (r == -ENOENT) {
		r = create_node_id(path);
		if (r == 0)
			r = read_node_id(path, ret_text);
	}
	return r < 0 ? exit_code(path, r) : 0;
}

int
agent_identity_load_access_key(const char *path, char *ret_text, size_t capacity)
{
	ssize_t n;

	ret_text[0] = '\0';
	if (!path[0])
		return 0;
	n = state_file_read(path, true, ret_text, capacity);
	if (n < 0)
		return exit_code(path, (int)n);
	ret_text[strcspn(ret_text, "\r\n")] = '\0';
	return 0;
}
