'use strict';
// The `context` argument of a Node.js handler, with the members that AWS gives it.
//
// Source: AWS page "Using the Lambda context object to retrieve Node.js function information".

const generation = require('./generation.js');

// Facts from the headers of the `next` response (by lower-case name) and from the environment, in AWS's order.
function contextOf(headers) {
  return generation.isModern
    ? { ...factsOfInvocation(headers), ...factsOfFunction() }
    : { ...factsOfFunction(), ...factsOfInvocation(headers) };
}

function factsOfFunction() {
  const env = process.env;
  const named = { functionName: env.AWS_LAMBDA_FUNCTION_NAME };
  return {
    ...(generation.isModern ? named : null),
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    ...named,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
  };
}

function factsOfInvocation(headers) {
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  const traced = { xRayTraceId: headers['lambda-runtime-trace-id'] };
  return {
    clientContext: jsonOf(headers['lambda-runtime-client-context'], 'ClientContext'),
    identity: jsonOf(headers['lambda-runtime-cognito-identity'], 'CognitoIdentity'),
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    tenantId: headers['lambda-runtime-aws-tenant-id'],
    ...(generation.isModern ? traced : null),
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
}

function jsonOf(text, name) {
  if (text === undefined) return undefined;
  try {
    // Headers arrive as latin-1; the platform writes JSON in UTF-8.
    return JSON.parse(Buffer.from(text, 'latin1').toString('utf8'));
  } catch (error) {
    throw new Error(`Cannot parse ${name} as json: ${error}`);
  }
}

module.exports = { contextOf };
