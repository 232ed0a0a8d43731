#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# lib/look.c: who polls finds out that others are after his CPU, by what getrusage(2)
# says.  What it says is made up here: on a real machine it is a matter of the hour.

load helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	cat >look.c <<-'END'
		#include <stdio.h>
		#include <sys/resource.h>
		#include "look.h"

		static struct rusage used;
		static bool refused;
		static uint64_t now_ms = 1000;
		static int asked;

		int getrusage(__rusage_who_t who, struct rusage *r)
		{
			asked++;
			if (refused || who != RUSAGE_THREAD)
				return -1;
			*r = used;
			return 0;
		}

		/* So many ms went by, of which I ran so many, slept and was robbed so often. */
		static void pass(unsigned int ms, unsigned int ran, int slept, int robbed)
		{
			now_ms += ms;
			used.ru_utime.tv_usec += ran / 2 * 1000;
			used.ru_stime.tv_usec += (ran - ran / 2) * 1000;
			used.ru_nvcsw += slept;
			used.ru_nivcsw += robbed;
			fos__look_around_by(now_ms * 1000000);
		}

		static int wrong;

		static void expect(const char *what, bool crowded, int times)
		{
			if (fos__crowded == crowded && asked == times)
				return;
			printf("%s: crowded %d, asked %d times\n", what, fos__crowded, asked);
			wrong = 1;
		}

		int main(void)
		{
			pass(0, 500, 0, 9);
			expect("nothing to compare with", false, 1);
			pass(7, 1, 0, 5);
			expect("too early", false, 1);
			pass(1, 5, 0, 1);
			expect("three quarters of the time were mine", false, 2);
			pass(8, 5, 0, 0);
			expect("not robbed", false, 3);
			pass(8, 5, 1, 1);
			expect("slept", false, 4);
			pass(8, 5, 0, 1);
			expect("robbed of three of eight ms", true, 5);
			pass(127, 127, 0, 0);
			expect("that is believed for 128 ms", true, 5);
			pass(1, 1, 0, 1);
			expect("all of the time was mine", false, 6);
			pass(8, 4, 0, 1);
			expect("robbed again", true, 7);
			refused = true;
			pass(128, 0, 0, 0);
			expect("not told", false, 8);
			pass(8, 0, 0, 0);
			expect("never told", false, 9);
			return wrong;
		}
	END
}

# With this look.c.
tell() {
	cc -std=gnu11 -Wall -Wextra -Werror -D_GNU_SOURCE -I"$top/lib" -I"$top/include" \
		-I"$top/include/uapi" -o look look.c "$1" "$top/lib/spin.c"
	./look
}

@test "who never sleeps and is robbed of the CPU knows it for a while" {
	tell "$top/lib/look.c"
}

@test "each part of that is needed" {
	local name how

	while IFS='|' read -r name how; do
		sed "$how" "$top/lib/look.c" >other.c
		! cmp -s "$top/lib/look.c" other.c ||
			{ echo "$name: nothing was changed"; return 1; }
		run tell other.c
		[[ $status -eq 1 && $output == *crowded* ]] ||
			{ echo "$name: not told"; echo "$output"; return 1; }
	done <<-'END'
		who sleeps is not asked for|s/used.slept == then.slept/1/
		who was not robbed is robbed|s/used.robbed != then.robbed/1/
		all the time is asked for|s/4 \* (used.ns/3 * (used.ns/
		little is taken for nothing|s/4 \* (used.ns/8 * (used.ns/
		it is asked again at once|s/CROWDED_NS : AROUND_NS/AROUND_NS : AROUND_NS/
		the first look is believed|s/= then.at \&\&/=/
	END
}
