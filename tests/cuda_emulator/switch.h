// The switch from one fiber to another, where it is not `swapcontext`; in one file of a program.
#include "emulator.h"

#ifndef KIT_UCONTEXT
asm(R"(
.pushsection .text
.globl emulator_switch
.hidden emulator_switch
.type emulator_switch,@function
emulator_switch:
    pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
    movq %rsp,(%rdi)
    movq %rsi,%rsp
    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
    ret
.size emulator_switch,.-emulator_switch
.popsection
)");
#endif
