// SPDX-License-Identifier: MIT
// launch FD PROGRAM [ARGUMENT...]: runs it, and writes to that descriptor its wall time in seconds, its highest
// resident memory in KiB, and its CPU time in seconds. A program's peak begins with its parent's: this one's is small.
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
	struct rusage usage;
	double start;
	pid_t pid;
	int status, r;

	if (argc < 3)
		return 2;
	start = now();
	r = posix_spawnp(&pid, argv[2], NULL, NULL, argv + 2, environ);
	if (r) {
		fprintf(stderr, "launch: %s: %s\n", argv[2], strerror(r));
		return 127;
	}
	if (wait4(pid, &status, 0, &usage) < 0)
		return 127;
	dprintf(atoi(argv[1]), "%.6f %ld %.6f\n", now() - start, usage.ru_maxrss,
		seconds(usage.ru_utime) + seconds(usage.ru_stime));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
