package com.example.{{module}}

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtException
import ai.onnxruntime.OrtSession
import ai.onnxruntime.OrtSession.SessionOptions

/** A model that does not open or run, in one sentence. */
class ModelException(message: String, cause: Throwable? = null) : Exception(message, cause)

/** What a model may run on. [QNN] needs the artifact onnxruntime-android-qnn. */
enum class Provider(internal val addTo: (SessionOptions) -> Unit) {
    CPU({}),
    XNNPACK({ it.addXnnpack(emptyMap()) }),
    NNAPI({ it.addNnapi() }),
    QNN({ it.addQnn(mapOf("backend_path" to "libQnnHtp.so")) }),
}

/**
 * Where an open model runs.
 *
 * [whole] is false where the CPU runs the nodes that [provider] does not take, which may be any
 * number of them; [refused] says of every provider that was asked for and does not run all of the
 * model, why.
 */
data class Placement(
    val provider: Provider,
    val whole: Boolean,
    val refused: Map<Provider, String>,
) {
    override fun toString(): String {
        val place = if (whole) "$provider" else "$provider for what it takes, CPU for the rest"
        return place + refused.map { (provider, reason) -> "; not all on $provider: $reason" }
            .joinToString("")
    }
}

/** An answer's label with its score. */
data class Scored(val label: String, val score: Double)

/** An open model. May be run from several threads at once; close it where it is not needed. */
class Model private constructor(
    private val environment: OrtEnvironment,
    private val session: OrtSession,
    /** Where it runs: show it, or log it. */
    val placement: Placement,
) : AutoCloseable {

    /** Gives the outputs, in the order of [Spec.outputs], for inputs in that of [Spec.inputs]. */
    fun run(vararg inputs: Tensor): List<Tensor> {
        check(inputs)
        val values = inputs.map(::toValue)
        try {
            val feeds = Spec.inputs.map { it.name }.zip(values).toMap()
            session.run(feeds, Spec.outputs.map { it.name }.toSet()).use { result ->
                return Spec.outputs.map { toTensor(result.get(it.name).get() as OnnxTensor) }
            }
        } catch (error: OrtException) {
            throw ModelException("onnxruntime failed to run the model (${error.message}).", error)
        } finally {
            values.forEach { it.close() }
        }
    }

    /** The likeliest labels of an answer of one sample, best first. */
    fun top(answer: Tensor, count: Int = 3): List<Scored> {
        if (answer.size != Spec.labels.size) {
            throw ModelException("The answer has ${answer.size} scores for ${Spec.labels.size} labels.")
        }
        val scores = List(answer.size) { answer[it] }
        if (!scores.all(Double::isFinite)) {
            throw ModelException("The model answered NaN or infinity: check the input.")
        }
        return Spec.labels.zip(scores, ::Scored).sortedByDescending { it.score }.take(count)
    }

    override fun close() = session.close()

    private fun check(inputs: Array<out Tensor>) {
        require(inputs.size == Spec.inputs.size) {
            "${inputs.size} inputs are given and the model takes ${Spec.inputs.size}."
        }
        for ((spec, tensor) in Spec.inputs.zip(inputs)) {
            val fits = spec.type == tensor.type && spec.shape.size == tensor.shape.size &&
                spec.shape.indices.all { spec.shape[it] < 0 || spec.shape[it] == tensor.shape[it] }
            require(fits) {
                "The input '${spec.name}' is ${tensor.type} ${tensor.shape.toList()} where " +
                    "${spec.type} ${spec.shape.toList()} is expected (-1: any length)."
            }
        }
    }

    private fun toValue(tensor: Tensor): OnnxTensor =
        // The buffer is used as it is, without a copy, so it is read from its start.
        OnnxTensor.createTensor(
            environment,
            tensor.bytes.duplicate().order(tensor.bytes.order()),
            tensor.shape,
            JAVA_TYPES.getValue(tensor.type),
        )

    private fun toTensor(value: OnnxTensor): Tensor {
        val type = TYPES[value.info.type]
            ?: throw ModelException("An output is ${value.info.type}, which this app does not read.")
        return Tensor(type, value.info.shape).apply { bytes.duplicate().put(value.byteBuffer) }
    }

    companion object {
        private val JAVA_TYPES = mapOf(
            Type.FLOAT32 to OnnxJavaType.FLOAT,
            Type.FLOAT64 to OnnxJavaType.DOUBLE,
            Type.INT8 to OnnxJavaType.INT8,
            Type.UINT8 to OnnxJavaType.UINT8,
            Type.INT16 to OnnxJavaType.INT16,
            Type.INT32 to OnnxJavaType.INT32,
            Type.INT64 to OnnxJavaType.INT64,
            Type.BOOL to OnnxJavaType.BOOL,
        )
        private val TYPES = JAVA_TYPES.entries.associate { (type, java) -> java to type }

        /**
         * Opens a model on the first of [providers] that runs it.
         *
         * Each is tried for all of the model. One that takes a part is used only where a later entry
         * is [Provider.CPU], which then runs the rest. Nothing falls back to what is not in the
         * list, and [placement] says what happened. Throws [ModelException] where none of them
         * runs it.
         */
        fun open(
            model: ByteArray,
            providers: List<Provider> = listOf(Provider.CPU),
            threads: Int = 1,
        ): Model {
            val environment = OrtEnvironment.getEnvironment()
            val refused = linkedMapOf<Provider, String>()
            for ((index, provider) in providers.withIndex()) {
                val rest = Provider.CPU in providers.drop(index + 1)
                for (whole in if (rest) listOf(true, false) else listOf(true)) {
                    try {
                        val session = session(environment, model, provider, whole, threads)
                        return Model(environment, session, Placement(provider, whole, refused))
                    } catch (error: OrtException) {
                        refused.putIfAbsent(provider, error.message.orEmpty().lines().first())
                    }
                }
            }
            throw ModelException(
                "onnxruntime ${environment.version} opens the model (${Spec.NEEDS}) on none of " +
                    "${providers.joinToString()}: " +
                    refused.map { (provider, reason) -> "$provider: $reason" }.joinToString("; "),
            )
        }

        private fun session(
            environment: OrtEnvironment,
            model: ByteArray,
            provider: Provider,
            whole: Boolean,
            threads: Int,
        ): OrtSession = SessionOptions().use { options ->
            options.setIntraOpNumThreads(threads)
            provider.addTo(options)
            if (whole && provider != Provider.CPU) {
                options.addConfigEntry("session.disable_cpu_ep_fallback", "1")
            }
            environment.createSession(model, options)
        }
    }
}
