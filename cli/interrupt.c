/* SPDX-License-Identifier: MIT */
/* Signals that ask to stop are remembered; progress callbacks look and cancel the operation. */
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

#include "cleanup.h"
#include "interrupt.h"

/* Without a lock, so that a handler may set it; and any thread may look. */
static atomic_int caught;

_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "a signal handler needs it");

static void remember(int number)
{
	caught = number;
}

void interrupt_catch(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	/* Reset at the first one: whoever asks twice does not want to wait. */
	struct sigaction action = {.sa_handler = remember,
				   .sa_flags = (int)(SA_RESTART | SA_RESETHAND)};
	struct sigaction before;

	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		/* What the parent process had ignored, as nohup does, stays ignored. */
		if (!sigaction(signals[i], NULL, &before) && before.sa_handler != SIG_IGN)
			sigaction(signals[i], &action, NULL);
}

int interrupt_signal(void)
{
	return caught;
}

void interrupt_resume(void)
{
	if (!caught)
		return;
	signal(caught, SIG_DFL);
	raise(caught);
}
