/* SPDX-License-Identifier: MIT */
/* Memory that storage lends: it knows its own, all of it and no more. */
#include <stdlib.h>

#include "lent.h"
#include "support/unit.h"

#define SIZE 8192u

static void test_what_is_lent_is_known_to_its_last_byte(void **state)
{
	struct lent lent;

	(void)state;
	lent_init(&lent);
	char *buf = lent_get(&lent, SIZE);

	assert_non_null(buf);
	assert_int_equal((uintptr_t)buf % 4096, 0);
	assert_true(lent_has(&lent, buf, SIZE));
	assert_true(lent_has(&lent, buf + SIZE - 1, 1));
	assert_false(lent_has(&lent, buf + 1, SIZE));
	assert_false(lent_has(&lent, buf + SIZE, 1));
	assert_false(lent_has(&lent, buf - 1, 1));
	lent_put(&lent, buf, false);
	lent_free(&lent);
}

static void test_what_was_given_back_is_not_known_any_more(void **state)
{
	struct lent lent;

	(void)state;
	lent_init(&lent);
	char *buf = lent_get(&lent, SIZE);

	lent_put(&lent, buf, true);
	assert_false(lent_has(&lent, buf, 1));
	buf[0] = 1; /* it is in use, so that it was not freed */
	free(buf);
	lent_free(&lent);
}

static void test_so_many_are_lent_and_no_more(void **state)
{
	void *bufs[LENT_MAX];
	struct lent lent;

	(void)state;
	lent_init(&lent);
	for (unsigned i = 0; i < LENT_MAX; i++)
		assert_non_null(bufs[i] = lent_get(&lent, SIZE));
	assert_null(lent_get(&lent, SIZE));
	lent_put(&lent, bufs[0], false);
	assert_non_null(bufs[0] = lent_get(&lent, SIZE));
	for (unsigned i = 0; i < LENT_MAX; i++)
		lent_put(&lent, bufs[i], false);
	lent_free(&lent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_lent_is_known_to_its_last_byte),
		cmocka_unit_test(test_what_was_given_back_is_not_known_any_more),
		cmocka_unit_test(test_so_many_are_lent_and_no_more),
	};

	return RUN_TESTS(tests);
}
