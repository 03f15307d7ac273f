/* SPDX-License-Identifier: MIT */
/* Names of RBD images: their parts, and what is no name. */
#include <errno.h>
#include <string.h>

#include "rbdname.h"
#include "support/unit.h"

static void check(const char *text, const char *pool, const char *space, const char *image,
		  const char *snap)
{
	struct remote_error error = {0};
	struct rbdname name;

	assert_int_equal(rbdname_parse(text, &name, &error), 0);
	assert_string_equal(name.pool, pool);
	assert_string_equal(name.space, space);
	assert_string_equal(name.image, image);
	assert_string_equal(name.snap, snap);
	assert_string_equal(error.text, "");
}

static void check_refused(const char *text)
{
	struct remote_error error = {0};
	struct rbdname name;

	memset(&name, 'x', sizeof(name));
	assert_int_equal(rbdname_parse(text, &name, &error), -EINVAL);
	assert_non_null(strstr(error.text, "rbd:POOL/[NAMESPACE/]IMAGE[@SNAP]"));
	assert_int_equal(name.pool[0], 'x');
}

static void test_parts_of_a_name(void **state)
{
	(void)state;
	check("rbd:pool/image", "pool", "", "image", "");
	check("rbd:pool/space/image", "pool", "space", "image", "");
	check("rbd:pool/image@monday", "pool", "", "image", "monday");
	check("rbd:pool/space/image@monday", "pool", "space", "image", "monday");
	check("RBD:p/i", "p", "", "i", "");
}

static void test_what_lacks_a_part_is_no_name(void **state)
{
	(void)state;
	check_refused("rbd:");
	check_refused("rbd:image");
	check_refused("rbd:/image");
	check_refused("rbd:pool/");
	check_refused("rbd:pool//image");
	check_refused("rbd:pool/space/");
	check_refused("rbd:pool/image@");
	check_refused("rbd:pool/@snap");
	check_refused("rbd:@snap");
}

static void test_what_has_a_part_too_many_is_no_name(void **state)
{
	(void)state;
	check_refused("rbd:a/b/c/d");
	check_refused("rbd:pool/image@one@two");
	check_refused("rbd:pool/image@one/two");
	check_refused("rbd://pool/image");
}

static void test_a_part_that_is_too_long_is_refused(void **state)
{
	char text[RBDNAME_MAX + 16] = "rbd:p/";

	(void)state;
	memset(text + 6, 'i', RBDNAME_MAX - 1);
	text[6 + RBDNAME_MAX - 1] = '\0';
	check(text, "p", "", text + 6, "");
	text[6 + RBDNAME_MAX - 1] = 'i';
	text[6 + RBDNAME_MAX] = '\0';
	check_refused(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_of_a_name),
		cmocka_unit_test(test_what_lacks_a_part_is_no_name),
		cmocka_unit_test(test_what_has_a_part_too_many_is_no_name),
		cmocka_unit_test(test_a_part_that_is_too_long_is_refused),
	};

	return RUN_TESTS(tests);
}
