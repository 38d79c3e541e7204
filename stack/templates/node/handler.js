// The function. It stays in memory: what is made outside is made once for each worker.
'use strict';

module.exports = async (request) => `Hello! You said: ${request.body}`;
