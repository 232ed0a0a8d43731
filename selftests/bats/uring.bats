#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# What commands of io_uring cost, in guests whose clock counts instructions.
# budget: 300 s

load helper

# Batches of 8, all done at once, beside the ioctl that does the same.
no_dearer_than() {	# SERIES TIMES
	local ioctl ring

	need_module
	# What booting began comes to its end.
	run selftests/vm/vm run --kernel "$1" --smp 1 --icount \
		--programs fos-abi_uring -- \
		sh -c 'sleep 5; fos-abi_uring -t bells_are_counted'
	echo "$output"
	[[ $status -eq 0 ]]
	[[ $output =~ 'a bell: '([0-9]+)' ns by ioctl, '([0-9]+)' ns in a batch of 8' ]]
	ioctl=${BASH_REMATCH[1]} ring=${BASH_REMATCH[2]}
	awk -v i="$ioctl" -v r="$ring" -v most="$2" 'BEGIN { exit !(r <= most * i) }'
}

@test "a bell by the ring is at most 1.1 times the ioctl, on 6.1" { no_dearer_than 6.1 1.1; }
@test "a bell by the ring is at most 1.1 times the ioctl, on 6.12" { no_dearer_than 6.12 1.1; }
@test "a bell by the ring is at most 1.35 times the ioctl, on 7.3" { no_dearer_than 7.3 1.35; }

@test "64 who are to be rung are one system call" {
	need_module
	run selftests/vm/vm run --kernel 6.1 --smp 1 --programs fosbench -- \
		fosbench bells --counts --iters 50 --rounds 1 --sizes 64
	echo "$output"
	[[ $status -eq 0 ]]
	grep -qE '^ +calls +64\.00\b' <<<"$output"
	grep -qE '^ +ring +1\.00\b' <<<"$output"
	grep -qE '^ +silent +0\.00\b' <<<"$output"
}
