/* text_file: see the header. */
#include "log/text_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_FILE_FIRST_BYTES = 1024 };

/* stdio takes less than n for an error of the stream, and keeps it in mind. */
static ssize_t
take(void *arg, const char *bytes, size_t n)
{
	struct text_file *file = arg;

	if (file->capacity - file->n <= n) {
		size_t capacity = 2 * file->capacity + n + TEXT_FILE_FIRST_BYTES;
		char *grown = realloc(file->bytes, capacity);

		if (grown == NULL)
			return 0;
		file->bytes = grown;
		file->capacity = capacity;
	}
	memcpy(file->bytes + file->n, bytes, n);
	file->n += n;
	file->bytes[file->n] = '\0';
	return (ssize_t)n;
}

int
text_file_open(struct text_file *file)
{
	*file = (struct text_file){ .bytes = calloc(1, 1), .capacity = 1 };
	if (file->bytes != NULL)
		file->stream = fopencookie(file, "w", (cookie_io_functions_t){ .write = take });
	if (file->stream != NULL)
		return 0;
	free(file->bytes);
	return -ENOMEM;
}

int
text_file_close(struct text_file *file, char **ret_text, size_t *ret_n)
{
	int has_failed = ferror(file->stream);

	*ret_text = NULL;
	if (fclose(file->stream) != 0 || has_failed) {
		free(file->bytes);
		return -ENOMEM;
	}
	*ret_text = file->bytes;
	if (ret_n != NULL)
		*ret_n = file->n;
	return 0;
}
