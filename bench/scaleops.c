// SPDX-License-Identifier: MIT
// scaleops STEP FILE OFFSET: times one step of a session with the disk in FILE, in this process, and prints seconds and
// the MiB of memory that the session took at most. OFFSET must lie in a block that is not present.
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <vhdx.h>

enum step { STEP_OPEN, STEP_READ, STEP_ALLOCATE, STEP_CLOSE, STEPS };

static const char *const names[STEPS] = {"open", "read", "allocate", "close"};

struct session {
	const char *path;
	uint64_t offset;
	bool writes;
	struct vhdx *disk;
	uint8_t buf[4096];
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// In KiB. rusage would begin with the parent's peak.
static long memory(const char *field)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[128];
	long kib = 0;

	while (status && fgets(line, sizeof(line), status))
		if (!strncmp(line, field, strlen(field)))
			kib = atol(line + strlen(field));
	if (status)
		fclose(status);
	return kib;
}

static int open_disk(struct session *session)
{
	struct vhdx_open_options options = {
		.size = sizeof(options),
		.flags = session->writes ? VHDX_OPEN_WRITE : 0,
	};

	return vhdx_open(session->path, &options, &session->disk);
}

static int read_there(struct session *session)
{
	return vhdx_pread(session->disk, session->buf, sizeof(session->buf), session->offset);
}

static int allocate_there(struct session *session)
{
	int ret;

	memset(session->buf, 0x5a, sizeof(session->buf));
	ret = vhdx_pwrite(session->disk, session->buf, sizeof(session->buf), session->offset, 0);
	return ret ? ret : vhdx_flush(session->disk);
}

static int close_disk(struct session *session)
{
	struct vhdx *disk = session->disk;

	session->disk = NULL;
	return vhdx_close(disk);
}

// The file is as it was, but for a block that is unmapped now.
static int undo(const char *path, uint64_t offset)
{
	struct session session = {.path = path, .writes = true};
	int ret = open_disk(&session);

	if (!ret)
		ret = vhdx_trim(session.disk, offset & ~((UINT64_C(1) << 20) - 1), 1 << 20, 0);
	if (!ret)
		ret = close_disk(&session);
	return ret;
}

static int run(struct session *session, enum step wanted, double *ret_seconds)
{
	static int (*const steps[STEPS])(struct session *) = {open_disk, read_there, allocate_there,
							      close_disk};
	int ret = 0;

	for (enum step step = 0; step <= wanted && !ret; step++) {
		double start = now();

		if (step == STEP_ALLOCATE && !session->writes)
			continue;
		ret = steps[step](session);
		*ret_seconds = now() - start;
	}
	return ret;
}

int main(int argc, char **argv)
{
	struct session session = {.disk = NULL};
	enum step wanted = 0;
	double seconds = 0;
	int ret;

	while (argc == 4 && wanted < STEPS && strcmp(argv[1], names[wanted]))
		wanted++;
	if (argc != 4 || wanted == STEPS) {
		fputs("scaleops open|read|allocate|close FILE OFFSET\n", stderr);
		return 2;
	}
	session.path = argv[2];
	session.offset = strtoull(argv[3], NULL, 0);
	session.writes = wanted >= STEP_ALLOCATE;
	long before = memory("VmRSS:");

	ret = run(&session, wanted, &seconds);
	long peak = memory("VmHWM:");

	if (!ret && session.disk)
		ret = close_disk(&session);
	if (!ret && session.writes)
		ret = undo(session.path, session.offset);
	if (ret) {
		fprintf(stderr, "scaleops: %s\n", vhdx_last_error()->text);
		return 1;
	}
	printf("%.9f %.3f\n", seconds, (double)(peak - before) / 1024);
	return 0;
}
