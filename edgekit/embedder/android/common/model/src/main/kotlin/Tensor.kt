package com.example.{{module}}

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** What the elements of a tensor are. */
enum class Type(val bytes: Int) {
    FLOAT32(4), FLOAT64(8), INT8(1), UINT8(1), INT16(2), INT32(4), INT64(8), BOOL(1),
}

/** The elements of a [shape], row by row, in memory that onnxruntime reads without a copy. */
class Tensor(val type: Type, val shape: LongArray) {
    /** How many elements there are. */
    val size: Int = shape.fold(1L, Math::multiplyExact).also {
        require(it in 0..Int.MAX_VALUE / type.bytes) { "A tensor of ${shape.toList()} is too large." }
    }.toInt()

    internal val bytes: ByteBuffer =
        ByteBuffer.allocateDirect(size * type.bytes).order(ByteOrder.nativeOrder())

    /** The element at a flat index; 64-bit integers past 2^53 lose their last digits. */
    operator fun get(index: Int): Double = when (type) {
        Type.FLOAT32 -> bytes.getFloat(4 * index).toDouble()
        Type.FLOAT64 -> bytes.getDouble(8 * index)
        Type.INT8 -> bytes.get(index).toDouble()
        Type.UINT8, Type.BOOL -> (bytes.get(index).toInt() and 0xFF).toDouble()
        Type.INT16 -> bytes.getShort(2 * index).toDouble()
        Type.INT32 -> bytes.getInt(4 * index).toDouble()
        Type.INT64 -> bytes.getLong(8 * index).toDouble()
    }

    /** Sets the element at a flat index; integers are truncated towards zero. */
    operator fun set(index: Int, value: Double) {
        when (type) {
            Type.FLOAT32 -> bytes.putFloat(4 * index, value.toFloat())
            Type.FLOAT64 -> bytes.putDouble(8 * index, value)
            Type.INT8, Type.UINT8 -> bytes.put(index, value.toInt().toByte())
            Type.BOOL -> bytes.put(index, if (value != 0.0) 1 else 0)
            Type.INT16 -> bytes.putShort(2 * index, value.toInt().toShort())
            Type.INT32 -> bytes.putInt(4 * index, value.toInt())
            Type.INT64 -> bytes.putLong(8 * index, value.toLong())
        }
    }
}

/** An input or output of the model; -1 is a free axis. */
class TensorSpec(val name: String, val type: Type, vararg val shape: Long) {
    /** A tensor of one sample; [free] is the length of every free axis behind the first. */
    internal fun tensor(free: Int = 1): Tensor = Tensor(
        type,
        LongArray(shape.size) { axis ->
            if (shape[axis] >= 0) shape[axis] else if (axis == 0) 1 else free.toLong()
        },
    )
}
