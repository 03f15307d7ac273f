/* SPDX-License-Identifier: MIT */
/* The open transaction: what it takes in, what a capture copies, and what comes back. */
#include "support/alloc.h"
#include "support/journalcase.h"

#define LIMIT 40u

/* A transaction over the pages of a case, without a journal. */
static struct transaction begin(struct journal_case *c)
{
	struct transaction transaction;

	vhdx_transaction_init(&transaction, &c->cache, LIMIT, NEEDED_END);
	return transaction;
}

static struct page *hold(struct journal_case *c, struct change *change, uint64_t index)
{
	struct page *page = NULL;

	assert_int_equal(
		vhdx_change_hold(change, &c->map, index, HOME + index * PAGE_SIZE, false, &page),
		0);
	return page;
}

/* The page @index gets that value. Returns the number of the transaction. */
static uint64_t put(struct journal_case *c, struct transaction *transaction, uint64_t index,
		    uint8_t value)
{
	struct change change;

	assert_true(vhdx_transaction_reserve(transaction, 1, &change));
	struct page *page = hold(c, &change, index);
	uint64_t number = vhdx_change_enter(&change);

	fill_page(page, value);
	vhdx_change_dirty(&change, page);
	vhdx_change_leave(&change);
	vhdx_change_end(&change);
	return number;
}

static unsigned holds_of(struct journal_case *c, uint64_t index)
{
	const void *page;

	assert_int_equal(vhdx_page_get(&c->map, index, &page), 0);
	return ((const struct page *)page)->holds;
}

static struct capture capture_of(struct transaction *transaction)
{
	struct capture capture;

	assert_int_equal(vhdx_transaction_capture(transaction, &capture), 0);
	return capture;
}

static void assert_copy(const struct capture *capture, unsigned i, uint64_t index, uint8_t value)
{
	assert_true(i < capture->count);
	assert_int_equal(capture->pages[i].home, HOME + index * PAGE_SIZE);
	assert_int_equal(capture->pages[i].bytes[0], value);
	assert_int_equal(capture->pages[i].bytes[PAGE_SIZE - 1], value);
}

static void test_a_reservation_that_does_not_fit_beside_dirty_pages_needs_a_commit(void **state)
{
	struct journal_case *c = *state;
	struct transaction transaction = begin(c);
	struct change changes[3];

	put(c, &transaction, 0, 1);
	assert_true(vhdx_transaction_reserve(&transaction, 18, &changes[0]));
	assert_true(vhdx_transaction_reserve(&transaction, 18, &changes[1]));
	assert_false(vhdx_transaction_reserve(&transaction, 4, &changes[2]));
	assert_true(vhdx_transaction_reserve(&transaction, 3, &changes[2]));
	assert_int_equal(transaction.reserved, 39);
	for (int i = 0; i < 3; i++)
		vhdx_change_end(&changes[i]);
	assert_int_equal(transaction.reserved, 0);
	struct capture capture = capture_of(&transaction);

	assert_true(vhdx_transaction_reserve(&transaction, 18, &changes[0]));
	vhdx_change_end(&changes[0]);
	vhdx_capture_release(&transaction, &capture);
}

static void test_what_a_change_reserved_and_did_not_use_is_free_again(void **state)
{
	struct journal_case *c = *state;
	struct transaction transaction = begin(c);

	for (unsigned i = 0; i < 100; i++) {
		struct change change;

		assert_true(vhdx_transaction_reserve(&transaction, 18, &change));
		hold(c, &change, 3);
		vhdx_change_end(&change); /* nothing was stored */
	}
	assert_int_equal(transaction.dirty_count, 0);
	assert_int_equal(holds_of(c, 3), 0);
}

