// Devices on the web libraries (socket.io-client 2.4.0, protobufjs 6.11), driven by JSON lines on stdin.
//   {device, do: "come", server, uid, token, guid}   {device, do: "put", hex: <Frame>}   {device, do: "leave"}
// Every frame from the server is a line {device, command, hex: <payload>} on stdout. Answers NOTICE, next_key and the unread list
// by itself, like the page does.
'use strict';
const path = require('path');
const readline = require('readline');
const io = require('socket.io-client');
const protobuf = require('protobufjs');

const root = protobuf.loadSync(path.join(__dirname, '../../lanying/protocol/schema/xsync.proto'));
const type = (name) => root.lookupType(`im.floo.protobuf.${name}`);
const [Frame, SyncUL, SyncDL, Notice, UnreadDL, Provision] =
  ['Frame', 'SyncUL', 'SyncDL', 'Notice', 'UnreadDL', 'Provision'].map(type);
const devices = new Map();

function come({ device, server, uid, token, guid }) {
  const socket = io(server, { transports: ['websocket'], forceNew: true });
  devices.set(device, socket);
  const put = (command, payload) => {
    const frame = { vsn: 0, compressMethod: 0, command };
    if (payload) frame.payload = payload;
    socket.emit('frame', Buffer.from(Frame.encode(frame).finish()));
  };
  const pull = (xid, key) => put(1, SyncUL.encode(key ? { xid, key } : { xid }).finish());
  socket.on('connect', () => put(3, Provision.encode({
    xid: { uid, deviceSN: 999999999 }, token, osType: 6, sdkVsn: '2.0.0', deviceGuid: guid, deviceInfo: 'Web' }).finish()));
  socket.on('frame', (data) => {
    const frame = Frame.decode(new Uint8Array(data));
    const hex = Buffer.from(frame.payload).toString('hex');
    console.log(JSON.stringify({ device, command: frame.command, hex }));
    if (frame.command === 3 && Provision.decode(frame.payload).status.code === 1) put(0);
    if (frame.command === 2) pull(Notice.decode(frame.payload).xid);
    if (frame.command === 0) for (const u of UnreadDL.decode(frame.payload).unread) if (u.n) pull(u.xid);
    if (frame.command === 1) {
      const sync = SyncDL.decode(frame.payload);
      if (!sync.isFullSync && !Number(sync.clientMid) && Number(sync.nextKey)) pull(sync.xid, sync.nextKey);
    }
  });
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const command = JSON.parse(line);
  if (command.do === 'come') come(command);
  else if (command.do === 'put') devices.get(command.device).emit('frame', Buffer.from(command.hex, 'hex'));
  else { devices.get(command.device).close(); devices.delete(command.device); }
}).on('close', () => process.exit(0));
