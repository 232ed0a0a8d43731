#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# The proof of selftests/abi_tlb.c under other settings of the kernel, and of the machine.

load helper

# proof WORDS: with these on the kernel's command line.
proof() {
	need_module
	"$top/selftests/vm/vm" run --kernel 6.1 --smp 4 --timeout 280 --append "$1" \
		--programs fos-abi_tlb -- env FOS_SOAK=0.2 fos-abi_tlb \
		-V of_64_pages -V of_sleepers -V of_migrants -V with_pcids -V by_broadcast
}

@test "no store lands where user space has page tables of its own" {
	proof pti=on
}

# with_outsider SERIES: what needs a device that a guest has not.
with_outsider() {
	local ko

	ko=$(compgen -G "$build/$1.*[0-9]-amd64/fastos.ko") ||
		skip "no module of $1 is built; make vm-module"
	run --separate-stderr "$top/selftests/vm/vm" run --kernel "$1" --smp 2 \
		--programs fos-abi_tlb_peers \
		--module "$ko" --module "$("$top/selftests/vm/build-module" "$1" \
			SRC="$top/selftests/vm/outsider" 2>/dev/null)" \
		-- fos-abi_tlb_peers -t a_device_is_not_given_what_is_read_only \
		-t what_a_device_was_given_before_is_busy \
		-t secondary_mmus_are_told_which_pages \
		-t who_keeps_his_mmap_lock_holds_nobody_up
	echo "$output"
	[[ $status -eq 0 && $output == *'pass:4 fail:0'* ]]
}

@test "devices and secondary MMUs, on 6.1" { with_outsider 6.1; }
@test "devices and secondary MMUs, on 6.12" { with_outsider 6.12; }
@test "devices and secondary MMUs, on 7.3" { with_outsider 7.3; }

# Of two nodes, the one where nobody runs who touches them.
two_nodes() {	# SERIES
	need_module
	run selftests/vm/vm run --kernel "$1" --nodes 2 --programs fos-numa --plan -- \
		taskset 1 fos-numa
	echo "$output"
	[[ $status -eq 0 && $output == *'ok 1 '* && $output != *SKIP* ]]
}

@test "pages come from the node that libnuma asks for, on 6.1" { two_nodes 6.1; }
@test "pages come from the node that libnuma asks for, on 6.12" { two_nodes 6.12; }
@test "pages come from the node that libnuma asks for, on 7.3" { two_nodes 7.3; }
