# shellcheck shell=bash disable=SC2034 # for those who source it
# SPDX-License-Identifier: GPL-2.0-only
#
# What the scripts in this folder share: where things are, how they speak.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${FASTOS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fastos}
build=${FASTOS_BUILD:-$top/build}
me=$(basename "$0")
export LC_ALL=C PATH=$PATH:/usr/sbin

say() {
	printf '%s: %s\n' "$me" "$*" >&2
}

# 125 is the runner's own failure, so that a command's status is never
# mistaken for it (the habit of env(1), timeout(1) and git-bisect).
die() {
	say "$@"
	exit 125
}

need() {
	local tool

	for tool; do
		command -v "$tool" >/dev/null ||
			die "$tool not found; tools/deps installs it"
	done
}

# Print the comment at the head of the calling script.
usage() {
	sed -n '3,/^$/s/^# \{0,1\}//p' "$0"
}

# step TEXT CMD...: one progress line with the seconds it took.
step() {
	local text=$1 t0=$SECONDS

	shift
	printf '%s: %s ... ' "$me" "$text" >&2
	if "$@"; then
		printf '%d s\n' $((SECONDS - t0)) >&2
	else
		printf 'FAILED after %d s\n' $((SECONDS - t0)) >&2
		return 1
	fi
}

# Load kernel.env of a series (release, vmlinux, kdir, toolchain).
load_kernel() {
	local env=$cache/kernels/$1/kernel.env

	[[ -f $env ]] ||
		die "kernel $1 is not in $cache; run selftests/vm/fetch $1"
	# shellcheck source=/dev/null
	. "$env"
}
