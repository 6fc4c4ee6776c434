'use strict';
// Lambda's Node.js runtime: loads the handler and speaks the Runtime API, inside the execution environment.
//
// It runs under the function's own Node.js, version 16 or newer, and loads as little as it can. What it answers
// (error payloads, log lines, exit codes) follows AWS's Node.js runtime interface client; how it speaks differs:
// see channel.js. There are two of it: see generation.js.

const { Channel } = require('./channel.js');
const { Fault, reportOf } = require('./errors.js');
const { contextOf } = require('./context.js');
const generation = require('./generation.js');
const log = require('./log.js');
const { setInvocation, store } = require('./store.js');

const EXIT_STATUS = { uncaughtException: 129, unhandledRejection: 128, init: 1, unsettled: 13 };
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');
const READY_DESCRIPTOR = 5;
const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const NO_CALLBACKS =
  'ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. You need to ' +
  'modify this function to use a supported handler signature to use Node.js 24 or later. For more information see ' +
  'https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.';
const ALREADY_DONE =
  'Invocation has already been reported as done. Cannot call complete more than once per invocation.';

// Handlers are called as AWS's runtime calls them, as a method of this, which stack traces show.
const RECEIVERS = {
  classic: class Runtime {},
  buffered: class BufferedInvokeProcessor {},
  streaming: class StreamingInvokeProcessor {},
};
let runtime = new RECEIVERS.classic();
let channel;
let requestId = null; // null while nothing runs
let whenIdle = null; // what to do when the event loop is empty
let isFailing = false; // the process has had its last error

// Answers ---------------------------------------------------------------------------------------------------

function respond(id, result) {
  let body;
  try {
    body = JSON.stringify(result === undefined ? null : result);
  } catch {
    throw generation.isModern
      ? new Fault('JSONStringifyError', 'Unable to stringify response body')
      : new Error('Unable to stringify response body');
  }
  // What is no JSON, a function for instance: the words are those of AWS's native code.
  if (body === undefined) throw new TypeError('Wrong arguments');
  finish();
  channel.report(`/invocation/${id}/response`, { 'Content-Type': 'application/json' }, body, true);
}

function fail(id, error) {
  log.logFailure('Invoke Error', error);
  finish();
  channel.report(`/invocation/${id}/error`, ...reportOf(error), true);
}

function finish() {
  requestId = null;
  whenIdle = null;
}

// One invocation --------------------------------------------------------------------------------------------

function onInvocation(headers, body) {
  const id = headers['lambda-runtime-aws-request-id'];
  requestId = id;
  const trace = headers['lambda-runtime-trace-id'];
  setInvocation(id, headers['lambda-runtime-aws-tenant-id'], trace);
  if (trace) process.env._X_AMZN_TRACE_ID = trace;
  else delete process.env._X_AMZN_TRACE_ID;
  if (runtime.handler[STREAMING]) {
    const { runStreaming } = require('./streaming.js');
    runStreaming({ id, headers, body, runtime, channel, fail, finish, setWhenIdle });
  } else if (generation.isModern) {
    runModern(id, headers, body);
  } else {
    runClassic(id, headers, body);
  }
}

function setWhenIdle(action) {
  whenIdle = action;
}

// A turn of the event loop: what a handler has left for it comes before its answer.
const turn = () => new Promise((resolve) => setImmediate(resolve));

async function runModern(id, headers, body) {
  let result;
  try {
    result = await runtime.handler(JSON.parse(body), contextOf(headers));
    await turn();
    respond(id, result);
  } catch (error) {
    await turn();
    fail(id, error);
  }
}

// A handler that may return a promise, call back, or use the context's older methods. The first answer counts.
function runClassic(id, headers, body) {
  let isAnswered = false;
  let isEmpty = false; // it was answered with nothing, because nothing was left to wait for
  let waitsForEmptyLoop = true;
  const once =
    (answer) =>
    (...values) => {
      if (isEmpty) console.error(ALREADY_DONE);
      isEmpty = false;
      if (isAnswered) return;
      answer(...values);
      isAnswered = true;
    };
  const isFailure = (error) => error !== undefined && error !== null;
  const done = once((error, result) => {
    whenIdle = null;
    if (isFailure(error)) fail(id, error);
    else respond(id, result);
  });
  const callback = once((error, result) => {
    if (isFailure(error)) fail(id, error);
    else if (waitsForEmptyLoop) whenIdle = () => respond(id, result);
    else respond(id, result);
  });
  const failWith = (error) => done(isFailure(error) ? error : 'handled');
  const members = {
    get callbackWaitsForEmptyEventLoop() {
      return waitsForEmptyLoop;
    },
    set callbackWaitsForEmptyEventLoop(value) {
      waitsForEmptyLoop = value;
    },
    succeed: (result) => done(null, result),
    fail: failWith,
    done,
  };
  // A handler that never answers has answered nothing once there is nothing left to wait for.
  whenIdle = () => {
    isAnswered = isEmpty = true;
    respond(id, null);
  };
  try {
    const event = JSON.parse(body);
    const returned = runtime.handler(event, Object.assign(members, contextOf(headers)), callback);
    if (returned && typeof returned.then === 'function') {
      returned.then(members.succeed, failWith).catch(failWith);
    }
  } catch (error) {
    callback(error);
  }
}

