/* SPDX-License-Identifier: MIT */
/* Random writes, no two of which overlap, in random order, from several threads; and reading them back. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "support/random.h"
#include "tools/session.h"
#include "tools/stamps.h"

#define MAX_COUNT   (1 << 20)
#define MAX_THREADS 64

/* One write: in a slot of its own of the range. */
struct piece {
	uint64_t offset;
	uint64_t length;
};

struct work {
	struct session *session;
	bool verify;
	struct pattern pattern;
	uint64_t count;
	uint64_t max_length;
	uint64_t flush_every; /* 0: never */
	struct piece *pieces; /* in the order of writing */
	atomic_ullong next;
	pthread_mutex_t lock; /* of the session's error */
	atomic_bool failed;
};

static struct piece make_piece(struct rng *rng, uint64_t slot, uint64_t slot_length,
			       uint64_t max_length)
{
	uint64_t length = rng_length(rng, max_length < slot_length ? max_length : slot_length);
	uint64_t room = slot_length - length;
	struct piece piece = {slot * slot_length + (room ? rng_below(rng, room + 1) : 0), length};

	/* Most guests write whole sectors. */
	if (slot_length >= 1024 && rng_chance(rng, 90)) {
		piece.offset = (piece.offset + 511) & ~UINT64_C(511);
		piece.length = (piece.length + 511) & ~UINT64_C(511);
		while (piece.offset + piece.length > (slot + 1) * slot_length) {
			if (piece.length > 512)
				piece.length -= 512;
			else
				piece.offset -= 512;
		}
	}
	return piece;
}

static struct piece *make_pieces(uint64_t seed, uint64_t count, uint64_t max_length, uint64_t range)
{
	struct piece *pieces = calloc(count, sizeof(*pieces));
	struct rng rng = rng_make(seed);

	if (!pieces)
		return NULL;
	for (uint64_t i = 0; i < count; i++)
		pieces[i] = make_piece(&rng, i, range / count & ~UINT64_C(511), max_length);
	for (uint64_t i = count - 1; i > 0; i--) {
		uint64_t other = rng_below(&rng, i + 1);
		struct piece piece = pieces[i];

		pieces[i] = pieces[other];
		pieces[other] = piece;
	}
	return pieces;
}

static int write_piece(struct work *work, uint64_t number, void *buf, size_t size)
{
	const struct piece *piece = &work->pieces[number];
	int ret;

	pattern_fill(&work->pattern, piece->offset, buf, size);
	ret = vhdx_pwrite(work->session->disk, buf, size, piece->offset, 0);
	if (!ret && work->flush_every && number % work->flush_every == work->flush_every - 1)
		ret = vhdx_flush(work->session->disk);
	return ret;
}

static int verify_piece(struct work *work, uint64_t number, void *buf, size_t size)
{
	const struct piece *piece = &work->pieces[number];
	int ret = vhdx_pread(work->session->disk, buf, size, piece->offset);
	char text[DESCRIPTION_SIZE];
	size_t at;

	if (ret)
		return ret;
	at = pattern_differs(&work->pattern, piece->offset, buf, size);
	if (at == size)
		return 0;
	pattern_describe(piece->offset, buf, size, at, text);
	pthread_mutex_lock(&work->lock);
	if (!atomic_exchange(&work->failed, true))
		refuse(work->session, "at %llu: found %s", (unsigned long long)(piece->offset + at),
		       text);
	pthread_mutex_unlock(&work->lock);
	return 0;
}

static void note_failure(struct work *work, int errnum)
{
	pthread_mutex_lock(&work->lock);
	if (!atomic_exchange(&work->failed, true))
		library_failed(work->session, errnum);
	pthread_mutex_unlock(&work->lock);
}

static void *run_pieces(void *opaque)
{
	struct work *work = opaque;
	void *buf = malloc(work->max_length + 512);
	uint64_t number;

	if (!buf)
		abort();
	while (!atomic_load(&work->failed) &&
	       (number = atomic_fetch_add(&work->next, 1)) < work->count) {
		size_t size = (size_t)work->pieces[number].length;
		int ret = work->verify ? verify_piece(work, number, buf, size)
				       : write_piece(work, number, buf, size);

		if (ret)
			note_failure(work, ret);
	}
	free(buf);
	return NULL;
}

static int run_threads(struct work *work)
{
	pthread_t threads[MAX_THREADS];
	unsigned started = 0;

	while (started < work->session->threads && started < MAX_THREADS &&
	       !pthread_create(&threads[started], NULL, run_pieces, work))
		started++;
	if (!started)
		return refuse(work->session, "no thread can be made");
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	return work->failed ? -1 : 0;
}

static int run(struct session *session, char **words, int count, bool verify)
{
	struct work work = {.session = session, .verify = verify, .pattern.stamped = true};
	uint64_t range;
	int ret;

	if ((count != 5 && count != 7) || !parse_number(words[1], &work.pattern.seed) ||
	    !parse_number(words[2], &work.count) || !parse_number(words[3], &work.max_length) ||
	    !parse_number(words[4], &range) ||
	    (count == 7 &&
	     (strcmp(words[5], "flush") || !parse_number(words[6], &work.flush_every))))
		return refuse(session, "not SEED COUNT MAXLEN RANGE [flush N]");
	if (!work.count || work.count > MAX_COUNT || !work.max_length ||
	    work.max_length > UINT64_C(1) << 30 || range / work.count < 1024)
		return refuse(session, "1 to %d writes of 1 to 1G bytes, in 1K at least each",
			      MAX_COUNT);
	work.pieces = make_pieces(work.pattern.seed, work.count, work.max_length, range);
	if (!work.pieces)
		return refuse(session, "no memory");
	pthread_mutex_init(&work.lock, NULL);
	ret = run_threads(&work);
	pthread_mutex_destroy(&work.lock);
	free(work.pieces);
	return ret;
}

int run_random(struct session *session, char **words, int count)
{
	return run(session, words, count, false);
}

int run_verify(struct session *session, char **words, int count)
{
	return run(session, words, count, true);
}
