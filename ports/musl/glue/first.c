// Strong definitions of what several musl files define weakly.
// SPDX-License-Identifier: MIT

// close, dup2 and dup3 tell asynchronous I/O, of which there is none.
int __aio_close(int descriptor)
{
    return descriptor;
}
