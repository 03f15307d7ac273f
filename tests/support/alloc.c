/* SPDX-License-Identifier: MIT */
/* malloc and its kin, wrapped by the linker: counted, and refused on demand. For one thread. */
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "support/alloc.h"

static size_t bytes;
static size_t pieces;
static size_t peak;
static size_t base;
static unsigned long until_failure;
static bool failed;
static unsigned paused;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
void __wrap_free(void *memory);

static bool refuse(void)
{
	if (paused || !until_failure || --until_failure)
		return false;
	failed = true;
	return true;
}

static void *count(void *memory)
{
	if (!memory)
		return NULL;
	pieces++;
	bytes += malloc_usable_size(memory);
	if (bytes > peak)
		peak = bytes;
	return memory;
}

static void discount(void *memory)
{
	if (!memory)
		return;
	size_t size = malloc_usable_size(memory);

	/* What libc gave, as realpath does, was never counted. */
	if (pieces)
		pieces--;
	bytes = bytes > size ? bytes - size : 0;
}

void *__wrap_malloc(size_t size)
{
	return refuse() ? NULL : count(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return refuse() ? NULL : count(__real_calloc(n, size));
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return refuse() ? NULL : count(__real_aligned_alloc(alignment, size));
}

void *__wrap_realloc(void *old, size_t size)
{
	if (refuse())
		return NULL;
	size_t old_size = old ? malloc_usable_size(old) : 0;
	void *memory = __real_realloc(old, size);

	if (!memory)
		return NULL;
	if (old) {
		pieces--;
		bytes -= old_size;
	}
	return count(memory);
}

char *__wrap_strdup(const char *text)
{
	char *copy = __wrap_malloc(strlen(text) + 1);

	return copy ? strcpy(copy, text) : NULL;
}

void __wrap_free(void *memory)
{
	discount(memory);
	__real_free(memory);
}

size_t alloc_bytes(void)
{
	return bytes;
}

size_t alloc_pieces(void)
{
	return pieces;
}

size_t alloc_peak(void)
{
	return peak - base;
}

void alloc_reset_peak(void)
{
	base = bytes;
	peak = bytes;
}

void alloc_fail_nth(unsigned long nth)
{
	until_failure = nth;
	failed = false;
}

void alloc_pause(bool pause)
{
	if (pause)
		paused++;
	else
		paused--;
}

bool alloc_has_failed(void)
{
	return failed;
}
