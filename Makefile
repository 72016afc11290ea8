# Amphi: one kernel for both sides, and a thin hypervisor under it.
# Targets: all run shell example-debian test bench soak fuzz docs clean. O goes to $(BUILD); one helper, one BUILD.
# A new .c or .S file in a room is built because it is there; a new test is one new file.
SHELL := /bin/sh
BUILD ?= build
CC = gcc
CLANG = clang-14
PYTHON = python3
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.SECONDARY:
.DELETE_ON_ERROR:

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
	-Wundef -Wvla -Wpointer-arith -Wwrite-strings -Wno-unused-parameter -Wno-missing-field-initializers
BASE := -std=gnu11 -O2 -g $(WARN) -Iinclude -I. -Ikernel/net/port -isystem $(BUILD)/third -isystem $(BUILD)/third/lwip/include -MMD -MP
FREE := $(BASE) -ffreestanding -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables \
	-fno-omit-frame-pointer -fno-strict-aliasing -fno-common -mno-red-zone -mgeneral-regs-only -m64
KFLAGS := $(FREE) -mcmodel=kernel -fno-pic -fno-pie
HVFLAGS := $(FREE) -mcmodel=small -fpie -fvisibility=hidden -fno-jump-tables
HOST := $(BASE) -DAMPHI_HOST_TEST -fno-omit-frame-pointer -fno-strict-aliasing -mno-red-zone
# Tests are compiled once and run once: -O1 and the lines alone take half the compiler's time.
ASAN := -O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=undefined

