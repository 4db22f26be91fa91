import type { InferenceSession } from "onnxruntime-node";

import type { Input } from "./lib/preprocess.js";

export type { Input };

/** A tensor: `dtype` is numpy's name for it, `data` is flat, row by row. */
export interface Tensor {
  dtype: string;
  shape: readonly number[];
  data: ArrayLike<number | bigint | string>;
}

/** One label, and the score that the model gave it. */
export interface Label {
  name: string;
  score: number;
}

/** What the model answered; `top` has the likeliest labels, best first, and none without labels. */
export interface Answer {
  outputs: Record<string, Tensor>;
  top: Label[];
}

/** The installed onnxruntime cannot open the model: it lacks what the message names. */
export class ModelError extends Error {}

/** An open model. */
export interface Model {
  /** Run the model on tensors by name, as model.json lists them, and give the outputs. */
  run(feeds: Record<string, Tensor>): Promise<Record<string, Tensor>>;
  /** Run the model on one input; `RangeError` where it does not fit. */
  predict(given: Input, top?: number): Promise<Answer>;
}

/** Open the model. */
export function load(options?: InferenceSession.SessionOptions): Promise<Model>;

/** Run the model on one input; the first call opens it, and takes longer. */
export function predict(given: Input, top?: number): Promise<Answer>;
