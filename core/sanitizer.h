/* SPDX-License-Identifier: MIT */
/*
 * sanitizer.h: which sanitizer this build is for, and its calls under one name,
 * so that no other file asks the compiler. In an ordinary build the calls do
 * nothing.
 *
 *	WEIR__ASAN, WEIR__TSAN	1 or 0
 *	weir__asan_poison	an access to these bytes is an error from now on
 *	weir__asan_unpoison	these bytes may be accessed again
 */
#ifndef WEIR_CORE_SANITIZER_H
#define WEIR_CORE_SANITIZER_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIR__ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define WEIR__TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(WEIR__ASAN)
#define WEIR__ASAN 1
#endif
#if defined(__SANITIZE_THREAD__) && !defined(WEIR__TSAN)
#define WEIR__TSAN 1
#endif
#ifndef WEIR__ASAN
#define WEIR__ASAN 0
#endif
#ifndef WEIR__TSAN
#define WEIR__TSAN 0
#endif

#if WEIR__ASAN
#include <sanitizer/asan_interface.h>
#define weir__asan_poison(p, bytes) __asan_poison_memory_region((p), (bytes))
#define weir__asan_unpoison(p, bytes) __asan_unpoison_memory_region((p), (bytes))
#else
#define weir__asan_poison(p, bytes) ((void)(p), (void)(bytes))
#define weir__asan_unpoison(p, bytes) ((void)(p), (void)(bytes))
#endif

#endif
