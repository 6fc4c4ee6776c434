'use strict';
// Which of AWS's two runtime clients for Node.js this process behaves like.
//
// Up to nodejs22.x it is version 3 of aws-lambda-ric: handlers may call back, and the response of a callback waits
// for the event loop to be empty. From nodejs24.x on it is version 4: a handler's promise is all there is.

const FIRST_WITHOUT_CALLBACKS = 24;

const generation = {
  isModern: true,

  // Find out, once the variables are the function's.
  determine() {
    const identified = /nodejs(\d+)\.x$/.exec(process.env.AWS_EXECUTION_ENV || '');
    const major = Number(identified ? identified[1] : process.versions.node.split('.')[0]);
    generation.isModern = major >= FIRST_WITHOUT_CALLBACKS;
  },
};

module.exports = generation;
