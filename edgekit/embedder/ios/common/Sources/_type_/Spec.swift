/// What the model takes and gives: the one file that edgekit {{edgekit}} wrote from the model.
public enum Spec {
    public static let name = "{{name}}"

    /// What the model asks of onnxruntime.
    public static let needs = "opset {{opset}}, IR version {{ir_version}}"

    public static let inputs: [TensorSpec] = [
{{inputs}}
    ]

    public static let outputs: [TensorSpec] = [
{{outputs}}
    ]

    /// Empty where the answer has none.
    public static let labels: [String] = [
{{labels}}
    ]

    public static let preprocessing = {{preprocessing}}
}
