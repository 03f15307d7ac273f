/* SPDX-License-Identifier: MIT */
/* Progress on standard error, drawn a few times a second; and the callback by which signals cancel. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "interrupt.h"
#include "progress.h"
#include "text.h"

#define BAR_WIDTH   30
#define NS_A_SECOND 1000000000u
#define NS_BETWEEN  (NS_A_SECOND / 10)

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_A_SECOND + (uint64_t)now.tv_nsec;
}

static double percent(const struct progress *progress)
{
	return progress->total ? 100.0 * (double)progress->done / (double)progress->total : 0;
}

static void draw_bar(struct progress *progress, uint64_t now)
{
	char done[TEXT_SIZE_MAX], rate[TEXT_SIZE_MAX];
	double seconds = (double)(now - progress->start_ns) / NS_A_SECOND;
	int filled = (int)(percent(progress) * BAR_WIDTH / 100);

	text_size(progress->done, done);
	text_size(seconds > 0 ? (uint64_t)((double)progress->done / seconds) : 0, rate);
	fprintf(stderr, "\r\033[K%5.1f%% [", percent(progress));
	for (int i = 0; i < BAR_WIDTH; i++)
		fputc(i < filled ? '=' : ' ', stderr);
	fprintf(stderr, "] %s, %s/s", done, rate);
	fflush(stderr);
	progress->drawn = true;
}

static void draw(struct progress *progress, uint64_t now)
{
	if (progress->mode == PROGRESS_BAR)
		draw_bar(progress, now);
	else if (progress->mode == PROGRESS_JSON)
		fprintf(stderr,
			"{\"done\": %" PRIu64 ", \"total\": %" PRIu64 ", \"percent\": %.2f}\n",
			progress->done, progress->total, percent(progress));
}

void progress_begin(struct progress *progress, const struct options *options)
{
	*progress = (struct progress){
		.mode = options->progress,
		.start_ns = now_ns(),
		.asked = options->progress != PROGRESS_AUTO,
	};
	if (options->quiet)
		progress->mode = PROGRESS_NEVER;
	else if (progress->mode == PROGRESS_AUTO)
		progress->mode = isatty(STDERR_FILENO) ? PROGRESS_BAR : PROGRESS_NEVER;
	/* What is done at once needs no bar. */
	progress->next_ns = progress->start_ns + NS_BETWEEN;
	interrupt_catch();
}

int progress_update(void *opaque, uint64_t done, uint64_t total)
{
	struct progress *progress = opaque;

	progress->done = done;
	progress->total = total;
	if (progress->mode != PROGRESS_NEVER) {
		uint64_t now = now_ns();

		if (now >= progress->next_ns) {
			draw(progress, now);
			progress->next_ns = now + NS_BETWEEN;
		}
	}
	return interrupt_signal();
}

void progress_hide(struct progress *progress)
{
	if (!progress->drawn)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	progress->drawn = false;
}

void progress_end(struct progress *progress, bool success)
{
	if (success && progress->total && (progress->drawn || progress->asked)) {
		progress->done = progress->total;
		draw(progress, now_ns());
	}
	if (success && progress->drawn) {
		fputc('\n', stderr);
		progress->drawn = false;
	}
	progress_hide(progress);
}
