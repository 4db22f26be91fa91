import Foundation

@testable import {{type}}

/// One sample with the answers that the trained model gave for it; `atol` is of each answer.
struct GoldenCase {
    var inputs: [Tensor] = []
    var outputs: [Tensor] = []
    var atol: [Double] = []
}

/// The golden vectors of the model, read from `golden.bin` (little-endian: magic, rtol and least SQNR
/// in dB as float64, the number of cases; a case has its tensors, inputs first).
struct Golden {
    let rtol: Double
    let minSqnrDb: Double
    let cases: [GoldenCase]

    init(_ file: Data) throws {
        var reader = Reader(file)
        guard try reader.bytes(8) == Data("EDGOLD1\n".utf8) else { throw Broken() }
        rtol = try reader.number()
        minSqnrDb = try reader.number()
        let count: UInt32 = try reader.number()
        cases = try (0..<count).map { _ in try reader.goldenCase() }
        if cases.isEmpty || !reader.atEnd { throw Broken() }
    }

    /// Why an answer does not pass: another shape, an element that is not finite or further off than
    /// `atol + rtol * |expected|`, too little signal to noise. NaN is no limit. Nil where it passes.
    func failure(_ wanted: Tensor, _ answer: Tensor, atol: Double, leastDb: Double) -> String? {
        guard wanted.type == answer.type, wanted.shape == answer.shape else {
            return "\(answer.type) \(answer.shape) where \(wanted.type) \(wanted.shape) is expected"
        }
        var signal = 0.0
        var noise = 0.0
        for i in 0..<wanted.count {
            let error = abs(answer[i] - wanted[i])
            if !error.isFinite || error > atol + rtol * abs(wanted[i]) {
                return "\(answer[i]) where \(wanted[i]) is expected at \(i)"
            }
            signal += wanted[i] * wanted[i]
            noise += error * error
        }
        let sqnrDb = 10 * log10(signal / noise)
        return signal > 0 && sqnrDb < leastDb ? "\(sqnrDb) dB where \(leastDb) dB are expected" : nil
    }
}

struct Broken: Error {}

private struct Reader {
    private let file: Data
    private var at = 0

    init(_ file: Data) {
        self.file = file
    }

    var atEnd: Bool { at == file.count }

    mutating func bytes(_ count: Int) throws -> Data {
        guard count >= 0, count <= file.count - at else { throw Broken() }
        defer { at += count }
        return file.subdata(in: at..<at + count)
    }

    mutating func number<Number>() throws -> Number {
        try bytes(MemoryLayout<Number>.size).withUnsafeBytes { $0.loadUnaligned(as: Number.self) }
    }

    mutating func goldenCase() throws -> GoldenCase {
        var found = GoldenCase()
        let inputs: UInt32 = try number()
        let outputs: UInt32 = try number()
        for _ in 0..<inputs {
            found.inputs.append(try tensor().0)
        }
        for _ in 0..<outputs {
            let (output, atol) = try tensor()
            found.outputs.append(output)
            found.atol.append(atol)
        }
        return found
    }

    private mutating func tensor() throws -> (Tensor, Double) {
        let length: UInt32 = try number()
        _ = try bytes(Int(length))
        let kind: UInt32 = try number()
        let rank: UInt32 = try number()
        let shape = try (0..<rank).map { _ in Int(try number() as Int64) }
        let atol: Double = try number()
        let size: UInt64 = try number()
        guard let type = ElementType(rawValue: Int(kind)) else { throw Broken() }
        let tensor = Tensor(type, shape, try bytes(Int(size)))
        guard tensor.data.count == tensor.count * type.bytes else { throw Broken() }
        return (tensor, atol)
    }
}
