/* SPDX-License-Identifier: MIT */
/* Names of processes tell whether those still live. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "maker.h"
#include "support/unit.h"

static void test_a_living_process_is_known(void **state)
{
	char name[MAKER_SIZE];

	(void)state;
	maker_self(name);
	assert_true(maker_lives(name));
}

static void test_a_dead_process_does_not_live(void **state)
{
	char name[MAKER_SIZE] = "";
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();

	if (!pid) {
		maker_self(name);
		_exit(write(ends[1], name, sizeof(name)) != sizeof(name));
	}
	assert_int_equal(read(ends[0], name, sizeof(name)), sizeof(name));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(maker_lives(name));
	close(ends[0]);
	close(ends[1]);
}

/* The last number is when it began. */
static void test_another_process_of_the_same_number_is_told_apart(void **state)
{
	char name[MAKER_SIZE];

	(void)state;
	maker_self(name);
	strcat(name, "1");
	assert_false(maker_lives(name));
}

static void test_of_another_machine_nothing_is_sure(void **state)
{
	char name[MAKER_SIZE];

	(void)state;
	maker_self(name);
	name[0] = name[0] == 'a' ? 'b' : 'a';
	assert_false(maker_lives(name));
	assert_false(maker_lives(""));
	assert_false(maker_lives("nowhere 1 1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_living_process_is_known),
		cmocka_unit_test(test_a_dead_process_does_not_live),
		cmocka_unit_test(test_another_process_of_the_same_number_is_told_apart),
		cmocka_unit_test(test_of_another_machine_nothing_is_sure),
	};

	return RUN_TESTS(tests);
}
