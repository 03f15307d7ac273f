/* SPDX-License-Identifier: MIT */
/* Who may have a file open while it is written: nobody else, and of its parents everybody who reads. */
#include <errno.h>
#include <stdbool.h>
#include <sys/wait.h>

#include "support/newdisk.h"

#define MIB ((uint64_t)1 << 20)

static int open_with(const char *path, uint32_t flags, struct vhdx **ret_disk)
{
	struct vhdx_open_options options = {.size = sizeof(options), .flags = flags};

	return vhdx_open(path, &options, ret_disk);
}

static struct vhdx *open_for(const char *path, uint32_t flags)
{
	struct vhdx *disk;

	assert_int_equal(open_with(path, flags, &disk), 0);
	return disk;
}

static void assert_locked(const char *path, uint32_t flags)
{
	struct vhdx *disk;

	assert_int_equal(open_with(path, flags, &disk), -EAGAIN);
	assert_non_null(strstr(vhdx_last_error()->file, path));
	assert_non_null(strstr(vhdx_last_error()->text,
			       flags & VHDX_OPEN_WRITE ? "is in use by another process"
						       : "is open for writing in another process"));
}

static void test_a_writer_keeps_out_writers_and_readers(void **state)
{
	struct vhdx *disk;

	(void)state;
	create("disk.vhdx", VHDX_DYNAMIC, 8 * MIB, 0);
	disk = open_for("disk.vhdx", VHDX_OPEN_WRITE);
	assert_locked("disk.vhdx", VHDX_OPEN_WRITE);
	assert_locked("disk.vhdx", VHDX_OPEN_WRITE | VHDX_OPEN_NO_LOCK);
	assert_locked("disk.vhdx", 0);
	assert_int_equal(vhdx_close(open_for("disk.vhdx", VHDX_OPEN_FORCE_SHARE)), 0);
	assert_locked("disk.vhdx", 0); /* which took no lock away */
	assert_int_equal(vhdx_close(disk), 0);
	assert_int_equal(vhdx_close(open_for("disk.vhdx", VHDX_OPEN_WRITE)), 0);
	assert_int_equal(vhdx_close(open_for("disk.vhdx", 0)), 0);
}

static void test_a_reader_keeps_out_writers(void **state)
{
	struct vhdx *disk;

	(void)state;
	create("disk.vhdx", VHDX_DYNAMIC, 8 * MIB, 0);
	disk = open_for("disk.vhdx", 0);
	assert_locked("disk.vhdx", VHDX_OPEN_WRITE);
	assert_int_equal(vhdx_close(open_for("disk.vhdx", 0)), 0);
	assert_locked("disk.vhdx", VHDX_OPEN_WRITE);
	assert_int_equal(vhdx_close(disk), 0);
	assert_int_equal(vhdx_close(open_for("disk.vhdx", VHDX_OPEN_WRITE)), 0);
}

static void test_a_parent_is_shared_and_not_written(void **state)
{
	struct vhdx *child, *other;

	(void)state;
	create("base.vhdx", VHDX_DYNAMIC, 8 * MIB, 0);
	create_child("child.vhdx", "base.vhdx");
	create_child("other.vhdx", "base.vhdx");
	child = open_for("child.vhdx", VHDX_OPEN_WRITE);
	other = open_for("other.vhdx", VHDX_OPEN_WRITE);
	assert_int_equal(vhdx_close(open_for("base.vhdx", 0)), 0);
	assert_locked("base.vhdx", VHDX_OPEN_WRITE);
	assert_int_equal(vhdx_close(other), 0);
	assert_locked("base.vhdx", VHDX_OPEN_WRITE);
	assert_int_equal(vhdx_close(child), 0);
	assert_int_equal(vhdx_close(open_for("base.vhdx", VHDX_OPEN_WRITE)), 0);
}

static void test_a_parent_that_is_written_keeps_its_children_closed(void **state)
{
	struct vhdx *base;

	(void)state;
	create("base.vhdx", VHDX_DYNAMIC, 8 * MIB, 0);
	create_child("child.vhdx", "base.vhdx");
	base = open_for("base.vhdx", VHDX_OPEN_WRITE);
	struct vhdx *child;

	assert_int_equal(open_with("child.vhdx", VHDX_OPEN_WRITE, &child), -EAGAIN);
	assert_non_null(strstr(vhdx_last_error()->file, "base.vhdx"));
	assert_int_equal(open_with("child.vhdx", 0, &child), -EAGAIN);
	assert_int_equal(vhdx_close(base), 0);
	assert_int_equal(vhdx_close(open_for("child.vhdx", VHDX_OPEN_WRITE)), 0);
}

static void test_an_image_that_is_its_own_parent_is_told_so(void **state)
{
	struct vhdx *disk;

	(void)state;
	create("base.vhdx", VHDX_DYNAMIC, 8 * MIB, 0);
	create_child("child.vhdx", "base.vhdx");
	assert_int_equal(rename("child.vhdx", "base.vhdx"), 0);
	assert_int_equal(open_with("base.vhdx", VHDX_OPEN_WRITE, &disk), -EUCLEAN);
	assert_int_equal(vhdx_last_error()->problem, 823);
	assert_int_equal(open_with("base.vhdx", 0, &disk), -EUCLEAN);
	assert_int_equal(vhdx_last_error()->problem, 823);
}

