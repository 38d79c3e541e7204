// Runs handler.js as a worker of Ringway (see docs/worker-protocol.md).
//
//     mode=worker fprocess='node worker.js'
//
// One request at a time comes on standard input and is answered on standard output, both in the
// form of HTTP/1.1. The handler gets { method, path, query, headers, body } and returns, or promises,
// { status, headers, body } (some of these and nothing else) or the body alone: a string, a Buffer,
// nothing, or anything else, which is sent as JSON. What it throws is told to the client with status
// 500 and to the log; the worker goes on. What it prints goes to the log.
'use strict';
const fs = require('node:fs');
// The protocol keeps both pipes for itself, as files: nothing else happens between two requests. What
// they were called is /dev/null and the log now, also for programs that the handler starts; a
// file that is opened gets the lowest free number.
const [source, sink] = [fs.openSync('/proc/self/fd/0', 'r'), fs.openSync('/proc/self/fd/1', 'w')];
fs.closeSync(0);
fs.openSync('/dev/null', 'r');
fs.closeSync(1);
fs.openSync('/proc/self/fd/2', 'w');
const chunk = Buffer.allocUnsafe(64 * 1024);
let unread = Buffer.alloc(0);

function readMore() {
  const count = fs.readSync(source, chunk, 0, chunk.length, null);
  if (count > 0) unread = Buffer.concat([unread, chunk.subarray(0, count)]);
  return count > 0;
}

// The next request; none when there will be no more.
function readRequest() {
  let end;
  while ((end = unread.indexOf('\r\n\r\n')) < 0) if (!readMore()) return null;
  const [first, ...lines] = unread.toString('latin1', 0, end).split('\r\n');
  const [method, target] = first.split(' ');
  const headers = Object.create(null);
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  }
  const length = Number(headers['content-length']);
  unread = unread.subarray(end + 4);
  const pieces = [unread.subarray(0, length)];
  let missing = length - pieces[0].length;
  unread = unread.subarray(pieces[0].length);
  while (missing > 0) {
    const piece = Buffer.allocUnsafe(missing);
    const count = fs.readSync(source, piece, 0, missing, null);
    if (count === 0) return null;
    pieces.push(piece.subarray(0, count));
    missing -= count;
  }
  const question = target.indexOf('?');
  const [path, query] = question < 0 ? [target, ''] : [target.slice(0, question), target.slice(question + 1)];
  return { method, path, query, headers, body: Buffer.concat(pieces) };
}

// Whether it is more than a body.
function isAnswer(given) {
  const keys = given && typeof given === 'object' ? Object.keys(given) : [];
  return keys.length > 0 && keys.every((key) => ['status', 'headers', 'body'].includes(key));
}

function encode(request, answer) {
  const { status = 200, headers = {}, body: given } = isAnswer(answer) ? answer : { body: answer };
  if (!(status >= 200 && status <= 599)) throw new Error(`${status} is no status from 200 to 599`);
  let [body, type] = [given ?? '', 'application/octet-stream'];
  if (typeof body === 'string') type = 'text/plain; charset=utf-8';
  else if (!(body instanceof Uint8Array)) [body, type] = [JSON.stringify(body), 'application/json'];
  body = Buffer.from(body);
  const lines = [`HTTP/1.1 ${status} -`, `Content-Length: ${body.length}`];
  if (!Object.keys(headers).some((name) => name.toLowerCase() === 'content-type')) lines.push(`Content-Type: ${type}`);
  for (const [name, value] of Object.entries(headers)) {
    for (const one of [value].flat()) lines.push(`${name}: ${one}`);
  }
  if (lines.some((line) => /[^\t -~\x80-\xff]/.test(line))) throw new Error('a header has a character that none can have');
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  const hasBody = request.method !== 'HEAD' && status !== 204 && status !== 304;
  return hasBody ? Buffer.concat([head, body]) : head;
}

async function main() {
  const handle = require('./handler');
  for (let request; (request = readRequest()); ) {
    let out;
    try {
      out = encode(request, await handle(request));
    } catch (error) {
      console.error(error);
      out = encode(request, { status: 500, body: `${error}\n` });
    }
    for (let sent = 0; sent < out.length; ) sent += fs.writeSync(sink, out, sent);
  }
  process.exit(0);
}

main();