static void test_a_page_that_changes_often_counts_once(void **state)
{
	struct journal_case *c = *state;
	struct transaction transaction = begin(c);

	for (unsigned i = 0; i < 3 * LIMIT; i++)
		put(c, &transaction, i % 2, (uint8_t)i);
	assert_int_equal(transaction.dirty_count, 2);
	assert_int_equal(holds_of(c, 0), 1);
	struct capture capture = capture_of(&transaction);

	assert_int_equal(capture.count, 2);
	vhdx_capture_release(&transaction, &capture);
	assert_int_equal(holds_of(c, 0), 0);
	assert_int_equal(holds_of(c, 1), 0);
}

static void test_a_capture_copies_all_dirty_pages_by_their_homes(void **state)
{
	struct journal_case *c = *state;
	struct transaction transaction = begin(c);
	static const uint64_t order[] = {7, 1, 4000, 2, 900};
	static const uint64_t sorted[] = {1, 2, 7, 900, 4000};

	for (size_t i = 0; i < 5; i++)
		put(c, &transaction, order[i], (uint8_t)order[i]);
	struct capture capture = capture_of(&transaction);

	assert_int_equal(capture.count, 5);
	assert_int_equal(transaction.dirty_count, 0);
	put(c, &transaction, 7, 99); /* the copy is one */
	for (unsigned i = 0; i < 5; i++)
		assert_copy(&capture, i, sorted[i], (uint8_t)sorted[i]);
	assert_int_equal(holds_of(c, 7), 2); /* logged, and dirty again */
	vhdx_capture_release(&transaction, &capture);
	assert_int_equal(holds_of(c, 7), 1);
	assert_int_equal(holds_of(c, 1), 0);
	capture = capture_of(&transaction);
	assert_copy(&capture, 0, 7, 99);
	vhdx_capture_release(&transaction, &capture);
}

static void test_each_capture_begins_a_transaction_of_the_next_number(void **state)
{
	struct journal_case *c = *state;
	struct transaction transaction = begin(c);

	for (uint64_t number = 1; number < 5; number++) {
		if (number % 2)
			assert_int_equal(put(c, &transaction, 1, 1), number);
		struct capture capture = capture_of(&transaction);

		assert_int_equal(capture.number, number);
		assert_int_equal(capture.count, number % 2);
		vhdx_capture_release(&transaction, &capture);
	}
}

static void note(struct transaction *transaction, bool data_first, uint64_t end)
{
	struct change change;

	assert_true(vhdx_transaction_reserve(transaction, 0, &change));
	vhdx_change_enter(&change);
	if (data_first)
		vhdx_change_data_first(&change);
	vhdx_change_needs(&change, end);
	vhdx_change_leave(&change);
	vhdx_change_end(&change);
}

static void test_data_first_is_of_one_transaction_and_the_needed_end_of_all(void **state)
{
	struct journal_case *c = *state;
	struct transaction transaction = begin(c);

	note(&transaction, true, NEEDED_END + 5 * MIB);
	note(&transaction, false, NEEDED_END + 3 * MIB);
	struct capture capture = capture_of(&transaction);

	assert_true(capture.data_first);
	assert_int_equal(capture.needed_end, NEEDED_END + 5 * MIB);
	capture = capture_of(&transaction);
	assert_false(capture.data_first);
	assert_int_equal(capture.needed_end, NEEDED_END + 5 * MIB);
}

static void test_what_came_back_is_dirty_in_the_open_transaction(void **state)
{
	struct journal_case *c = *state;
	struct transaction transaction = begin(c);

	put(c, &transaction, 1, 1);
	put(c, &transaction, 2, 1);
	note(&transaction, true, 0);
	struct capture failed = capture_of(&transaction);

	put(c, &transaction, 2, 2);
	put(c, &transaction, 3, 2);
	vhdx_transaction_take_back(&transaction, &failed);
	assert_null(failed.pages);
	assert_int_equal(transaction.dirty_count, 3);
	for (uint64_t i = 1; i <= 3; i++)
		assert_int_equal(holds_of(c, i), 1);
	struct capture capture = capture_of(&transaction);

	assert_int_equal(capture.count, 3);
	assert_int_equal(capture.number, 2);
	assert_true(capture.data_first);
	assert_copy(&capture, 0, 1, 1);
	assert_copy(&capture, 1, 2, 2);
	assert_copy(&capture, 2, 3, 2);
	vhdx_capture_release(&transaction, &capture);
	for (uint64_t i = 1; i <= 3; i++)
		assert_int_equal(holds_of(c, i), 0);
}

