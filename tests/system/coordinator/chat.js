// An ordinary application with the ws library: it sends back what comes. Like most, it does
// nothing about SIGTERM, so its connections break when it is stopped.

const fs = require('fs');
const { WebSocketServer } = require('ws');

if (fs.existsSync('/run/chat-is-broken')) {
    console.error('cannot reach the database');
    process.exit(3);
}

const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[2]) });
server.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    // A connection that breaks is over: there is nothing to do about it.
    socket.on('error', () => {});
});
