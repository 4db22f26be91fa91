import Foundation
import XCTest

@testable import {{type}}

/// Proves the model, on the CPU and on what else the device has.
final class GoldenTests: XCTestCase {
    private func load() throws -> Golden {
        let path = Bundle.module.url(
            forResource: "golden", withExtension: "bin", subdirectory: "Resources")
        return try Golden(Data(contentsOf: XCTUnwrap(path)))
    }

    func testTheVectorsFitTheModel() throws {
        for one in try load().cases {
            XCTAssertTrue(zip(Spec.inputs, one.inputs).allSatisfy { $0.fits($1) })
            XCTAssertTrue(zip(Spec.outputs, one.outputs).allSatisfy { $0.fits($1) })
        }
    }

    #if canImport(OnnxRuntimeBindings)
        func testCPU() throws {
            try prove([.cpu], leastDb: nil)
        }

        func testXNNPACK() throws {
            try prove([.xnnpack, .cpu], leastDb: nil)
        }

        /// CoreML may compute a float32 model in 16 bits.
        func testCoreML() throws {
            try prove([.coreML, .cpu], leastDb: {{least_device_db}})
        }

        func testWhatIsNoModelIsRefusedInASentence() {
            XCTAssertThrowsError(try Model(path: "/nowhere.ort")) { error in
                XCTAssertTrue(error.localizedDescription.contains(Spec.needs))
            }
        }

        private func prove(_ providers: [Provider], leastDb: Double?) throws {
            let model = try Model(providers: providers)
            print("asked for \(providers), runs on \(model.placement)")
            let golden = try load()
            // On the CPU alone the exact limits hold, whatever was asked for.
            let loose = model.placement.provider == .cpu ? nil : leastDb
            for one in golden.cases {
                let answers = try model.run(one.inputs)
                for (i, answer) in answers.enumerated() {
                    let failure = golden.failure(
                        one.outputs[i], answer, atol: loose == nil ? one.atol[i] : .nan,
                        leastDb: loose ?? golden.minSqnrDb)
                    XCTAssertNil(failure, "\(Spec.outputs[i].name) on \(model.placement)")
                }
            }
        }
    #endif
}
