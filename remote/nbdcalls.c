/* SPDX-License-Identifier: MIT */
/* libnbd's functions, loaded when they are needed. */
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#include "nbdcalls.h"

#define LIBRARY "libnbd.so.0"

struct nbd_calls nbd;

#define NBD_CALL_ROW(name) {"nbd_" #name, offsetof(struct nbd_calls, name)},

static const struct {
	const char *name;
	size_t member;
} rows[] = {NBD_CALLS(NBD_CALL_ROW)};

const char *nbd_calls_load(void)
{
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	for (size_t i = 0; library && i < sizeof(rows) / sizeof(rows[0]); i++) {
		void *function = dlsym(library, rows[i].name);

		if (!function)
			return dlerror();
		memcpy((char *)&nbd + rows[i].member, &function, sizeof(function));
	}
	return library ? NULL : dlerror();
}
