# SPDX-License-Identifier: GPL-2.0-only
# From the JSON of `fosbench ipc` to figures: for "ENGINE BYTES", and "hog ..."
# beside another process, instructions of a round trip, and traps, switches and
# IPIs of a hundred; "deep ..." with many at once. What both sides used; beside a hog, what passed. "bulk ..."
# is the same of hand-overs, from `fosbench bulk`. "tlb ENGINE PAGES", from
# `fosbench tlb`: instructions of a page, and traps and IPIs of a hundred batches.

def both: .client + .server;
def whole: . + 0.5 | floor;

def figure($hog):
	[(if $hog then .median else .cpu_total end),
	 (100 * (.traps | both)),
	 (100 * (.nvcsw.client + .nvcsw.server + .nivcsw.client +
		 .nivcsw.server)),
	 (100 * (.ipis | add))] | map(whole);

def tlb_figure:
	[.per_page, (100 * .traps.down), 0, (100 * (.ipis | add))] | map(whole);

def figures($class):
	[.[] | . as $run | .cells[] | . as $cell | .engines[] |
	 select(.status == "ok" and .class == $class) |
	 # A few mprotect() cost what splitting and merging happens to cost.
	 select($class == "fastos" or $run.command != "tlb" or $cell.pages >= 64) |
	 { key: ((if $run.hog then "hog " elif $run.command == "bulk"
		then "bulk " elif $run.command == "tlb" then "tlb "
		elif $cell.depth > 1 then "deep "
		else "" end) + .name + " " +
		 ($cell.pages // $cell.size | tostring)),
	   value: (if $run.command == "tlb" then tlb_figure
		else figure($run.hog) end) }] | from_entries;

{
	kernel: .[0].machine.kernel,
	package: .[0].machine.kernel_package,
	compiler: $compiler,
	qemu: $qemu,
	cpus: $cpus,
	fastos: figures("fastos"),
	posix: figures("posix")
}
