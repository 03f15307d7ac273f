/* SPDX-License-Identifier: MIT */
/* This thread's last error, errors that are kept, and the table of problems. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "support/unit.h"

static void test_a_failure_is_told_whole(void **state)
{
	(void)state;
	int ret = vhdx_fail(-EUCLEAN, PROBLEM_BLOCK_STATE, "a file", 77, "found %d (expected %s)",
			    4, "6");
	const struct vhdx_error *error = vhdx_last_error();

	assert_int_equal(ret, -EUCLEAN);
	assert_int_equal(error->errnum, -EUCLEAN);
	assert_int_equal(error->problem, 602);
	assert_string_equal(error->file, "a file");
	assert_int_equal(error->offset, 77);
	assert_string_equal(error->text, "found 4 (expected 6)");
}

static void test_a_failure_without_a_file_has_an_empty_name(void **state)
{
	(void)state;
	vhdx_fail(-EIO, NO_PROBLEM, "a file", 1, "x");
	assert_int_equal(vhdx_fail(-EIO, NO_PROBLEM, NULL, VHDX_NO_OFFSET, "y"), -EIO);
	assert_string_equal(vhdx_last_error()->file, "");
	assert_true(vhdx_last_error()->offset == VHDX_NO_OFFSET);
}

static void test_a_failed_call_adds_the_reason(void **state)
{
	(void)state;
	assert_int_equal(vhdx_fail_errno(-ENOSPC, "f", "writing %d", 3), -ENOSPC);
	assert_string_equal(vhdx_last_error()->text, "writing 3: No space left on device");
	assert_int_equal(vhdx_last_error()->errnum, -ENOSPC);
	assert_int_equal(vhdx_last_error()->problem, 0);
}

static void test_arguments_and_memory_have_errnos_of_their_own(void **state)
{
	(void)state;
	assert_int_equal(vhdx_fail_argument("no %s", "disk"), -EINVAL);
	assert_int_equal(vhdx_last_error()->errnum, -EINVAL);
	assert_int_equal(vhdx_fail_memory(), -ENOMEM);
	assert_int_equal(vhdx_last_error()->errnum, -ENOMEM);
	assert_string_not_equal(vhdx_last_error()->text, "");
}

static void test_the_last_errors_own_texts_are_arguments(void **state)
{
	(void)state;
	vhdx_fail(-EIO, NO_PROBLEM, "file", 5, "inner");
	vhdx_fail(-EIO, NO_PROBLEM, vhdx_last_error()->file, 6, "outer: %s",
		  vhdx_last_error()->text);
	assert_string_equal(vhdx_last_error()->text, "outer: inner");
	assert_string_equal(vhdx_last_error()->file, "file");
	vhdx_fail(-EIO, NO_PROBLEM, NULL, 7, "%s, in %s", vhdx_last_error()->text,
		  vhdx_last_error()->file);
	assert_string_equal(vhdx_last_error()->text, "outer: inner, in file");
}

static void test_texts_that_are_too_long_are_cut(void **state)
{
	char file[8192];

	(void)state;
	memset(file, 'f', sizeof(file));
	file[sizeof(file) - 1] = 0;
	vhdx_fail(-EIO, NO_PROBLEM, file, 0, "%s%s", file, file);
	assert_true(strlen(vhdx_last_error()->text) > 500);
	assert_true(strlen(vhdx_last_error()->text) < sizeof(file));
	vhdx_fail_errno(-EIO, file, "%s", file);
	assert_true(strlen(vhdx_last_error()->file) < sizeof(file));
}

/* Returns @opaque when something is wrong. */
static void *fail_elsewhere(void *opaque)
{
	if (vhdx_last_error()->errnum || strcmp(vhdx_last_error()->text, "") != 0)
		return opaque;
	vhdx_fail(-EIO, NO_PROBLEM, "there", 1, "elsewhere");
	return strcmp(vhdx_last_error()->text, "elsewhere") ? opaque : NULL;
}

static void test_each_thread_has_an_error_of_its_own(void **state)
{
	pthread_t thread;
	void *result;
	int anything;

	(void)state;
	vhdx_fail(-EUCLEAN, NO_PROBLEM, "here", 2, "mine");
	pthread_create(&thread, NULL, fail_elsewhere, &anything);
	pthread_join(thread, &result);
	assert_null(result);
	assert_string_equal(vhdx_last_error()->text, "mine");
	assert_string_equal(vhdx_last_error()->file, "here");
}

