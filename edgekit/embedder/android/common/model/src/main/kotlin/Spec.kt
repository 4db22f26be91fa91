package com.example.{{module}}

/** What the model takes and gives: the one file that edgekit {{edgekit}} wrote from the model. */
object Spec {
    const val NAME = "{{name}}"
    const val MODEL_FILE = "{{model}}"

    /** What the model asks of onnxruntime. */
    const val NEEDS = "opset {{opset}}, IR version {{ir_version}}"

    val inputs = listOf(
{{inputs}}
    )

    val outputs = listOf(
{{outputs}}
    )

    /** Empty where the answer has none. */
    val labels: List<String> = listOf(
{{labels}}
    )

    val preprocessing: Preprocessing = {{preprocessing}}
}
