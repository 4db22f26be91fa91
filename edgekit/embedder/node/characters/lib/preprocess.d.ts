/** A text, such as a name. */
export type Input = string;
