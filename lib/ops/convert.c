/* SPDX-License-Identifier: MIT */
/*
 * vhdx_convert: a few threads copy pieces from a source to a sink. Pieces are taken, and given their
 * places, in the order of the disk; reading and writing go on beside each other.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/zeros.h"
#include "base/options.h"
#include "ops/share.h"

/* What is looked at for zeros, and what direct I/O is aligned to. */
#define UNIT 4096u
/* Shorter zeros between data are cheaper written than left out. */
#define MIN_ZEROS ((size_t)64 * 1024)
/* Of images: never more than a MiB, so that a piece lies in one block. */
#define IMAGE_PIECE ((size_t)1024 * 1024)
/* Of storage that says which pieces cost it least. */
#define MAX_PIECE ((size_t)4096 * 1024)
/* Through the page cache, a piece that stays in a core's cache from read to write is the fastest. */
#define CACHED_PIECE	((size_t)512 * 1024)
#define MAX_BUFFERS	((size_t)16 * 1024 * 1024)
#define MAX_BIG_BUFFERS ((size_t)32 * 1024 * 1024)
#define MAX_ZERO_PIECE	(256 * MIB) /* so that a cancel is soon noticed */
#define MAX_RUNS	(MAX_PIECE / (MIN_ZEROS + UNIT) + 1)
#define MAX_THREADS	64u
#define DEFAULT_THREADS 4u

struct job {
	struct source source;
	struct sink sink;
	struct vhdx_convert_options options;
	uint64_t total; /* for progress: 0 for a stream, whose end is not in sight */
	size_t piece_size;
	struct sharing sharing;

	pthread_mutex_t take; /* of the source and the members here */
	uint64_t cursor;      /* all before has been taken */
	uint64_t tickets;

	pthread_mutex_t state; /* of the members here */
	pthread_cond_t changed;
	uint64_t turn; /* the ticket whose piece may get its place */
	int result;
	struct kept_error error;
	atomic_bool stopped;

	pthread_mutex_t telling; /* of the caller's progress function, and of the member here */
	uint64_t told;
};

/* A part of the contents on its way, in one worker's buffer. */
struct piece {
	uint64_t ticket;
	uint64_t offset;
	uint64_t length;
	bool is_read;	/* its bytes are in the buffer */
	bool is_zero;	/* known to be zeros, which the sink must be told of */
	bool is_shared; /* its bytes need not be read, if the sink takes them as they lie */
	struct source_place from; /* then */
};

/* Of a piece: what must be written. */
struct run {
	size_t start;
	size_t length;
};

struct worker {
	struct job *job;
	struct piece piece;
	uint8_t *buf;
	struct run runs[MAX_RUNS];
	unsigned nruns;
};

/* ---- Taking pieces ---- */

/* Goes on over holes that are too short to be worth another piece, to where what can be shared begins. */
static int join_ranges(struct job *job, uint64_t end, uint64_t *stop)
{
	struct shared_range shared;
	uint64_t start, next;
	int ret = 0;

	while (*stop < end) {
		ret = vhdx_source_next_data(&job->source, *stop, job->source.size, &start, &next);
		if (ret || start >= end || start - *stop >= MIN_ZEROS)
			break;
		*stop = next;
		if (!vhdx_sharing_find(&job->sharing, &job->source, start, next, job->piece_size,
				       &shared))
			continue;
		*stop = shared.offset;
		break;
	}
	return ret == -ENXIO ? 0 : ret;
}

/* From @start on, where data begin but for what alignment adds, and go on to @stop. */
static int find_data(struct job *job, uint64_t start, uint64_t data, uint64_t stop,
		     struct piece *piece)
{
	uint64_t end = min_u64(job->source.size, round_up_saturated(start + 1, job->piece_size));
	struct shared_range shared;
	int ret = 0;

	piece->offset = start;
	if (vhdx_sharing_find(&job->sharing, &job->source, data, stop, job->piece_size, &shared)) {
		if (shared.offset == start) {
			piece->length = shared.length;
			piece->is_shared = true;
			piece->from = shared.from;
			return 0;
		}
		stop = shared.offset;
	} else if (stop < end) {
		ret = join_ranges(job, end, &stop);
	}
	piece->length = ret ? 0 : min_u64(end, round_up_saturated(stop, UNIT)) - start;
	return ret;
}

