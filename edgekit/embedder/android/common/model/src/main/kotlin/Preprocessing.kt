package com.example.{{module}}

/** From what a person has to what the model takes: one sample. */
sealed interface Preprocessing {
    /** Numbers as they are. */
    data object None : Preprocessing

    /** A text becomes ids: `offset + i` for the i-th character of [alphabet]. */
    class Characters(
        alphabet: String,
        private val lowercase: Boolean,
        private val maxLength: Int,
        private val padding: Int,
        private val unknown: Int,
        offset: Int,
    ) : Preprocessing {
        private val ids = codes(alphabet).withIndex().associate { (i, code) -> code to offset + i }

        /** The ids of a text without white space around it, cut after [maxLength] characters. */
        fun ids(text: String): IntArray {
            val bare = text.trim { it.isWhitespace() || it in '\u001c'..'\u001f' || it == '\u0085' }
            require(bare.isNotEmpty()) { "The text is empty: give at least one character." }
            val seen = codes(if (lowercase) bare.lowercase() else bare)
            return IntArray(minOf(seen.size, maxLength)) { ids[seen[it]] ?: unknown }
        }

        fun tensor(text: String): Tensor {
            val ids = ids(text)
            val tensor = Spec.inputs[0].tensor(free = ids.size)
            require(ids.size <= tensor.size) {
                "The text has ${ids.size} characters and the model takes ${tensor.size}: shorten it."
            }
            for (i in 0 until tensor.size) {
                tensor[i] = ids.getOrElse(i) { padding }.toDouble()
            }
            return tensor
        }

        /** Unicode characters, which are not Kotlin's 16-bit units. */
        private fun codes(text: String): IntArray = text.codePoints().toArray()
    }

    /** A picture is resized, and its bytes are scaled to [low]..[high]. */
    class Image(
        private val height: Int,
        private val width: Int,
        private val channels: Int,
        private val low: Float,
        private val high: Float,
    ) : Preprocessing {
        fun tensor(picture: Picture): Tensor {
            val pixels = picture.withChannels(channels).resized(width, height).pixels
            val tensor = Spec.inputs[0].tensor()
            for (i in pixels.indices) {
                val share = (pixels[i].toInt() and 0xFF) / 255f
                tensor[i] = (low + share * (high - low)).toDouble()
            }
            return tensor
        }
    }

    /** A series of rows, one a step, of [channels] numbers each. */
    class Series(private val channels: Int) : Preprocessing {
        fun tensor(rows: List<FloatArray>): Tensor {
            require(rows.isNotEmpty() && rows.all { it.size == channels }) {
                "The series has rows of ${rows.map { it.size }.distinct()} numbers: the model takes " +
                    "rows of $channels, one a step."
            }
            val tensor = Spec.inputs[0].tensor(free = rows.size)
            require(tensor.size == rows.size * channels) {
                "The series has ${rows.size} steps: the model takes ${tensor.size / channels}."
            }
            for (i in 0 until tensor.size) {
                tensor[i] = rows[i / channels][i % channels].toDouble()
            }
            return tensor
        }
    }
}
