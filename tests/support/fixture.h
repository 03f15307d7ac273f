/* SPDX-License-Identifier: MIT */
/* Opening chains of test images with the library; and a failure that names its seed. */
#ifndef TESTS_SUPPORT_FIXTURE_H
#define TESTS_SUPPORT_FIXTURE_H

#include "support/image.h"
#include "support/store.h"
#include "support/unit.h"

/* The seed that runs; failures print it. */
extern uint64_t current_seed;

/* The operation of that seed that runs, where a test counts them. */
extern uint64_t current_step;

/* Fails the test, with the seed, unless @condition holds. */
#define CHECK(condition, ...) \
	do { \
		if (!(condition)) \
			check_failed(__FILE__, __LINE__, __VA_ARGS__); \
	} while (0)

void check_failed(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4), noreturn));

/* The stores of a chain. */
struct fixture {
	const struct chain *chain;
	struct test_store stores[MAX_LAYERS];
	bool holes; /* the stores have next_data */
};

void fixture_init(struct fixture *fixture, const struct chain *chain, bool holes);

/* Opens the leaf, and through it the chain; @flags: VHDX_OPEN_*. Returns as vhdx_open_io. */
int fixture_open(struct fixture *fixture, uint32_t flags, struct vhdx **ret_disk);

/* The open_parent callback, for a fixture: finds a layer by the last component of the path. */
int fixture_open_parent(void *opaque, const char *child, const char *key, const char *path,
			struct vhdx_io *ret_io);

/* Nobody wrote, and each store that was opened was closed. */
void fixture_check_unchanged(const struct fixture *fixture);

#endif
