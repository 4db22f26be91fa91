// swift-tools-version: 5.9
import PackageDescription

let package = Package(
    name: "{{type}}",
    platforms: [.iOS(.v15), .macOS(.v13)],
    products: [.library(name: "{{type}}", targets: ["{{type}}"])],
    dependencies: [
        .package(
            url: "https://github.com/microsoft/onnxruntime-swift-package-manager",
            exact: "{{version}}"
        )
    ],
    targets: [
        .target(
            name: "{{type}}",
            dependencies: [
                .product(
                    name: "onnxruntime",
                    package: "onnxruntime-swift-package-manager",
                    condition: .when(platforms: [.iOS, .macOS, .macCatalyst])
                )
            ],
            resources: [.copy("Resources")]
        ),
        .testTarget(
            name: "GoldenTests",
            dependencies: ["{{type}}"],
            resources: [.copy("Resources")]
        ),
    ]
)
