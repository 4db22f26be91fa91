import XCTest

@testable import {{type}}

/// Texts against the ids that Python gives, pictures against the pixels that Pillow gives.
final class PreprocessingTests: XCTestCase {
    func testTextsBecomeTheIdsThatPythonGives() throws {
        guard let rule = Spec.preprocessing as Any as? Characters else { return }
        for (text, ids) in texts {
            XCTAssertEqual(try rule.ids(text), ids, text)
        }
        XCTAssertThrowsError(try rule.ids(" \t"))
    }

    func testPicturesAreShrunkAndGreyAsByPillow() {
        XCTAssertEqual(pattern().withChannels(1).resized(width: 4, height: 3).pixels, shrunk)
    }

    func testPicturesGrowInColourAsByPillow() {
        XCTAssertEqual(pattern().resized(width: 9, height: 6).pixels, grown)
    }

    func testASeriesHasItsRowsOneAfterAnother() throws {
        guard let rule = Spec.preprocessing as Any as? Series else { return }
        let rows = (0..<3).map { row in
            (0..<rule.channels).map { Float(row * rule.channels + $0) }
        }
        let tensor = try rule.tensor(rows)
        XCTAssertEqual(tensor.shape, [1, 3, rule.channels])
        XCTAssertEqual(tensor[tensor.count - 1], Double(tensor.count - 1))
        XCTAssertThrowsError(try rule.tensor([[Float](repeating: 0, count: rule.channels + 1)]))
    }

    /// 7 x 5 pixels in colour, none of them like its neighbour.
    private func pattern() -> Picture {
        let pixels = (0..<7 * 5 * 3).map { UInt8(($0 * 37 + 11) % 256) }
        return Picture(width: 7, height: 5, channels: 3, pixels: pixels)
    }

    private let shrunk: [UInt8] = [
        95, 111, 158, 152, 108, 116, 155, 152, 119, 99, 108, 157,
    ]

    private let grown: [UInt8] = [
        11, 48, 85, 85, 122, 159, 171, 95, 132, 201, 39, 76, 88, 125, 162, 174, 211, 49, 118, 155,
        79, 91, 128, 165, 165, 202, 239, 18, 55, 92, 92, 129, 166, 178, 102, 139, 208, 46, 83, 95,
        132, 169, 181, 218, 56, 125, 162, 86, 98, 135, 172, 172, 209, 246, 25, 62, 99, 99, 136,
        173, 185, 109, 146, 215, 53, 90, 102, 139, 176, 188, 225, 63, 132, 169, 93, 105, 142, 130,
        179, 216, 104, 33, 70, 107, 107, 144, 181, 146, 117, 154, 140, 61, 98, 110, 147, 184, 196,
        150, 71, 140, 130, 101, 113, 150, 102, 187, 224, 5, 40, 77, 114, 114, 151, 188, 87, 124,
        161, 31, 68, 105, 117, 154, 191, 203, 41, 78, 147, 71, 108, 120, 157, 109, 194, 231, 12,
        47, 84, 121, 121, 158, 195, 94, 131, 168, 38, 75, 112, 124, 161, 198, 210, 48, 85, 154,
        78, 115, 127, 164, 116, 201, 238, 19,
    ]
}