# ---- rooms ---------------------------------------------------------------------------
PORTABLE := protocol drivers-front drivers-back control iommu unpack
KERNEL_ROOMS := lib pvops hypercall $(PORTABLE) drivers-native kernel kernel/net
HV_ROOMS := lib hypervisor iommu
src = $(sort $(foreach r,$(1),$(wildcard $(r)/*.c $(r)/*.S)))
objs = $(patsubst %,$(BUILD)/$(2)/%.o,$(call src,$(1)))
K_OBJS := $(call objs,$(KERNEL_ROOMS),kernel)
# Its IOMMUs it drives as the kernel does; the layer that drivers call is the kernel's.
HV_OBJS := $(filter-out $(addprefix $(BUILD)/hv/iommu/,dma.c.o dma_% swiotlb%),$(call objs,$(HV_ROOMS),hv))
PLAIN_OBJS := $(patsubst $(BUILD)/kernel/%,$(BUILD)/plain/%,$(filter-out $(BUILD)/kernel/pvops/%,$(K_OBJS))) \
	$(patsubst %,$(BUILD)/plain/%.o,tests/plain/plain.c pvops/native_cpu.c pvops/lock.c)
TOOL_OBJS := $(patsubst %,$(BUILD)/tool/%.o,$(wildcard tools/amphi-tool/*.c) lib/elf.c lib/cpio.c lib/manifest.c \
	lib/pattern.c lib/text.c lib/printf.c control/domain_config.c control/config_lex.c control/config_disk.c control/config_vif.c control/config_pci.c control/config_words.c \
	control/config_cpus.c $(wildcard unpack/*.c))

all: $(BUILD)/amphi $(BUILD)/amphi-hv $(BUILD)/amphi-tool programs
DEPS := $(BUILD)/.deps-build
$(DEPS): tools/deps.sh
	@tools/deps.sh build && mkdir -p $(@D) && touch $@

# What unpack/ and kernel/net include is fetched first.
THIRD := $(BUILD)/third/.ready
$(THIRD): tools/sources.sh
	@tools/sources.sh $(@D) && touch $@
of_all = $(foreach k,$(1),$(patsubst %,$(BUILD)/$(k)/%.o,$(2)))
$(call of_all,kernel plain tool host fuzz,$(wildcard unpack/*.c kernel/net/*.c tests/*/net_stack_*.c)): | $(THIRD)

# Of what is included there only a part is used: it is cut by functions, and the rest is left out of the link. Small,
# because the kernel starts in 4 MiB; xz, which Debian's kernels want, is small as it is.
$(filter-out %/xz.c.o,$(call of_all,kernel plain,$(wildcard unpack/*.c))): KFLAGS += -Os
$(call of_all,kernel plain,$(filter-out unpack/xz.c,$(wildcard unpack/*.c)) $(wildcard kernel/net/*.c)): KFLAGS += -ffunction-sections -fdata-sections
$(BUILD)/amphi.pass1 $(BUILD)/amphi $(BUILD)/amphi-plain.pass1 $(BUILD)/amphi-plain: KLINK += -Wl,--gc-sections

$(BUILD)/kernel/%.c.o: %.c | $(DEPS)
	@mkdir -p $(@D); $(CC) $(KFLAGS) -c $< -o $@
$(BUILD)/kernel/%.S.o: %.S | $(DEPS)
	@mkdir -p $(@D); $(CC) $(KFLAGS) -D__ASSEMBLY__ -c $< -o $@
$(patsubst %,$(BUILD)/kernel/pvops/%.S.o,thin thunks lock_thunks): pvops/keep.S
PLAIN_C = $(CC) -Itests/plain $(KFLAGS) -g0 -c $< -o $@
$(BUILD)/plain/tests/plain/%.c.o: tests/plain/%.c | $(DEPS)
	@mkdir -p $(@D); $(PLAIN_C)
# What has no pv site is the kernel's own object.
$(BUILD)/plain/%.c.o: %.c $(BUILD)/kernel/%.c.o | $(DEPS)
	@mkdir -p $(@D); if grep -q amphi/pvops_sites.h $(BUILD)/kernel/$<.d; then $(PLAIN_C); else cp $(BUILD)/kernel/$<.o $@; fi
$(BUILD)/plain/%.S.o: %.S | $(DEPS)
	@mkdir -p $(@D); $(CC) $(KFLAGS) -D__ASSEMBLY__ -c $< -o $@
$(BUILD)/hv/%.c.o: %.c | $(DEPS)
	@mkdir -p $(@D); $(CC) $(HVFLAGS) -c $< -o $@
$(BUILD)/hv/%.S.o: %.S | $(DEPS)
	@mkdir -p $(@D); $(CC) $(HVFLAGS) -D__ASSEMBLY__ -c $< -o $@
$(BUILD)/tool/%.c.o: %.c | $(DEPS)
	@mkdir -p $(@D); $(CC) $(HOST) -c $< -o $@
# lwIP takes the address of a member of nothing, and compares that with nothing.
$(call of_all,host fuzz,$(wildcard kernel/net/lwip_*.c)): NO_UBSAN := -fno-sanitize=null
$(BUILD)/host/%.c.o: %.c | $(DEPS) $(BUILD)/.deps-test
	@mkdir -p $(@D); $(CC) $(HOST) $(ASAN) $(NO_UBSAN) -c $< -o $@
$(BUILD)/fuzz/%.c.o: %.c | $(DEPS) $(BUILD)/.deps-test
	@mkdir -p $(@D); $(CLANG) $(HOST) -Wno-unknown-warning-option $(ASAN) -fsanitize=fuzzer-no-link \
		$(NO_UBSAN) -c $< -o $@

# ---- programs ------------------------------------------------------------------------
# The kernel is linked twice: the second link carries the symbol table made from the first.
KLINK = $(CC) -nostdlib -static -no-pie -Wl,--build-id=none,-z,noexecstack,-z,max-page-size=4096,--no-warn-rwx-segments
# amphi-plain has no pvops: the price of having them is measured against it (tests/plain).
SYMBOLS = tools/symbols.sh $(1) > $@.S && $(CC) $(KFLAGS) -MF /dev/null -c $@.S -o $@.symbols.o
$(BUILD)/amphi.pass1 $(BUILD)/amphi: $(K_OBJS)
$(BUILD)/amphi-plain.pass1 $(BUILD)/amphi-plain: $(PLAIN_OBJS)
$(BUILD)/%.pass1: kernel/kernel.lds tools/symbols.sh
	@$(call SYMBOLS,/dev/null)
	@$(KLINK) -T kernel/kernel.lds -o $@ $(filter %.o,$^) $@.symbols.o
$(BUILD)/amphi $(BUILD)/amphi-plain: $(BUILD)/%: $(BUILD)/%.pass1
	@$(call SYMBOLS,$<)
	@$(KLINK) -T kernel/kernel.lds -o $@ $(filter %.o,$^) $@.symbols.o
$(BUILD)/hot_sites: tests/plain/hot_sites.c $(BUILD)/plain/tests/plain/hot.c.o | $(BUILD)/.deps-test
	@$(CC) $(HOST) -MF $@.d -o $@ $< -lcapstone
plain: $(BUILD)/amphi-plain $(BUILD)/hot_sites
$(BUILD)/amphi-hv: $(HV_OBJS) hypervisor/hypervisor.lds
	@$(KLINK) -T hypervisor/hypervisor.lds -o $@ $(HV_OBJS)
$(BUILD)/amphi-tool: $(TOOL_OBJS)
	@$(CC) -o $@ $(TOOL_OBJS)

# Programs for ring 3 (include/amphi/user.h): one C file each, no library.
UFLAGS := $(filter-out -mgeneral-regs-only,$(FREE)) -mno-avx -fno-pic -fno-pie -mcmodel=small
USER := $(patsubst %.c,$(BUILD)/user/%,$(notdir $(wildcard tests/user/*.c) examples/hello.c))
programs: $(USER)
$(BUILD)/user/%: tests/user/%.c | $(DEPS)
	@mkdir -p $(@D); $(ULINK)
$(BUILD)/user/%: examples/%.c | $(DEPS)
	@mkdir -p $(@D); $(ULINK)
ULINK = $(CC) $(UFLAGS) -MF $@.d -nostdlib -static -no-pie -Wl,--build-id=none,-z,noexecstack,-z,separate-code,-z,max-page-size=4096 -o $@ $<

# ---- tests: each file under tests/host and tests/fuzz is a program; its line
# "links: FILE.c ..." (patterns too) names what it is linked with.
HOST_TESTS := $(patsubst tests/host/%.c,$(BUILD)/tests/%,$(wildcard tests/host/*_test.c))
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzzers/%,$(wildcard tests/fuzz/*_fuzz.c))
links = $(wildcard $(filter %.c,$(shell sed -n '/links:/,/[*][/]/p' $(1))))
define host_test_rule
$(BUILD)/tests/$(1): $(patsubst %,$(BUILD)/host/%.o,tests/host/$(1).c $(call links,tests/host/$(1).c))
	@mkdir -p $$(@D); $(CC) $(ASAN) -o $$@ $$^ -lcmocka -lcapstone -lpthread
endef
define fuzz_rule
$(BUILD)/fuzzers/$(1): $(patsubst %,$(BUILD)/fuzz/%.o,tests/fuzz/$(1).c $(call links,tests/fuzz/$(1).c))
	@mkdir -p $$(@D); $(CLANG) -fsanitize=fuzzer,address,undefined -o $$@ $$^
endef
$(foreach t,$(notdir $(HOST_TESTS)),$(eval $(call host_test_rule,$(t))))
$(foreach t,$(notdir $(FUZZERS)),$(eval $(call fuzz_rule,$(t))))
$(BUILD)/.deps-test: tools/deps.sh
	@tools/deps.sh test && mkdir -p $(@D) && touch $@
host-tests: $(HOST_TESTS)
fuzzers: $(FUZZERS)

test: $(BUILD)/.deps-test
	@$(MAKE) -j2 --no-print-directory all host-tests fuzzers
	@BUILD=$(BUILD) tests/run.sh
fuzz: $(BUILD)/.deps-test
	@$(MAKE) -j2 --no-print-directory fuzzers
	@BUILD=$(BUILD) FUZZ_SECONDS=$${FUZZ_SECONDS:-600} tests/run.sh fuzz
$(BUILD)/.deps-run: tools/deps.sh
	@tools/deps.sh run && mkdir -p $(@D) && touch $@
run: $(BUILD)/.deps-run
	@$(MAKE) -j2 --no-print-directory all
	@BUILD=$(BUILD) DISK='$(DISK)' DISK_MODE='$(DISK_MODE)' tools/run.sh
shell: $(BUILD)/.deps-run
	@$(MAKE) -j2 --no-print-directory all
	@BUILD=$(BUILD) DISK='$(DISK)' DISK_MODE='$(DISK_MODE)' tools/run.sh --shell
example-debian: $(BUILD)/.deps-run
	@$(MAKE) -j2 --no-print-directory all
	@BUILD=$(BUILD) CHECK='$(CHECK)' tools/debian.sh
bench: $(BUILD)/.deps-test
	@$(MAKE) -j2 --no-print-directory all plain
	@BUILD=$(BUILD) tests/bench.sh
soak: $(BUILD)/.deps-test
	@$(MAKE) -j2 --no-print-directory all
	@BUILD=$(BUILD) tests/soak.sh
bench-xen: $(BUILD)/.deps-test
	@$(MAKE) -j2 --no-print-directory all
	@BUILD=$(BUILD) tests/bench.sh linux calls blocks nets netwire passed
docs: $(DEPS) $(BUILD)/.deps-test
	@tools/docs.sh
clean:
	rm -rf $(BUILD)
.PHONY: all plain programs host-tests fuzzers test fuzz run shell example-debian bench soak docs clean
-include $(shell find $(BUILD) \( -path $(BUILD)/xen -o -path $(BUILD)/debian \) -prune -o -name '*.d' -type f -print 2>/dev/null)