/* The exit status of a process that does no more than to open the disk: 0, or 1 when it is locked. */
static int status_of_other_process(const char *path, uint32_t flags)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		struct vhdx *disk;
		int ret = open_with(path, flags, &disk);

		_exit(ret ? ret == -EAGAIN ? 1 : 2 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

/* Locks of POSIX would go with the first close of any descriptor, and not pass to a child at all. */
static void test_the_lock_survives_a_fork_and_its_end(void **state)
{
	struct vhdx *disk;

	(void)state;
	create("disk.vhdx", VHDX_DYNAMIC, 8 * MIB, 0);
	disk = open_for("disk.vhdx", VHDX_OPEN_WRITE);
	assert_int_equal(status_of_other_process("disk.vhdx", VHDX_OPEN_WRITE), 1);
	assert_int_equal(status_of_other_process("disk.vhdx", 0), 1);
	close(open("disk.vhdx", O_RDWR));
	assert_int_equal(status_of_other_process("disk.vhdx", VHDX_OPEN_WRITE), 1);
	assert_int_equal(vhdx_close(disk), 0);
	assert_int_equal(status_of_other_process("disk.vhdx", VHDX_OPEN_WRITE), 0);
}

/* Opens in this process while another holds the disk, until @held_ms after it was asked to let go. */
static int open_while_held(unsigned held_ms, unsigned wait_ms)
{
	struct vhdx_open_options options = {
		.size = sizeof(options), .flags = VHDX_OPEN_WRITE, .lock_wait_ms = wait_ms};
	struct vhdx *disk;
	int holds[2];
	char byte = 0;

	assert_int_equal(pipe(holds), 0);
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		int ret = open_with("disk.vhdx", VHDX_OPEN_WRITE, &disk);

		ret = write(holds[1], &byte, 1) == 1 ? ret : -EIO;
		usleep(held_ms * 1000);
		_exit(ret ? 1 : 0);
	}
	assert_int_equal(read(holds[0], &byte, 1), 1);
	int ret = vhdx_open("disk.vhdx", &options, &disk);

	close(holds[0]);
	close(holds[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return ret ? ret : vhdx_close(disk);
}

static void test_an_open_waits_for_a_lock_as_long_as_it_is_told(void **state)
{
	(void)state;
	create("disk.vhdx", VHDX_DYNAMIC, 8 * MIB, 0);
	assert_int_equal(open_while_held(300, 60000), 0);
	assert_int_equal(open_while_held(2000, 20), -EAGAIN);
	assert_int_equal(open_while_held(300, 0), -EAGAIN);
}

/* As a daemon does: who opened the disk ends, and its child goes on with it. */
static void test_a_child_process_keeps_the_lock_of_its_parent(void **state)
{
	int go_on[2];
	struct vhdx *disk;
	char byte;

	(void)state;
	create("disk.vhdx", VHDX_DYNAMIC, 8 * MIB, 0);
	disk = open_for("disk.vhdx", VHDX_OPEN_WRITE);
	assert_int_equal(pipe(go_on), 0);
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		close(go_on[1]);
		_exit(read(go_on[0], &byte, 1) ? 1 : 0);
	}
	assert_int_equal(vhdx_close(disk), 0);
	assert_locked("disk.vhdx", VHDX_OPEN_WRITE);
	close(go_on[0]);
	close(go_on[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(vhdx_close(open_for("disk.vhdx", VHDX_OPEN_WRITE)), 0);
}

static bool works(const char *command)
{
	return !system(command);
}

static void test_qemu_keeps_off_what_we_write(void **state)
{
	struct vhdx *disk;

	(void)state;
	if (!works("qemu-img --version >out 2>&1") || !works("qemu-io --version >out 2>&1"))
		skip();
	create("disk.vhdx", VHDX_DYNAMIC, 8 * MIB, 0);
	disk = open_for("disk.vhdx", VHDX_OPEN_WRITE);
	assert_false(works("qemu-img info -f vhdx disk.vhdx >out 2>&1"));
	assert_true(works("grep -q lock out"));
	assert_false(works("qemu-io -r -f vhdx -c 'read 0 512' disk.vhdx >out 2>&1"));
	assert_true(works("grep -q lock out"));
	assert_false(works("qemu-io -f vhdx -c 'write 0 512' disk.vhdx >out 2>&1"));
	assert_true(works("grep -q lock out"));
	assert_int_equal(vhdx_close(disk), 0);
	assert_true(works("qemu-io -f vhdx -c 'write 0 512' disk.vhdx >out 2>&1"));
	assert_int_equal(vhdx_close(open_for("disk.vhdx", VHDX_OPEN_WRITE)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_a_writer_keeps_out_writers_and_readers),
		SCRATCH_TEST(test_a_reader_keeps_out_writers),
		SCRATCH_TEST(test_a_parent_is_shared_and_not_written),
		SCRATCH_TEST(test_a_parent_that_is_written_keeps_its_children_closed),
		SCRATCH_TEST(test_an_image_that_is_its_own_parent_is_told_so),
		SCRATCH_TEST(test_the_lock_survives_a_fork_and_its_end),
		SCRATCH_TEST(test_an_open_waits_for_a_lock_as_long_as_it_is_told),
		SCRATCH_TEST(test_a_child_process_keeps_the_lock_of_its_parent),
		SCRATCH_TEST(test_qemu_keeps_off_what_we_write),
	};

	return RUN_TESTS(tests);
}
