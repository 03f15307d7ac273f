/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into User-mode Linux, whose room for a process's registers is too small for those of newer
 * processors: keeps them whole beside the part that it asked for. It is loaded instead of ptrace().
 */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#define EXTENDED_STATE 0x202 /* NT_X86_XSTATE, all registers of floating point and vectors */
#define ROOM	       16384
#define SLOTS	       4096

typedef long ptrace_fn(enum __ptrace_request request, ...);

/* What was saved with the part at that address. */
static struct slot {
	const void *part;
	size_t length;
	char state[ROOM];
} slots[SLOTS];

static ptrace_fn *real_ptrace;

static struct slot *find_slot(const void *part)
{
	size_t at = ((uintptr_t)part >> 4) * 2654435761u % SLOTS;

	for (int i = 0; i < SLOTS && slots[at].part && slots[at].part != part; i++)
		at = (at + 1) % SLOTS;
	return &slots[at];
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static long get_state(long pid, struct iovec *part)
{
	struct slot *slot = find_slot(part->iov_base);
	struct iovec whole = {slot->state, ROOM};
	long ret = real_ptrace(PTRACE_GETREGSET, pid, EXTENDED_STATE, &whole);

	if (ret)
		return ret;
	slot->part = part->iov_base;
	slot->length = whole.iov_len;
	part->iov_len = least(part->iov_len, whole.iov_len);
	memcpy(part->iov_base, slot->state, part->iov_len);
	return 0;
}

/* A process that was just made has its parent's part and no slot: the rest is as the host left it. */
static long set_state(long pid, const struct iovec *part)
{
	static char fresh[ROOM];
	struct slot *slot = find_slot(part->iov_base);
	struct iovec whole = {slot->state, slot->length};

	if (!slot->part) {
		whole = (struct iovec){fresh, ROOM};
		long ret = real_ptrace(PTRACE_GETREGSET, pid, EXTENDED_STATE, &whole);

		if (ret)
			return ret;
	}
	memcpy(whole.iov_base, part->iov_base, least(part->iov_len, whole.iov_len));
	return real_ptrace(PTRACE_SETREGSET, pid, EXTENDED_STATE, &whole);
}

long ptrace(enum __ptrace_request request, ...)
{
	va_list arguments;

	va_start(arguments, request);
	long pid = va_arg(arguments, long);
	void *address = va_arg(arguments, void *);
	void *data = va_arg(arguments, void *);

	va_end(arguments);
	if (!real_ptrace)
		*(void **)&real_ptrace = dlsym(RTLD_NEXT, "ptrace");
	if (request == PTRACE_GETREGSET && (uintptr_t)address == EXTENDED_STATE)
		return get_state(pid, data);
	if (request == PTRACE_SETREGSET && (uintptr_t)address == EXTENDED_STATE)
		return set_state(pid, data);
	return real_ptrace(request, pid, address, data);
}
