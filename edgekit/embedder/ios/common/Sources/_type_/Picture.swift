/// Pixels of eight bits a channel, rows from the top, channels (1: grey, 3: RGB) last.
public struct Picture {
    public let width: Int
    public let height: Int
    public let channels: Int
    public private(set) var pixels: [UInt8]

    public init(width: Int, height: Int, channels: Int, pixels: [UInt8]) {
        precondition(pixels.count == width * height * channels, "the pixels do not fill the picture")
        self.width = width
        self.height = height
        self.channels = channels
        self.pixels = pixels
    }

    /// Grey of colour by ITU-R 601-2, in 16-bit fixed point as Pillow rounds it; or colour of grey.
    public func withChannels(_ wanted: Int) -> Picture {
        if wanted == channels {
            return self
        }
        let found: [UInt8]
        if wanted == 1 {
            found = (0..<width * height).map { i in
                let red = Int(pixels[3 * i])
                let green = Int(pixels[3 * i + 1])
                let blue = Int(pixels[3 * i + 2])
                return UInt8((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16)
            }
        } else {
            found = pixels.flatMap { [$0, $0, $0] }
        }
        return Picture(width: width, height: height, channels: wanted, pixels: found)
    }

    /// Resizes bilinearly with antialiasing, as Pillow does: along the rows, then along the columns,
    /// each rounded to eight bits.
    public func resized(width: Int, height: Int) -> Picture {
        var narrow = Picture.black(width, self.height, channels)
        for (x, window) in Window.all(from: self.width, to: width).enumerated() {
            for row in 0..<self.height {
                for channel in 0..<channels {
                    narrow.pixels[(row * width + x) * channels + channel] = window.mean {
                        pixels[(row * self.width + $0) * channels + channel]
                    }
                }
            }
        }
        var whole = Picture.black(width, height, channels)
        for (y, window) in Window.all(from: self.height, to: height).enumerated() {
            for i in 0..<width * channels {
                whole.pixels[y * width * channels + i] = window.mean {
                    narrow.pixels[$0 * width * channels + i]
                }
            }
        }
        return whole
    }

    private static func black(_ width: Int, _ height: Int, _ channels: Int) -> Picture {
        let pixels = [UInt8](repeating: 0, count: width * height * channels)
        return Picture(width: width, height: height, channels: channels, pixels: pixels)
    }
}

/// The pixels of a line that one pixel of another is a mean of; weights in fixed point.
private struct Window {
    static let fractionBits = 22

    let first: Int
    let weights: [Int]

    func mean(_ value: (Int) -> UInt8) -> UInt8 {
        var sum = 1 << (Window.fractionBits - 1)
        for (i, weight) in weights.enumerated() {
            sum += Int(value(first + i)) * weight
        }
        return UInt8(min(sum >> Window.fractionBits, 255))
    }

    /// A triangle around each pixel's centre, as wide as two pixels of the coarser line.
    static func all(from: Int, to: Int) -> [Window] {
        let scale = Double(from) / Double(to)
        let radius = max(scale, 1)
        return (0..<to).map { at in
            let centre = (Double(at) + 0.5) * scale
            let first = max(Int((centre - radius + 0.5).rounded(.down)), 0)
            let last = min(Int((centre + radius + 0.5).rounded(.down)), from)
            let shares = (first..<last).map { i in
                max(1 - abs((Double(i) + 0.5 - centre) / radius), 0)
            }
            let sum = shares.reduce(0, +)
            let one = Double(1 << fractionBits)
            return Window(
                first: first, weights: shares.map { Int(($0 / sum * one + 0.5).rounded(.down)) })
        }
    }
}
