package com.example.{{module}}

/** Texts with the ids that Python gives for them: what languages tend to see differently. */
val TEXTS: List<Pair<String, IntArray>> = listOf(
{{texts}}
)
