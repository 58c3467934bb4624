import { Parser } from 'pg-protocol/dist/parser.js';
import type { BackendMessage } from 'pg-protocol/dist/messages.js';

/** The type code of a DataRow message. */
const dataRowCode = 'D'.charCodeAt(0);

/**
 * A row as PostgreSQL sends it. It begins with two bytes that contain the number of columns. Each column follows with
 * four bytes for its length (-1 means null) and its text. Valid only until the next message arrives, because the driver
 * reuses the bytes.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-DATAROW
 */
export class DataRow {
  readonly name = 'dataRow';
  /** Set by the driver: the length of the message. */
  length = 0;
  readonly bytes: Buffer;
  /** Where the row begins in `bytes`. */
  readonly offset: number;

  constructor(bytes: Buffer, offset: number) {
    this.bytes = bytes;
    this.offset = offset;
  }

  get columnCount(): number {
    return this.bytes.readInt16BE(this.offset);
  }

  /** The texts of the columns, which the driver's own statements read. */
  get fields(): (string | null)[] {
    const texts: (string | null)[] = [];
    let at = this.offset + 2;
    for (let index = 0; index < this.columnCount; index += 1) {
      const length = this.bytes.readInt32BE(at);
      at += 4;
      texts.push(length < 0 ? null : this.bytes.toString('utf8', at, at + length));
      at += Math.max(0, length);
    }
    return texts;
  }
}

/** The driver's parser. In its type declarations, the method that it calls for each message is private. */
type OpenParser = {
  parse: Parser['parse'];
  handlePacket: (offset: number, code: number, length: number, bytes: Buffer) => BackendMessage | DataRow;
};

/** The parts of a driver's connection that handle incoming messages; see pg/lib/connection.js. */
export type MessageTarget = {
  attachListeners: (stream: NodeJS.ReadableStream) => void;
  _emitMessage: boolean;
  emit: (name: string, message: unknown) => boolean;
};

/**
 * Makes a driver's connection leave incoming rows undecoded. The driver decodes each column into a string, with a call
 * into C++ for each column. A statement that knows the types of its columns can read numbers and times directly from
 * the bytes, at a third of the cost.
 */
export function leaveRowsUndecoded(target: MessageTarget): void {
  target.attachListeners = (stream) => {
    const parser = new Parser() as unknown as OpenParser;
    const decode = parser.handlePacket.bind(parser);
    parser.handlePacket = (offset, code, length, bytes) =>
      code === dataRowCode ? new DataRow(bytes, offset) : decode(offset, code, length, bytes);
    const deliver = (message: BackendMessage | DataRow) => {
      if (target._emitMessage) target.emit('message', message);
      target.emit(message.name === 'error' ? 'errorMessage' : message.name, message);
    };
    stream.on('data', (bytes: Buffer) => parser.parse(bytes, deliver));
  };
}
