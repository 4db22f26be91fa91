"""The device side: onnxruntime's execution providers and the runner over them.

Nothing here imports keras, tensorflow, tf2onnx or onnx, because this is what ships to a device.
"""