static void test_a_kept_error_is_raised_again(void **state)
{
	struct kept_error kept;

	(void)state;
	vhdx_fail(-EUCLEAN, PROBLEM_BLOCK_PLACE, "first", 9, "kept");
	vhdx_error_keep(&kept);
	vhdx_fail(-EIO, NO_PROBLEM, "second", 1, "newer");
	assert_string_equal(kept.error.text, "kept");
	assert_int_equal(vhdx_error_raise(&kept), -EUCLEAN);
	const struct vhdx_error *error = vhdx_last_error();

	assert_int_equal(error->errnum, -EUCLEAN);
	assert_int_equal(error->problem, 606);
	assert_string_equal(error->file, "first");
	assert_int_equal(error->offset, 9);
	assert_string_equal(error->text, "kept");
	vhdx_error_drop(&kept);
	assert_string_equal(vhdx_last_error()->text, "kept"); /* not of the dropped memory */
	vhdx_error_drop(&kept);
}

static void test_text_from_an_image_stays_one_line(void **state)
{
	(void)state;
	vhdx_fail(-EUCLEAN, NO_PROBLEM, NULL, 0, "key %s", "a\nb\r\tc\x1b[2J\x7f");
	for (const char *at = vhdx_last_error()->text; *at; at++)
		assert_true((unsigned char)*at >= 0x20 && *at != 0x7f);
}

static void test_problems_are_numbered_in_order(void **state)
{
	unsigned before = 0;
	size_t index = 0;
	const struct vhdx_problem *problem;

	(void)state;
	for (; (problem = vhdx_problem_at(index)); index++) {
		assert_true(problem->number > before);
		assert_true(problem->number >= 100 && problem->number < 1000);
		assert_ptr_equal(vhdx_get_problem(problem->number), problem);
		before = problem->number;
	}
	assert_true(index > 50);
	assert_null(vhdx_problem_at(SIZE_MAX));
	assert_null(vhdx_get_problem(0));
	assert_null(vhdx_get_problem(100));
}

static void test_problems_have_unique_names_and_say_everything(void **state)
{
	const struct vhdx_problem *problem;

	(void)state;
	for (size_t i = 0; (problem = vhdx_problem_at(i)); i++) {
		assert_true(problem->section[0] >= '1' && problem->section[0] <= '9');
		assert_string_not_equal(problem->name, "");
		assert_string_not_equal(problem->text, "");
		assert_non_null(problem->mend);
		assert_null(strchr(problem->text, '\n'));
		assert_true(problem->severity <= VHDX_FOREIGN);
		assert_int_equal(strspn(problem->name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"),
				 strlen(problem->name));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(problem->name, vhdx_problem_at(j)->name);
	}
}

static void test_foreign_images_are_not_supported_the_others_unclean(void **state)
{
	(void)state;
	assert_int_equal(vhdx_problem_errno(PROBLEM_IDENTIFIER), -ENOTSUP);
	assert_int_equal(vhdx_problem_errno(PROBLEM_REGION_UNKNOWN_REQUIRED), -ENOTSUP);
	assert_int_equal(vhdx_problem_errno(PROBLEM_HEADERS_BOTH_BAD), -EUCLEAN);
	assert_int_equal(vhdx_problem_errno(PROBLEM_BLOCK_STATE), -EUCLEAN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_failure_is_told_whole),
		cmocka_unit_test(test_a_failure_without_a_file_has_an_empty_name),
		cmocka_unit_test(test_a_failed_call_adds_the_reason),
		cmocka_unit_test(test_arguments_and_memory_have_errnos_of_their_own),
		cmocka_unit_test(test_the_last_errors_own_texts_are_arguments),
		cmocka_unit_test(test_texts_that_are_too_long_are_cut),
		cmocka_unit_test(test_each_thread_has_an_error_of_its_own),
		cmocka_unit_test(test_a_kept_error_is_raised_again),
		cmocka_unit_test(test_text_from_an_image_stays_one_line),
		cmocka_unit_test(test_problems_are_numbered_in_order),
		cmocka_unit_test(test_problems_have_unique_names_and_say_everything),
		cmocka_unit_test(test_foreign_images_are_not_supported_the_others_unclean),
	};

	return RUN_TESTS(tests);
}
