// SPDX-License-Identifier: MIT
/*
 * A snapshot on disk: a manifest, and the pages of the store.  To read it back is
 * to prove that it is the store at one point in time.
 */
#include "kvsnap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kvsnap_report.h"

#define MAGIC		"kvsnap1"
#define CHUNK_PAGES	64UL

static char chunk[CHUNK_PAGES * PAGE];

static uint64_t checksum(uint64_t sum, const char *from, size_t len)
{
	const uint64_t *word = (const uint64_t *)from;

	for (size_t i = 0; i < len / sizeof(*word); i++)
		sum = (sum ^ word[i]) * 0x100000001b3ULL;
	return sum;
}

/* ---- to disk ---------------------------------------------------------- */

static int write_all(int fd, const char *from, size_t len)
{
	ssize_t n;

	for (; len; len -= n, from += n) {
		n = write(fd, from, len);
		if (n < 0)
			return -1;
	}
	return 0;
}

/* Pages first: a file that ends too early has no manifest. */
static int write_pages(struct store *s, int fd)
{
	size_t page, n;

	if (lseek(fd, PAGE, SEEK_SET) < 0)
		return -1;
	for (page = 0; page < s->pages; page += n) {
		for (n = 0; n < CHUNK_PAGES && page + n < s->pages; n++)
			kv_page_take(s, page + n, chunk + n * PAGE);
		s->manifest.checksum = checksum(s->manifest.checksum, chunk,
						n * PAGE);
		if (write_all(fd, chunk, n * PAGE))
			return -1;
	}
	return 0;
}

static int write_manifest(struct store *s, int fd)
{
	static union {
		struct manifest m;
		char page[PAGE];
	} first;

	first.m = s->manifest;
	memcpy(first.m.magic, MAGIC, sizeof(first.m.magic));
	first.m.pages = s->pages;
	first.m.writers = s->writers;
	return pwrite(fd, &first, PAGE, 0) == PAGE ? 0 : -1;
}

int kv_save(struct store *s)
{
	const int fd = open(option.path, O_WRONLY | O_CREAT | O_TRUNC |
			    O_CLOEXEC | O_NOFOLLOW, 0600);
	int ret;

	if (fd < 0)
		return -1;
	s->manifest.checksum = 0;
	ret = write_pages(s, fd);
	if (!ret && option.sync)
		ret = fdatasync(fd);
	if (!ret)
		ret = write_manifest(s, fd);
	if (!ret && option.sync)
		ret = fdatasync(fd);
	return close(fd) ? -1 : ret;
}

/* ---- and back --------------------------------------------------------- */

/* What is found in a file; the sums that its manifest must agree with. */
struct found {
	uint64_t checksum;
	uint64_t keys;
	uint64_t balance;
	uint64_t version;
	uint64_t moved;
	uint64_t strange;
};

static void add_slots(struct found *f, const struct slot *slot)
{
	for (size_t i = 0; i < PAGE_SLOTS; i++, slot++) {
		f->strange += slot->key != f->keys;
		f->balance += slot->balance;
		f->version += slot->version;
		f->moved += kv_weight(f->keys++) * (slot->balance - BALANCE);
	}
}

static void add_pages(struct found *f, const struct manifest *m, size_t page,
		      size_t n)
{
	for (size_t i = 0; i < n; i++, page++) {
		const char *at = chunk + i * PAGE;

		if (page >= m->writers)
			add_slots(f, (const struct slot *)at);
		else
			f->strange += ((const struct journal *)at)->seq !=
				      m->seq[page];
	}
}

static int read_pages(FILE *file, const struct manifest *m, struct found *f)
{
	size_t page, n;

	if (fseek(file, PAGE, SEEK_SET))
		return -1;
	for (page = 0; page < m->pages; page += n) {
		n = m->pages - page;
		if (n > CHUNK_PAGES)
			n = CHUNK_PAGES;
		if (fread(chunk, PAGE, n, file) != n)
			return -1;
		f->checksum = checksum(f->checksum, chunk, n * PAGE);
		add_pages(f, m, page, n);
	}
	return 0;
}

/*
 * Nothing was lost or made; each operation counted twice; the journals are those
 * of the writers when they were held; and every key has just the balance that all
 * operations until then, and none after, have given it: any other would change the
 * weighted sum.
 */
static const char *compare(const struct manifest *m, const struct found *f)
{
	uint64_t operations = 0;

	for (unsigned int i = 0; i < m->writers; i++)
		operations += m->seq[i];
	if (f->checksum != m->checksum)
		return "it is not what was written";
	if (f->moved != m->moved)
		return "balances are not those of that time";
	if (f->balance != f->keys * BALANCE)
		return "balances do not add up";
	if (f->version != 2 * operations)
		return "operations are missing, or too many";
	return f->strange ? "keys or journals are not those of that time" : NULL;
}

static const char *check(FILE *file)
{
	struct manifest m;
	struct found f = { 0 };

	if (fread(&m, sizeof(m), 1, file) != 1 ||
	    memcmp(m.magic, MAGIC, sizeof(m.magic)) ||
	    m.writers > WRITERS_MAX || m.pages < m.writers)
		return "no manifest";
	if (read_pages(file, &m, &f))
		return "it ends too early";
	return compare(&m, &f);
}

int kv_check(const char *path, char why[WHY_LEN])
{
	FILE *file = fopen(path, "re");
	const char *wrong = file ? check(file) : "it cannot be read";

	if (file)
		fclose(file);
	if (wrong)
		snprintf(why, WHY_LEN, "%s", wrong);
	return wrong ? -1 : 0;
}
