#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck disable=SC2016 # the guest expands
#
# The module comes and goes while processes open it, use it and die:
# FOS_RELOADS=40 times, in `make soak` 1000.
# budget: 900 s

load helper

# A process in the middle of calls, one that is killed in them, and one that
# only opens the device, for as long as there is no /tmp/stop.
users='
	export FOS_BACKEND=kernel
	until [ -e /tmp/stop ]; do fos-echo && echo >>/tmp/used; done &
	until [ -e /tmp/stop ]; do
		fos-echo & kill -9 $!; wait $!
	done &
	until [ -e /tmp/stop ]; do (: </dev/fastos) && echo >>/tmp/opened; done &'

# What a kernel has in use that a leak makes more, in KiB.
in_use='in_use() {
	awk "/^(SUnreclaim|VmallocUsed|Percpu|KernelStack):/ { n += \$2 }
		END { print n }" /proc/meminfo
}'

cycles='
	cycle() {
		insmod /fastos.ko || { echo "insmod failed"; exit 1; }
		until rmmod fastos 2>/dev/null; do :; done
	}
	for i in 1 2 3 4 5; do cycle; done
	before=$(in_use)
	i=0
	while [ $i -lt $0 ]; do cycle; i=$((i + 1)); done
	touch /tmp/stop
	wait
	echo "loaded $i times, used $(wc -l </tmp/used), opened $(wc -l </tmp/opened)"
	echo "KiB in use: $before before, $(in_use) after"'

@test "nothing stays behind of a module that is in use when it goes" {
	local times=${FOS_RELOADS:-40}

	need_module
	run -0 --separate-stderr selftests/vm/vm run --kernel 6.1 --no-module \
		--programs fos-echo \
		--add "$ko:/fastos.ko" --timeout 880 -- \
		sh -c "$in_use; ( $users $cycles ) 2>/dev/null" "$times"
	echo "$output"
	[[ $output =~ loaded\ ([0-9]+)\ times && ${BASH_REMATCH[1]} -eq $times ]]
	[[ $output =~ used\ ([0-9]+),\ opened\ ([0-9]+) ]]
	[[ ${BASH_REMATCH[1]} -ge 3 && ${BASH_REMATCH[2]} -ge 3 ]]
	[[ $output =~ use:\ ([0-9]+)\ before,\ ([0-9]+)\ after ]]
	# A page each time is more, in 1000 times.
	[[ $((BASH_REMATCH[2] - BASH_REMATCH[1])) -lt $((2 * times + 1024)) ]]
}
