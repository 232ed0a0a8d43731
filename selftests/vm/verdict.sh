# shellcheck shell=bash disable=SC2154 # globals of vm
# SPDX-License-Identifier: GPL-2.0-only
#
# What a run was worth. QEMU's exit status alone says little (a panic exits 0),
# so a pass needs all of: status 33, the report's last word, a clean dmesg.

# Reports of the kernel about itself. User-space faults ("traps: x[1] general
# protection fault ip:...") must not match, nor "Call Trace:" alone: the OOM
# killer and fault injection print one, and tests provoke both.
splats='(^|[^a-z])(BUG: |BUG:$|kernel BUG at |WARNING: |Oops: |Kernel panic|INFO: task .* blocked|INFO: rcu|INFO: lockdep|INFO: trying to register|INFO: possible|possible (circular|recursive|irq lock)|[Ss]uspicious RCU|RCU stall|rcu.*detected.*stalls|general protection fault, |KASAN|KCSAN|KFENCE|UBSAN|kmemleak: [1-9][0-9]* new|unreferenced object|memory leak|(soft|hard) lockup|(Poison|Redzone|Object) overwritten|Slab cache still has objects|(list_add|list_del) corruption|refcount_t: |DEBUG_LOCKS_WARN_ON|NMI backtrace|cut here|page allocation failure|double fault|stack-protector|Bad page|Bad rss-counter|vfree\(\)|VFS: Busy inodes|printk messages dropped)'

# dmesg since the guest said "vm: begin" (boot lines speak of RCU and of
# lockups without harm), or all of it if it never came so far.
dmesg_delta() {
	tr -d '\r' <"$1" | awk '
		{ line[++n] = $0 }
		/vm: begin$/ { begin = n }
		END {
			for (i = begin + 1; i <= n; i++)
				if (line[i] !~ /ommand line:/)
					print line[i]
		}'
}

# show TITLE LINES: what a red run shows of the console.
show() {
	printf -- '--- %s\n%s\n---\n' "$1" "$2" >&2
}

show_tail() {
	show "end of the console" "$(tail -n 40 "$dir/delta")"
}

show_splat() {
	show "from the console" \
		"$(grep -aE -m 1 -A 25 -B 2 "$splats" "$dir/delta")"
}

# All TAP documents of a file: every plan complete, nothing failed. Prints
# "passed failed skipped problem...".
tap_count() {
	tr -d '\r' <"$1" | awk '
		function close_doc() {
			if (points != plan)
				bad = bad " plan of " plan ", saw " points ";"
			plan = -1; points = 0
		}
		BEGIN { plan = -1 }
		/^TAP version / && (plan >= 0 || points) { close_doc() }
		/^1\.\.[0-9]+/ {
			if (plan >= 0)
				close_doc()
			plan = substr($1, 4) + 0
			plans++
		}
		/^(not )?ok [0-9]+/ {
			points++
			if (/# *[Ss][Kk][Ii][Pp]/) skip++
			else if (/^not ok/ && !/# *(TODO|XFAIL)/) fail++
			else pass++
		}
		END {
			close_doc()
			if (!plans) bad = " no TAP plan in the output;"
			else if (fail) bad = bad " " fail " failed;"
			else if (skip && !pass) bad = bad " everything was skipped;"
			print pass + 0, fail + 0, skip + 0, bad
		}'
}

# red TEXT: remember the first reason only.
red() {
	[[ $verdict ]] || verdict=$*
}

reported() {
	grep -aq "^$1" "$dir/report"
}

# Where a guest that did not come to its end was.
stage() {
	if ! reported booted; then
		echo "before init"
	elif ! reported loaded; then
		echo "while loading the module"
	elif ! reported status; then
		echo "while the command ran"
	else
		echo "after the command"
	fi
}

complained() {
	grep -aqE "$splats" "$dir/delta"
}

# What the host saw of the guest's kernel.
judge_kernel() {
	if [[ $timed_out ]]; then
		red "no end after $timeout s, stuck $(stage)"
	elif [[ $silent ]]; then
		red "the kernel had printed nothing after $silent s"
	elif grep -aq 'Kernel panic' "$dir/delta"; then
		red "the guest panicked $(stage)"
	elif reported timeout; then
		red "the command had not ended $guest_deadline s after boot"
		show_tail
		return 0
	elif complained; then
		red "the kernel complained"
	else
		return 0
	fi
	if complained; then
		show_splat
	else
		show_tail
	fi
}

# What the guest's init said, and how QEMU ended.
judge_report() {
	if reported failed; then
		red "$(sed -n 's/^failed //p' "$dir/report" | head -n 1) failed"
	elif reported 'rmmod failed'; then
		red "$(grep -am 1 '^rmmod failed' "$dir/report")"
	elif reported 'tar failed'; then
		red 'the guest could not pack /out'
	elif [[ $1 != 33 ]]; then
		red "QEMU ended with status $1 (not 33) $(stage)"
		cat "$dir/qemu.log" >&2
	elif [[ ! $status ]] || ! reported 'done'; then
		red "no verdict from the guest $(stage)"
	else
		return 0
	fi
	show_tail
}

# judge QEMU_STATUS: sets verdict (empty means a pass) and status.
judge() {
	verdict=''
	dmesg_delta "$dir/console.log" >"$dir/delta"
	status=$(sed -n 's/^status //p' "$dir/report" | tail -n 1)
	judge_kernel
	[[ $verdict ]] || judge_report "$1"
}