/* The next range that must be copied, or be made zero; an empty one at the end. */
static int find_piece(struct job *job, struct piece *piece)
{
	uint64_t size = job->source.size;
	uint64_t data, stop;
	int ret = vhdx_source_next_data(&job->source, job->cursor, size, &data, &stop);

	if (ret && ret != -ENXIO)
		return ret;
	if (ret)
		data = stop = size;
	uint64_t start = max_u64(job->cursor, round_down(data, UNIT));

	if (start == job->cursor || job->sink.reads_zeros)
		return find_data(job, start, data, stop, piece);
	piece->offset = job->cursor;
	piece->length = min_u64(start - job->cursor, MAX_ZERO_PIECE);
	piece->is_zero = true;
	return 0;
}

static int read_piece(struct worker *worker)
{
	struct piece *piece = &worker->piece;
	size_t done;
	int ret = vhdx_source_read(&worker->job->source, worker->buf, (size_t)piece->length,
				   piece->offset, &done);

	if (ret)
		return ret;
	piece->length = done; /* less than asked only at a stream's end */
	piece->is_read = true;
	return 0;
}

static int take_piece(struct worker *worker)
{
	struct job *job = worker->job;
	struct piece *piece = &worker->piece;

	LOCK_SCOPED(&job->take);
	*piece = (struct piece){0};
	if (job->stopped || job->cursor == job->source.size)
		return 0;
	int ret = find_piece(job, piece);

	if (!ret && piece->length && job->source.in_order)
		ret = read_piece(worker);
	if (ret)
		return ret;
	job->cursor = piece->length ? piece->offset + piece->length : job->source.size;
	if (piece->length)
		piece->ticket = job->tickets++;
	return 0;
}

/* ---- What of a piece must be written ---- */

static bool is_zero_unit(const uint8_t *buf, size_t at, size_t length)
{
	return vhdx_is_zeros(buf + at, (size_t)min_u64(UNIT, length - at));
}

static size_t skip_zeros(const uint8_t *buf, size_t at, size_t length)
{
	while (at < length && is_zero_unit(buf, at, length))
		at += UNIT;
	return at;
}

/* Data ends where MIN_ZEROS of zeros follow, or nothing but zeros up to the piece's end. */
static size_t end_of_data(const uint8_t *buf, size_t at, size_t length)
{
	size_t end = at;

	for (; at < length && at - end < MIN_ZEROS; at += UNIT)
		if (!is_zero_unit(buf, at, length))
			end = (size_t)min_u64(at + UNIT, length);
	return end;
}

static void find_runs(struct worker *worker)
{
	size_t length = (size_t)worker->piece.length;
	size_t at = 0;

	worker->nruns = 0;
	if (worker->piece.is_zero)
		return;
	while ((at = skip_zeros(worker->buf, at, length)) < length) {
		size_t end = end_of_data(worker->buf, at, length);

		worker->runs[worker->nruns++] = (struct run){at, end - at};
		at = end;
	}
}

static int write_runs(struct worker *worker, uint64_t position)
{
	struct sink *sink = &worker->job->sink;
	int ret = 0;

	for (unsigned i = 0; i < worker->nruns && !ret; i++) {
		const struct run *run = &worker->runs[i];

		ret = sink->functions->write(sink, worker->buf + run->start, run->length,
					     position + run->start);
	}
	return ret;
}

/* The rest of the piece, where the sink would show something else. */
static int zero_gaps(struct worker *worker)
{
	struct sink *sink = &worker->job->sink;
	uint64_t at = 0;
	int ret = 0;

	if (sink->reads_zeros)
		return 0;
	for (unsigned i = 0; i <= worker->nruns && !ret; i++) {
		uint64_t end = i < worker->nruns ? worker->runs[i].start : worker->piece.length;

		if (end > at)
			ret = sink->functions->zero(sink, worker->piece.offset + at, end - at);
		if (i < worker->nruns)
			at = end + worker->runs[i].length;
	}
	return ret;
}

/* ---- Turns ---- */

/* The first error stops all, and is kept for the caller's thread. */
static void stop(struct job *job, int ret)
{
	LOCK_SCOPED(&job->state);
	if (!job->result) {
		job->result = ret;
		vhdx_error_keep(&job->error);
	}
	job->stopped = true;
	pthread_cond_broadcast(&job->changed);
}

/* Returns false when there is no turn to wait for any more. */
static bool wait_for_turn(struct job *job, uint64_t ticket)
{
	LOCK_SCOPED(&job->state);
	while (job->turn != ticket && !job->stopped)
		pthread_cond_wait(&job->changed, &job->state);
	return !job->stopped;
}

static void end_turn(struct job *job)
{
	LOCK_SCOPED(&job->state);
	job->turn++;
	pthread_cond_broadcast(&job->changed);
}

