'use strict';
// The console of a function: lines with time, request id and level, or JSON, as frames on the log descriptor.
//
// A frame (AWS's telemetry log format) keeps a message of several lines together as one log event. What is
// written to `process.stdout` goes there as it is.

const fs = require('fs');
const util = require('util');
const { asError, logTextOf } = require('./errors.js');
const { currentRequestId, currentTenantId } = require('./store.js');

const LEVELS = { TRACE: 1, DEBUG: 2, INFO: 3, WARN: 4, ERROR: 5, FATAL: 6 };
const METHODS = { trace: 'TRACE', debug: 'DEBUG', info: 'INFO', warn: 'WARN', error: 'ERROR' };
const TEXT_FRAME = 0xa55a0003;
const JSON_FRAME = 0xa55a0002;
const FULL_PIPE_PAUSE_MS = 1;

let isJson = false;
let descriptor = -1;

// Take the place of the console's methods.
function install() {
  const given = process.env._LAMBDA_TELEMETRY_LOG_FD;
  delete process.env._LAMBDA_TELEMETRY_LOG_FD;
  if (given !== undefined) descriptor = Number(given);
  isJson = (process.env.AWS_LAMBDA_LOG_FORMAT || '').toUpperCase() === 'JSON';
  const least = LEVELS[(process.env.AWS_LAMBDA_LOG_LEVEL || '').toUpperCase()] || LEVELS.TRACE;
  const write = isJson ? writeJson : writeText;
  for (const [method, level] of Object.entries(METHODS)) {
    // Without a value, undefined is what is logged.
    console[method] = LEVELS[level] >= least ? (value, ...rest) => write(level, [value, ...rest]) : () => {};
  }
  console.log = console.info;
  console.fatal = (value, ...rest) => write('FATAL', [value, ...rest]);
}

// Log a failure that nobody caught, in AWS's form.
function logFailure(words, error) {
  if (isJson) console.error(asError(error));
  else console.error(words, logTextOf(error));
}

function writeText(level, values) {
  const now = new Date();
  const text = `${now.toISOString()}\t${currentRequestId()}\t${level}\t${util.format(...values)}`;
  writeMessage(TEXT_FRAME, level, now, text);
}

function writeJson(level, values) {
  const now = new Date();
  const line = { timestamp: now.toISOString(), level, requestId: currentRequestId() };
  const tenantId = currentTenantId();
  if (tenantId !== undefined && tenantId !== null) line.tenantId = tenantId;
  writeMessage(JSON_FRAME, level, now, values.length === 1 ? jsonOfOne(line, values[0]) : jsonOfMany(line, values));
}

function jsonOfOne(line, value) {
  line.message = value;
  try {
    return JSON.stringify(line, (_, member) => (member instanceof Error ? membersOf(member) : member));
  } catch {
    line.message = util.format(value);
    return JSON.stringify(line);
  }
}

function jsonOfMany(line, values) {
  line.message = util.format(...values);
  const error = values.find((value) => value instanceof Error);
  if (error !== undefined) {
    line.errorType = typeOf(error);
    line.errorMessage = error.message;
    line.stackTrace = typeof error.stack === 'string' ? error.stack.split('\n') : [];
  }
  return JSON.stringify(line);
}

const typeOf = (error) => error?.constructor?.name ?? 'UnknownError';

const membersOf = (error) => ({
  errorType: typeOf(error),
  errorMessage: error.message,
  stackTrace: typeof error.stack === 'string' ? error.stack.split('\n') : error.stack,
  ...error,
});

function writeMessage(kind, level, now, text) {
  if (descriptor < 0) {
    // Without frames a line feed would end the event.
    process.stdout.write(text.replace(/\n/g, '\r') + '\n');
    return;
  }
  const size = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(16 + size);
  frame.writeUInt32BE((kind | (LEVELS[level] << 2)) >>> 0, 0);
  frame.writeUInt32BE(size, 4);
  frame.writeBigUInt64BE(BigInt(now.getTime()) * 1000n, 8);
  frame.write(text, 16);
  writeAll(frame);
}

function writeAll(content) {
  let start = 0;
  while (start < content.length) {
    try {
      start += fs.writeSync(descriptor, content, start);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      // The pipe is full, and `process.stdout` has made it one that does not wait.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_PIPE_PAUSE_MS);
    }
  }
}

module.exports = { install, logFailure };
