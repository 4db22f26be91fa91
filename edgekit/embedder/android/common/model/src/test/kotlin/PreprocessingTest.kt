package com.example.{{module}}

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

/** Texts against the ids that Python gives, pictures against the pixels that Pillow gives. */
class PreprocessingTest {
    @Test
    fun textsBecomeTheIdsThatPythonGives() {
        val rule = Spec.preprocessing as? Preprocessing.Characters ?: return
        for ((text, ids) in TEXTS) {
            assertArrayEquals(text, ids, rule.ids(text))
        }
        assertThrows(IllegalArgumentException::class.java) { rule.ids(" \t") }
    }

    @Test
    fun picturesAreShrunkAndGreyAsByPillow() {
        assertArrayEquals(SHRUNK, values(pattern().withChannels(1).resized(4, 3)))
    }

    @Test
    fun picturesGrowInColourAsByPillow() {
        assertArrayEquals(GROWN, values(pattern().resized(9, 6)))
    }

    @Test
    fun aPictureIsScaledToTheRange() {
        val rule = Spec.preprocessing as? Preprocessing.Image ?: return
        val spec = Spec.inputs[0]
        val channels = spec.shape[3].toInt()
        val white = Picture(2, 2, channels, ByteArray(4 * channels) { 0xFF.toByte() })
        val black = Picture(2, 2, channels, ByteArray(4 * channels))
        assertEquals(rule.tensor(white)[0], rule.tensor(white)[rule.tensor(white).size - 1], 0.0)
        assertTrue(rule.tensor(white)[0] > rule.tensor(black)[0])
    }

    @Test
    fun aSeriesHasItsRowsOneAfterAnother() {
        val rule = Spec.preprocessing as? Preprocessing.Series ?: return
        val channels = Spec.inputs[0].shape.last().toInt()
        val tensor = rule.tensor(List(3) { row -> FloatArray(channels) { (row * channels + it).toFloat() } })
        assertArrayEquals(longArrayOf(1, 3, channels.toLong()), tensor.shape)
        assertEquals((3 * channels - 1).toDouble(), tensor[3 * channels - 1], 0.0)
        assertThrows(IllegalArgumentException::class.java) { rule.tensor(listOf(FloatArray(channels + 1))) }
    }

    /** 7 x 5 pixels in colour, none of them like its neighbour. */
    private fun pattern() = Picture(7, 5, 3, ByteArray(7 * 5 * 3) { (it * 37 + 11).toByte() })

    private fun values(picture: Picture) =
        IntArray(picture.pixels.size) { picture.pixels[it].toInt() and 0xFF }

    private companion object {
        val SHRUNK = intArrayOf(
            95, 111, 158, 152, 108, 116, 155, 152, 119, 99, 108, 157,
        )
        val GROWN = intArrayOf(
            11, 48, 85, 85, 122, 159, 171, 95, 132, 201, 39, 76, 88, 125, 162, 174, 211, 49, 118,
            155, 79, 91, 128, 165, 165, 202, 239, 18, 55, 92, 92, 129, 166, 178, 102, 139, 208,
            46, 83, 95, 132, 169, 181, 218, 56, 125, 162, 86, 98, 135, 172, 172, 209, 246, 25, 62,
            99, 99, 136, 173, 185, 109, 146, 215, 53, 90, 102, 139, 176, 188, 225, 63, 132, 169,
            93, 105, 142, 130, 179, 216, 104, 33, 70, 107, 107, 144, 181, 146, 117, 154, 140, 61,
            98, 110, 147, 184, 196, 150, 71, 140, 130, 101, 113, 150, 102, 187, 224, 5, 40, 77,
            114, 114, 151, 188, 87, 124, 161, 31, 68, 105, 117, 154, 191, 203, 41, 78, 147, 71,
            108, 120, 157, 109, 194, 231, 12, 47, 84, 121, 121, 158, 195, 94, 131, 168, 38, 75,
            112, 124, 161, 198, 210, 48, 85, 154, 78, 115, 127, 164, 116, 201, 238, 19,
        )
    }
}