static int report(struct job *job, uint64_t done)
{
	LOCK_SCOPED(&job->telling);
	job->told = max_u64(job->told, done);
	if (job->options.progress &&
	    job->options.progress(job->options.opaque, job->told, job->total))
		return vhdx_fail(-ECANCELED, NO_PROBLEM, NULL, VHDX_NO_OFFSET, "stopped as asked");
	return 0;
}

/* All of it is told once, at the end: while a worker tells of the last piece, others are at those before it. */
static int report_piece(struct job *job, uint64_t end)
{
	return report(job, job->total ? min_u64(end, job->total - 1) : end);
}

/* While a stream keeps a worker waiting: others may have failed, or the caller wants to stop. */
static int report_idle(void *opaque)
{
	struct job *job = opaque;

	return job->stopped ? -ECANCELED : report(job, 0);
}

/* In the piece's turn: everything that has an order. */
static int do_in_turn(struct worker *worker, uint64_t *ret_position)
{
	struct sink *sink = &worker->job->sink;
	uint64_t position = worker->piece.offset;
	int ret = 0;

	if (worker->nruns && sink->functions->place)
		ret = sink->functions->place(sink, worker->piece.offset, &position);
	if (!ret && sink->in_order)
		ret = write_runs(worker, position);
	if (!ret)
		ret = report_piece(worker->job, worker->piece.offset + worker->piece.length);
	*ret_position = position;
	return ret;
}

/* What its file does not share after all, while this piece's turn lasts. */
static int copy_refused(struct worker *worker)
{
	struct job *job = worker->job;
	struct piece whole = worker->piece;
	uint64_t end = whole.offset + whole.length;
	uint64_t position;
	int ret = 0;

	for (uint64_t at = whole.offset; at < end && !ret && !job->stopped;) {
		uint64_t next = min_u64(end, round_up(at + 1, job->piece_size));

		worker->piece = (struct piece){whole.ticket, at, next - at};
		ret = read_piece(worker);
		if (ret)
			break;
		find_runs(worker);
		ret = do_in_turn(worker, &position);
		if (!ret && !job->sink.in_order)
			ret = write_runs(worker, position);
		if (!ret)
			ret = zero_gaps(worker);
		at = next;
	}
	worker->piece = whole;
	return ret;
}

static int share_piece(struct worker *worker)
{
	struct job *job = worker->job;
	struct piece *piece = &worker->piece;
	struct shared_range range = {piece->offset, piece->length, piece->from};
	bool shared;

	if (!wait_for_turn(job, piece->ticket))
		return 0;
	int ret = vhdx_sharing_do(&job->sharing, &range, &shared);

	if (!ret)
		ret = shared ? report_piece(job, piece->offset + piece->length)
			     : copy_refused(worker);
	if (!ret)
		end_turn(job);
	return ret;
}

static int copy_piece(struct worker *worker)
{
	struct job *job = worker->job;
	uint64_t position;
	int ret = worker->piece.is_read || worker->piece.is_zero ? 0 : read_piece(worker);

	if (ret)
		return ret;
	find_runs(worker);
	if (!wait_for_turn(job, worker->piece.ticket))
		return 0;
	ret = do_in_turn(worker, &position);
	if (ret)
		return ret;
	end_turn(job);
	if (!job->sink.in_order)
		ret = write_runs(worker, position);
	return ret ? ret : zero_gaps(worker);
}

/* ---- Workers ---- */

/* Storage that has memory of its own for transfers, written rather than read; NULL: none has. */
static const struct vhdx_io *find_lender(const struct job *job)
{
	const struct vhdx_io *ends[] = {&job->sink.io, &job->source.io};

	for (size_t i = 0; i < 2; i++)
		if (ends[i]->get_buffer && ends[i]->put_buffer)
			return ends[i];
	return NULL;
}

static void *get_buffer(const struct job *job)
{
	const struct vhdx_io *lender = find_lender(job);
	void *buf = NULL;

	if (lender)
		return lender->get_buffer(lender->opaque, job->piece_size);
	return posix_memalign(&buf, UNIT, job->piece_size) ? NULL : buf;
}

static void put_buffer(const struct job *job, void *buf)
{
	const struct vhdx_io *lender = find_lender(job);

	if (lender && buf)
		lender->put_buffer(lender->opaque, buf, job->piece_size);
	else
		free(buf);
}

