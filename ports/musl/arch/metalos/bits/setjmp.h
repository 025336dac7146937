// rbx rbp rdi rsi rsp r12-r15 rip, mxcsr and x87 control word, xmm6-xmm15 (runtime/setjmp.c).
typedef unsigned long long __jmp_buf[32];
