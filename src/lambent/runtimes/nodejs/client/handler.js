'use strict';
// From the `Handler` of a function's configuration to a JavaScript function: where AWS's runtime looks for it,
// in which order, and with which words it fails.

const fs = require('fs');
const path = require('path');
const { createRequire } = require('module');
const { pathToFileURL } = require('url');
const { Fault } = require('./errors.js');
const generation = require('./generation.js');

// Modules are required from where AWS's own runtime lies; it is named in what Node.js says about missing ones.
const RUNTIME_FILE = path.join(process.env.LAMBDA_RUNTIME_DIR || '/var/runtime', 'index.mjs');
const FORM = /^([^.]*)\.(.*)$/;

// Return the function that a handler such as `dir/file.func` names.
async function loadHandler(root, name) {
  if (name.includes('..')) {
    throw new Fault(
      'MalformedHandlerName',
      `'${name}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`,
    );
  }
  const file = path.basename(name);
  const directory = name.slice(0, name.indexOf(file));
  const found = FORM.exec(file);
  if (!found) throw new Fault('MalformedHandlerName', 'Bad handler');
  const [, module, member] = found;
  const exported = await loadModule(root, directory, module);
  const handler = generation.isModern
    ? ownMemberOf(exported, member) || ownMemberOf(exported?.default, member)
    : memberOf(exported, member);
  if (!handler) throw new Fault('HandlerNotFound', `${name} is undefined or not exported`);
  if (typeof handler !== 'function') throw new Fault('HandlerNotFound', `${name} is not a function`);
  return handler;
}

const memberOf = (object, names) => names.split('.').reduce((inner, key) => inner && inner[key], object);

// The same of objects alone: functions have no members for the runtimes from nodejs24.x on.
const ownMemberOf = (object, names) =>
  names.split('.').reduce((inner, key) => (inner && typeof inner === 'object' ? inner[key] : undefined), object);

async function loadModule(root, directory, module) {
  const find = generation.isModern ? findModernModule : findModule;
  try {
    return await find(root, directory, module);
  } catch (error) {
    if (error instanceof SyntaxError) {
      const fault = new Fault('UserCodeSyntaxError', String(error));
      if (generation.isModern) fault.stack = error.stack;
      throw fault;
    }
    if (error?.code === 'MODULE_NOT_FOUND') throw new Fault('ImportModuleError', String(error));
    throw error;
  }
}

async function findModule(root, directory, module) {
  const require = createRequire(RUNTIME_FILE);
  const file = path.resolve(root, directory, module);
  if (fs.existsSync(file)) return require(file);
  if (fs.existsSync(`${file}.js`)) {
    return isEsPackage(path.dirname(file)) ? importFile(`${file}.js`) : require(`${file}.js`);
  }
  if (fs.existsSync(`${file}.mjs`)) return importFile(`${file}.mjs`);
  if (fs.existsSync(`${file}.cjs`)) return require(`${file}.cjs`);
  return require(require.resolve(module, { paths: [root, path.resolve(root, directory)] }));
}

// From nodejs24.x on, everything is imported.
async function findModernModule(root, directory, module) {
  const file = path.resolve(root, directory, module);
  for (const extension of ['', '.js', '.mjs', '.cjs']) {
    const found = file + extension;
    if (fs.existsSync(found)) return isEsFile(found) ? importFile(found) : import(pathToFileURL(found).href);
  }
  const require = createRequire(RUNTIME_FILE);
  return require(require.resolve(module, { paths: [root, path.resolve(root, directory)] }));
}

const isEsFile = (file) =>
  file.endsWith('.mjs') || (file.endsWith('.js') && isEsPackage(path.dirname(file), () => {}));

async function importFile(file) {
  const { importWithNodePath } = require('./modules.js');
  return importWithNodePath(pathToFileURL(file).href);
}

// Whether the nearest package.json declares its `.js` files to be ES modules.
function isEsPackage(directory, complain = console.warn) {
  for (let place = directory; !place.endsWith('/node_modules'); place = path.dirname(place)) {
    const file = path.join(place, 'package.json');
    if (fs.existsSync(file)) {
      try {
        return JSON.parse(fs.readFileSync(file, 'utf8'))?.type === 'module';
      } catch (error) {
        complain(`${file} cannot be read, it will be ignored for ES module detection purposes.`, error);
        return false;
      }
    }
    if (place === path.dirname(place)) return false;
  }
  return false;
}

module.exports = { loadHandler };
