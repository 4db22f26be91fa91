/** A picture: 1, 3 or 4 channels a pixel, row by row; bytes are 0..255, floats 0..1. */
export interface Input {
  width: number;
  height: number;
  data: Uint8Array | Uint8ClampedArray | Float32Array;
}