// The process -----------------------------------------------------------------------------------------------

// Tell the platform of an error that nobody caught, and exit.
function failProcess(error, status) {
  if (isFailing) return;
  isFailing = true;
  whenIdle = null;
  if (requestId === null && runtime.handler !== undefined) process.exit(status); // between invocations nobody asks
  const path = requestId === null ? '/init/error' : `/invocation/${requestId}/error`;
  channel.reportLast(path, ...reportOf(error), () => process.exit(status));
}

function watchProcess() {
  process.on('beforeExit', () => {
    const action = whenIdle;
    whenIdle = null;
    // In a turn of its own, which also keeps the process.
    if (action !== null) setImmediate(action);
    else if (runtime.handler === undefined && !isFailing && !generation.isModern) {
      process.exitCode = EXIT_STATUS.unsettled;
    }
  });
  if (generation.isModern) return; // Node.js itself deals with what nobody caught
  process.on('uncaughtException', (error) => {
    log.logFailure('Uncaught Exception', error);
    failProcess(error, EXIT_STATUS.uncaughtException);
  });
  process.on('unhandledRejection', (reason, promise) => {
    const fault = new Fault('UnhandledPromiseRejection', String(reason));
    Object.assign(fault, { reason, promise });
    log.logFailure('Unhandled Promise Rejection', fault);
    failProcess(fault, EXIT_STATUS.unhandledRejection);
  });
}

// `awslambda`, the global with which handlers say that they stream.
function offerStreaming() {
  if (['1', 'true'].includes(process.env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA)) return;
  globalThis.awslambda = {
    streamifyResponse(streaming, options) {
      streaming[STREAMING] = 'response';
      // Kept for whoever asks: how much is on its way is the socket's affair here.
      if (typeof options?.highWaterMark === 'number') streaming[HIGH_WATER_MARK] = parseInt(options.highWaterMark);
      return streaming;
    },
    get HttpResponseStream() {
      return require('./streaming.js').HttpResponseStream;
    },
  };
  if (generation.isModern) globalThis.awslambda.InvokeStore = store;
}

async function load() {
  const { loadHandler } = require('./handler.js');
  const found = await loadHandler(process.env.LAMBDA_TASK_ROOT, process.env._HANDLER);
  if (generation.isModern && found.length >= 3 && !found[STREAMING]) {
    throw new Fault('CallbackHandlerDeprecated', NO_CALLBACKS);
  }
  if (found[STREAMING] && found[STREAMING] !== 'response') {
    throw new Fault('MalformedStreamingHandler', 'Only response streaming is supported.');
  }
  return found;
}

// Wait for a debugger, before the function is loaded.
function waitForDebugger() {
  const port = process.env._LAMBENT_DEBUG_PORT;
  if (port === undefined) return;
  delete process.env._LAMBENT_DEBUG_PORT;
  const inspector = require('node:inspector');
  inspector.open(Number(port), '127.0.0.1');
  // The platform hears that a debugger may come.
  const fs = require('node:fs');
  fs.writeSync(READY_DESCRIPTOR, '!');
  fs.closeSync(READY_DESCRIPTOR);
  inspector.waitForDebugger();
}

function main() {
  generation.determine();
  // AWS's runtime is an ES module, so nothing is the main module of a function.
  process.mainModule = undefined;
  const descriptor = Number(process.env._LAMBENT_RUNTIME_FD);
  delete process.env._LAMBENT_RUNTIME_FD;
  channel = new Channel(descriptor, onInvocation);
  log.install();
  waitForDebugger();
  watchProcess();
  offerStreaming();
  load().then(
    (found) => {
      // What the module has left for the event loop, a rejection perhaps, belongs to the init.
      setImmediate(() => {
        const kind = found[STREAMING] ? 'streaming' : 'buffered';
        if (generation.isModern) runtime = new RECEIVERS[kind]();
        runtime.handler = found;
        channel.first();
      });
    },
    (error) => {
      const { isModern } = generation;
      log.logFailure(isModern ? 'Init Error' : 'Uncaught Exception', error);
      failProcess(error, isModern ? EXIT_STATUS.init : EXIT_STATUS.uncaughtException);
    },
  );
}

const waitsAt = process.env._LAMBENT_WAITS_FD;
if (waitsAt === undefined) {
  main();
} else {
  const { loadAhead, takeOrder } = require('./waiting.js');
  loadAhead().then(() => {
    takeOrder(Number(waitsAt));
    main();
  });
}
