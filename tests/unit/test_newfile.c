/* SPDX-License-Identifier: MIT */
/* A new file appears whole or not at all: with nameless files, and where the file system has none. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <vhdx.h>

#include "store/io.h"
#include "store/newfile.h"
#include "support/scratch.h"

static bool without_tmpfile;
static bool without_noreplace;
static bool without_proc;

/* Takes libc's place: a file system that knows no O_TMPFILE. */
int openat(int folder, const char *path, int flags, ...)
{
	va_list args;

	va_start(args, flags);
	mode_t mode = va_arg(args, mode_t);

	va_end(args);
	if (without_tmpfile && (flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return (int)syscall(SYS_openat, folder, path, flags, mode);
}

/* No /proc, as in a bare root. */
int access(const char *path, int mode)
{
	if (without_proc && !strncmp(path, "/proc/", 6)) {
		errno = ENOENT;
		return -1;
	}
	return faccessat(AT_FDCWD, path, mode, 0);
}

/* And one that knows no RENAME_NOREPLACE, as NFS. */
int renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
	if (without_noreplace) {
		errno = EINVAL;
		return -1;
	}
	return (int)syscall(SYS_renameat2, from, old, to, new, flags);
}

static void start(const char *path, bool replace, struct new_file *file)
{
	assert_int_equal(vhdx_new_file(path, replace, false, file), 0);
	assert_int_equal(vhdx_io_write(&file->io, "new", 3, 0), 0);
}

static void assert_contents(const char *path, const char *text)
{
	size_t size;
	uint8_t *bytes = scratch_read(path, &size);

	assert_int_equal(size, strlen(text));
	assert_memory_equal(bytes, text, size);
	free(bytes);
}

static void test_it_has_no_name_before_it_is_published(void **state)
{
	struct new_file file;

	(void)state;
	start("file", false, &file);
	assert_int_equal(scratch_count(), 0);
	assert_int_equal(vhdx_new_file_publish(&file, true), 0);
	assert_int_equal(scratch_count(), 1);
	assert_contents("file", "new");
}

static void test_discarding_leaves_nothing(void **state)
{
	struct new_file file;

	(void)state;
	start("file", false, &file);
	vhdx_new_file_discard(&file);
	assert_int_equal(scratch_count(), 0);
}

static void test_discarding_nothing_is_allowed(void **state)
{
	struct new_file file = {0};

	(void)state;
	vhdx_new_file_discard(NULL);
	vhdx_new_file_discard(&file);
	assert_true(fcntl(0, F_GETFD) >= 0 || errno == EBADF);
}

static void test_a_kill_leaves_nothing(void **state)
{
	(void)state;
	pid_t child = fork();

	if (!child) {
		struct new_file file;

		start("file", false, &file);
		raise(SIGKILL);
	}
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(scratch_count(), 0);
}

static void test_what_exists_is_refused(void **state)
{
	struct new_file file;

	(void)state;
	scratch_write("file", "old", 3, 0);
	assert_int_equal(vhdx_new_file("file", false, false, &file), -EEXIST);
	assert_string_equal(vhdx_last_error()->file, "file");
	assert_contents("file", "old");
}

static void test_who_is_faster_keeps_the_name(void **state)
{
	struct new_file file;

	(void)state;
	start("file", false, &file);
	scratch_write("file", "other", 5, 0);
	assert_int_equal(vhdx_new_file_publish(&file, true), -EEXIST);
	assert_int_equal(scratch_count(), 1);
	assert_contents("file", "other");
}

static void test_replacing_happens_at_the_end(void **state)
{
	struct new_file file;

	(void)state;
	scratch_write("file", "old one", 7, 0);
	start("file", true, &file);
	assert_contents("file", "old one");
	assert_int_equal(vhdx_new_file_publish(&file, true), 0);
	assert_contents("file", "new");
	assert_int_equal(scratch_count(), 1);
}

static void test_replacing_needs_nothing_there(void **state)
{
	struct new_file file;

	(void)state;
	start("file", true, &file);
	assert_int_equal(vhdx_new_file_publish(&file, false), 0);
	assert_contents("file", "new");
}

static void test_a_link_stays_and_its_target_is_replaced(void **state)
{
	struct new_file file;
	struct stat st;

	(void)state;
	assert_int_equal(mkdir("folder", 0755), 0);
	scratch_write("folder/target", "old", 3, 0);
	assert_int_equal(symlink("folder/target", "link"), 0);
	start("link", true, &file);
	assert_int_equal(vhdx_new_file_publish(&file, true), 0);
	assert_contents("folder/target", "new");
	assert_int_equal(lstat("link", &st), 0);
	assert_true(S_ISLNK(st.st_mode));
}

static void test_a_link_to_nothing_is_refused(void **state)
{
	struct new_file file;

	(void)state;
	assert_int_equal(symlink("nowhere", "link"), 0);
	assert_int_equal(vhdx_new_file("link", true, false, &file), -ENOENT);
	assert_int_equal(vhdx_new_file("link", false, false, &file), -EEXIST);
	assert_int_equal(scratch_count(), 1);
}

static void test_a_folder_is_refused(void **state)
{
	struct new_file file;

	(void)state;
	assert_int_equal(mkdir("folder", 0755), 0);
	assert_int_equal(vhdx_new_file("folder", true, false, &file), -EISDIR);
	assert_int_equal(vhdx_new_file("folder/", true, false, &file), -EISDIR);
	assert_int_equal(vhdx_new_file(".", false, false, &file), -EISDIR);
}

static void test_a_special_file_is_refused(void **state)
{
	struct new_file file;

	(void)state;
	assert_int_equal(mkfifo("fifo", 0644), 0);
	assert_int_equal(vhdx_new_file("fifo", true, false, &file), -EINVAL);
}

static void test_a_missing_folder_is_named(void **state)
{
	struct new_file file;

	(void)state;
	assert_int_equal(vhdx_new_file("folder/file", false, false, &file), -ENOENT);
	assert_non_null(strstr(vhdx_last_error()->text, "folder"));
	assert_int_equal(vhdx_new_file("", false, false, &file), -ENOENT);
}

static void test_the_mode_follows_the_umask(void **state)
{
	mode_t before = umask(027);
	struct new_file file;
	struct stat st;

	(void)state;
	start("file", false, &file);
	assert_int_equal(vhdx_new_file_publish(&file, false), 0);
	umask(before);
	assert_int_equal(stat("file", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
}

static void test_without_nameless_files_a_hidden_name_is_used(void **state)
{
	struct new_file file;

	(void)state;
	without_tmpfile = true;
	start("file", false, &file);
	assert_int_equal(scratch_count(), 1);
	assert_int_equal(access("file", F_OK), -1);
	assert_int_equal(vhdx_new_file_publish(&file, true), 0);
	assert_int_equal(scratch_count(), 1);
	assert_contents("file", "new");
	without_tmpfile = false;
}

static void test_without_proc_a_hidden_name_is_used(void **state)
{
	struct new_file file;

	(void)state;
	without_proc = true;
	start("file", false, &file);
	assert_int_equal(scratch_count(), 1);
	assert_int_equal(vhdx_new_file_publish(&file, true), 0);
	assert_int_equal(scratch_count(), 1);
	assert_contents("file", "new");
	without_proc = false;
}

static void test_a_hidden_name_goes_when_it_is_discarded(void **state)
{
	struct new_file file;

	(void)state;
	without_tmpfile = true;
	start("file", false, &file);
	vhdx_new_file_discard(&file);
	assert_int_equal(scratch_count(), 0);
	without_tmpfile = false;
}

static void test_a_hidden_name_replaces(void **state)
{
	struct new_file file;

	(void)state;
	without_tmpfile = true;
	scratch_write("file", "old one", 7, 0);
	start("file", true, &file);
	assert_int_equal(vhdx_new_file_publish(&file, true), 0);
	assert_int_equal(scratch_count(), 1);
	assert_contents("file", "new");
	without_tmpfile = false;
}

static void test_a_hidden_name_does_not_take_anothers(void **state)
{
	struct new_file file;

	(void)state;
	without_tmpfile = true;
	for (int i = 0; i < 2; i++) {
		without_noreplace = i;
		start("file", false, &file);
		scratch_write("file", "other", 5, 0);
		assert_int_equal(vhdx_new_file_publish(&file, true), -EEXIST);
		assert_int_equal(scratch_count(), 1);
		assert_contents("file", "other");
		assert_int_equal(unlink("file"), 0);
	}
	without_tmpfile = without_noreplace = false;
}

static void test_without_exclusive_renames_links_are_used(void **state)
{
	struct new_file file;

	(void)state;
	without_tmpfile = without_noreplace = true;
	start("file", false, &file);
	assert_int_equal(vhdx_new_file_publish(&file, true), 0);
	assert_int_equal(scratch_count(), 1);
	assert_contents("file", "new");
	without_tmpfile = without_noreplace = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_it_has_no_name_before_it_is_published),
		SCRATCH_TEST(test_discarding_leaves_nothing),
		SCRATCH_TEST(test_discarding_nothing_is_allowed),
		SCRATCH_TEST(test_a_kill_leaves_nothing),
		SCRATCH_TEST(test_what_exists_is_refused),
		SCRATCH_TEST(test_who_is_faster_keeps_the_name),
		SCRATCH_TEST(test_replacing_happens_at_the_end),
		SCRATCH_TEST(test_replacing_needs_nothing_there),
		SCRATCH_TEST(test_a_link_stays_and_its_target_is_replaced),
		SCRATCH_TEST(test_a_link_to_nothing_is_refused),
		SCRATCH_TEST(test_a_folder_is_refused),
		SCRATCH_TEST(test_a_special_file_is_refused),
		SCRATCH_TEST(test_a_missing_folder_is_named),
		SCRATCH_TEST(test_the_mode_follows_the_umask),
		SCRATCH_TEST(test_without_nameless_files_a_hidden_name_is_used),
		SCRATCH_TEST(test_without_proc_a_hidden_name_is_used),
		SCRATCH_TEST(test_a_hidden_name_goes_when_it_is_discarded),
		SCRATCH_TEST(test_a_hidden_name_replaces),
		SCRATCH_TEST(test_a_hidden_name_does_not_take_anothers),
		SCRATCH_TEST(test_without_exclusive_renames_links_are_used),
	};

	return RUN_TESTS(tests);
}
