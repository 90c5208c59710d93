/** Reading server-sent events (WHATWG HTML §9.2) from a fetched stream, which can carry a token. */

export interface Message {
  readonly id: string;
  readonly data: string;
}

const MAX_LINE = 4 * 1024 * 1024;

/** The messages of a stream. One without data only moves the id; it comes with empty `data`. */
export async function* messages(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Message> {
  const decoder = new TextDecoder();
  let rest = "";
  let data: string[] = [];
  let id = "";
  let moved = false;
  for await (const chunk of stream) {
    rest += decoder.decode(chunk, { stream: true });
    if (rest.length > MAX_LINE) throw new RangeError("a line without end");
    const lines = rest.split("\n");
    rest = lines.pop()!;
    for (const full of lines) {
      const line = full.endsWith("\r") ? full.slice(0, -1) : full;
      if (line === "") {
        if (data.length > 0 || moved) yield { id, data: data.join("\n") };
        data = [];
        moved = false;
        continue;
      }
      const colon = line.indexOf(":");
      if (colon === 0) continue; // a comment
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (name === "data") data.push(value);
      if (name === "id" && !value.includes("\0")) {
        id = value;
        moved = true;
      }
    }
  }
}
