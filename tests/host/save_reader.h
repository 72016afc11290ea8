/* save_reader.h: a reader of saved domains, for tests: what a stream must be, said by Xen's specification.
 *
 * User: control_save_test.c. Written from docs/specs/libxc-migration-stream of Xen's tree, and knows nothing of how we write. It
 * remembers a guest of the fake hypervisor's as it is, and then holds a stream against it. Fails the test by cmocka.
 */
#ifndef TESTS_SAVE_READER_H
#define TESTS_SAVE_READER_H

#include <amphi/host_control.h>

#define READER_PAGES 2048u

/* Of the guest: IN what the hypervisor keeps of its vCPU, and the frame of its start information. OUT how often a page
 * was seen, and how many tables. */
struct save_reader {
	unsigned xsave_bytes, msrs;
	mfn_t start_frame;
	unsigned seen[READER_PAGES], tables, pinned;
};
extern struct save_reader reader;

/* The guest as it is, with its list of frames. */
void reader_remember(domid_t domid, const uint64_t *list);

/* The parts of a stream, one after the other; len bytes are on the disk. The last two: all of it, each page once. */
void reader_front(const uint8_t *disk, size_t len);
void reader_pages(void);
void reader_back(void);
void reader_all(const uint8_t *disk, size_t len);

#endif