static void test_what_may_come_back_has_its_room(void **state)
{
	struct journal_case *c = *state;
	struct transaction transaction = begin(c);
	struct change change;

	for (uint64_t i = 0; i < LIMIT; i++)
		put(c, &transaction, i, 1);
	struct capture first = capture_of(&transaction);

	for (uint64_t i = LIMIT; i < 2 * LIMIT; i++)
		put(c, &transaction, i, 1); /* none of these waits for the first */
	vhdx_transaction_take_back(&transaction, &first);
	assert_int_equal(transaction.dirty_count, 2 * LIMIT);
	assert_false(vhdx_transaction_reserve(&transaction, 1, &change));
	struct capture both = capture_of(&transaction);

	assert_false(vhdx_transaction_reserve(&transaction, 1, &change));
	vhdx_capture_release(&transaction, &both);
	struct capture none = capture_of(&transaction);

	assert_int_equal(none.count, 0);
	put(c, &transaction, 1, 1);
}

static void test_without_memory_for_the_copies_all_stays_as_it_is(void **state)
{
	struct journal_case *c = *state;
	struct transaction transaction = begin(c);
	struct capture capture;

	put(c, &transaction, 1, 1);
	note(&transaction, true, 0);
	alloc_fail_nth(1);
	assert_int_equal(vhdx_transaction_capture(&transaction, &capture), -ENOMEM);
	alloc_fail_nth(0);
	assert_int_equal(transaction.number, 1);
	assert_int_equal(transaction.dirty_count, 1);
	assert_true(transaction.data_first);
	capture = capture_of(&transaction);
	assert_copy(&capture, 0, 1, 1);
	vhdx_capture_release(&transaction, &capture);
}

static void test_a_page_that_cannot_be_had_fails_its_change_alone(void **state)
{
	struct journal_case *c = *state;
	struct transaction transaction = begin(c);
	struct change change;
	struct page *page = NULL;

	assert_true(vhdx_transaction_reserve(&transaction, 2, &change));
	hold(c, &change, 1);
	alloc_fail_nth(1);
	assert_int_equal(vhdx_change_hold(&change, &c->map, 2, HOME, false, &page), -ENOMEM);
	alloc_fail_nth(0);
	assert_null(page);
	assert_int_equal(holds_of(c, 1), 1);
	vhdx_change_end(&change);
	assert_int_equal(holds_of(c, 1), 0);
	put(c, &transaction, 2, 1);
	assert_int_equal(transaction.dirty_count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FILE(test_a_reservation_that_does_not_fit_beside_dirty_pages_needs_a_commit),
		WITH_FILE(test_what_a_change_reserved_and_did_not_use_is_free_again),
		WITH_FILE(test_a_page_that_changes_often_counts_once),
		WITH_FILE(test_a_capture_copies_all_dirty_pages_by_their_homes),
		WITH_FILE(test_each_capture_begins_a_transaction_of_the_next_number),
		WITH_FILE(test_data_first_is_of_one_transaction_and_the_needed_end_of_all),
		WITH_FILE(test_what_came_back_is_dirty_in_the_open_transaction),
		WITH_FILE(test_what_may_come_back_has_its_room),
		WITH_FILE(test_without_memory_for_the_copies_all_stays_as_it_is),
		WITH_FILE(test_a_page_that_cannot_be_had_fails_its_change_alone),
	};

	return RUN_TESTS(tests);
}
