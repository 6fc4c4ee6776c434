'use strict';
// The Runtime API as HTTP/1.1 over the inherited socket: the few forms of it that Lambda uses.
//
// A response and the request for the next invocation leave in one write. While a handler runs the socket does
// not keep the event loop alive, so that the loop's being empty means what it means on AWS.
//
// The first event is waited for without the event loop: an environment that is new sleeps until it has work, as on
// AWS, and the modules of Node.js that read sockets are loaded when the first answer is already on its way.

const fs = require('fs');

const PREFIX = '/2018-06-01/runtime';
const NEXT = `GET ${PREFIX}/invocation/next HTTP/1.1\r\nHost: runtime\r\n\r\n`;
const END_OF_HEAD = Buffer.from('\r\n\r\n');
const READ_BYTES = 65536;

class Channel {
  // `onInvocation` is called with the headers (by lower-case name) and the body (a string) of every event.
  constructor(descriptor, onInvocation) {
    this._descriptor = descriptor;
    this._onInvocation = onInvocation;
    this._parts = []; // of a message that is not complete
    this._size = 0; // theirs together
    this._needed = 0; // how much there must be before it is worth while to look again
    this._whenAccepted = null;
    this._opened = null;
  }

  // Ask for the first event and wait for it.
  first() {
    this._writeNow(NEXT);
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    for (let isWaiting = true; isWaiting; ) {
      const size = fs.readSync(this._descriptor, buffer);
      if (size === 0) process.exit(0); // the platform has gone
      isWaiting = !this._receive(buffer.subarray(0, size));
    }
  }

  // Send a report, and ask for the next invocation in the same write unless this one is not over yet.
  report(path, headers, body, asksForNext) {
    const text = head(path, headers, body) + body + (asksForNext ? NEXT : '');
    if (this._opened === null) this._writeNow(text);
    else this._opened.write(text, 'utf8');
    this._socket().ref();
  }

  // Send a last report, and call back when the platform has it.
  reportLast(path, headers, body, whenAccepted) {
    this._whenAccepted = whenAccepted;
    this.report(path, { ...headers, 'Lambent-Runtime-Last': 'true' }, body, false);
  }

  // The parts of a response of unknown length. `written` is called when there is room for more.
  beginStream(path, headers) {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    this._socket().write(
      `POST ${PREFIX}${path} HTTP/1.1\r\nHost: runtime\r\n${lines.join('')}Transfer-Encoding: chunked\r\n\r\n`,
      'latin1',
    );
  }

  writeChunk(chunk, written) {
    const socket = this._socket();
    socket.cork();
    socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
    socket.write(chunk);
    socket.write('\r\n', 'latin1', written);
    socket.uncork();
  }

  endStream(trailers, asksForNext) {
    const lines = Object.entries(trailers).map(([name, value]) => `${name}: ${value}\r\n`);
    this._socket().ref();
    this._socket().write(`0\r\n${lines.join('')}\r\n${asksForNext ? NEXT : ''}`, 'latin1');
  }

  // Write before the socket is opened: the descriptor waits until everything is written.
  _writeNow(text) {
    const content = Buffer.from(text);
    for (let start = 0; start < content.length; ) start += fs.writeSync(this._descriptor, content, start);
  }

  _socket() {
    if (this._opened === null) {
      const net = require('net');
      const callback = (size, buffer) => {
        this._receive(buffer.subarray(0, size));
        return true;
      };
      this._opened = new net.Socket({
        fd: this._descriptor,
        readable: true,
        writable: true,
        onread: { buffer: Buffer.allocUnsafe(READ_BYTES), callback },
      });
      this._opened.unref();
      // The platform has gone: there is nobody to report to.
      this._opened.on('close', () => process.exit(0));
      this._opened.on('error', () => process.exit(0));
    }
    return this._opened;
  }

  // Take what was read, which the next read overwrites; return whether it completed a message.
  _receive(part) {
    this._size += part.length;
    if (this._size < this._needed) {
      this._parts.push(Buffer.from(part));
      return false;
    }
    let buffer = this._parts.length ? Buffer.concat([...this._parts, part]) : part;
    let isComplete = false;
    this._needed = 0;
    while (buffer.length && !this._needed) {
      const end = buffer.indexOf(END_OF_HEAD);
      const [status, headers] = end < 0 ? [0, {}] : parseHead(buffer.latin1Slice(0, end));
      const start = end + END_OF_HEAD.length;
      const stop = start + Number(headers['content-length'] || 0);
      if (end < 0 || buffer.length < stop) {
        this._needed = end < 0 ? buffer.length + 1 : stop;
      } else {
        this._dispatch(status, headers, buffer.utf8Slice(start, stop));
        buffer = buffer.subarray(stop);
        isComplete = true;
      }
    }
    this._parts = buffer.length ? [Buffer.from(buffer)] : [];
    this._size = buffer.length;
    return isComplete;
  }

  _dispatch(status, headers, body) {
    if (status === 200) {
      if (this._opened !== null) this._opened.unref();
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
