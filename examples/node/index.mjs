// The smallest function in JavaScript: an ES module whose handler is a promise.
export const handler = async (event, context) => {
  console.log('greeting', event.name);
  return { message: `Hello, ${event.name ?? 'world'}!`, request_id: context.awsRequestId };
};
