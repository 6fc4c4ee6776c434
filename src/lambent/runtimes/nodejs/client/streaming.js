'use strict';
// Handlers that write their response bit by bit: `awslambda.streamifyResponse`.
//
// The response travels in chunks, with Lambda's streaming mode in its headers, as soon as the handler writes; an
// error after the first byte follows in the trailers. Whether the caller gets it bit by bit is the platform's affair.

const { Writable } = require('stream');
const { Fault, payloadOf } = require('./errors.js');
const { contextOf } = require('./context.js');
const generation = require('./generation.js');
const log = require('./log.js');

const STREAM_TYPE = 'application/octet-stream';
const INTEGRATION_TYPE = 'application/vnd.awslambda.http-integration-response';
const PRELUDE_END = Buffer.alloc(8);
const ERROR_TYPE = 'Lambda-Runtime-Function-Error-Type';
const ERROR_BODY = 'Lambda-Runtime-Function-Error-Body';

class ResponseStream extends Writable {
  constructor(id, channel) {
    super({ decodeStrings: true });
    this._path = `/invocation/${id}/response`;
    this._channel = channel;
    this._contentType = STREAM_TYPE;
    this._onBeforeFirstWrite = null;
    this.hasBegun = false;
  }

  setContentType(contentType) {
    if (this.hasBegun) throw new Fault('InvalidStreamingOperation', 'Cannot set content-type, too late.');
    this._contentType = contentType;
  }

  write(chunk, ...rest) {
    const isBytes = typeof chunk === 'string' || chunk instanceof Uint8Array;
    if (!this.hasBegun) this.begin();
    return super.write(isBytes ? chunk : JSON.stringify(chunk), ...rest);
  }

  begin() {
    this.hasBegun = true;
    this._channel.beginStream(this._path, {
      'Content-Type': this._contentType,
      'Lambda-Runtime-Function-Response-Mode': 'streaming',
      Trailer: `${ERROR_TYPE}, ${ERROR_BODY}`,
    });
    if (this._onBeforeFirstWrite) this._onBeforeFirstWrite((chunk) => super.write(chunk));
  }

  end(...values) {
    // A response of nothing is a response, and so is one whose first bytes come with its end, without `write`.
    if (!this.hasBegun) this.begin();
    return super.end(...values);
  }

  _write(chunk, _, written) {
    // A chunk of length 0 would be the end.
    if (chunk.length) this._channel.writeChunk(chunk, written);
    else written();
  }
}

// AWS's way to give a stream a status code and headers: a prelude of JSON before the first byte.
const HttpResponseStream = {
  from(stream, prelude) {
    stream.setContentType(INTEGRATION_TYPE);
    const text = JSON.stringify(prelude);
    stream._onBeforeFirstWrite = (write) => {
      write(text);
      write(PRELUDE_END);
    };
    return stream;
  },
};

// Run a streaming handler for one event.
async function runStreaming({ id, headers, body, runtime, channel, fail, finish, setWhenIdle }) {
  const stream = new ResponseStream(id, channel);
  let isOver = false;
  const failStream = (error) => {
    if (isOver) return;
    isOver = true;
    if (!stream.hasBegun) {
      fail(id, error);
      return;
    }
    log.logFailure('Invoke Error', error);
    finish();
    const payload = payloadOf(error);
    channel.endStream(
      {
        [ERROR_TYPE]: String(payload.errorType).replace(/[^\x20-\x7e]/g, ' '),
        [ERROR_BODY]: Buffer.from(JSON.stringify(payload)).toString('base64'),
      },
      true,
    );
  };
  const finished = new Promise((resolve, reject) => {
    stream.once('finish', resolve);
    stream.once('error', reject);
  });
  finished.catch(() => {}); // looked at below, if the handler gets that far
  setWhenIdle(() => failStream(complaint('Response stream is not finished.')));
  try {
    const returned = runtime.handler(JSON.parse(body), stream, streamingContext(headers));
    if (!returned || typeof returned.then !== 'function') {
      throw complaint('Streaming does not support non-async handlers.');
    }
    if ((await returned) !== undefined) console.warn('Streaming handlers ignore return values.');
    await finished;
  } catch (error) {
    failStream(error);
    return;
  }
  if (isOver) return;
  isOver = true;
  finish();
  channel.endStream({}, true);
}

// The older runtimes complain with texts, the newer ones with errors.
const complaint = (text) => (generation.isModern ? new Error(text) : text);

function streamingContext(headers) {
  if (generation.isModern) return contextOf(headers);
  return Object.assign({ callbackWaitsForEmptyEventLoop: true }, contextOf(headers));
}

module.exports = { HttpResponseStream, runStreaming };
