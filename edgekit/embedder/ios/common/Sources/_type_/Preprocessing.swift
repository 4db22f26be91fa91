import Foundation

/// Numbers as they are.
public struct Numbers {}

/// A text becomes ids: `offset + i` for the i-th character of the alphabet.
public struct Characters {
    private let ids: [Unicode.Scalar: Int]
    private let lowercase: Bool
    private let maxLength: Int
    private let padding: Int
    private let unknown: Int

    init(alphabet: String, lowercase: Bool, maxLength: Int, padding: Int, unknown: Int, offset: Int) {
        let known = alphabet.unicodeScalars.enumerated().map { ($1, offset + $0) }
        ids = Dictionary(known, uniquingKeysWith: { _, last in last })
        self.lowercase = lowercase
        self.maxLength = maxLength
        self.padding = padding
        self.unknown = unknown
    }

    /// The ids of a text without white space around it, cut after the longest that the model takes.
    public func ids(_ text: String) throws -> [Int] {
        let space = CharacterSet.whitespacesAndNewlines
            .union(CharacterSet(charactersIn: "\u{1c}\u{1d}\u{1e}\u{1f}"))
        let bare = text.trimmingCharacters(in: space)
        if bare.isEmpty {
            throw ModelError("The text is empty: give at least one character.")
        }
        let seen = lowercase ? bare.lowercased() : bare
        return seen.unicodeScalars.prefix(maxLength).map { ids[$0] ?? unknown }
    }

    public func tensor(_ text: String) throws -> Tensor {
        let found = try ids(text)
        var tensor = Spec.inputs[0].tensor(free: found.count)
        if found.count > tensor.count {
            throw ModelError(
                "The text has \(found.count) characters and the model takes \(tensor.count): shorten it.")
        }
        for i in 0..<tensor.count {
            tensor[i] = Double(i < found.count ? found[i] : padding)
        }
        return tensor
    }
}

/// A picture is resized, and its bytes are scaled to a range.
public struct ImageScaling {
    let height: Int
    let width: Int
    let channels: Int
    let low: Float
    let high: Float

    public func tensor(_ picture: Picture) -> Tensor {
        let pixels = picture.withChannels(channels).resized(width: width, height: height).pixels
        var tensor = Spec.inputs[0].tensor()
        for (i, pixel) in pixels.enumerated() {
            tensor[i] = Double(low + Float(pixel) / 255 * (high - low))
        }
        return tensor
    }
}

/// A series of rows, one a step, of as many numbers as there are channels.
public struct Series {
    let channels: Int

    public func tensor(_ rows: [[Float]]) throws -> Tensor {
        if rows.isEmpty || rows.contains(where: { $0.count != channels }) {
            throw ModelError("The model takes rows of \(channels) numbers, one row a step.")
        }
        var tensor = Spec.inputs[0].tensor(free: rows.count)
        if tensor.count != rows.count * channels {
            throw ModelError(
                "The series has \(rows.count) steps and the model takes \(tensor.count / channels).")
        }
        for (i, value) in rows.joined().enumerated() {
            tensor[i] = Double(value)
        }
        return tensor
    }
}
