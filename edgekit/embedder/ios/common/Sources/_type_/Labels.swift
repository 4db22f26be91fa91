/// The likeliest labels of an answer of one sample, best first, with their scores.
public func top(_ answer: Tensor, _ count: Int = 3) throws -> [(label: String, score: Double)] {
    if answer.count != Spec.labels.count {
        throw ModelError("The answer has \(answer.count) scores for \(Spec.labels.count) labels.")
    }
    let scores = (0..<answer.count).map { answer[$0] }
    if !scores.allSatisfy(\.isFinite) {
        throw ModelError("The model answered NaN or infinity: check the input.")
    }
    let ranked = zip(Spec.labels, scores).sorted { $0.1 > $1.1 }
    return ranked.prefix(count).map { (label: $0.0, score: $0.1) }
}