static void *work(void *opaque)
{
	struct job *job = opaque;
	struct worker worker = {.job = job, .buf = get_buffer(job)};
	int ret = worker.buf ? 0 : vhdx_fail_memory();

	do {
		if (!ret)
			ret = take_piece(&worker);
		if (!ret && worker.piece.length)
			ret = worker.piece.is_shared ? share_piece(&worker) : copy_piece(&worker);
	} while (!ret && worker.piece.length);
	if (ret)
		stop(job, ret);
	put_buffer(job, worker.buf);
	return NULL;
}

static unsigned thread_count(unsigned wanted)
{
	cpu_set_t set;

	if (wanted)
		return wanted;
	if (sched_getaffinity(0, sizeof(set), &set)) /* more processors than the set has room for */
		return DEFAULT_THREADS;
	return (unsigned)min_u64((unsigned)CPU_COUNT(&set), DEFAULT_THREADS);
}

/* Signals are for the caller's threads. One thread fewer than wanted still does the work. */
static unsigned start_threads(struct job *job, pthread_t *threads, unsigned count)
{
	sigset_t all, old;
	unsigned started = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (started < count && !pthread_create(&threads[started], NULL, work, job))
		started++;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return started;
}

/* What an image's storage is far away from, each request costs the way there. */
static bool is_cached(const struct job *job)
{
	const struct vhdx *disk = job->source.disk;

	return !(job->options.flags & VHDX_CONVERT_DIRECT) && (!disk || disk->has_identity);
}

/* Where neither end has a wish, or a new image's blocks set a limit, many small ones share the buffers. */
static size_t choose_piece(const struct job *job, unsigned nthreads)
{
	uint64_t best = max_u64(job->source.io.best_transfer, job->sink.io.best_transfer);
	size_t size = is_cached(job) ? CACHED_PIECE : IMAGE_PIECE;
	size_t most = MAX_BUFFERS;

	if (best > size && !(best & (best - 1)) && !job->sink.has_builder) {
		size = (size_t)min_u64(best, MAX_PIECE);
		most = MAX_BIG_BUFFERS;
	}
	while (size * nthreads > most)
		size /= 2;
	return size;
}

/* The caller's thread is one of the workers. */
static int copy_all(struct job *job)
{
	unsigned count = thread_count(job->options.threads);
	pthread_t threads[MAX_THREADS];

	job->piece_size = choose_piece(job, count);
	unsigned started = start_threads(job, threads, count - 1);

	work(job);
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	int ret = job->result ? vhdx_error_raise(&job->error) : 0;

	vhdx_error_drop(&job->error);
	return ret;
}

static int run(struct job *job)
{
	int ret = copy_all(job);

	if (!ret)
		ret = report(job, job->source.size);
	return ret ? ret : vhdx_sink_finish(&job->sink, job->source.size);
}

static int check_options(const struct vhdx_convert_options *options)
{
	uint32_t known = VHDX_CONVERT_DIRECT | VHDX_CONVERT_NO_CLONE;

	if (options->flags & ~known)
		return vhdx_fail_argument("vhdx_convert_options: unknown flags %#x",
					  options->flags & ~known);
	if (options->threads > MAX_THREADS)
		return vhdx_fail_argument("%u threads (expected 1 to %u, or 0 for the default)",
					  options->threads, MAX_THREADS);
	return 0;
}

int vhdx_convert(const struct vhdx_source *source, const struct vhdx_destination *destination,
		 const struct vhdx_convert_options *options)
{
	struct job job = {
		.take = PTHREAD_MUTEX_INITIALIZER,
		.state = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
		.telling = PTHREAD_MUTEX_INITIALIZER,
	};
	int ret = vhdx_adopt_options(options, "vhdx_convert_options", sizeof(job.options),
				     &job.options);

	if (!ret)
		ret = check_options(&job.options);
	if (ret)
		return ret;
	bool direct = job.options.flags & VHDX_CONVERT_DIRECT;

	ret = vhdx_source_open(source, direct, &job.source);
	if (ret)
		return ret;
	job.total = job.source.size == SIZE_UNKNOWN ? 0 : job.source.size;
	ret = vhdx_sink_open(destination, &job.source, direct, &job.sink);
	if (!ret) {
		job.source.stream.idle = job.sink.stream.idle = report_idle;
		job.source.stream.opaque = job.sink.stream.opaque = &job;
		vhdx_sharing_begin(&job.sharing, &job.sink, job.options.flags);
		ret = run(&job);
		vhdx_sharing_end(&job.sharing);
		vhdx_sink_close(&job.sink);
	}
	vhdx_source_close(&job.source);
	return ret;
}
