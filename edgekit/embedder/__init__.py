"""Embed a model in an app: a small project for one platform that proves its own answers.

- `project.embed` writes it: templates, and beside them the model's file, `model.json` (name, task,
  signature, labels, preprocessing, what the file asks of a runtime) and golden vectors, which the
  project's own test runs on its own platform;
- `targets.TARGETS` is the table of platforms: what each runtime opens, which variant suits it;
- `choose` takes the variant, `raw` the one with its preprocessing inside, `golden` writes the
  vectors, `templates` copies;
- a folder of each target's name has its templates, real files in their own language.

Right of the wall: numpy and onnxruntime, and `targets` the standard library only.
"""
