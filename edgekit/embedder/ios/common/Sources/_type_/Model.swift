#if canImport(OnnxRuntimeBindings)
    import Foundation
    import OnnxRuntimeBindings

    /// What a model may run on.
    public enum Provider: String {
        case cpu = "CPU"
        case coreML = "CoreML"
        case xnnpack = "XNNPACK"
    }

    /// Where an open model runs.
    public struct Placement: CustomStringConvertible {
        public let provider: Provider
        /// False where the CPU runs the nodes that the provider does not take: any number of them.
        public let whole: Bool
        /// Why each provider that was asked for does not run all of the model.
        public let refused: [(provider: Provider, reason: String)]

        public var description: String {
            let place = provider.rawValue + (whole ? "" : " for what it takes, CPU for the rest")
            return refused.reduce(place) { text, each in
                "\(text); not all on \(each.provider.rawValue): \(each.reason)"
            }
        }
    }

    /// An open model. May be run from several threads at once.
    public final class Model {
        private let environment: ORTEnv
        private let session: ORTSession
        /// Where it runs: show it, or log it.
        public let placement: Placement

        /// The model that is in the package.
        public static var path: String? {
            Bundle.module.path(forResource: "model", ofType: "ort", inDirectory: "Resources")
        }

        /// Opens a model on the first of `providers` that runs it.
        ///
        /// Each is tried for all of the model. One that takes a part is used only where a later entry
        /// is `.cpu`, which then runs the rest. Nothing falls back to what is not in the list, and
        /// `placement` says what happened. Throws `ModelError` where none of them runs it.
        public init(path: String? = Model.path, providers: [Provider] = [.cpu], threads: Int32 = 1) throws {
            guard let path else {
                throw ModelError("The model is not among the package's resources: embed it again.")
            }
            let environment = try ORTEnv(loggingLevel: .error)
            (session, placement) = try Model.open(environment, path, providers, threads)
            self.environment = environment
        }

        private static func open(
            _ environment: ORTEnv, _ path: String, _ providers: [Provider], _ threads: Int32
        ) throws -> (ORTSession, Placement) {
            var refused: [(provider: Provider, reason: String)] = []
            for (index, provider) in providers.enumerated() {
                let rest = providers.dropFirst(index + 1).contains(.cpu)
                for whole in rest ? [true, false] : [true] {
                    do {
                        let options = try Model.options(provider, whole: whole, threads: threads)
                        let session = try ORTSession(
                            env: environment, modelPath: path, sessionOptions: options)
                        let placement = Placement(
                            provider: provider, whole: whole, refused: refused)
                        return (session, placement)
                    } catch {
                        if refused.last?.provider != provider {
                            refused.append((provider, error.localizedDescription))
                        }
                    }
                }
            }
            let reasons = refused.map { "\($0.provider.rawValue): \($0.reason)" }
            throw ModelError(
                "onnxruntime \(ORTVersion() ?? "") opens the model (\(Spec.needs)) on none of what "
                    + "was asked for: " + reasons.joined(separator: "; "))
        }

        private static func options(
            _ provider: Provider, whole: Bool, threads: Int32
        ) throws -> ORTSessionOptions {
            let options = try ORTSessionOptions()
            try options.setIntraOpNumThreads(threads)
            switch provider {
            case .cpu: break
            case .coreML:
                try options.appendCoreMLExecutionProvider(with: ORTCoreMLExecutionProviderOptions())
            case .xnnpack:
                try options.appendXnnpackExecutionProvider(with: ORTXnnpackExecutionProviderOptions())
            }
            if whole && provider != .cpu {
                try options.addConfigEntry(withKey: "session.disable_cpu_ep_fallback", value: "1")
            }
            return options
        }

        /// Gives the outputs, in the order of `Spec.outputs`, for inputs in that of `Spec.inputs`.
        public func run(_ inputs: [Tensor]) throws -> [Tensor] {
            guard inputs.count == Spec.inputs.count else {
                throw ModelError(
                    "\(inputs.count) inputs are given and the model takes \(Spec.inputs.count).")
            }
            var feeds: [String: ORTValue] = [:]
            for (spec, tensor) in zip(Spec.inputs, inputs) {
                guard spec.fits(tensor) else {
                    throw ModelError(
                        "The input '\(spec.name)' is \(tensor.type) \(tensor.shape) where "
                            + "\(spec.type) \(spec.shape) is expected (nil: any length).")
                }
                feeds[spec.name] = try Model.value(tensor)
            }
            let names = Set(Spec.outputs.map(\.name))
            let answers = try session.run(withInputs: feeds, outputNames: names, runOptions: nil)
            return try Spec.outputs.map { spec in
                guard let answer = answers[spec.name] else {
                    throw ModelError("The model gave no output '\(spec.name)': embed it again.")
                }
                return try Model.tensor(answer, spec)
            }
        }

        private static func value(_ tensor: Tensor) throws -> ORTValue {
            try ORTValue(
                tensorData: NSMutableData(data: tensor.data),
                elementType: types[tensor.type]!,
                shape: tensor.shape.map { NSNumber(value: $0) })
        }

        private static func tensor(_ value: ORTValue, _ spec: TensorSpec) throws -> Tensor {
            let shape = try value.tensorTypeAndShapeInfo().shape.map(\.intValue)
            // A copy: the memory belongs to the value.
            return Tensor(spec.type, shape, Data(referencing: try value.tensorData().copy() as! NSData))
        }

        private static let types: [ElementType: ORTTensorElementDataType] = [
            .float32: .float, .uint8: .uInt8, .int8: .int8, .int32: .int32, .int64: .int64,
        ]
    }
#endif
