// The model: an open session, what goes in and out of it, and what the answer means.

import { encode } from "./preprocess.js";
import { fromTensor, toTensor } from "./tensors.js";

/** @typedef {import("./tensors.js").Tensor} Tensor */
/** @typedef {{name: string, score: number}} Label */

/** The runtime cannot open the model, or cannot run it. */
export class ModelError extends Error {
  name = "ModelError";
}

/** An open model. */
export class Model {
  /**
   * @param {any} ort the module of onnxruntime
   * @param {any} session an open session
   * @param {any} spec the content of model.json
   */
  constructor(ort, session, spec) {
    this.ort = ort;
    this.session = session;
    this.spec = spec;
  }

  /**
   * Open a model.
   * @param {any} ort the module of onnxruntime
   * @param {any} spec the content of model.json
   * @param {string | Uint8Array} file the model's path or bytes
   * @param {object} options session options of onnxruntime
   */
  static async open(ort, spec, file, options) {
    try {
      return new Model(ort, await ort.InferenceSession.create(file, options), spec);
    } catch (error) {
      throw new ModelError(missing(spec, error), { cause: error });
    }
  }

  /**
   * Run the model on tensors by name, as model.json lists them, and give the outputs.
   * @param {Record<string, Tensor>} feeds
   * @returns {Promise<Record<string, Tensor>>}
   */
  async run(feeds) {
    const tensors = Object.entries(feeds).map(([name, each]) => [name, toTensor(this.ort, each)]);
    const outputs = await this.session.run(Object.fromEntries(tensors));
    return Object.fromEntries(
      this.spec.outputs.map(({ name }) => [name, fromTensor(outputs[name])]),
    );
  }

  /**
   * Run the model on one input of the kind that it was trained with.
   * @param {any} given
   * @param {number} top how many labels to give
   */
  async predict(given, top = 3) {
    const outputs = await this.run(encode(given, this.spec));
    return { outputs, top: ranked(outputs, this.spec).slice(0, top) };
  }
}

/**
 * Give the labels that the model names itself, else those of the first output, best first; none
 * where the model has no score a label.
 * @param {Record<string, Tensor>} outputs
 * @param {any} spec
 * @returns {Label[]}
 */
export function ranked(outputs, spec) {
  if (outputs.top_labels) {
    const { data: scores } = outputs.top_probabilities;
    return Array.from(outputs.top_labels.data, (name, i) => ({ name, score: scores[i] }));
  }
  const { shape, data } = outputs[spec.outputs[0].name];
  if (!spec.labels.length || shape.length !== 2 || shape[0] !== 1) return [];
  if (shape[1] !== spec.labels.length) return [];
  return spec.labels
    .map((name, i) => ({ name, score: Number(data[i]) }))
    .sort((one, other) => other.score - one.score);
}

/** Say what the model asks for, and what there is. */
function missing({ file, needs, runtime }, error) {
  const opsets = Object.entries(needs.opsets).map(([name, version]) => `opset ${version} of ${name}`);
  const asked = `${file} needs IR version ${needs.ir_version} and ${opsets.join(", ")}`;
  const pinned = `${runtime.package} does not open it (it is proven with ${runtime.version})`;
  return `${asked}, and ${pinned}: ${error.message ?? error}`;
}
