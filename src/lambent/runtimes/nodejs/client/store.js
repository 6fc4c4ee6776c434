'use strict';
// What runs now, as functions and libraries find it: `awslambda.InvokeStore` from nodejs24.x on, two symbols before.
//
// The store has the members of @aws/lambda-invoke-store's, which takes a store that is there for its own.

const generation = require('./generation.js');

const REQUEST_ID = Symbol.for('aws.lambda.runtime.requestId');
const TENANT_ID = Symbol.for('aws.lambda.runtime.tenantId');
const KEYS = {
  REQUEST_ID: Symbol.for('_AWS_LAMBDA_REQUEST_ID'),
  X_RAY_TRACE_ID: Symbol.for('_AWS_LAMBDA_X_RAY_TRACE_ID'),
  TENANT_ID: Symbol.for('_AWS_LAMBDA_TENANT_ID'),
};
const NOBODY = '-';

class InvokeStoreBase {
  static PROTECTED_KEYS = KEYS;

  isProtectedKey(key) {
    return Object.values(KEYS).includes(key);
  }

  getRequestId() {
    return this.get(KEYS.REQUEST_ID) ?? NOBODY;
  }

  getXRayTraceId() {
    return this.get(KEYS.X_RAY_TRACE_ID);
  }

  getTenantId() {
    return this.get(KEYS.TENANT_ID);
  }
}

class InvokeStoreSingle extends InvokeStoreBase {
  currentContext;

  getContext() {
    return this.currentContext;
  }

  hasContext() {
    return this.currentContext !== undefined;
  }

  get(key) {
    return this.currentContext?.[key];
  }

  set(key, value) {
    if (this.isProtectedKey(key)) {
      throw new Error(`Cannot modify protected Lambda context field: ${String(key)}`);
    }
    this.currentContext = this.currentContext || {};
    this.currentContext[key] = value;
  }

  run(context, action) {
    this.currentContext = context;
    return action();
  }
}

const store = new InvokeStoreSingle();

// Say what runs from now on.
function setInvocation(requestId, tenantId, traceId) {
  if (!generation.isModern) {
    globalThis[REQUEST_ID] = requestId;
    globalThis[TENANT_ID] = tenantId;
    return;
  }
  const context = { [KEYS.REQUEST_ID]: requestId, [KEYS.X_RAY_TRACE_ID]: traceId };
  if (tenantId !== undefined) context[KEYS.TENANT_ID] = tenantId;
  store.run(context, () => {});
}

const currentRequestId = () => (generation.isModern ? store.getRequestId() : globalThis[REQUEST_ID]);
const currentTenantId = () => (generation.isModern ? store.getTenantId() : globalThis[TENANT_ID]);

module.exports = { currentRequestId, currentTenantId, setInvocation, store };
