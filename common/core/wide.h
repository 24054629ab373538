/* wide.h: RD_WIDE before a function: where the compiler can, it makes a second version of it with longer vectors and
 * chooses when the program starts. For plain arithmetic without fused products, so that both give the same bits. */
#ifndef RONDO_CORE_WIDE_H
#define RONDO_CORE_WIDE_H

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
#define RD_WIDE __attribute__((target_clones("avx2", "default")))
#else
#define RD_WIDE
#endif

#endif
