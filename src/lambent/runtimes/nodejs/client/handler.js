'use strict';
// From the `Handler` of a function's configuration to a JavaScript function: where AWS's runtime looks for it,
// in which order, and with which words it fails.

const fs = require('fs');
const path = require('path');
const { createRequire } = require('module');
const { pathToFileURL } = require('url');
const { Fault } = require('./errors.js');

// Modules are required from where AWS's own runtime lies; it is named in what Node.js says about missing ones.
const RUNTIME_FILE = path.join(process.env.LAMBDA_RUNTIME_DIR || '/var/runtime', 'index.mjs');
const FORM = /^([^.]*)\.(.*)$/;

// Return the function that a handler such as `dir/file.func` names.
//
// `isModern`: as the runtimes from nodejs24.x on do it.
async function loadHandler(root, name, isModern) {
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
  const exported = await loadModule(root, directory, module, isModern);
  const handler =
    memberOf(exported, member) || (isModern ? memberOf(exported?.default, member) : undefined);
  if (!handler) throw new Fault('HandlerNotFound', `${name} is undefined or not exported`);
  if (typeof handler !== 'function') throw new Fault('HandlerNotFound', `${name} is not a function`);
  return handler;
}

const memberOf = (object, names) => names.split('.').reduce((inner, key) => inner && inner[key], object);

async function loadModule(root, directory, module, keepsStack) {
  try {
    return await findModule(root, directory, module);
  } catch (error) {
    if (error instanceof SyntaxError) {
      const fault = new Fault('UserCodeSyntaxError', String(error));
      if (keepsStack) fault.stack = error.stack;
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

async function importFile(file) {
  const { importWithNodePath } = require('./modules.js');
  return importWithNodePath(pathToFileURL(file).href);
}

// Whether the nearest package.json declares its `.js` files to be ES modules.
function isEsPackage(directory) {
  for (let place = directory; !place.endsWith('/node_modules'); place = path.dirname(place)) {
    const file = path.join(place, 'package.json');
    if (fs.existsSync(file)) {
      try {
        return JSON.parse(fs.readFileSync(file, 'utf8'))?.type === 'module';
      } catch (error) {
        console.warn(`${file} cannot be read, it will be ignored for ES module detection purposes.`, error);
        return false;
      }
    }
    if (place === path.dirname(place)) return false;
  }
  return false;
}

module.exports = { loadHandler };
