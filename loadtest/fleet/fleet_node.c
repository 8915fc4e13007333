/* Identities, and what the kernel says of discovery. See fleet.h. */
#include "fleet.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void
fleet_node_init(struct fleet_node *node, uint64_t number)
{
	uint64_t big = htobe64(number);

	memset(node->id, 0x4a, sizeof(node->id));
	memcpy(node->id + 8, &big, sizeof(big));
	uuid_format(node->id, node->id_text);
	memset(&node->key, 0x5b, sizeof(node->key));
	memcpy(node->key.bytes, &big, sizeof(big));
}

int64_t
fleet_cpu_us(const struct fleet *fleet)
{
	unsigned long user = 0, system = 0;
	char path[64], line[1024];
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", fleet->pid);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	if (fgets(line, sizeof(line), file) != NULL && strrchr(line, ')') != NULL)
		(void)sscanf(strrchr(line, ')'),
			     ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
			     &system);
	(void)fclose(file);
	return (int64_t)(user + system) * 1000000 / sysconf(_SC_CLK_TCK);
}

int64_t
fleet_rss_bytes(const struct fleet *fleet)
{
	long pages = 0;
	char path[64];
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%ld/statm", fleet->pid);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	if (fscanf(file, "%*d %ld", &pages) != 1)
		pages = 0;
	(void)fclose(file);
	return pages * sysconf(_SC_PAGESIZE);
}
