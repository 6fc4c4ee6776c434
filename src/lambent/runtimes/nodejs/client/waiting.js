'use strict';
// Being started before anybody knows for which function: load what every function needs, and wait for an order.
//
// The order comes over the socket that is the Runtime API's afterwards: a length of four bytes and as much JSON. What
// is read from process.env before it comes is the runtime's, so no module that is loaded here may look there.

const fs = require('fs');

const READY = '!';
const LENGTH_BYTES = 4;

// Load what the runtime would load when it serves its first event.
async function loadAhead() {
  for (const name of ['module', 'net', 'stream', 'url']) require(name);
  for (const name of ['handler', 'modules']) require(`./${name}.js`);
  // What Node.js needs for ES modules, it loads with the first one.
  await import('data:text/javascript,');
}

// Wait until it is known what this process is, and become that.
function takeOrder(descriptor) {
  fs.writeSync(descriptor, READY);
  const order = JSON.parse(read(descriptor, read(descriptor, LENGTH_BYTES).readUInt32BE()).toString());
  for (const name of Object.keys(process.env)) {
    if (!(name in order.environment)) delete process.env[name];
  }
  for (const [name, value] of Object.entries(order.environment)) {
    if (process.env[name] !== value) process.env[name] = value;
  }
  process.chdir(order.working_directory);
}

function read(descriptor, size) {
  const buffer = Buffer.alloc(size);
  for (let start = 0; start < size; ) {
    const count = fs.readSync(descriptor, buffer, start, size - start, null);
    if (count === 0) process.exit(0); // not needed after all
    start += count;
  }
  return buffer;
}

module.exports = { loadAhead, takeOrder };
