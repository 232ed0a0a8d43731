#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# The proof of selftests/abi_tlb.c under other settings of the kernel.

load helper

# proof WORDS: with these on the kernel's command line.
proof() {
	need_module
	"$top/selftests/vm/vm" run --kernel 6.1 --smp 4 --timeout 280 --append "$1" \
		-- env FOS_SOAK=0.2 fos-abi_tlb \
		-V of_64_pages -V of_sleepers -V of_migrants -V with_pcids -V by_broadcast
}

@test "no store lands where user space has page tables of its own" {
	proof pti=on
}
