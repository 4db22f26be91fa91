"""The data of the reference models, one module a model; none of them imports keras.

Each module has `TASK`, `METRIC`, `data(seed)`, `score(outputs, targets)`,
`majority(dataset)` and `baseline(dataset)`. All data comes from installed packages.
"""
