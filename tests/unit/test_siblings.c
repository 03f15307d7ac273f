/* SPDX-License-Identifier: MIT */
/* A writable open warns of the children that lie beside its file. */
#include <errno.h>
#include <sys/stat.h>

#include "support/newdisk.h"

#define MIB ((uint64_t)1 << 20)

/* What was warned of, one line after the other. */
static char warnings[4096];

static void note_warning(void *opaque, const char *file, const char *text)
{
	size_t used = strlen(warnings);

	(void)opaque;
	snprintf(warnings + used, sizeof(warnings) - used, "%s: %s\n", file, text);
}

static int open_with(const char *path, uint32_t flags)
{
	struct vhdx_open_options options = {
		.size = sizeof(options), .flags = flags, .warning = note_warning};
	struct vhdx *disk;

	warnings[0] = 0;
	int ret = vhdx_open(path, &options, &disk);

	return ret ? ret : vhdx_close(disk);
}

/* Lines that name @child; each open gives others. */
static unsigned warned_of(const char *path, const char *child)
{
	char expected[256];
	unsigned count = 0;

	assert_int_equal(open_with(path, VHDX_OPEN_WRITE), 0);
	snprintf(expected, sizeof(expected), "is the parent of %s beside it", child);
	for (const char *at = warnings; (at = strstr(at, expected)); at++)
		count++;
	return count;
}

static void make_family(void)
{
	create("base.vhdx", VHDX_DYNAMIC, 8 * MIB, 0);
	create_child("child.avhdx", "base.vhdx");
}

static void test_a_child_beside_its_parent_is_warned_of(void **state)
{
	(void)state;
	make_family();
	assert_int_equal(warned_of("base.vhdx", "child.avhdx"), 1);
	assert_string_equal(warnings,
			    "base.vhdx: is the parent of child.avhdx beside it: to change "
			    "its contents breaks that child\n");
}

static void test_the_child_itself_and_other_disks_give_no_warning(void **state)
{
	(void)state;
	make_family();
	create("other.vhdx", VHDX_DYNAMIC, 8 * MIB, 0);
	assert_int_equal(open_with("child.avhdx", VHDX_OPEN_WRITE), 0);
	assert_string_equal(warnings, "");
	assert_int_equal(open_with("other.vhdx", VHDX_OPEN_WRITE), 0);
	assert_string_equal(warnings, "");
}

static void test_reading_the_parent_gives_no_warning(void **state)
{
	(void)state;
	make_family();
	assert_int_equal(open_with("base.vhdx", 0), 0);
	assert_string_equal(warnings, "");
}

static void test_a_child_of_another_name_or_another_disk_is_none_of_ours(void **state)
{
	(void)state;
	make_family();
	create("again.vhdx", VHDX_DYNAMIC, 8 * MIB, 0); /* the child's names, another identity */
	assert_int_equal(rename("base.vhdx", "renamed.vhdx"), 0);
	assert_int_equal(rename("again.vhdx", "base.vhdx"), 0);
	assert_int_equal(open_with("base.vhdx", VHDX_OPEN_WRITE), 0);
	assert_string_equal(warnings, "");
	assert_int_equal(open_with("renamed.vhdx", VHDX_OPEN_WRITE), 0);
	assert_string_equal(warnings, "");
}

static void test_names_are_compared_without_regard_to_case(void **state)
{
	(void)state;
	make_family();
	assert_int_equal(rename("base.vhdx", "BASE.VHDX"), 0);
	assert_int_equal(warned_of("BASE.VHDX", "child.avhdx"), 1);
}

static void test_the_child_may_have_any_name_and_the_parent_any_path(void **state)
{
	(void)state;
	make_family();
	assert_int_equal(rename("child.avhdx", "notes.txt"), 0);
	assert_int_equal(symlink("base.vhdx", "link"), 0);
	assert_int_equal(mkdir("folder", 0755), 0);
	assert_int_equal(warned_of("./folder/../base.vhdx", "notes.txt"), 1);
	assert_int_equal(warned_of("link", "notes.txt"), 1);
}

static void test_what_is_no_child_is_passed_over(void **state)
{
	(void)state;
	make_family();
	assert_int_equal(mkdir("folder", 0755), 0);
	assert_int_equal(mkfifo("pipe", 0644), 0);
	assert_int_equal(symlink("child.avhdx", "link"), 0);
	assert_int_equal(symlink("nowhere", "dangling"), 0);
	scratch_write("empty", "", 0, 0);
	scratch_write("short", "vhdx", 4, 0);
	scratch_write("cut", "vhdxfile", 8, 0);
	scratch_write("text", "no disk at all, only some text", 30, 0);
	assert_int_equal(warned_of("base.vhdx", "child.avhdx"), 1);
	assert_null(strchr(strchr(warnings, '\n') + 1, '\n'));
}

static void test_a_child_in_use_is_seen_and_left_alone(void **state)
{
	struct vhdx_open_options options = {.size = sizeof(options),
					    .flags = VHDX_OPEN_WRITE | VHDX_OPEN_NO_PARENT};
	struct vhdx *child;

	(void)state;
	make_family();
	assert_int_equal(vhdx_open("child.avhdx", &options, &child), 0);
	assert_int_equal(warned_of("base.vhdx", "child.avhdx"), 1);
	assert_int_equal(vhdx_close(child), 0);
}

static void test_a_damaged_child_is_passed_over(void **state)
{
	(void)state;
	make_family();
	scratch_write("child.avhdx", "lost", 4, 64 * 1024);
	scratch_write("child.avhdx", "lost", 4, 128 * 1024);
	assert_int_equal(warned_of("base.vhdx", "child.avhdx"), 0);
}

static void test_few_of_many_children_are_named(void **state)
{
	char name[64];

	(void)state;
	make_family();
	for (int i = 0; i < 9; i++) {
		snprintf(name, sizeof(name), "child%d.vhdx", i);
		create_child(name, "base.vhdx");
	}
	assert_int_equal(open_with("base.vhdx", VHDX_OPEN_WRITE), 0);
	unsigned lines = 0;

	for (const char *at = warnings; (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, 4);
}

static void test_a_name_that_is_no_line_is_made_one(void **state)
{
	(void)state;
	make_family();
	assert_int_equal(rename("child.avhdx", "two\nlines"), 0);
	assert_int_equal(warned_of("base.vhdx", "two?lines"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_a_child_beside_its_parent_is_warned_of),
		SCRATCH_TEST(test_the_child_itself_and_other_disks_give_no_warning),
		SCRATCH_TEST(test_reading_the_parent_gives_no_warning),
		SCRATCH_TEST(test_a_child_of_another_name_or_another_disk_is_none_of_ours),
		SCRATCH_TEST(test_names_are_compared_without_regard_to_case),
		SCRATCH_TEST(test_the_child_may_have_any_name_and_the_parent_any_path),
		SCRATCH_TEST(test_what_is_no_child_is_passed_over),
		SCRATCH_TEST(test_a_child_in_use_is_seen_and_left_alone),
		SCRATCH_TEST(test_a_damaged_child_is_passed_over),
		SCRATCH_TEST(test_few_of_many_children_are_named),
		SCRATCH_TEST(test_a_name_that_is_no_line_is_made_one),
	};

	return RUN_TESTS(tests);
}
