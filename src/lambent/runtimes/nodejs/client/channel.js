'use strict';
// The Runtime API as HTTP/1.1 over the inherited socket: the few forms of it that Lambda uses.
//
// A response and the request for the next invocation leave in one write. While a handler runs the socket does
// not keep the event loop alive, so that the loop's being empty means what it means on AWS.

const net = require('net');

const PREFIX = '/2018-06-01/runtime';
const NEXT = `GET ${PREFIX}/invocation/next HTTP/1.1\r\nHost: runtime\r\n\r\n`;
const END_OF_HEAD = Buffer.from('\r\n\r\n');
const NOTHING = Buffer.alloc(0);

class Channel {
  // `onInvocation` is called with the headers (by lower-case name) and the body (a string) of every event.
  constructor(descriptor, onInvocation) {
    this._onInvocation = onInvocation;
    this._rest = NOTHING;
    this._whenAccepted = null;
    const receive = (size, buffer) => {
      this._receive(buffer.subarray(0, size));
      return true;
    };
    this._socket = new net.Socket({
      fd: descriptor,
      readable: true,
      writable: true,
      onread: { buffer: Buffer.allocUnsafe(65536), callback: receive },
    });
    this._socket.unref();
    // The platform has gone: there is nobody to report to.
    this._socket.on('close', () => process.exit(0));
    this._socket.on('error', () => process.exit(0));
  }

  next() {
    this._socket.ref();
    this._socket.write(NEXT, 'latin1');
  }

  // Send a report, and ask for the next invocation in the same write unless this one is not over yet.
  report(path, headers, body, asksForNext) {
    this._socket.ref();
    this._socket.write(head(path, headers, body) + body + (asksForNext ? NEXT : ''), 'utf8');
  }

  // Send a last report, and call back when the platform has it.
  reportLast(path, headers, body, whenAccepted) {
    this._whenAccepted = whenAccepted;
    this.report(path, { ...headers, 'Lambent-Runtime-Last': 'true' }, body, false);
  }

  // The parts of a response of unknown length. `written` is called when there is room for more.
  beginStream(path, headers) {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    this._socket.write(
      `POST ${PREFIX}${path} HTTP/1.1\r\nHost: runtime\r\n${lines.join('')}Transfer-Encoding: chunked\r\n\r\n`,
      'latin1',
    );
  }

  writeChunk(chunk, written) {
    this._socket.cork();
    this._socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
    this._socket.write(chunk);
    this._socket.write('\r\n', 'latin1', written);
    this._socket.uncork();
  }

  endStream(trailers, asksForNext) {
    const lines = Object.entries(trailers).map(([name, value]) => `${name}: ${value}\r\n`);
    this._socket.ref();
    this._socket.write(`0\r\n${lines.join('')}\r\n${asksForNext ? NEXT : ''}`, 'latin1');
  }

  _receive(part) {
    let buffer = this._rest.length ? Buffer.concat([this._rest, part]) : part;
    for (;;) {
      const end = buffer.indexOf(END_OF_HEAD);
      if (end < 0) break;
      const [status, headers] = parseHead(buffer.latin1Slice(0, end));
      const start = end + 4;
      const stop = start + Number(headers['content-length'] || 0);
      if (buffer.length < stop) break;
      const body = buffer.utf8Slice(start, stop);
      buffer = buffer.subarray(stop);
      this._dispatch(status, headers, body);
    }
    // What is left lies in the buffer that the next read overwrites.
    this._rest = buffer.length ? Buffer.from(buffer) : NOTHING;
  }

  _dispatch(status, headers, body) {
    if (status === 200) {
      this._socket.unref();
      // A tick of its own: what the handler stores about its asynchronous context ends with it.
      process.nextTick(this._onInvocation, headers, body);
    } else if (this._whenAccepted !== null) {
      this._whenAccepted();
    }
  }
}

function head(path, headers, body) {
  let text = `POST ${PREFIX}${path} HTTP/1.1\r\nHost: runtime\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`;
  for (const name in headers) text += `${name}: ${headers[name]}\r\n`;
  return text + '\r\n';
}

function parseHead(text) {
  const lines = text.split('\r\n');
  const headers = {};
  for (let index = 1; index < lines.length; index++) {
    const colon = lines[index].indexOf(':');
    headers[lines[index].slice(0, colon).toLowerCase()] = lines[index].slice(colon + 1).trim();
  }
  return [Number(lines[0].slice(9, 12)), headers];
}

module.exports = { Channel };
