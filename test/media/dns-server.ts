import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv4 } from 'node:net';

/** What a name has: addresses of either family, nothing (NXDOMAIN), or no answer at all. */
export type Zone = Readonly<Record<string, readonly string[] | 'silent'>>;

export interface DnsServer {
  /** For `setServers`. */
  readonly address: string;
  close(): Promise<void>;
}

/** A DNS server on 127.0.0.1 that answers A and AAAA questions. source: RFC 1035 section 4 */
export async function startDnsServer(zone: Zone): Promise<DnsServer> {
  const socket = createSocket('udp4');
  socket.on('message', (question, from) => {
    const { name, type, end } = readQuestion(question);
    const entry = zone[name.toLowerCase()];
    if (entry === 'silent') return;
    const records = (entry ?? [])
      .filter((address) => isIPv4(address) === (type === 1))
      .map((address) => Buffer.concat([recordHead(type, isIPv4(address) ? 4 : 16), bytesOf(address)]));
    const head = Buffer.from(question.subarray(0, 12));
    // An answer, recursion available; 3: there is no such name.
    head.writeUInt16BE(0x81_80 | (entry === undefined ? 3 : 0), 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(records.length, 6);
    head.writeUInt32BE(0, 8);
    socket.send(Buffer.concat([head, question.subarray(12, end), ...records]), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    address: `127.0.0.1:${socket.address().port}`,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

function readQuestion(message: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = message[at]!; length > 0; length = message[at]!) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.'), type: message.readUInt16BE(at + 1), end: at + 5 };
}

/** Points at the question's name; class IN, not to be kept. */
function recordHead(type: number, length: number): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc0_0c, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(length, 10);
  return head;
}

const words = (text: string): string[] => text.split(':').filter((word) => word !== '');

function bytesOf(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const [left = '', right = ''] = address.split('::');
  const middle = Array.from({ length: 8 - words(left).length - words(right).length }, () => '0');
  return Buffer.from([...words(left), ...middle, ...words(right)].map((word) => word.padStart(4, '0')).join(''), 'hex');
}
