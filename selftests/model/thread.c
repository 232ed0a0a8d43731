// SPDX-License-Identifier: GPL-2.0-only
/* Threads: coroutines, on stacks that are part of the state. */
#include "state.h"

#include <stdlib.h>
#include <string.h>

#define STACK_BYTES	16384
/* Stack below a sleeping thread that may be used before it sleeps again. */
#define CLEAR_BYTES	2560

struct state now;
int model_self;
unsigned int accesses;
int choice;

static unsigned char stacks[MODEL_THREADS][STACK_BYTES]
	__attribute__((aligned(64)));
static void *search_sp;

/* Save what a callee must, change stacks, go on there. */
void model_switch(void **save, void *to);
__asm__(".pushsection .text\n"
	".globl model_switch\n"
	".type model_switch, @function\n"
	"model_switch:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	".size model_switch, . - model_switch\n"
	".popsection\n");

unsigned char *stack_top(int t)
{
	return stacks[t] + STACK_BYTES;
}

void yield_as(enum status why)
{
	struct thread *t = &now.thread[model_self];

	t->status = why;
	model_switch(&t->sp, search_sp);
}

_Noreturn void leave_for_good(void)
{
	void *nowhere;

	model_switch(&nowhere, search_sp);
	abort();
}

_Noreturn void model_exit(void)
{
	struct thread *t = &now.thread[model_self];

	*t = (struct thread) { .status = DONE, .sp = stack_top(model_self) };
	leave_for_good();
}

static void thread_main(void)
{
	world_ops->body(model_self);
	model_exit();
}

void make_thread(int t)
{
	uint64_t *sp = (uint64_t *)stack_top(t);

	memset(stacks[t], 0, STACK_BYTES);
	/* As if it had been called: rsp + 8 is a multiple of 16. */
	*--sp = 0;
	*--sp = (uintptr_t)thread_main;
	sp -= 6;
	now.thread[t] = (struct thread) { .sp = sp };
}

/* What earlier calls left below would tell equal states apart. */
void run(int t)
{
	unsigned char *sp = now.thread[t].sp;
	size_t room = sp - stacks[t];

	if (room > CLEAR_BYTES)
		room = CLEAR_BYTES;
	memset(sp - room, 0, room);
	model_self = t;
	accesses = 0;
	now.thread[t].status = RUNNABLE;
	model_switch(&search_sp, sp);
}

int model_choose(int n)
{
	now.thread[model_self].options = n;
	yield_as(CHOOSING);
	now.thread[model_self].options = 0;
	return choice;
}

void model_sleep(bool timed)
{
	struct thread *t = &now.thread[model_self];

	model_note("sleep");
	t->on = timed;
	yield_as(ASLEEP);
	join(&t->cur, &t->wake);
	memset(&t->wake, 0, sizeof(t->wake));
	model_note("awake");
}

void model_over(void)
{
	now.thread[model_self].over = 1;
}

void model_wake(int thread)
{
	struct thread *t = &now.thread[thread];

	model_note("wake thread %d", thread);
	if (t->status != ASLEEP)
		return;
	t->wake = now.thread[model_self].cur;
	t->status = RUNNABLE;
}
