/** A tensor for each of the model's inputs; data is flat, row by row. */
export type Input = Readonly<
  Record<string, { shape: readonly number[]; data: ArrayLike<number | bigint | string> }>
>;
