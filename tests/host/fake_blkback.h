/* fake_blkback.h: blkback's figures, made up: for tests of those who print them.
 *
 * One disk, xvda of domain 1, with two rings, and one request that was traced and not answered to the end.
 */
#ifndef TESTS_FAKE_BLKBACK_H
#define TESTS_FAKE_BLKBACK_H

extern char fake_traced[96]; /* the last blkback_trace */

#endif
