#include "runtime.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __APPLE__
static const char *const library_names[] = {"libonnxruntime.dylib", "libonnxruntime.1.dylib"};
#else
static const char *const library_names[] = {"libonnxruntime.so.1", "libonnxruntime.so"};
#endif
enum { LIBRARY_NAMES = sizeof library_names / sizeof *library_names };

static void *open_named(const char *path, struct error *error) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fail(error, "The onnxruntime library cannot be loaded (%s): give the path of a "
                    "libonnxruntime for this machine.", dlerror());
    }
    return library;
}

static void *open_installed(struct error *error) {
    for (size_t i = 0; i < LIBRARY_NAMES; i++) {
        void *library = dlopen(library_names[i], RTLD_NOW | RTLD_LOCAL);
        if (library != NULL) {
            return library;
        }
    }
    fail(error, "The library %s is not on this machine: run `make deps`, or set ORT_LIBRARY to "
                "the path of one.", library_names[0]);
    return NULL;
}

bool runtime_open(struct runtime *runtime, const char *path, int minimum_minor,
                  struct error *error) {
    if (path == NULL) {
        path = getenv("ORT_LIBRARY");
    }
    /* Never closed again: onnxruntime's threads and static objects outlive a session, and unloading
     * the code under them is not supported. */
    void *library = path != NULL ? open_named(path, error) : open_installed(error);
    if (library == NULL) {
        return false;
    }
    void *symbol = dlsym(library, "OrtGetApiBase");
    if (symbol == NULL) {
        return fail(error, "The library '%s' has no OrtGetApiBase: give the path of onnxruntime.",
                    path != NULL ? path : library_names[0]);
    }
    /* ISO C has no cast from void * to a function; POSIX says that this one works. */
    const OrtApiBase *(ORT_API_CALL * get_base)(void);
    *(void **)&get_base = symbol;
    const OrtApiBase *base = get_base();

    const char *version = base->GetVersionString();
    int minor = 0;
    if (sscanf(version, "1.%d", &minor) != 1 || minor < minimum_minor) {
        return fail(error, "The model needs onnxruntime 1.%d or later and the library is %s: "
                           "install a later one, or set ORT_LIBRARY to its path.",
                    minimum_minor, version);
    }
    /* Version 1.N has the API versions up to N. Asking for a later one answers NULL, and prints. */
    uint32_t wanted = (uint32_t)minor < ORT_API_VERSION ? (uint32_t)minor : ORT_API_VERSION;
    const OrtApi *api = NULL;
    while (wanted >= (uint32_t)minimum_minor && (api = base->GetApi(wanted)) == NULL) {
        wanted--;
    }
    if (api == NULL) {
        return fail(error, "The library, onnxruntime %s, has none of the C APIs 1.%d to 1.%d: "
                           "install a version between them.",
                    version, minimum_minor, ORT_API_VERSION);
    }
    *runtime = (struct runtime){.api = api, .api_version = wanted, .version = version};
    return true;
}
