/* The few functions of Android's C library that onnxruntime's JNI library asks for, by this machine's
 * C library: the app's own Java, Kotlin and JNI code runs on a desktop's JVM then. A function that is
 * missing here is an UnsatisfiedLinkError with its name. For tests only: no part of the app. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

extern void __cxa_finalize(void *handle);
extern int __cxa_atexit(void (*function)(void *), void *argument, void *handle);
extern int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void),
                             void *handle);

/* Names a function as Android does: NAME in version LIBC. */
#define AS(name) __asm__(".symver linux_" #name ", " #name "@LIBC")

AS(__cxa_finalize);
void linux___cxa_finalize(void *handle) { __cxa_finalize(handle); }

AS(__cxa_atexit);
int linux___cxa_atexit(void (*function)(void *), void *argument, void *handle) {
    return __cxa_atexit(function, argument, handle);
}

AS(__register_atfork);
int linux___register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void),
                            void *handle) {
    return __register_atfork(prepare, parent, child, handle);
}

AS(__stack_chk_fail);
void linux___stack_chk_fail(void) { abort(); }

AS(malloc);
void *linux_malloc(size_t size) { return malloc(size); }

AS(realloc);
void *linux_realloc(void *memory, size_t size) { return realloc(memory, size); }

AS(free);
void linux_free(void *memory) { free(memory); }

AS(memcpy);
void *linux_memcpy(void *to, const void *from, size_t size) { return memcpy(to, from, size); }

AS(strlen);
size_t linux_strlen(const char *text) { return strlen(text); }

AS(dlclose);
int linux_dlclose(void *handle) { return dlclose(handle); }
