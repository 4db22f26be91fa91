/// Texts with the ids that Python gives for them: what languages tend to see differently.
let texts: [(text: String, ids: [Int])] = [
{{texts}}
]
