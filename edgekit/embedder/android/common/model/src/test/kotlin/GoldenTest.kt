package com.example.{{module}}

import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

/** Proves the app's own model on the JVM of the machine that builds it. */
class GoldenTest {
    private val bytes = File("src/main/assets", Spec.MODEL_FILE).readBytes()

    @Test
    fun theGoldenVectorsHoldOnThisMachine() {
        Model.open(bytes).use { model ->
            val found = Golden.load().prove(model)
            found.forEach(::println)
            assertTrue(found.joinToString("\n"), found.all { it.passed })
            assertEquals(Placement(Provider.CPU, whole = true, refused = emptyMap()), model.placement)
        }
    }

    @Test
    fun aProviderThatIsNotHereIsSaidAndTheCpuTakesItsPlace() {
        Model.open(bytes, listOf(Provider.NNAPI, Provider.CPU)).use { model ->
            assertEquals(Provider.CPU, model.placement.provider)
            assertTrue(model.placement.toString(), "not all on NNAPI: " in model.placement.toString())
        }
    }

    @Test
    fun withoutTheCpuInTheListNothingFallsBackToIt() {
        val error = assertThrows(ModelException::class.java) { Model.open(bytes, listOf(Provider.NNAPI)) }
        assertTrue(error.message, "on none of NNAPI" in error.message.orEmpty())
    }

    @Test
    fun whatIsNoModelIsRefusedInASentence() {
        val error = assertThrows(ModelException::class.java) { Model.open(ByteArray(100)) }
        assertTrue(error.message, Spec.NEEDS in error.message.orEmpty())
    }

    @Test
    fun anInputOfAnotherShapeIsRefusedByName() {
        Model.open(bytes).use { model ->
            val wrong = Spec.inputs.map { Tensor(it.type, LongArray(it.shape.size + 1) { 1 }) }
            val error = assertThrows(IllegalArgumentException::class.java) {
                model.run(*wrong.toTypedArray())
            }
            assertTrue(error.message, Spec.inputs[0].name in error.message.orEmpty())
        }
    }
}
