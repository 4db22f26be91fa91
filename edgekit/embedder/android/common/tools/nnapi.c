/* In front of onnxruntime for Linux: it has no NNAPI, and says so to who asks. For tests only. */
#include "onnxruntime_c_api.h"

__asm__(".symver linux_nnapi, OrtSessionOptionsAppendExecutionProvider_Nnapi@VERS_{{version}}");
OrtStatus *linux_nnapi(OrtSessionOptions *options, uint32_t flags) {
    (void)options;
    (void)flags;
    const OrtApi *api = OrtGetApiBase()->GetApi(ORT_API_VERSION);
    return api->CreateStatus(ORT_NOT_IMPLEMENTED, "NNAPI is a part of Android");
}
