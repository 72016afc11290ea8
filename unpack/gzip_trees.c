/* gzip_trees.c: zlib's code tables of inflate, as it is (tools/sources.sh).
 *
 * Called by gzip.c's part of the library. In a file of its own because the library's private headers do not bear to
 * be included twice.
 */
#define Z_SOLO
#include <zlib/inftrees.c>
