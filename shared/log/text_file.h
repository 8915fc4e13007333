/*
 * text_file: a stream into memory that says when there was too little of it. open_memstream does
 * not: glibc drops what finds no room and reports no error, neither then nor at the end, and a rule
 * set would lack rules. Any thread, each file by one at a time.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

struct text_file {
	FILE *stream; /* to be written to; nothing else of it is the caller's */
	char *bytes;
	size_t n, capacity;
};

/* 0 or -ENOMEM. The struct must stay where it is until it is closed. */
int text_file_open(struct text_file *file);

/* 0 and what was written, malloc'd and with a NUL behind it, which ret_n does not count (it may be
 * NULL); or -ENOMEM and NULL. */
int text_file_close(struct text_file *file, char **ret_text, size_t *ret_n);
