/*
 * lab_inside: between lab.c (networks and life) and lab_answers.c (the gateway).
 */
#pragma once

#include "lab.h"

size_t lab_answer_http(const char *request, const char *body, char *ret, size_t capacity,
		       void *arg);
