/** A picture of any size: 1 to 4 bytes a pixel (grey, grey and alpha, RGB, RGBA), row by row. */
export interface Input {
  width: number;
  height: number;
  data: Uint8Array | Uint8ClampedArray;
}
