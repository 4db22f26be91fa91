#!/bin/sh
# Prints the variables with which WebGPU runs on a software Vulkan device, for `eval`. A machine
# with a Vulkan driver of its own needs none of it: set VK_ICD_FILENAMES to choose one.
set -eu
packages="chromium-common libvulkan1"
driver=/usr/lib/chromium/vk_swiftshader_icd.json

if [ -n "${VK_ICD_FILENAMES:-}" ]; then
    driver=$VK_ICD_FILENAMES
elif [ ! -f "$driver" ] || ! PATH=$PATH:/sbin:/usr/sbin ldconfig -p | grep -q 'libvulkan\.so\.1'; then
    install="apt-get install -y --no-install-recommends $packages"
    if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
        echo "WebGPU needs a Vulkan device. Debian's packages $packages bring one in software:" >&2
        echo "    sudo $install" >&2
        echo "or set VK_ICD_FILENAMES to the driver of another." >&2
        echo exit 1
        exit 1
    fi
    { apt-get update && $install; } >&2
fi
echo "export VK_ICD_FILENAMES='$driver' ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER=1"
