package com.example.{{module}}

import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.abs
import kotlin.math.log10

/** One sample with the answers that the trained model gave for it; `atol` is of each answer. */
class GoldenCase(val inputs: List<Tensor>, val outputs: List<Tensor>, val atol: List<Double>)

/** What was found of an output over all cases; [passed] by the rule of [Golden]. */
class Evidence(val name: String) {
    var passed = true
    var maxAbsError = 0.0
    var sqnrDb = Double.POSITIVE_INFINITY

    override fun toString(): String =
        "%s  %s: max abs error %.3g, at least %.1f dB"
            .format(if (passed) "ok  " else "FAIL", name, maxAbsError, sqnrDb)
}

/**
 * The golden vectors of the model, read from `golden.bin` (little-endian: magic, rtol and least
 * SQNR in dB as float64, the number of cases; a case has its tensors, inputs first).
 *
 * An answer passes where its shape is the expected one, every element is finite and within
 * `atol + rtol * |expected|`, and the ratio of signal to noise is high enough. NaN is no limit.
 */
class Golden private constructor(
    private val rtol: Double,
    private val minSqnrDb: Double,
    val cases: List<GoldenCase>,
) {
    /** Runs every case. [leastDb], for a device that rounds more, stands for both limits. */
    fun prove(model: Model, leastDb: Double? = null): List<Evidence> {
        val found = Spec.outputs.map { Evidence(it.name) }
        for (case in cases) {
            val answers = model.run(*case.inputs.toTypedArray())
            for ((i, evidence) in found.withIndex()) {
                val atol = if (leastDb == null) case.atol[i] else Double.NaN
                judge(case.outputs[i], answers[i], atol, leastDb ?: minSqnrDb, evidence)
            }
        }
        return found
    }

    private fun judge(want: Tensor, got: Tensor, atol: Double, leastDb: Double, into: Evidence) {
        if (want.type != got.type || !want.shape.contentEquals(got.shape)) {
            into.passed = false
            return
        }
        var signal = 0.0
        var noise = 0.0
        for (i in 0 until want.size) {
            val error = abs(got[i] - want[i])
            if (!error.isFinite() || error > atol + rtol * abs(want[i])) {
                into.passed = false
            }
            into.maxAbsError = maxOf(into.maxAbsError, error)
            signal += want[i] * want[i]
            noise += error * error
        }
        if (signal > 0.0) {
            val sqnrDb = 10 * log10(signal / noise)
            into.sqnrDb = minOf(into.sqnrDb, sqnrDb)
            into.passed = into.passed && !(sqnrDb < leastDb)
        }
    }

    companion object {
        private val TYPES = mapOf(
            1 to Type.FLOAT32, 2 to Type.UINT8, 3 to Type.INT8, 5 to Type.INT16, 6 to Type.INT32,
            7 to Type.INT64, 9 to Type.BOOL, 11 to Type.FLOAT64,
        )

        /** Reads the file that lies among the test's resources. */
        fun load(): Golden {
            val stream = checkNotNull(Golden::class.java.getResourceAsStream("/golden.bin")) {
                "golden.bin is not among the test's resources: embed the model again."
            }
            return read(ByteBuffer.wrap(stream.use { it.readBytes() }).order(ByteOrder.LITTLE_ENDIAN))
        }

        private fun read(file: ByteBuffer): Golden {
            check(text(file, 8) == "EDGOLD1\n") { "golden.bin is of another format." }
            val rtol = file.getDouble()
            val minSqnrDb = file.getDouble()
            val cases = List(file.getInt()) {
                val inputs = file.getInt()
                val outputs = file.getInt()
                val given = List(inputs) { tensor(file) }
                val wanted = List(outputs) { tensor(file) }
                GoldenCase(given.map { it.first }, wanted.map { it.first }, wanted.map { it.second })
            }
            check(cases.isNotEmpty() && !file.hasRemaining()) { "golden.bin is not whole." }
            return Golden(rtol, minSqnrDb, cases)
        }

        private fun tensor(file: ByteBuffer): Pair<Tensor, Double> {
            text(file, file.getInt())
            val type = TYPES.getValue(file.getInt())
            val tensor = Tensor(type, LongArray(file.getInt()) { file.getLong() })
            val atol = file.getDouble()
            val size = file.getLong()
            check(size == tensor.size.toLong() * type.bytes) { "golden.bin is not whole." }
            val data = ByteArray(size.toInt()).also(file::get)
            tensor.bytes.duplicate().put(data)
            return tensor to atol
        }

        private fun text(file: ByteBuffer, size: Int): String =
            ByteArray(size).also(file::get).decodeToString()
    }
}
