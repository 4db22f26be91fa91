package com.example.{{module}}

import android.content.Context
import android.graphics.Bitmap

/** Opens the model that is in the app: see [Model.open]. */
fun Model.Companion.fromAssets(
    context: Context,
    providers: List<Provider> = listOf(Provider.CPU),
    threads: Int = 1,
): Model = open(context.assets.open(Spec.MODEL_FILE).use { it.readBytes() }, providers, threads)

/** The pixels of a bitmap, without its transparency. */
fun Bitmap.toPicture(): Picture {
    val colours = IntArray(width * height)
    getPixels(colours, 0, width, 0, 0, width, height)
    val pixels = ByteArray(3 * colours.size) { (colours[it / 3] shr 16 - 8 * (it % 3)).toByte() }
    return Picture(width, height, 3, pixels)
}
