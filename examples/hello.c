/* hello.c: the smallest program for ring 3: says hello and the words it was started with.
 *
 * Built by the Makefile as a static ELF64 without a library; put into the boot module it is started by
 * `run hello WORD...`. What programs are promised is in include/amphi/user.h.
 */
#include "../tests/user/program.h"

int program(int argc, char **argv)
{
	say("hello from ring 3", "");
	for (int i = 1; i < argc; i++)
		say("  ", argv[i]);
	return 0;
}
