/* SPDX-License-Identifier: MIT */
/* The functions of librbd and librados, loaded when they are needed. */
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "cleanup.h"
#include "rbdcalls.h"

struct rados_calls rados;
struct rbd_calls rbd;

struct row {
	const char *name;
	size_t member;
};

#define RADOS_CALL_ROW(name) {"rados_" #name, offsetof(struct rados_calls, name)},
#define RBD_CALL_ROW(name)   {"rbd_" #name, offsetof(struct rbd_calls, name)},

static const struct row rados_rows[] = {RADOS_CALLS(RADOS_CALL_ROW)};
static const struct row rbd_rows[] = {RBD_CALLS(RBD_CALL_ROW)};

static const char *load(const char *name, const struct row *rows, size_t count, void *calls)
{
	void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);

	for (size_t i = 0; library && i < count; i++) {
		void *function = dlsym(library, rows[i].name);

		if (!function)
			return dlerror();
		memcpy((char *)calls + rows[i].member, &function, sizeof(function));
	}
	return library ? NULL : dlerror();
}

const char *rbd_calls_load(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static bool loaded;
	const char *missing;

	LOCK_SCOPED(&lock);
	if (loaded)
		return NULL;
	missing = load("librados.so.2", rados_rows, ARRAY_SIZE(rados_rows), &rados);
	if (!missing)
		missing = load("librbd.so.1", rbd_rows, ARRAY_SIZE(rbd_rows), &rbd);
	loaded = !missing;
	return missing;
}
