#!/bin/sh
# Runs the xnnpack tests where there is an onnxruntime with XNNPACK in it: Debian 13's, in a folder
# of its own that is made with debootstrap once (root, 0.7 GB). Pip's wheels have no XNNPACK.
#     sudo tests/devices/xnnpack.sh [FOLDER]
set -eu
root=${1:-/var/tmp/edgekit-xnnpack}
packages="python3-onnxruntime python3-onnx python3-click python3-rich python3-pytest"
cd "$(dirname "$0")/../.."

if [ "$(id -u)" != 0 ]; then
    echo "Making and entering the folder needs root: sudo $0 $*" >&2
    exit 1
fi
if [ ! -e "$root/.installed" ]; then
    command -v debootstrap > /dev/null || apt-get install -y --no-install-recommends debootstrap
    debootstrap --variant=minbase trixie "$root"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    # shellcheck disable=SC2086 (a list of packages)
    chroot "$root" apt-get install -y --no-install-recommends $packages
    touch "$root/.installed"
fi
rm -rf "$root/edgekit"
mkdir "$root/edgekit"
cp -r edgekit model_defs tests pyproject.toml "$root/edgekit"
# onnxruntime reads /proc; mounted in a namespace of its own, so nothing stays mounted. Debian's
# protobuf warns on import, which the tests take for an error.
unshare --mount sh -c 'mount -t proc proc "$1/proc" && exec chroot "$1" sh -c "
    cd /edgekit && exec python3 -m pytest tests/devices -m xnnpack -W ignore::DeprecationWarning"' \
    sh "$root"
