'use strict';
// Failures, and how AWS's runtime words them: payloads, log lines and the cause for X-Ray.

const { types } = require('util');

// A failure that the runtime itself describes, with AWS's `Runtime.*` error type.
class Fault extends Error {
  constructor(type, message) {
    super(message);
    // Not one of the members that are logged.
    Object.defineProperty(this, 'name', { value: `Runtime.${type}` });
    if (typeof this.stack === 'string') {
      // Written before the name was known.
      this.stack = this.stack.replace(/^Error/, this.name);
    }
  }
}

// DEL is the one ASCII character that AWS replaces, because a header cannot hold it.
const printable = (text) => (typeof text === 'string' ? text.replace(/\x7f/g, '%7F') : text);

const looksLikeError = (value) =>
  types.isNativeError(value) ||
  (value && ['name', 'message', 'stack'].every((name) => typeof value[name] === 'string' && value[name]));

// AWS's error payload for whatever was thrown.
function payloadOf(error) {
  try {
    if (looksLikeError(error)) {
      return {
        errorType: printable(error.name),
        errorMessage: printable(error.message),
        trace: printable(error.stack || '').split('\n'),
      };
    }
    return { errorType: typeof error, errorMessage: error.toString(), trace: [] };
  } catch {
    return {
      errorType: 'handled',
      errorMessage:
        'callback called with Error argument, but there was a problem while retrieving one or more of its message, name, and stack',
    };
  }
}

const asError = (error) => (error instanceof Error ? error : new Error(error));

const withMembers = (_, value) => {
  if (!(value instanceof Error)) return value;
  const members = { errorType: value.name, errorMessage: value.message, code: value.code, ...value };
  if (typeof value.stack === 'string') members.stack = value.stack.split('\n');
  return members;
};

// What follows the words in a text log line.
function logTextOf(error) {
  try {
    return '\t' + JSON.stringify(asError(error), withMembers);
  } catch {
    return '\t' + JSON.stringify(payloadOf(error));
  }
}

const FRAME = /^\s*at (?:(.*?) \(?)?([^\s()]+?)(?::(\d+))?(?::\d+)?\)?$/;

// The form of an error that X-Ray shows.
function xrayCauseOf(error) {
  const lines = typeof error?.stack === 'string' ? error.stack.split('\n').slice(1) : [];
  const stack = [];
  for (const line of lines) {
    const found = FRAME.exec(line);
    if (found) stack.push({ path: found[2], line: Number(found[3] || 0), label: found[1] || 'anonymous' });
  }
  return {
    working_directory: process.cwd(),
    exceptions: [{ type: printable(error?.name), message: printable(error?.message), stack }],
    paths: [...new Set(stack.map((frame) => frame.path))],
  };
}

const XRAY_CAUSE_MAX_CHARACTERS = 16384;
const toAscii = (text) =>
  text.replace(/[^\x20-\x7e]/g, (character) => '\\u' + character.charCodeAt(0).toString(16).padStart(4, '0'));

// Headers and body of a report of an error.
function reportOf(error) {
  const payload = payloadOf(error);
  const headers = {
    'Content-Type': 'application/json',
    'Lambda-Runtime-Function-Error-Type': String(payload.errorType).replace(/[^\x20-\x7e]/g, ' '),
  };
  try {
    const cause = toAscii(JSON.stringify(xrayCauseOf(error)));
    if (cause.length < XRAY_CAUSE_MAX_CHARACTERS) headers['Lambda-Runtime-Function-XRay-Error-Cause'] = cause;
  } catch {
    // Then X-Ray does without.
  }
  return [headers, JSON.stringify(payload)];
}

module.exports = { Fault, asError, logTextOf, payloadOf, reportOf };
