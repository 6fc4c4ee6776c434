'use strict';
// ES modules find packages along NODE_PATH too, as they do in Lambda's Node.js and do not in Node.js itself.
//
// Newer versions of Node.js let a resolver be added for nothing; in older ones it starts a thread, so there it
// is added only once an import has failed for want of a package.

const nodeModule = require('module');
const { pathToFileURL } = require('url');

const IS_BARE = /^(?![./#]|[a-z]+:)/i;
const PACKAGES = '/node_modules';

// Files from whose view the packages of NODE_PATH are in sight.
function viewpoints() {
  return (process.env.NODE_PATH || '')
    .split(':')
    .filter((directory) => directory.endsWith(PACKAGES))
    .map((directory) => pathToFileURL(`${directory.slice(0, -PACKAGES.length)}/index.js`).href);
}

// Import an ES module.
async function importWithNodePath(url) {
  if (typeof nodeModule.registerHooks === 'function') {
    addResolver();
    return import(url);
  }
  try {
    return await import(url);
  } catch (error) {
    if (error?.code !== 'ERR_MODULE_NOT_FOUND' || typeof nodeModule.register !== 'function') throw error;
    addThreadedResolver();
    // Its failure is remembered under its address, so it needs another one.
    try {
      return await import(`${url}?again`);
    } catch (again) {
      // The first one was raised without a resolver of ours in its way.
      throw again?.code === error.code && again.message === error.message ? error : again;
    }
  }
}

function addResolver() {
  const views = viewpoints();
  nodeModule.registerHooks({
    resolve(specifier, context, nextResolve) {
      try {
        return nextResolve(specifier, context);
      } catch (error) {
        if (error?.code !== 'ERR_MODULE_NOT_FOUND' || !IS_BARE.test(specifier)) throw error;
        for (const parentURL of views) {
          try {
            return nextResolve(specifier, { ...context, parentURL });
          } catch {
            // The next one may have it.
          }
        }
        throw error;
      }
    },
  });
}

function addThreadedResolver() {
  const source = `
    const views = ${JSON.stringify(viewpoints())};
    export async function resolve(specifier, context, nextResolve) {
      try {
        return await nextResolve(specifier, context);
      } catch (error) {
        if (error?.code !== 'ERR_MODULE_NOT_FOUND' || !${IS_BARE}.test(specifier)) throw error;
        for (const parentURL of views) {
          try {
            return await nextResolve(specifier, { ...context, parentURL });
          } catch {}
        }
        throw error;
      }
    }`;
  nodeModule.register('data:text/javascript,' + encodeURIComponent(source));
}

module.exports = { importWithNodePath };
