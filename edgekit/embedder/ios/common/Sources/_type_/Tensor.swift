import Foundation

/// What the elements of a tensor are; the numbers are ONNX's own.
public enum ElementType: Int {
    case float32 = 1
    case uint8 = 2
    case int8 = 3
    case int32 = 6
    case int64 = 7

    var bytes: Int {
        switch self {
        case .int8, .uint8: return 1
        case .float32, .int32: return 4
        case .int64: return 8
        }
    }
}

/// The elements of a shape, row by row.
public struct Tensor {
    public let type: ElementType
    public let shape: [Int]
    var data: Data

    /// A tensor of zeros.
    public init(_ type: ElementType, _ shape: [Int]) {
        self.init(type, shape, Data(count: shape.reduce(1, *) * type.bytes))
    }

    init(_ type: ElementType, _ shape: [Int], _ data: Data) {
        self.type = type
        self.shape = shape
        self.data = data
    }

    /// How many elements there are.
    public var count: Int { shape.reduce(1, *) }

    /// The element at a flat index; 64-bit integers past 2^53 lose their last digits, and setting
    /// an integer truncates towards zero.
    public subscript(index: Int) -> Double {
        get {
            data.withUnsafeBytes { bytes in
                let offset = index * type.bytes
                switch type {
                case .float32: return Double(bytes.loadUnaligned(fromByteOffset: offset, as: Float.self))
                case .uint8: return Double(bytes.loadUnaligned(fromByteOffset: offset, as: UInt8.self))
                case .int8: return Double(bytes.loadUnaligned(fromByteOffset: offset, as: Int8.self))
                case .int32: return Double(bytes.loadUnaligned(fromByteOffset: offset, as: Int32.self))
                case .int64: return Double(bytes.loadUnaligned(fromByteOffset: offset, as: Int64.self))
                }
            }
        }
        set {
            let type = self.type
            data.withUnsafeMutableBytes { bytes in
                let offset = index * type.bytes
                switch type {
                case .float32: bytes.storeBytes(of: Float(newValue), toByteOffset: offset, as: Float.self)
                case .uint8: bytes.storeBytes(of: UInt8(newValue), toByteOffset: offset, as: UInt8.self)
                case .int8: bytes.storeBytes(of: Int8(newValue), toByteOffset: offset, as: Int8.self)
                case .int32: bytes.storeBytes(of: Int32(newValue), toByteOffset: offset, as: Int32.self)
                case .int64: bytes.storeBytes(of: Int64(newValue), toByteOffset: offset, as: Int64.self)
                }
            }
        }
    }
}

/// An input or output of the model; nil is a free axis.
public struct TensorSpec {
    public let name: String
    public let type: ElementType
    public let shape: [Int?]

    /// A tensor of one sample; `free` is the length of every free axis behind the first.
    func tensor(free: Int = 1) -> Tensor {
        Tensor(type, shape.enumerated().map { axis, length in length ?? (axis == 0 ? 1 : free) })
    }

    func fits(_ tensor: Tensor) -> Bool {
        type == tensor.type && shape.count == tensor.shape.count
            && zip(shape, tensor.shape).allSatisfy { wanted, length in (wanted ?? length) == length }
    }
}

/// What went wrong, in one sentence.
public struct ModelError: LocalizedError {
    public let errorDescription: String?

    init(_ sentence: String) {
        errorDescription = sentence
    }
}
