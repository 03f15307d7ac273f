/* SPDX-License-Identifier: MIT */
/* What happens around calls to a guest's storage: errors, and other threads' requests. */
#include <stdlib.h>
#include <time.h>

#include "crash/guest.h"

struct side {
	struct guest *guest;
	guest_act *act;
};

static void *run_side(void *opaque)
{
	struct side side = *(struct side *)opaque;

	free(opaque);
	side.act(side.guest);
	return NULL;
}

static pthread_t start(struct guest *guest, guest_act *act)
{
	struct side *side = malloc(sizeof(*side));
	pthread_t thread;

	if (!side)
		abort();
	*side = (struct side){guest, act};
	if (pthread_create(&thread, NULL, run_side, side))
		abort();
	return thread;
}

void guest_start(struct guest *guest, guest_act *act)
{
	pthread_t thread = start(guest, act);

	pthread_mutex_lock(&guest->lock);
	if (guest->side_count == GUEST_SIDES)
		abort();
	guest->sides[guest->side_count++] = thread;
	pthread_mutex_unlock(&guest->lock);
}

static void run_act(struct guest *guest, const struct event *event)
{
	if (!event->leave) {
		pthread_join(start(guest, event->act), NULL);
		return;
	}
	guest_start(guest, event->act);
	/* It ends up waiting for its caller; nothing depends on how far it gets. */
	nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
}

static bool matches(const struct event *event, const struct store_call *call)
{
	return event->times && event->kind == call->kind && event->when == call->when &&
	       (!event->to || (call->offset >= event->from && call->offset < event->to));
}

static int guest_hook(void *opaque, const struct store_call *call)
{
	struct guest *guest = opaque;
	int ret = 0;

	for (unsigned i = 0; i < guest->event_count; i++) {
		struct event *event = &guest->events[i];

		pthread_mutex_lock(&guest->lock);
		bool happens = matches(event, call) && !event->skip;

		if (happens)
			event->times--;
		else if (matches(event, call))
			event->skip--;
		pthread_mutex_unlock(&guest->lock);
		if (happens && event->act)
			run_act(guest, event);
		if (happens && event->error)
			ret = event->error;
	}
	return ret;
}

void guest_when(struct guest *guest, struct event event)
{
	pthread_mutex_lock(&guest->lock);
	if (guest->event_count == GUEST_EVENTS)
		abort();
	if (!event.times)
		event.times = 1;
	guest->events[guest->event_count++] = event;
	pthread_mutex_unlock(&guest->lock);
	guest->store.opaque = guest;
	guest->store.hook = guest_hook;
}

void guest_quiet(struct guest *guest)
{
	pthread_mutex_lock(&guest->lock);
	for (unsigned i = 0; i < guest->event_count; i++)
		guest->events[i].times = 0;
	pthread_mutex_unlock(&guest->lock);
}

void guest_join(struct guest *guest)
{
	for (;;) {
		pthread_mutex_lock(&guest->lock);
		bool found = guest->side_count > 0;
		pthread_t thread = found ? guest->sides[--guest->side_count] : pthread_self();

		pthread_mutex_unlock(&guest->lock);
		if (!found)
			return;
		pthread_join(thread, NULL);
	}
}

struct event guest_at_log(const struct guest *guest, enum store_when when, unsigned skip)
{
	return (struct event){.kind = STORE_WRITE,
			      .when = when,
			      .from = guest->info.log_offset,
			      .to = guest->info.log_offset + guest->info.log_length,
			      .skip = skip};
}

struct event guest_at_bat(const struct guest *guest, enum store_when when, unsigned skip)
{
	return (struct event){.kind = STORE_WRITE,
			      .when = when,
			      .from = guest->info.bat_offset,
			      .to = guest->info.bat_offset + guest->info.bat_length,
			      .skip = skip};
}

struct event guest_at_flush(enum store_when when, unsigned skip)
{
	return (struct event){.kind = STORE_FLUSH, .when = when, .skip = skip};
}
