'use strict';
// Failures, and how AWS's runtime words them: payloads, log lines and the cause for X-Ray.

const { types } = require('util');
const generation = require('./generation.js');

const MODERN_CLASSES = ['CallbackHandlerDeprecated', 'HandlerNotFound', 'MalformedHandlerName'];
const classes = new Map();

// AWS has a class for each of its errors, whose name is in JSON log lines.
function prototypeOf(type) {
  const name = generation.isModern && MODERN_CLASSES.includes(type) ? `${type}Error` : type;
  if (!classes.has(name)) classes.set(name, { [name]: class extends Fault {} }[name]);
  return classes.get(name).prototype;
}

// A failure that the runtime itself describes, with AWS's `Runtime.*` error type.
class Fault extends Error {
  constructor(type, message) {
    super(message);
    Object.setPrototypeOf(this, prototypeOf(type));
    // One of the members that are logged from nodejs24.x on, and none before.
    Object.defineProperty(this, 'name', { value: `Runtime.${type}`, enumerable: generation.isModern });
    if (typeof this.stack === 'string') {
      // Written before the name was known.
      this.stack = this.stack.replace(/^Error/, this.name);
    }
  }
}

// DEL is the one ASCII character that AWS replaces, because a header cannot hold it.
// Throws, as AWS's does, for what is neither text nor missing.
const printable = (text) => text?.replace(/\x7f/g, '%7F');

const looksLikeError = (value) =>
  types.isNativeError(value) ||
  (value && ['name', 'message', 'stack'].every((name) => typeof value[name] === 'string' && value[name]));

const UNREADABLE = {
  errorType: 'handled',
  errorMessage:
    'callback called with Error argument, but there was a problem while retrieving one or more of its message, name, and stack',
};

// AWS's error payload for whatever was thrown.
function payloadOf(error) {
  const { isModern } = generation;
  try {
    if (isModern ? error instanceof Error : looksLikeError(error)) {
      const { name, message, stack } = error;
      const lines = isModern ? printable(stack)?.split('\n') || [] : printable(stack).split('\n');
      return { errorType: printable(name), errorMessage: printable(message), trace: lines };
    }
    return { errorType: typeof error, errorMessage: isModern ? String(error) : error.toString(), trace: [] };
  } catch {
    return isModern ? { ...UNREADABLE, trace: [] } : UNREADABLE;
  }
}

const asError = (error) =>
  error instanceof Error ? error : new Error(generation.isModern ? String(error) : error);

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
  const text = (value) => (typeof value === 'string' ? printable(value) : value);
  const lines = typeof error?.stack === 'string' ? error.stack.split('\n').slice(1) : [];
  const stack = [];
  for (const line of lines) {
    const found = FRAME.exec(line);
    if (found) stack.push({ path: found[2], line: Number(found[3] || 0), label: found[1] || 'anonymous' });
  }
  return {
    working_directory: process.cwd(),
    exceptions: [{ type: text(error?.name), message: text(error?.message), stack }],
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
