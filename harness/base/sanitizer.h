/* base: is a sanitizer in this program? GCC says so by macros, clang through __has_feature. */
#ifndef SB_BASE_SANITIZER_H
#define SB_BASE_SANITIZER_H

#if defined(__SANITIZE_ADDRESS__)
#define SB_ADDRESS_SANITIZER 1
#endif
#if defined(__SANITIZE_THREAD__)
#define SB_THREAD_SANITIZER 1
#endif
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SB_ADDRESS_SANITIZER 1
#endif
#if __has_feature(thread_sanitizer)
#define SB_THREAD_SANITIZER 1
#endif
#endif

#endif
