package com.example.{{module}}

import kotlin.math.abs
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min

/** Pixels of eight bits a channel, rows from the top, channels (1: grey, 3: RGB) last. */
class Picture(val width: Int, val height: Int, val channels: Int, val pixels: ByteArray) {
    init {
        require(width > 0 && height > 0 && pixels.size == width * height * channels) {
            "${pixels.size} bytes are no picture of $width x $height with $channels channels."
        }
    }

    /** Grey of colour by ITU-R 601-2, in 16-bit fixed point as Pillow rounds it; or colour of grey. */
    fun withChannels(wanted: Int): Picture = when {
        wanted == channels -> this
        wanted == 1 -> Picture(width, height, 1, ByteArray(width * height) { luma(3 * it) })
        else -> Picture(width, height, 3, ByteArray(3 * width * height) { pixels[it / 3] })
    }

    private fun luma(at: Int): Byte =
        (value(at) * 19595 + value(at + 1) * 38470 + value(at + 2) * 7471 + 0x8000 shr 16).toByte()

    private fun value(at: Int): Int = pixels[at].toInt() and 0xFF

    /**
     * Resizes bilinearly with antialiasing, as Pillow does: along the rows, then along the columns,
     * each rounded to eight bits.
     */
    fun resized(width: Int, height: Int): Picture {
        val narrow = Picture(width, this.height, channels, ByteArray(width * this.height * channels))
        val whole = Picture(width, height, channels, ByteArray(width * height * channels))
        windows(this.width, width).forEachIndexed { x, window ->
            for (i in 0 until this.height * channels) {
                val row = i / channels
                narrow.pixels[(row * width + x) * channels + i % channels] = window.mean {
                    value((row * this.width + it) * channels + i % channels)
                }
            }
        }
        windows(this.height, height).forEachIndexed { y, window ->
            for (i in 0 until width * channels) {
                whole.pixels[y * width * channels + i] = window.mean {
                    narrow.value(it * width * channels + i)
                }
            }
        }
        return whole
    }

    /** The pixels of a line that one pixel of another is a mean of; weights in fixed point. */
    private class Window(private val first: Int, private val weights: IntArray) {
        inline fun mean(value: (Int) -> Int): Byte {
            var sum = 1L shl FRACTION_BITS - 1
            for (i in weights.indices) {
                sum += value(first + i).toLong() * weights[i]
            }
            return min(sum shr FRACTION_BITS, 255L).toByte()
        }
    }

    private companion object {
        const val FRACTION_BITS = 22

        /** A triangle around each pixel's centre, as wide as two pixels of the coarser line. */
        fun windows(from: Int, to: Int): List<Window> = List(to) { at ->
            val scale = from.toDouble() / to
            val radius = max(scale, 1.0)
            val centre = (at + 0.5) * scale
            val first = max(floor(centre - radius + 0.5).toInt(), 0)
            val last = min(floor(centre + radius + 0.5).toInt(), from)
            val shares = DoubleArray(last - first) {
                max(1.0 - abs((first + it + 0.5 - centre) / radius), 0.0)
            }
            val sum = shares.sum()
            Window(
                first,
                IntArray(shares.size) { floor(shares[it] / sum * (1 shl FRACTION_BITS) + 0.5).toInt() },
            )
        }
    }
}
