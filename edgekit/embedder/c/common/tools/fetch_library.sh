#!/bin/sh
# Takes the library out of onnxruntime's Python wheel: fetch_library.sh PYTHON VERSION FOLDER [pip options].
set -eu
python=$1 version=$2 folder=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Any Python version will do: the library in the wheel is the same.
"$python" -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 "$@" \
    --dest "$work" "onnxruntime==$version"
"$python" -m zipfile -e "$work"/onnxruntime-*.whl "$work/wheel"
mkdir -p "$folder"
cp "$work"/wheel/onnxruntime/capi/libonnxruntime.*"$version"* "$folder/libonnxruntime.so.1"
