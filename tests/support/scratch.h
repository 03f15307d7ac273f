/* SPDX-License-Identifier: MIT */
/* A folder of a test's own, which it works in and which is gone afterwards; and files in it. */
#ifndef TESTS_SUPPORT_SCRATCH_H
#define TESTS_SUPPORT_SCRATCH_H

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/unit.h"

static inline int scratch_remove(const char *path, const struct stat *st, int kind,
				 struct FTW *place)
{
	(void)st;
	(void)kind;
	(void)place;
	return remove(path);
}

/* cmocka's setup and teardown of one test. */
static inline int scratch_enter(void **state)
{
	const char *where = getenv("TMPDIR");
	char *path;

	if (asprintf(&path, "%s/vhdx-test-XXXXXX", where ? where : "/tmp") < 0 || !mkdtemp(path))
		return -1;
	*state = path;
	return chdir(path);
}

static inline int scratch_leave(void **state)
{
	int ret = chdir("/") || nftw(*state, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);

	free(*state);
	return ret;
}

#define SCRATCH_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_enter, scratch_leave)

static inline void scratch_write(const char *name, const void *buf, size_t size, uint64_t offset)
{
	int fd = open(name, O_WRONLY | O_CREAT, 0644);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, buf, size, (off_t)offset), size);
	assert_int_equal(close(fd), 0);
}

static inline void scratch_resize(const char *name, uint64_t size)
{
	int fd = open(name, O_WRONLY | O_CREAT, 0644);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(close(fd), 0);
}

static inline uint64_t scratch_size(const char *name)
{
	struct stat st;

	assert_int_equal(stat(name, &st), 0);
	return (uint64_t)st.st_size;
}

/* Space that the file really takes. */
static inline uint64_t scratch_space(const char *name)
{
	struct stat st;

	assert_int_equal(stat(name, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

/* The whole file, to be freed. */
static inline uint8_t *scratch_read(const char *name, size_t *ret_size)
{
	size_t size = (size_t)scratch_size(name);
	uint8_t *buf = malloc(size + 1);
	int fd = open(name, O_RDONLY);

	assert_true(buf && fd >= 0);
	assert_int_equal(read(fd, buf, size), size);
	assert_int_equal(close(fd), 0);
	*ret_size = size;
	return buf;
}

static inline void scratch_assert_same(const char *a, const char *b)
{
	size_t a_size, b_size;
	uint8_t *a_bytes = scratch_read(a, &a_size);
	uint8_t *b_bytes = scratch_read(b, &b_size);

	assert_int_equal(a_size, b_size);
	assert_int_equal(memcmp(a_bytes, b_bytes, a_size), 0);
	free(a_bytes);
	free(b_bytes);
}

/* Names in the folder, hidden ones too. */
static inline unsigned scratch_count(void)
{
	DIR *folder = opendir(".");
	unsigned count = 0;

	assert_non_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count - 2; /* itself and its parent */
}

#endif
