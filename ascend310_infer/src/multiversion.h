// Hot loops are compiled for AVX2 as well as for any x86-64, and the machine chooses when it loads the program: what is
// built on one host runs on others. Other machines have one version (aarch64 always has NEON), and so do sanitizers,
// which are not ready yet when the choice is made.
#ifndef ASCEND310_INFER_MULTIVERSION_H_
#define ASCEND310_INFER_MULTIVERSION_H_

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define ERFNET_MULTIVERSION __attribute__((target_clones("avx2", "default")))
#else
#define ERFNET_MULTIVERSION
#endif

#endif  // ASCEND310_INFER_MULTIVERSION_H_
