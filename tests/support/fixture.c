/* SPDX-License-Identifier: MIT */
/* Opening chains of test images with the library; and a failure that names its seed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "support/fixture.h"

uint64_t current_seed;
uint64_t current_step;

void check_failed(const char *file, int line, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	print_error("seed %llu, step %llu: %s\n", (unsigned long long)current_seed,
		    (unsigned long long)current_step, text);
	_fail(file, line);
	__builtin_unreachable();
}

void fixture_init(struct fixture *fixture, const struct chain *chain, bool holes)
{
	memset(fixture, 0, sizeof(*fixture));
	fixture->chain = chain;
	fixture->holes = holes;
	for (unsigned i = 0; i < chain->depth; i++)
		fixture->stores[i].bytes = (struct sparse *)(uintptr_t)&chain->layers[i].file;
}

int fixture_open_parent(void *opaque, const char *child, const char *key, const char *path,
			struct vhdx_io *ret_io)
{
	struct fixture *fixture = opaque;

	(void)child;
	(void)key;
	for (unsigned i = 0; i < fixture->chain->depth; i++) {
		const char *name = fixture->chain->layers[i].name;
		size_t length = strlen(path);

		if (length >= strlen(name) && !strcmp(path + length - strlen(name), name)) {
			*ret_io = test_store_io(&fixture->stores[i], fixture->holes);
			return 0;
		}
	}
	return -ENOENT;
}

int fixture_open(struct fixture *fixture, uint32_t flags, struct vhdx **ret_disk)
{
	struct vhdx_io io = test_store_io(&fixture->stores[0], fixture->holes);
	struct vhdx_open_options options = {
		.size = sizeof(options),
		.flags = flags,
		.open_parent = fixture_open_parent,
		.opaque = fixture,
		.name = fixture->chain->layers[0].name,
	};

	return vhdx_open_io(&io, &options, ret_disk);
}

void fixture_check_unchanged(const struct fixture *fixture)
{
	for (unsigned i = 0; i < fixture->chain->depth; i++)
		CHECK(!fixture->stores[i].changes, "layer %u was written to", i);
}
