package com.example.{{module}}

import android.util.Log
import androidx.test.ext.junit.runners.AndroidJUnit4
import androidx.test.platform.app.InstrumentationRegistry
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith

/** Proves the model on a phone: on its CPU, and on what else it has. */
@RunWith(AndroidJUnit4::class)
class GoldenDeviceTest {
    @Test
    fun cpu() = prove(listOf(Provider.CPU), leastDb = null)

    @Test
    fun xnnpack() = prove(listOf(Provider.XNNPACK, Provider.CPU), leastDb = null)

    /** NNAPI's and QNN's devices may compute a float32 model in 16 bits. */
    @Test
    fun nnapi() = prove(listOf(Provider.NNAPI, Provider.CPU), HALF_PRECISION_DB)

    @Test
    fun qnn() = prove(listOf(Provider.QNN, Provider.CPU), HALF_PRECISION_DB)

    private fun prove(providers: List<Provider>, leastDb: Double?) {
        val context = InstrumentationRegistry.getInstrumentation().targetContext
        Model.fromAssets(context, providers).use { model ->
            Log.i("{{name}}", "asked for $providers, runs on ${model.placement}")
            val found = Golden.load().prove(model, leastDb.takeIf { model.placement.provider != Provider.CPU })
            found.forEach { Log.i("{{name}}", "$it") }
            assertTrue("${model.placement}\n" + found.joinToString("\n"), found.all { it.passed })
        }
    }

    private companion object {
        const val HALF_PRECISION_DB = {{least_device_db}}
    }
}
