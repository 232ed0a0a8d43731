#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# File I/O on devices that wait: null_blk and the emulator's disk, in guests, for there
# is no module on this machine.  What it costs is counted in instructions.
# budget: 600 s

load helper

cache=${FASTOS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fastos}

# on_null_blk SERIES PROGRAM "OPTION..." SCRIPT [VM-OPTION...]: null_blk's options; the
# device takes completion_nsec, but by a queue that is polled no time at all.
on_null_blk() {
	local stock=$cache/kernels/$1/modules

	need_module
	[[ -f $stock/null_blk.ko ]] || skip "no null_blk of $1; selftests/vm/fetch gets it"
	run --separate-stderr selftests/vm/vm run --kernel "$1" "${@:5}" \
		--programs "$2" --add "$stock/configfs.ko:/" --add "$stock/null_blk.ko:/" \
		-- sh -c "
		insmod /configfs.ko
		null_blk() {
			insmod /null_blk.ko queue_mode=2 irqmode=2 gb=1 bs=4096 $3 \"\$@\"
		}
		$4"
	echo "$output"
	# shellcheck disable=SC2154 # of run
	echo "$stderr"
	[[ $status -eq 0 ]]
}

# What is read and written is right, too, where the device is polled.
correct() {	# SERIES "OPTION..."
	# shellcheck disable=SC2016 # the guest expands
	on_null_blk "$1" "fos-io fos-io_async fos-io_cq fos-io_fixed" \
		"memory_backed=1 $2" '
		export FOS_SOAK=0.3 FOS_IO_DEVICE=/dev/nullb0
		null_blk completion_nsec=50000 && fos-io && fos-io_async && fos-io_cq &&
			fos-io_fixed'
	[[ $(grep -c 'fail:0 xfail:0 xpass:0' <<<"$output") -eq 4 ]]
}

# The emulator's disk answers when it does, by virtio; who measures it fails no read.
disk() {	# SERIES
	local stock=$cache/kernels/$1/modules m adds=() names='virtio_ring virtio
		virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk'

	need_module
	[[ -f $stock/virtio_blk.ko ]] || skip "no virtio_blk of $1; selftests/vm/fetch gets it"
	for m in $names; do
		[[ ! -f $stock/$m.ko ]] || adds+=(--add "$stock/$m.ko:/virtio/")
	done
	# shellcheck disable=SC2016 # the guest expands
	run --separate-stderr selftests/vm/vm run --kernel "$1" --disk 64 "${adds[@]}" \
		--programs "fos-io fos-io_async fos-io_cq fos-io_fixed fosbench" -- sh -c '
		for m in '"${names//[[:space:]]/ }"'; do
			[ ! -f "/virtio/$m.ko" ] || insmod "/virtio/$m.ko" || exit 1
		done
		export FOS_SOAK=0.3 FOS_IO_DEVICE=/dev/vda
		fos-io && fos-io_async && fos-io_cq && fos-io_fixed && fosbench io \
			--direct -f /dev/vda --sizes 4K \
			--time 20 --rounds 1'
	echo "$output"
	[[ $status -eq 0 && $(grep -c 'fail:0 xfail:0 xpass:0' <<<"$output") -eq 4 ]]
	[[ $(grep -cE '^  (fastos|uring|uring-poll|pread) +[0-9]' <<<"$output") -eq 4 ]]
}

@test "so it is on a disk of virtio, on 6.1" { disk 6.1; }
@test "so it is on a disk of virtio, on 6.12" { disk 6.12; }
@test "so it is on a disk of virtio, on 7.3" { disk 7.3; }

slow() {	# SERIES
	# shellcheck disable=SC2016 # the guest expands
	on_null_blk "$1" "fos-io fos-io_async" "memory_backed=1 poll_queues=0" '
		export FOS_IO_SLOW=1 FOS_IO_DEVICE=/dev/nullb0
		null_blk completion_nsec=10000000 && fos-io -V cached \
			-t where_polling_never_pays_it_ends && fos-io_async -V cached \
			-t a_deadline_ends_the_wait_and_not_the_call'
	[[ $(grep -c 'pass:1 fail:0 xfail:0 xpass:0 skip:0' <<<"$output") -eq 2 ]]
}

@test "what is read and written is right, on 6.1" { correct 6.1 poll_queues=0; }
@test "what is read and written is right, on 6.12" { correct 6.12 poll_queues=0; }
@test "what is read and written is right, on 7.3" { correct 7.3 poll_queues=0; }
@test "what takes long is given up and not polled for, on 6.1" { slow 6.1; }
@test "what takes long is given up and not polled for, on 7.3" { slow 7.3; }
@test "so it is by a queue that is polled, on 6.1" { correct 6.1 poll_queues=1; }
@test "so it is by a queue that is polled, on 7.3" { correct 7.3 poll_queues=1; }

# costs SERIES "OPTION...": of reads from devices that take 2, 10 and 100 us, by the
# same program, a line a device: "2000 ENGINE LATENCY CPU ENGINE ...".
costs() {
	# shellcheck disable=SC2016 # the guest expands
	on_null_blk "$1" fosbench "$2" '
		sleep 3
		for ns in 2000 10000 100000; do
			null_blk completion_nsec=$ns
			fosbench io --icount --direct -f /dev/nullb0 --sizes 4K \
				--json /tmp/$ns >/dev/null && echo "of $ns" &&
				cat /tmp/$ns
			rmmod null_blk
		done' --icount
	run -0 jq -R -s -r 'split("of ")[1:][] | capture("(?<ns>[0-9]+)\n(?<j>(.|\n)*)") |
		.ns + " " + (.j | fromjson.cells[0].engines |
		map(select(.status == "ok") | "\(.name) \(.median) \(.cpu_total)") |
		join(" "))' <<<"$output"
	echo "$output"
	[[ ${#lines[@]} -eq 3 ]]
}

# within ENGINE FIELD TIMES OTHER NS: 1 latency, 2 CPU.
within() {
	awk -v ours="$1" -v field="$2" -v times="$3" -v other="$4" -v ns="$5" '
		$1 == ns {
			for (i = 2; i <= NF; i += 3) {
				if ($i == ours) a = $(i + field)
				if ($i == other) b = $(i + field)
			}
		}
		END {
			printf "%s: %s is %.2f of %s\n", ns, ours, a / b, other
			exit !(a > 0 && b > 0 && a <= times * b)
		}' <<<"$output"
}

# Where polling pays it is near to polling only, else to sleeping at once.
hybrid() {	# SERIES
	have jq || skip "no jq"
	costs "$1" "poll_queues=0 no_sched=1"
	within fastos 1 1.2 uring-poll 2000
	within fastos-fixed 1 1.1 uring-poll 2000
	within fastos 1 1 pread 2000
	within fastos 2 1.2 pread 10000
	within fastos 2 1.2 pread 100000
}

@test "it polls where that pays and sleeps where not, on 6.1" { hybrid 6.1; }
@test "it polls where that pays and sleeps where not, on 6.12" { hybrid 6.12; }
@test "it polls where that pays and sleeps where not, on 7.3" { hybrid 7.3; }

@test "a device with queues for it is polled without an interrupt" {
	have jq || skip "no jq"
	costs 6.1 poll_queues=1
	within fastos 1 0.85 uring-poll 2000
	within fastos 1 1.2 iopoll 2000
}
