/* SPDX-License-Identifier: MIT */
/* Parents that are opened for writing too: their locks, their replay, their writers, and how they end. */
#include <errno.h>
#include <sys/wait.h>

#include "support/newdisk.h"

#define MIB ((uint64_t)1 << 20)

static void make_chain(void)
{
	create("base.vhdx", VHDX_DYNAMIC, 8 * MIB, 0);
	create_child("mid.vhdx", "base.vhdx");
	create_child("leaf.vhdx", "mid.vhdx");
}

static int open_with(const char *path, uint32_t flags, unsigned write_parents,
		     struct vhdx **ret_disk)
{
	struct vhdx_open_options options = {
		.size = sizeof(options), .flags = flags, .write_parents = write_parents};

	return vhdx_open(path, &options, ret_disk);
}

static struct vhdx *open_for(const char *path, uint32_t flags, unsigned write_parents)
{
	struct vhdx *disk;

	assert_int_equal(open_with(path, flags, write_parents, &disk), 0);
	return disk;
}

static void put(struct vhdx *disk, uint64_t offset, char letter)
{
	char bytes[4096];

	memset(bytes, letter, sizeof(bytes));
	assert_int_equal(vhdx_pwrite(disk, bytes, sizeof(bytes), offset, 0), 0);
}

static void assert_holds(const char *path, uint64_t offset, char letter)
{
	struct vhdx *disk = open_for(path, 0, 0);
	char byte = 0;

	assert_int_equal(vhdx_pread(disk, &byte, 1, offset), 0);
	assert_int_equal(byte, letter);
	assert_int_equal(vhdx_close(disk), 0);
}

static void test_so_many_parents_are_locked_and_no_more(void **state)
{
	struct vhdx *disk, *other;

	(void)state;
	make_chain();
	disk = open_for("leaf.vhdx", VHDX_OPEN_WRITE, 1);
	assert_int_equal(open_with("mid.vhdx", VHDX_OPEN_NO_PARENT, 0, &other), -EAGAIN);
	vhdx_close(open_for("base.vhdx", 0, 0));
	assert_int_equal(open_with("base.vhdx", VHDX_OPEN_WRITE, 0, &other), -EAGAIN);
	assert_int_equal(vhdx_close(disk), 0);
	disk = open_for("leaf.vhdx", VHDX_OPEN_WRITE, 2);
	assert_int_equal(open_with("base.vhdx", 0, 0, &other), -EAGAIN);
	assert_int_equal(vhdx_close(disk), 0);
	vhdx_close(open_for("base.vhdx", VHDX_OPEN_WRITE, 0));
}

static void test_a_parent_that_others_read_is_not_opened_for_writing(void **state)
{
	struct vhdx *reader, *disk;

	(void)state;
	make_chain();
	reader = open_for("base.vhdx", 0, 0);
	assert_int_equal(open_with("leaf.vhdx", VHDX_OPEN_WRITE, 2, &disk), -EAGAIN);
	disk = open_for("leaf.vhdx", VHDX_OPEN_WRITE, 1);
	vhdx_close(disk);
	vhdx_close(reader);
}

static void test_more_parents_than_there_are_is_refused(void **state)
{
	struct vhdx *disk;

	(void)state;
	make_chain();
	assert_int_equal(open_with("leaf.vhdx", VHDX_OPEN_WRITE, 3, &disk), -EINVAL);
	assert_non_null(strstr(vhdx_last_error()->text, "2 parents"));
	assert_int_equal(open_with("leaf.vhdx", 0, 1, &disk), -EINVAL);
	assert_int_equal(open_with("leaf.vhdx", VHDX_OPEN_WRITE | VHDX_OPEN_NO_PARENT, 1, &disk),
			 -EINVAL);
	vhdx_close(open_for("leaf.vhdx", VHDX_OPEN_WRITE, 2)); /* no lock was left */
}

/* Of one session, without an end: the log stays. */
static void leave_dirty(const char *path, char letter)
{
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child) {
		struct vhdx *disk = open_for(path, VHDX_OPEN_WRITE, 0);

		put(disk, 0, letter);
		_exit(vhdx_flush(disk) != 0);
	}
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static enum vhdx_log_state log_state(const char *path)
{
	struct vhdx_info info = {.size = sizeof(info)};
	struct vhdx *disk = open_for(path, VHDX_OPEN_NO_PARENT, 0);

	vhdx_get_info(disk, &info);
	vhdx_close(disk);
	return info.log_state;
}

static void test_the_log_of_a_written_parent_is_replayed(void **state)
{
	(void)state;
	create("base.vhdx", VHDX_DYNAMIC, 8 * MIB, 0);
	leave_dirty("base.vhdx", 'b');
	create_child("mid.vhdx", "base.vhdx");
	create_child("leaf.vhdx", "mid.vhdx");
	vhdx_close(open_for("leaf.vhdx", VHDX_OPEN_WRITE, 1));
	assert_int_equal(log_state("base.vhdx"), VHDX_LOG_DIRTY);
	vhdx_close(open_for("leaf.vhdx", VHDX_OPEN_WRITE, 2));
	assert_int_equal(log_state("base.vhdx"), VHDX_LOG_CLEAN);
	assert_holds("leaf.vhdx", 0, 'b');
}

static void test_no_log_is_replayed_when_the_chain_is_refused(void **state)
{
	struct vhdx *disk;

	(void)state;
	create("base.vhdx", VHDX_DYNAMIC, 8 * MIB, 0);
	create_child("mid.vhdx", "base.vhdx");
	leave_dirty("mid.vhdx", 'm');
	create_child("leaf.vhdx", "mid.vhdx");
	leave_dirty("base.vhdx", 'b'); /* which breaks mid */
	assert_int_equal(open_with("leaf.vhdx", VHDX_OPEN_WRITE, 1, &disk), -EUCLEAN);
	assert_int_equal(log_state("mid.vhdx"), VHDX_LOG_DIRTY);
	assert_int_equal(log_state("base.vhdx"), VHDX_LOG_DIRTY);
}

/* The base breaks its child by that, so it is read alone. */
static void test_disks_of_a_chain_are_written_beside_each_other(void **state)
{
	struct vhdx *leaf;

	(void)state;
	make_chain();
	leaf = open_for("leaf.vhdx", VHDX_OPEN_WRITE, 2);
	struct vhdx *base = vhdx_get_parent(vhdx_get_parent(leaf));

	for (uint64_t at = 0; at < 4 * MIB; at += MIB) {
		put(leaf, at, 'l');
		put(base, 4 * MIB + at, 'b');
	}
	assert_int_equal(vhdx_flush(base), 0);
	char byte = 0;

	assert_int_equal(vhdx_pread(leaf, &byte, 1, 6 * MIB), 0);
	assert_int_equal(byte, 'b');
	assert_int_equal(vhdx_close(leaf), 0);
	assert_int_equal(log_state("leaf.vhdx"), VHDX_LOG_CLEAN);
	assert_int_equal(log_state("base.vhdx"), VHDX_LOG_CLEAN);
	assert_holds("base.vhdx", 7 * MIB, 'b');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_so_many_parents_are_locked_and_no_more),
		SCRATCH_TEST(test_a_parent_that_others_read_is_not_opened_for_writing),
		SCRATCH_TEST(test_more_parents_than_there_are_is_refused),
		SCRATCH_TEST(test_the_log_of_a_written_parent_is_replayed),
		SCRATCH_TEST(test_no_log_is_replayed_when_the_chain_is_refused),
		SCRATCH_TEST(test_disks_of_a_chain_are_written_beside_each_other),
	};

	return RUN_TESTS(tests);
}
