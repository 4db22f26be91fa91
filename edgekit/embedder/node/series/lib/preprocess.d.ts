/** A series: a row a step, a number a channel. */
export type Input = readonly (readonly number[])[];
