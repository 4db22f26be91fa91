export const HELP = "a text, such as a name";

/** Take a word of the command line as it is. */
export async function read(word) {
  return word;
}
