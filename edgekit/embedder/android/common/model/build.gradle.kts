plugins {
    id("com.android.library")
    id("org.jetbrains.kotlin.android")
}

android {
    namespace = "com.example.{{module}}"
    compileSdk = 35
    defaultConfig {
        minSdk = 24
        testInstrumentationRunner = "androidx.test.runner.AndroidJUnitRunner"
    }
    // The model's weights do not shrink, and an uncompressed asset is read faster.
    androidResources { noCompress += "ort" }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
    // The golden vectors are read by the test on the machine that builds and by that on the phone.
    for (test in listOf("test", "androidTest")) {
        sourceSets.getByName(test) {
            kotlin.srcDir("src/sharedTest/kotlin")
            resources.srcDir("src/sharedTest/resources")
        }
    }
}

kotlin { jvmToolchain(17) }

dependencies {
    implementation(providers.gradleProperty("onnxruntime").get())
    testImplementation("com.microsoft.onnxruntime:onnxruntime:{{version}}")
    testImplementation("junit:junit:4.13.2")
    androidTestImplementation("androidx.test:runner:1.6.2")
    androidTestImplementation("androidx.test.ext:junit:1.2.1")
}

// onnxruntime's classes are in both: on this machine those with this machine's library.
configurations.matching { it.name.endsWith("UnitTestRuntimeClasspath") }.configureEach {
    exclude(group = "com.microsoft.onnxruntime", module = "onnxruntime-android")
    exclude(group = "com.microsoft.onnxruntime", module = "onnxruntime-android-qnn")
}
